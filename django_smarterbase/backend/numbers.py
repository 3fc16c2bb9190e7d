"""The values of AutoFields: as many as a statement needs, from the table's sequence object."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from django_smarterbase.backend.document_writes import DocumentWrite
from django_smarterbase.backend.resources import Resources
from django_smarterbase.backend.snapshot import Snapshot
from django_smarterbase.backend.workspace import Workspace
from django_smarterbase.tables import TableSchema, Value

#: Rows of raw SQL are numbered from here in a first run, which tells how many values it needs.
UNNUMBERED: Final = 2**62


class Numbering:
    """Numbers the rows that one INSERT makes. ``wanted`` is how many it needs, None when only a run can tell."""

    def __init__(
        self,
        resources: Resources,
        workspace: Workspace,
        snapshot: Snapshot,
        schemas: Iterable[TableSchema],
        wanted: int | None,
    ) -> None:
        self.resources = resources
        self.workspace = workspace
        self.snapshot = snapshot
        self.schemas = [schema for schema in schemas if schema.auto is not None]
        self.wanted = {schema.table: wanted for schema in self.schemas}
        self.repeats = False
        self._given: dict[str, range] = {}

    def prepare(self) -> None:
        """Let SQLite give the rows that come next the values of the sequence."""
        self.repeats = False
        for schema in self.schemas:
            wanted = self.wanted[schema.table]
            if wanted is None:
                self.workspace.next_auto_value(schema.table, UNNUMBERED)
            elif wanted:
                self.workspace.next_auto_value(schema.table, self._values(schema, wanted).start - 1)

    def _values(self, schema: TableSchema, count: int) -> range:
        """The statement's values; others when rows with higher ones have come up, which SQLite would go on from."""
        given = self._given.get(schema.table)
        highest = self.workspace.highest(schema.table, schema.auto or "")
        if given is None or len(given) < count or highest >= given.start:
            given = self.resources.sequences.allocate(schema.table, count, floor=lambda: highest)
            self._given[schema.table] = given
            self.snapshot.allocated.setdefault(schema.table, []).append(given)
        return given

    def falls_short(self, writes: Sequence[DocumentWrite]) -> bool:
        """Whether the run used provisional values, so that it must be repeated with real ones."""
        for schema in self.schemas:
            if self.wanted[schema.table] is None:
                self.wanted[schema.table] = sum(_is_provisional(schema, write) for write in writes)
                self.repeats = self.repeats or bool(self.wanted[schema.table])
        return self.repeats


def _is_provisional(schema: TableSchema, write: DocumentWrite) -> bool:
    if write.schema is not schema or write.row is None:
        return False
    value: Value = write.row[schema.auto or ""]
    return isinstance(value, int) and value > UNNUMBERED


def raise_sequences(resources: Resources, snapshot: Snapshot, writes: Iterable[DocumentWrite]) -> None:
    """Move the sequences past the values that were given by hand, as SQLite's AUTOINCREMENT does.

    Before the documents are written, so that none is there when that fails: a sequence may always be further than its
    table. Raises ConflictError, CorruptDocument, StorageUnavailable.
    """
    highest: dict[str, int] = {}
    for write in writes:
        if write.schema is None or write.schema.auto is None or write.row is None or write.base_etag is not None:
            continue
        value = write.row[write.schema.auto]
        if isinstance(value, int) and not snapshot.was_allocated(write.schema.table, value):
            highest[write.schema.table] = max(value, highest.get(write.schema.table, 0))
    for table, value in highest.items():
        resources.sequences.raise_to(table, value)


def make_way(resources: Resources, snapshot: Snapshot, write: DocumentWrite) -> None:
    """A new document has met another with a value that a sequence gave out: the sequence is behind its table."""
    schema = write.schema
    if schema is None or schema.auto is None or write.row is None or write.base_etag is not None:
        return
    if snapshot.was_allocated(schema.table, write.row[schema.auto]):
        resources.sequences.catch_up(schema.table)
