"""Executes a plan: finds the candidates of each access path, reads them, and puts them in the workspace."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from django_smarterbase.backend.admission import Admission
from django_smarterbase.backend.narrowing import Narrowing
from django_smarterbase.backend.rawsql import qmark
from django_smarterbase.backend.resources import Resources
from django_smarterbase.backend.snapshot import Known, Snapshot, TableSnapshot
from django_smarterbase.backend.soundness import check_key
from django_smarterbase.backend.workspace import Workspace
from django_smarterbase.exceptions import CorruptDocument, FullScanRefused, ScanBudgetExceeded
from django_smarterbase.hints import Access
from django_smarterbase.indexes.affinity import stored as value_as_stored
from django_smarterbase.indexes.service import FallbackReason, IndexUntrusted, Reading
from django_smarterbase.planner.plan import (
    AccessPath,
    IndexLookup,
    JoinLookup,
    KeyLookup,
    QueryPlan,
    SubqueryLookup,
)
from django_smarterbase.storage.base import Admits, Stored
from django_smarterbase.storage.codec import version_of
from django_smarterbase.storage.keys import stem as stem_of
from django_smarterbase.tables import Affinity, IndexCondition, IndexDefinition, IndexEntry, TableSchema, Value

logger = logging.getLogger("django_smarterbase.storage")
index_logger = logging.getLogger("django_smarterbase.index")

_ENTRIES_A_READ: Final = 1000


@dataclass
class Account:
    """What the loading of one statement came to, for its profile."""

    candidates: int = 0
    skipped: int = 0
    scanned: list[str] = field(default_factory=list)
    indexes: list[str] = field(default_factory=list)
    fallback_reason: FallbackReason | None = None


class Loader:
    """Loads the workspace for one statement.

    ``access`` is the caller's wish (``hints``): "index" refuses scans, "scan" does not consult the index.
    ``repeatable`` says that what is read must be remembered, for later statements of a transaction.
    """

    def __init__(
        self,
        resources: Resources,
        workspace: Workspace,
        snapshot: Snapshot,
        schema_of: Callable[[str], TableSchema],
        access: Access = "any",
        *,
        repeatable: bool = True,
    ) -> None:
        self.resources = resources
        self.workspace = workspace
        self.snapshot = snapshot
        self.schema_of = schema_of
        self.access = access
        self.account = Account()
        self._repeatable = repeatable
        self._untrusted: set[str] = set()

    def load(self, plan: QueryPlan) -> None:
        """Load the candidates of every step, in the plan's order."""
        for step in plan.steps:
            schema = self.schema_of(step.table)
            self.overlay(schema)
            self._follow(schema, step.path)

    def _follow(self, schema: TableSchema, path: AccessPath) -> None:
        if isinstance(path, KeyLookup):
            self.fetch(schema, self._stems_of(schema, path.pks))
        elif isinstance(path, IndexLookup):
            self.consult(schema, path.condition)
        elif isinstance(path, JoinLookup):
            values = self.workspace.column_values(path.source_table, path.source_column)
            narrowed_by = path.narrowed_by or IndexCondition()
            self._reach(schema, path.column, path.index, values, narrowed_by)
        elif isinstance(path, SubqueryLookup):
            rows = self.workspace.sqlite.execute(f"SELECT * FROM {qmark(path.sql)}", path.params)
            values = [row[0] for row in rows if row[0] is not None]
            self._reach(schema, path.column, path.index, values, IndexCondition())
        else:
            self._scan_instead(schema, path.narrowed_by or IndexCondition())

    def _reach(
        self,
        schema: TableSchema,
        column: str,
        index: IndexDefinition | None,
        values: Sequence[Value],
        narrowed_by: IndexCondition,
    ) -> None:
        """Load the documents whose ``column`` holds one of ``values``."""
        if index is None:
            self.fetch(schema, self._stems_of(schema, [(value,) for value in values]))
            return
        entries = tuple(IndexEntry(index, (value,)) for value in values)
        for start in range(0, len(entries), _ENTRIES_A_READ):
            piece, rest = entries[start : start + _ENTRIES_A_READ], entries[start:]
            conditions = (IndexCondition((clause, *narrowed_by.clauses)) for clause in (piece, rest))
            if not self.consult(schema, *conditions):
                return

    def _stems_of(self, schema: TableSchema, pks: Iterable[tuple[Value, ...]]) -> list[str]:
        columns = [schema.by_name[name] for name in schema.pk]
        stems = (
            stem_of([value_as_stored(column.affinity, value) for column, value in zip(columns, pk, strict=True)])
            for pk in pks
        )
        return list(dict.fromkeys(stems))

    def consult(self, schema: TableSchema, condition: IndexCondition, otherwise: IndexCondition | None = None) -> bool:
        """Load what the index names, or scan when it may not be trusted; returns whether the index has answered.

        ``otherwise`` is what a scan looks for in place of ``condition``, so that it need not be made once more.
        """
        if self.access == "scan":
            self._scan_instead(schema, otherwise or condition)
            return False
        reading = self.ask(schema, condition)
        if reading is None:
            self._scan_instead(schema, otherwise or condition)
            if self.account.fallback_reason is FallbackReason.NOT_BUILT:
                self._mention_missing_index(schema)
            return False
        for clause in condition.clauses:
            self.account.indexes.append(clause[0].index.name)
        self.fetch(schema, reading.stems or ())
        return True

    def _mention_missing_index(self, schema: TableSchema) -> None:
        """Warn, once a process, that a table with documents has no index. An empty one gets it with its first."""
        if self.snapshot.table(schema.table).met and schema.table not in self.resources.unindexed_tables:
            self.resources.unindexed_tables.add(schema.table)
            index_logger.warning(
                "%s has documents but no index yet. Queries scan the stored objects; run manage.py sb_reindex %s.",
                schema.label,
                schema.label,
                extra={"event": "index_not_built", **self.resources.origin, "table": schema.table},
            )

    def ask(self, schema: TableSchema, condition: IndexCondition, *, members: bool = True) -> Reading | None:
        """What the index says; None when it may not be trusted, which the account then tells.

        A statement does not ask again for a table whose index it could not trust: Redis may be slow to fail.
        """
        if schema.table in self._untrusted:
            return None
        try:
            return self.resources.indexes.read(schema, condition, members=members)
        except IndexUntrusted as untrusted:
            self._untrusted.add(schema.table)
            self.account.fallback_reason = untrusted.reason
            return None

    def has_pending(self, schema: TableSchema) -> bool:
        """Whether the transaction has changed documents of the table, of which no index knows."""
        return self.workspace.has_pending(schema.table)

    def has_loaded(self, schema: TableSchema) -> bool:
        """Whether rows of the table stand in the workspace, left there by earlier statements of the transaction."""
        return bool(self.snapshot.table(schema.table).present)

    def _table(self, schema: TableSchema) -> TableSnapshot:
        return self.snapshot.table_as(self.resources.codec(schema))

    def overlay(self, schema: TableSchema) -> None:
        """Load the pending documents of the transaction, which stand in for the stored ones."""
        table = self._table(schema)
        if table.overlaid:
            return
        table.overlaid = True
        rows = []
        for pending in self.workspace.pending(schema.table):
            if pending.stem not in table.present:
                table.present.add(pending.stem)
                if pending.body is not None:
                    rows.append(self.resources.decode(schema, pending.key, pending.body).values)
        self.workspace.insert(schema.table, rows)

    def learn(self, schema: TableSchema, stems: Iterable[str]) -> None:
        """Read the documents with these stems that are not known yet, without loading them."""
        table = self._table(schema)
        if not table.complete:
            self._read(schema, table, [stem for stem in stems if stem not in table.known])

    def relearn(self, schema: TableSchema, stems: Iterable[str]) -> None:
        """Read documents again that are not loaded; what was known of them counts no more."""
        self._read(schema, self._table(schema), list(stems))

    def learn_all(self, schema: TableSchema) -> None:
        """Read every document of the table that is not known yet, without loading them."""
        table = self._table(schema)
        if table.complete:
            return
        self._refuse_scan(schema)
        self.account.scanned.append(schema.table)
        read = self._reader(schema)
        for stem, key, stored in self._stored(schema):
            if stem not in table.known:
                try:
                    table.known[stem] = read(stem, key, stored)
                except CorruptDocument as error:
                    self._skip(error)
        table.complete = True

    def fetch(self, schema: TableSchema, stems: Iterable[str]) -> None:
        """Load the documents with these stems that are not in the workspace yet."""
        table = self._table(schema)
        wanted = [stem for stem in stems if stem not in table.present]
        self.account.candidates += len(wanted)
        self.learn(schema, wanted)
        loaded = ((stem, table.known.get(stem)) for stem in wanted)
        self._admit(schema, [(stem, known.values) for stem, known in loaded if known is not None], skip=False)
        table.present.update(wanted)

    def _read(self, schema: TableSchema, table: TableSnapshot, stems: list[str]) -> None:
        keys = {self.resources.keys.document(schema.table, stem): stem for stem in stems}
        read = self._reader(schema)
        for key, stored in self.resources.store.get_many(keys):
            stem = keys[key]
            table.known[stem] = None if stored is None else read(stem, key, stored)

    def _reader(self, schema: TableSchema) -> Callable[[str, str, Stored], Known]:
        """Reads (stem, key, object) of a table; what is the same for all its documents is looked up once, here."""
        codec = self.resources.codec(schema)
        decode = codec.decode
        only = schema.pk_positions[0] if len(schema.pk_positions) == 1 else None
        is_text = only is not None and schema.columns[only].affinity is Affinity.TEXT

        def read(stem: str, key: str, stored: Stored) -> Known:
            nonlocal codec, decode
            try:
                document = decode(key, stored.body)
            except CorruptDocument:
                if version_of(stored.body) <= codec.history.version:
                    raise
                document = None
            if document is None or document.version > codec.history.version:
                document = self.resources.decode(schema, key, stored.body)
                codec = self._table(schema).codec or codec  # what was read before goes on in the newer history
                decode = codec.decode
            values = document.values
            if only is None or not _is_its_own_stem(values[only], stem, is_text=is_text):
                check_key(schema, stem, key, values)
            return Known(stored.etag, values, document.extras)

        return read

    def scan(self, schema: TableSchema, *, strict: bool = False) -> None:
        """Load every document of the table; ``strict`` passes over none that its constraints do not admit."""
        self.learn_all(schema)
        self._load_known(schema, skip=not strict and self.resources.options.on_corrupt == "skip")

    def _load_known(self, schema: TableSchema, *, skip: bool) -> None:
        table = self._table(schema)
        wanted = [(stem, known.values) for stem, known in table.known.items() if known and stem not in table.present]
        self.account.candidates += len(wanted)
        skipped = self._admit(schema, wanted, skip=skip)
        self.account.skipped += len(skipped)
        for stem in skipped:
            del table.known[stem]
        table.present.update(stem for stem, _values in wanted if stem not in skipped)

    def _scan_instead(self, schema: TableSchema, condition: IndexCondition) -> None:
        """Load what meets the condition without the index; in a transaction all, as later statements may need it."""
        if self._repeatable or not condition.clauses:
            self.scan(schema)
        else:
            self._scan_for(schema, condition)

    def _scan_for(self, schema: TableSchema, condition: IndexCondition) -> None:
        """Read every document of the table, and load those that an index of the condition would have named."""
        table = self._table(schema)
        if table.complete:
            self.scan(schema)
            return
        self._refuse_scan(schema)
        self.account.scanned.append(schema.table)
        narrowing, read = Narrowing(self.resources.codec(schema), condition), self._reader(schema)
        for stem, key, stored in self._stored(schema, narrowing.admits):
            try:
                if stem not in table.known:
                    table.known[stem] = read(stem, key, stored)
            except CorruptDocument as error:
                self._skip(error)
        self._load_known(schema, skip=self.resources.options.on_corrupt == "skip")

    def _admit(self, schema: TableSchema, rows: Sequence[tuple[str, tuple[Value, ...]]], *, skip: bool) -> set[str]:
        table = self._table(schema)
        return Admission(self.resources, self.workspace, schema, table).admit(rows, skip=skip)

    def _refuse_scan(self, schema: TableSchema) -> None:
        if self.access != "index":
            return
        reason = self.account.fallback_reason or FallbackReason.NOT_INDEXED
        raise FullScanRefused(
            f"{schema.label}: require_index() was asked for, and this query could only be answered by reading every "
            f"document ({reason}). Filter by the primary key or an indexed field, or bring the index back with "
            f"manage.py sb_reindex {schema.label}."
        )

    def _stored(self, schema: TableSchema, admits: Admits | None = None) -> Iterator[tuple[str, str, Stored]]:
        """Each stored document of the table that ``admits`` does not refuse, as (stem, key, object); foreign objects
        are passed over."""
        limit, seen, table = self.resources.options.max_scan_objects, 0, self.snapshot.table(schema.table)
        stem_of_key = self.resources.keys.stems_of_keys(schema.table)

        def is_wanted(key: str, body: bytes) -> bool:
            nonlocal seen
            if stem_of_key(key) is None:
                self._pass_over(schema, key)
                return False
            seen += 1
            if limit is not None and seen > limit:
                raise _over_budget(schema, limit)
            table.met = True
            try:
                return admits is None or admits(key, body)
            except CorruptDocument as error:
                self._skip(error)
                return False

        for key, stored in self.resources.store.scan(self.resources.keys.table_prefix(schema.table), is_wanted):
            yield stem_of_key(key) or "", key, stored

    def _pass_over(self, schema: TableSchema, key: str) -> None:
        self.account.skipped += 1
        self._log_skipped(f"The object {key!r} is not a document of {schema.label} and is passed over.", key)

    def _skip(self, error: CorruptDocument) -> None:
        """Pass over a document that cannot be read, or raise ``error``, as the option ``on_corrupt`` says."""
        if self.resources.options.on_corrupt == "raise":
            raise error
        self.account.skipped += 1
        self._log_skipped(f"{error} It is passed over.", error.key)

    def _log_skipped(self, message: str, key: str) -> None:
        extra = {"event": "document_skipped", **self.resources.origin, "key": key}
        logger.warning("%s", message, extra=extra)


def _over_budget(schema: TableSchema, limit: int) -> ScanBudgetExceeded:
    return ScanBudgetExceeded(
        f"{schema.label}: a scan met more than {limit} documents (option max_scan_objects). Filter by the "
        "primary key or an indexed field, bring the index back with manage.py sb_reindex "
        f"{schema.label}, or raise the limit."
    )


def _is_its_own_stem(value: Value, stem: str, *, is_text: bool) -> bool:
    """Whether it takes no more than this to see that a primary key has the stem, as for most there are."""
    return (value == stem and stem.isalnum()) if is_text else (type(value) is int and str(value) == stem)
