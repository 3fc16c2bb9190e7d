"""``select_for_update()``: which rows a query names, and the locks of a transaction.

The rows are found by the query itself, reduced to primary keys. They are locked in Redis, read anew, and the query is
run; if it then names others, all of it is done again. Where Redis cannot be asked nothing is locked, and conflicts are
found at COMMIT: a row that was locked and not written must then still have the ETag that was read (see
``indexes.rowlocks``).
"""

from __future__ import annotations

import random
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from django.db import NotSupportedError
from django.db.models import Model, Q
from django.db.models.constants import LOOKUP_SEP
from django.db.models.sql.constants import MULTI

from django_smarterbase.backend.document_writes import DocumentWrite
from django_smarterbase.backend.resources import Resources
from django_smarterbase.backend.snapshot import Snapshot
from django_smarterbase.exceptions import ConflictError, LockNotAvailable
from django_smarterbase.indexes.keys import new_token
from django_smarterbase.indexes.rowlocks import PATIENCE, Wish, still_locked
from django_smarterbase.indexes.service import FallbackReason, IndexUntrusted
from django_smarterbase.signals import conflict_raised, send
from django_smarterbase.storage.keys import stem as stem_of
from django_smarterbase.tables import TableSchema

if TYPE_CHECKING:
    from django_smarterbase.backend.compiler import SQLCompiler

Rows = Mapping[str, Collection[str]]  # {table: stems}
Result = TypeVar("Result")
SchemaOf = Callable[[str], TableSchema]

_ROUNDS: Final = 10  # in which a query that was just locked names other rows
_PAUSE: Final = 0.02  # seconds, the longest between two looks at a lock


@dataclass
class TransactionLocks:
    """The rows that one transaction has locked, ``{table: stems}``. ``unavailable`` tells why Redis took no lock."""

    resources: Resources
    schema_of: SchemaOf
    rows: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    unavailable: FallbackReason | None = None
    token: str = field(default_factory=new_token)
    _kept: float = 0.0
    _schemas: dict[str, TableSchema] = field(default_factory=dict)  # as they were when their rows were locked

    def beyond(self, rows: Rows) -> dict[str, list[str]]:
        """Those of ``rows`` that are not locked yet, in the order in which every transaction locks them."""
        new = {table: sorted(set(stems) - self.rows[table]) for table, stems in sorted(rows.items())}
        return {table: stems for table, stems in new.items() if stems}

    def take(self, rows: Rows, *, nowait: bool, skip: bool) -> dict[str, list[str]]:
        """Lock rows; with ``skip`` only those that can be had at once. Returns the others, ``{table: stems}``.

        One round trip a table, and more while it waits. Raises LockNotAvailable.
        """
        left = {}
        for table, stems in rows.items():
            schema = self._schemas[table] = self.schema_of(table)
            busy = self._take(schema, list(stems), nowait=nowait, skip=skip)
            self.rows[table].update(set(stems) - set(busy))
            if busy:
                left[table] = busy
        return left

    def _take(self, schema: TableSchema, stems: list[str], *, nowait: bool, skip: bool) -> list[str]:
        self._kept = self._kept or time.monotonic()
        if skip:
            return self._ask(schema, stems, "some")
        if not nowait:
            self._wait(schema, stems, "all")
        elif busy := self._ask(schema, stems, "all"):
            raise LockNotAvailable(
                f"{len(busy)} of the rows of {schema.label} are locked by other transactions, {busy[0]!r} among them, "
                "and nowait=True was asked for. Try again later, or wait without it."
            )
        return []

    def _wait(self, schema: TableSchema, stems: list[str], wish: Wish) -> None:
        patience = PATIENCE * self.resources.options.write_deadline
        first = time.monotonic()
        while busy := self._ask(schema, stems, wish):
            if time.monotonic() - first >= patience:
                raise still_locked(schema, busy[0], patience)
            self.keep()
            time.sleep(random.uniform(0, _PAUSE))

    def _ask(self, schema: TableSchema, stems: list[str], wish: Wish) -> list[str]:
        """The stems that others have locked; none when Redis cannot tell."""
        try:
            busy = self.resources.indexes.lock(schema, self.token, stems, wish)
        except IndexUntrusted as untrusted:
            self.unavailable = untrusted.reason
            return []
        self.unavailable = None
        return busy

    def keep(self, *, at_once: bool = False) -> None:
        """Make the locks last, when a third of their time is over or ``at_once``: one round trip a table."""
        now = time.monotonic()
        if not self._kept or (now - self._kept < self.resources.options.write_deadline / 3 and not at_once):
            return
        self._kept = now
        for table, stems in self.rows.items():
            self._ask(self._schemas[table], sorted(stems), "some")

    def await_others(self, writes: Collection[DocumentWrite]) -> None:
        """Wait until no other transaction has locked a row that is about to be written. One round trip a table.

        Raises LockNotAvailable.
        """
        wanted: dict[TableSchema, list[str]] = defaultdict(list)
        for write in writes:
            if write.schema is not None:
                wanted[write.schema].append(write.stem)
        for schema, stems in wanted.items():
            self._wait(schema, stems, "none")

    def verify(self, snapshot: Snapshot, writes: Collection[DocumentWrite]) -> None:
        """Compare the rows that were locked and are not written with what was read of them: one read each.

        Raises ConflictError when one was changed, which a writer can who has no Redis, or after the lock ran out.
        """
        written = {write.key for write in writes}
        for table, stems in self.rows.items():
            known = snapshot.table(table).known
            keys = {self.resources.keys.document(table, stem): known.get(stem) for stem in stems}
            read = {key: seen.etag for key, seen in keys.items() if seen is not None and key not in written}
            for key, stored in self.resources.store.get_many(read):
                if stored is None or stored.etag != read[key]:
                    raise ConflictError(
                        f"{self._schemas[table].label}: another writer changed {key!r} after this transaction had "
                        "locked it by select_for_update(). Nothing was applied of the transaction; run it again."
                    )

    def release(self) -> None:
        """Give all locks back: one round trip a table. Never raises for Redis, where they run out by themselves."""
        for table, stems in self.rows.items():
            if stems:
                self.resources.indexes.unlock(self._schemas[table], self.token, sorted(stems))
        self.rows.clear()


def run_locked(compiler: SQLCompiler, run: Callable[[], Result]) -> Result:
    """Lock the rows that a SELECT names, and run it over them as they are under the lock.

    ``run`` runs the compiler's statement and fetches its rows. Raises LockNotAvailable, ConflictError.
    """
    session, query = compiler.connection.session, compiler.query
    locks, nowait, skip = session.locks, query.select_for_update_nowait, query.select_for_update_skip_locked
    for _ in range(_ROUNDS):
        named = _named_rows(compiler)
        new = locks.beyond(named)
        busy = locks.take(new, nowait=nowait, skip=skip)
        session.read_anew(new)
        if busy:
            compiler.query = _without(compiler.query, named, busy)
            continue
        result = run()
        if not locks.beyond(_named_rows(compiler)):
            return result
    raise _never_at_rest(compiler)


def _never_at_rest(compiler: SQLCompiler) -> ConflictError:
    model = compiler.query.model._meta.label if compiler.query.model else None
    error = ConflictError(
        f"{model or 'A query'}: the rows that select_for_update() names changed {_ROUNDS} times while they were "
        "locked. Run the transaction again."
    )
    database = compiler.connection.alias
    send(conflict_raised, TransactionLocks, database=database, operation="select", model=model, error=error)
    return error


@dataclass(frozen=True, slots=True)
class _Target:
    """A table whose rows are to be locked: the paths to the fields of its primary key, from the query's model."""

    table: str
    paths: tuple[str, ...]


class _Named(NamedTuple):
    """A row that a query names: how the query reaches it, and its primary key as SQLite holds it."""

    target: _Target
    pk: tuple[Any, ...]


def _named_rows(compiler: SQLCompiler) -> dict[str, dict[str, _Named]]:
    """The rows that a SELECT names now, ``{table: {stem: row}}``, by the same query over primary keys alone."""
    targets = list(_targets(compiler))
    found: dict[str, dict[str, _Named]] = defaultdict(dict)
    if not targets:
        return found
    query = compiler.query.clone()
    query.select_for_update = False
    query.set_values([path for target in targets for path in target.paths])
    if not query.is_sliced:
        query.clear_ordering(force=True)
    chunks: Any = query.get_compiler(connection=compiler.connection).execute_sql(MULTI)
    for row in chain.from_iterable(chunks or ()):
        values = iter(row)
        for target in targets:
            pk = tuple(islice(values, len(target.paths)))
            if None not in pk:
                found[target.table][stem_of(pk)] = _Named(target, pk)
    return found


def _targets(compiler: SQLCompiler) -> Iterator[_Target]:
    """The tables that are named by ``of``, or else those of all models that are selected."""
    query = compiler.query
    if query.combinator or query.group_by is not None:
        raise NotSupportedError("select_for_update() needs rows of tables, not combined or aggregated ones.")
    probe: Any = query.clone().get_compiler(connection=compiler.connection)
    probe.setup_query()
    of = query.select_for_update_of
    for path, model in _models(probe.klass_info or {"model": query.model}, ()):
        if not of or (LOOKUP_SEP.join(path) or "self") in of:
            fields = model._meta.pk_fields
            yield _Target(model._meta.db_table, tuple(LOOKUP_SEP.join((*path, field.name)) for field in fields))


def _models(info: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], type[Model]]]:
    """The models of which a SELECT makes instances, each with the path to it: a model, its parents, its relations."""
    model = info["model"]._meta.concrete_model
    yield path, model
    for parent, link in model._meta.parents.items():
        if link is not None:
            yield from _models({"model": parent}, (*path, link.name))
    for related in info.get("related_klass_infos", ()):
        relation = related["field"].remote_field if related["reverse"] else related["field"]
        yield from _models(related, (*path, relation.name))


def _without(query: Any, named: Mapping[str, Mapping[str, _Named]], busy: Rows) -> Any:
    """The query without the rows that others have locked."""
    fewer = query.clone()
    for table, stems in busy.items():
        for row in (named[table][stem] for stem in stems):
            fewer.add_q(~Q(**dict(zip(row.target.paths, row.pk, strict=True))))
    return fewer
