"""Stored documents that a write may collide with, which SQLite has to see before it can judge the write.

A statement that writes is run over the rows that it reads. What it made is then looked up by primary key and by unique
columns; when stored documents turn up that are not in the workspace, the statement is undone, they are loaded, and it
is run again: SQLite itself raises the IntegrityError, or follows the ON CONFLICT clause.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from django_smarterbase.backend.loader import Loader
from django_smarterbase.backend.unit_of_work import DocumentWrite
from django_smarterbase.indexes.encoding import code
from django_smarterbase.indexes.service import IndexUntrusted
from django_smarterbase.tables import IndexCondition, IndexDefinition, IndexEntry, Kind, Row, TableSchema


class Rivals:
    """Finds the rivals of a statement's writes.

    ``every_key`` looks up the primary key of every new row; otherwise only those that a caller may have chosen twice
    (not a sequence's, not UUIDs), and with ``keys`` off none: then the conditional write finds out.
    """

    def __init__(self, loader: Loader, *, keys: bool, every_key: bool) -> None:
        self.loader = loader
        self.snapshot = loader.snapshot
        self.keys = keys
        self.every_key = every_key

    def of(self, writes: Iterable[DocumentWrite]) -> dict[str, list[str]]:
        """``{table: stems}`` of the stored documents that must be loaded."""
        by_table: dict[str, list[DocumentWrite]] = defaultdict(list)
        for write in writes:
            if write.schema is not None and write.row is not None:
                by_table[write.schema.table].append(write)
        found = {}
        for table, group in by_table.items():
            schema = group[0].schema
            if schema is not None and (stems := self._of_table(schema, group)):
                found[table] = stems
        return found

    def _of_table(self, schema: TableSchema, writes: list[DocumentWrite]) -> list[str]:
        table = self.snapshot.table(schema.table)
        stems = [write.stem for write in writes if self._must_look_up(schema, write)]
        self.loader.learn(schema, stems)
        stems += self._with_equal_values(schema, writes)
        return [stem for stem in dict.fromkeys(stems) if stem not in table.present and table.known.get(stem)]

    def _must_look_up(self, schema: TableSchema, write: DocumentWrite) -> bool:
        if not self.keys or write.base_etag is not None or write.row is None:
            return False
        if write.stem in self.snapshot.table(schema.table).present:
            return False
        columns = [schema.by_name[name] for name in schema.pk]
        if self.snapshot.was_allocated(schema.table, write.row[columns[0].name]):
            return False
        return self.every_key or any(column.kind is not Kind.UUID for column in columns)

    def _with_equal_values(self, schema: TableSchema, writes: list[DocumentWrite]) -> list[str]:
        stems: list[str] = []
        for columns in schema.unique:
            index = next((index for index in schema.indexes if index.columns == columns), None)
            rows = [write.row for write in writes if write.row is not None and _claims_anew(columns, write)]
            if rows:
                stems += self._holding(schema, columns, index, rows)
        return stems

    def _holding(
        self, schema: TableSchema, columns: tuple[str, ...], index: IndexDefinition | None, rows: list[Row]
    ) -> list[str]:
        """The stems of stored documents that hold the values of one of ``rows`` in ``columns``."""
        if index is not None and not self.snapshot.table(schema.table).complete:
            entries = tuple(IndexEntry(index, tuple(row[column] for column in columns)) for row in rows)
            try:
                reading = self.loader.resources.indexes.read(schema, IndexCondition((entries,)))
            except IndexUntrusted as untrusted:
                self.loader.account.fallback_reason = untrusted.reason
            else:
                stems = list(reading.stems or ())
                self.loader.learn(schema, stems)
                return stems
        self.loader.learn_all(schema)
        wanted = {_codes(schema, columns, row) for row in rows}
        return [
            stem
            for stem, known in self.snapshot.table(schema.table).known.items()
            if known and _codes(schema, columns, dict(zip(schema.by_name, known.values, strict=True))) in wanted
        ]


def _claims_anew(columns: tuple[str, ...], write: DocumentWrite) -> bool:
    """Whether a write takes unique values that its document did not hold; NULL is never equal to NULL here."""
    if write.row is None or any(write.row[column] is None for column in columns):
        return False
    before = write.undo_row
    return before is None or any(before[column] != write.row[column] for column in columns)


def _codes(schema: TableSchema, columns: tuple[str, ...], row: Row) -> tuple[str, ...]:
    return tuple(code(schema.by_name[column], row[column]) for column in columns)
