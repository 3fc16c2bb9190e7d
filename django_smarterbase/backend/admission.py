"""Stored rows on their way into a scratch table, and what to make of one that its constraints do not admit.

A document that was put there by hand may lack a value that must be, or hold a unique value of another: it is corrupt.
But two documents that were read one after the other also collide when a writer moved a value from one to the other in
between, or is about to: it has written the one, and not yet the other. Then neither is corrupt, and the statement has
to read again, when that writer's transaction is decided.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Collection, Iterable, Sequence

from django_smarterbase.backend.resources import Resources
from django_smarterbase.backend.snapshot import TableSnapshot
from django_smarterbase.backend.workspace import Workspace, quote
from django_smarterbase.exceptions import ConflictError, CorruptDocument
from django_smarterbase.storage.codec import transaction_of
from django_smarterbase.storage.keys import stem as stem_of
from django_smarterbase.tables import TableSchema, Value

logger = logging.getLogger("django_smarterbase.storage")

Values = tuple[Value, ...]
_NOT_UNIQUE = "UNIQUE constraint failed: "


class Contradiction(ConflictError):
    """Rows that cannot stand side by side, and were read while a writer was at work.

    ``undecided`` are the ids of transactions that made some of them and were still under way: to read again before
    they are decided would not help.
    """

    def __init__(self, message: str, undecided: Collection[str] = ()) -> None:
        super().__init__(message)
        self.undecided = undecided


class Admission:
    """Puts the rows of one table into its scratch table.

    Without ``table``, what was read of them, it cannot tell corrupt documents with one unique value from such as were
    read at different times, and takes them for the latter: the statement is to be run again, by one who remembers.
    """

    def __init__(
        self, resources: Resources, workspace: Workspace, schema: TableSchema, table: TableSnapshot | None
    ) -> None:
        self.resources = resources
        self.workspace = workspace
        self.schema = schema
        self.table = table

    def admit(self, rows: Sequence[tuple[str, Values]], *, skip: bool) -> set[str]:
        """Insert ``rows``, each (stem, values); returns the stems of those passed over, which only ``skip`` allows.

        Raises CorruptDocument, and Contradiction for rows that were read at different times, or of which some were
        made by a transaction that is not decided.
        """
        if not rows:
            return set()
        try:
            self.workspace.insert(self.schema.table, (values for _stem, values in rows))
        except sqlite3.IntegrityError:
            return self._admit_singly(rows, skip=skip)
        return set()

    def _admit_singly(self, rows: Iterable[tuple[str, Values]], *, skip: bool) -> set[str]:
        skipped = set()
        for stem, values in rows:
            try:
                self.workspace.insert(self.schema.table, [values])
            except sqlite3.IntegrityError as reason:
                if self._stands(values):
                    continue
                self._refuse_contradiction(stem, values, str(reason))
                corrupt = CorruptDocument(self._key(stem), str(reason))
                if not skip:
                    raise corrupt from reason
                extra = {"event": "document_skipped", **self.resources.origin, "key": corrupt.key}
                logger.warning("%s It is passed over.", corrupt, extra=extra)
                skipped.add(stem)
        return skipped

    def _stands(self, values: Values) -> bool:
        """Whether this very row is in the scratch table, inserted before another one failed."""
        pk = [values[position] for position in self.schema.pk_positions]
        return pk in self._pks_where(self.schema.pk, pk)

    def _pks_where(self, columns: Sequence[str], values: Sequence[Value]) -> list[list[Value]]:
        selected = ", ".join(f"+{quote(column)}" for column in self.schema.pk)
        condition = " AND ".join(f"{quote(column)} IS ?" for column in columns)
        sql = f"SELECT {selected} FROM {quote(self.schema.table)} WHERE {condition}"
        return [list(row) for row in self.workspace.sqlite.execute(sql, values)]

    def _refuse_contradiction(self, stem: str, values: Values, reason: str) -> None:
        if not reason.startswith(_NOT_UNIQUE):
            return
        table, where = self.table, reason.removeprefix(_NOT_UNIQUE)
        doubtful = [stem] if table is None else [stem, *self._holders(table, values, where)]
        # In this order: a transaction that is decided by now has left all of its documents as they are to stay.
        undecided = [] if table is None else self._undecided(table, doubtful)
        for each in doubtful:
            if table is None or undecided or self._has_moved_on(table, each):
                raise Contradiction(
                    f"{self.schema.label}: {self._key(each)!r} was changed by another writer while the documents of "
                    "this statement or transaction were read. Run it again.",
                    undecided,
                )

    def _undecided(self, table: TableSnapshot, stems: Iterable[str]) -> list[str]:
        """The ids of transactions that made documents and are under way. One read each."""
        made = (transaction_of(known.extras) for known in map(table.known.get, stems) if known is not None)
        store, keys = self.resources.store, self.resources.keys
        return [id for id in dict.fromkeys(made) if id is not None and store.get(keys.intent(id)) is not None]

    def _holders(self, table: TableSnapshot, values: Values, where: str) -> list[str]:
        """The stems of the rows that hold the unique values, given by ``table.column, ...`` in SQLite's message."""
        columns = [name.removeprefix(f"{self.schema.table}.") for name in where.split(", ")]
        if not set(columns) <= set(self.schema.by_name):
            return [stem for stem, known in table.known.items() if known is not None]
        row = dict(zip(self.schema.by_name, values, strict=True))
        return [stem_of(pk) for pk in self._pks_where(columns, [row[column] for column in columns])]

    def _has_moved_on(self, table: TableSnapshot, stem: str) -> bool:
        """Whether the document is not, or not for long, what was read of it. One read."""
        if self.workspace.pending_one(self._key(stem)) is not None:
            return True
        stored, known = self.resources.store.get(self._key(stem)), table.known.get(stem)
        return (stored.etag if stored else None) != (known.etag if known else None)

    def _key(self, stem: str) -> str:
        return self.resources.keys.document(self.schema.table, stem)
