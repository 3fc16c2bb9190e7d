"""The rows of a statement that is run over one piece of its documents after the other.

Nothing of a piece is left in the workspace when its rows have been taken, so that other statements may run in between.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Sequence
from typing import TYPE_CHECKING, Any

from django.db.utils import InterfaceError, OperationalError

from django_smarterbase.backend.admission import Admission
from django_smarterbase.backend.loader import Loader
from django_smarterbase.backend.pieces import Piece, Pieces
from django_smarterbase.backend.retrying import MAX_ATTEMPTS, pause
from django_smarterbase.exceptions import ConflictError, CorruptDocument
from django_smarterbase.tables import TableSchema, Value

if TYPE_CHECKING:
    from django_smarterbase.backend.requests import Execution

Row = tuple[Any, ...]
CreateSql = Callable[[], Sequence[str]] | None


class RowStream:
    """Gives the rows of one piece at a time. It reads what is committed, also while a transaction is open.

    ``create_sql`` gives the SQL of the scratch table, as ``Workspace.ensure`` takes it. What ``pieces`` holds open is
    closed with the stream.
    """

    def __init__(
        self,
        loader: Loader,
        schema: TableSchema,
        pieces: Generator[Piece],
        execution: Execution,
        create_sql: CreateSql,
    ) -> None:
        self.loader = loader
        self.schema = schema
        self._pieces = pieces
        self._execution = execution
        self._create_sql = create_sql
        self._process = os.getpid()

    @property
    def is_of_parent(self) -> bool:
        """Whether it was begun in another process, from which this one was forked."""
        return os.getpid() != self._process

    def next_rows(self) -> list[Row] | None:
        """The rows of the next piece, which may be none; None when there is no further piece.

        Raises InterfaceError in a forked child, OperationalError when the table was altered meanwhile, ConflictError,
        CorruptDocument, StorageUnavailable and ScanBudgetExceeded.
        """
        if self.is_of_parent:
            raise InterfaceError(
                f"{self.schema.label}: these rows are being read by the process {self._process}, from which this one "
                f"({os.getpid()}) was forked in the middle of it. Run the query in the child."
            )
        piece = next(self._pieces, None)
        return None if piece is None else self._rows_of(piece)

    def close(self) -> None:
        """Read no further, and close what is open. In a forked child that takes nothing from the parent."""
        self._pieces.close()

    def _rows_of(self, piece: Piece) -> list[Row]:
        """Run the SQL over a piece. Rows that were given cannot be taken back, but none of these were: when its
        documents contradict each other, since a writer was at work while they were read, they are read again."""
        for attempt in range(1, MAX_ATTEMPTS):
            try:
                return self._run_over(piece)
            except ConflictError:
                pause(attempt)
                piece = self._read_again(piece)
        return self._run_over(piece)

    def _read_again(self, piece: Piece) -> Piece:
        pieces = Pieces(self.loader, self.schema).read([document.stem for document in piece])
        return [document for part in pieces for document in part]

    def _run_over(self, piece: Piece) -> list[Row]:
        workspace = self.loader.workspace
        self._refuse_altered()
        workspace.ensure(self.schema, self._create_sql)
        rows = self._learn(piece)
        with workspace.aside(self.schema.table):
            table = self.loader.snapshot.table(self.schema.table)
            admission = Admission(self.loader.resources, workspace, self.schema, table)
            self.loader.account.skipped += len(admission.admit(rows, skip=self._passes_over()))
            self._execution.execute()
        return self._execution.rows or []

    def _learn(self, piece: Piece) -> list[tuple[str, tuple[Value, ...]]]:
        """What the documents of a piece are as rows, each with its stem; what was known of others is forgotten."""
        table = self.loader.snapshot.table_as(self.loader.resources.codec(self.schema))
        table.known.clear()
        read = self.loader.documents.reader(self.schema)
        for stem, key, stored in piece:
            try:
                table.known[stem] = read(stem, key, stored)
            except CorruptDocument as error:
                if self.schema.table not in self.loader.account.scanned:
                    raise
                self.loader.documents.pass_over(error)
        return [(stem, known.values) for stem, known in table.known.items() if known is not None]

    def _passes_over(self) -> bool:
        return self.loader.documents.passes_over and self.schema.table in self.loader.account.scanned

    def _refuse_altered(self) -> None:
        if self.loader.workspace.is_altered(self.schema):
            raise OperationalError(
                f"{self.schema.label}: the table was altered while its rows were being read. Run the query again."
            )
