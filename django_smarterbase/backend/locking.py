"""The row locks of a transaction: of those that it reads by ``select_for_update()``, and of those that it writes.

Where Redis cannot be asked nothing is locked, and conflicts are found at COMMIT: a row that was locked and not written
must then still have the ETag that was read (see ``indexes.rowlocks``).
"""

from __future__ import annotations

import random
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from django_smarterbase.backend.document_writes import DocumentWrite
from django_smarterbase.backend.resources import Resources
from django_smarterbase.backend.snapshot import Snapshot
from django_smarterbase.exceptions import ConflictError, LockNotAvailable
from django_smarterbase.indexes.keys import new_token
from django_smarterbase.indexes.rowlocks import PATIENCE, Wish, still_locked
from django_smarterbase.indexes.service import FallbackReason, IndexUntrusted
from django_smarterbase.tables import TableSchema

Rows = Mapping[str, Collection[str]]  # {table: stems}
SchemaOf = Callable[[str], TableSchema]

_PAUSE: Final = 0.02  # seconds, the longest between two looks at a lock


@dataclass
class TransactionLocks:
    """The rows that one transaction has locked, ``{table: stems}``. ``unavailable`` tells why Redis took no lock."""

    resources: Resources
    schema_of: SchemaOf
    rows: dict[str, set[str]] = field(default_factory=dict)
    unavailable: FallbackReason | None = None
    token: str = field(default_factory=new_token)
    _kept: float = 0.0
    _schemas: dict[str, TableSchema] = field(default_factory=dict)  # as they were when their rows were locked

    def beyond(self, rows: Rows) -> dict[str, list[str]]:
        """Those of ``rows`` that are not locked yet, in the order in which every transaction locks them."""
        new = {table: sorted(set(stems) - self.rows.get(table, set())) for table, stems in sorted(rows.items())}
        return {table: stems for table, stems in new.items() if stems}

    def take(self, rows: Rows, *, nowait: bool, skip: bool) -> dict[str, list[str]]:
        """Lock rows that are to be read; with ``skip`` only those that can be had at once. Returns the others,
        ``{table: stems}``.

        One round trip a table, and more while it waits. Raises LockNotAvailable.
        """
        left = {}
        for table, stems in rows.items():
            schema = self.schema_of(table)
            busy = self._take(schema, list(stems), nowait=nowait, skip=skip)
            self._note(schema, set(stems) - set(busy))
            if busy:
                left[table] = busy
        return left

    def _take(self, schema: TableSchema, stems: list[str], *, nowait: bool, skip: bool) -> list[str]:
        self._kept = self._kept or time.monotonic()
        if skip:
            return self._ask(schema, stems, "some")
        first = time.monotonic()
        while busy := self._ask(schema, stems, "all"):
            if nowait:
                raise LockNotAvailable(
                    f"{len(busy)} of the rows of {schema.label} are locked, or being written, by others, {busy[0]!r} "
                    "among them, and nowait=True was asked for. Try again later, or wait without it."
                )
            self._pause(schema, busy[0], first)
        return []

    def _note(self, schema: TableSchema, stems: Iterable[str]) -> None:
        self._schemas[schema.table] = schema
        self.rows.setdefault(schema.table, set()).update(stems)

    def _pause(self, schema: TableSchema, stem: str, first: float) -> None:
        """Wait a moment for others, while its own locks last. Raises LockNotAvailable long after ``first``."""
        patience = PATIENCE * self.resources.options.write_deadline
        if time.monotonic() - first >= patience:
            raise still_locked(schema, stem, patience)
        self.keep()
        time.sleep(random.uniform(0, _PAUSE))

    def _ask(self, schema: TableSchema, stems: list[str], wish: Wish) -> list[str]:
        """The stems that cannot be had; none when Redis cannot tell."""
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
            self._ask(self._schemas[table], sorted(stems), "keep")

    def covers(self, writes: Collection[DocumentWrite]) -> bool:
        """Whether nothing is locked but what is written."""
        written = {(write.table, write.stem) for write in writes}
        return all((table, stem) in written for table, stems in self.rows.items() for stem in stems)

    def reserve(self, writes: Iterable[DocumentWrite]) -> None:
        """Lock the stored rows that are about to be written, so that none of them is locked while others are written.

        One round trip a table, and more while it waits for rows that others have locked. Then it holds none of them,
        lest somebody wait for it. Raises LockNotAvailable.
        """
        schemas: dict[str, TableSchema] = {}
        wanted: dict[str, list[str]] = defaultdict(list)
        for write in writes:
            if write.schema is not None and write.base_etag is not None:
                schemas[write.table] = write.schema
                wanted[write.table].append(write.stem)
        new, first = self.beyond(wanted), time.monotonic()
        while busy := self._reserve(schemas, new):
            self._pause(*busy, first)
        if new:
            self._kept = self._kept or first

    def _reserve(self, schemas: Mapping[str, TableSchema], rows: Rows) -> tuple[TableSchema, str] | None:
        """Lock all rows, or none and say which one cannot be had."""
        had: list[str] = []
        for table, stems in rows.items():
            if busy := self._ask(schemas[table], list(stems), "write"):
                for other in had:
                    self.resources.indexes.unlock(schemas[other], self.token, list(rows[other]))
                return schemas[table], busy[0]
            had.append(table)
        for table in had:
            self._note(schemas[table], rows[table])
        return None

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
            self.resources.indexes.unlock(self._schemas[table], self.token, sorted(stems))
        self.rows.clear()
