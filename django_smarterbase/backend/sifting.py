"""Loads a table for one statement, a piece at a time, and keeps of it what the statement needs: SQLite says what."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Final

from django_smarterbase.backend.admission import Admission
from django_smarterbase.backend.courses import KeysSql
from django_smarterbase.backend.loader import Loader
from django_smarterbase.backend.pieces import Piece
from django_smarterbase.backend.snapshot import Known
from django_smarterbase.backend.workspace import quote
from django_smarterbase.exceptions import CorruptDocument
from django_smarterbase.storage.keys import stem as stem_of
from django_smarterbase.tables import TableSchema, Value

HELD: Final = 5000  # rows that are kept whole, though only some of their columns are needed


class Sifter:
    """Keeps the rows of the keys that ``keys_of`` gives (None: all of them); it is not asked before it is needed.

    ``remembers`` what was read of them, which a statement needs that writes them; without it, contradictions between
    rows raise ConflictError at once (see ``Admission``). ``needed`` are the columns that the statement reads: when more
    than ``held`` rows are kept, these are ``thinned``, that is, they lose the others.
    """

    def __init__(
        self,
        loader: Loader,
        schema: TableSchema,
        keys_of: Callable[[], KeysSql | None],
        *,
        remembers: bool = False,
        needed: frozenset[str] | None = None,
        held: int = 0,
    ) -> None:
        self.loader = loader
        self.schema = schema
        self.thinned = False
        self._keys_of = keys_of
        self._remembers = remembers
        self._fillers = {} if needed is None else _fillers(schema, needed)
        self._held = held
        self._kept = 0
        self._fresh = 0  # rows that were loaded since
        self._table = loader.snapshot.table_as(loader.resources.codec(schema))

    def load(self, pieces: Generator[Piece], enough: int | None = None) -> None:
        """Load the pieces, until ``enough`` rows are kept. Raises CorruptDocument, ConflictError."""
        for piece in pieces:
            # Sifting again whenever as many rows have come as are kept takes a constant number of looks at each.
            if self._fresh and self._fresh >= self._kept:
                self._sift()
            self._take(piece)
            if enough is not None and self._fresh + self._kept >= enough:
                self._sift()
                if self._kept >= enough:
                    pieces.close()
        if self._remembers or 0 < self._held < self._kept + self._fresh:  # else SQLite's last look is the statement's
            self._sift()

    def _take(self, piece: Piece) -> None:
        rows = []
        for stem, known in self._read(piece):
            if self._remembers:
                self._table.known[stem] = known
            rows.append((stem, self._thin(known.values) if self.thinned else known.values))
        table = self._table if self._remembers else None
        admission = Admission(self.loader.resources, self.loader.workspace, self.schema, table)
        skipped = admission.admit(rows, skip=self.loader.documents.passes_over)
        for stem in skipped:
            self._table.known.pop(stem, None)
        self.loader.account.skipped += len(skipped)
        self._fresh += len(rows) - len(skipped)

    def _read(self, piece: Piece) -> list[tuple[str, Known]]:
        """The documents of a piece, but for those that are remembered: the first reading counts."""
        found, read = [], self.loader.documents.reader(self.schema)
        for stem, key, stored in piece:
            try:
                if stem not in self._table.known:
                    found.append((stem, read(stem, key, stored)))
            except CorruptDocument as error:
                self.loader.documents.pass_over(error)
        return found

    def _sift(self) -> None:
        sqlite, table = self.loader.workspace.sqlite, quote(self.schema.table)
        keys = self._keys_of()
        if keys is not None:
            pk = quote(self.schema.pk[0])
            sqlite.execute(f"DELETE FROM {table} WHERE {pk} NOT IN ({keys.sql})", keys.params)
        self._kept, self._fresh = sqlite.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0], 0
        if self._remembers:
            self._forget_others()
        if self._fillers and not self.thinned and self._kept > self._held:
            changes = ", ".join(f"{quote(self.schema.columns[each].name)} = ?" for each in self._fillers)
            self.loader.workspace.enforce_checks(False)
            sqlite.execute(f"UPDATE {table} SET {changes}", tuple(self._fillers.values()))
            self.thinned = True

    def _forget_others(self) -> None:
        keys = self.loader.workspace.column_values(self.schema.table, self.schema.pk[0])
        stems = {stem_of((key,)) for key in keys}
        self._table.present = stems
        self._table.known = {stem: known for stem, known in self._table.known.items() if stem in stems}

    def _thin(self, values: tuple[Value, ...]) -> tuple[Value, ...]:
        """The row without what nobody needs. A null stays, as a constraint may not admit it."""
        thinned = [*values]
        for position, filler in self._fillers.items():
            if thinned[position] is not None:
                thinned[position] = filler
        return tuple(thinned)


def _fillers(schema: TableSchema, needed: frozenset[str]) -> dict[int, Value]:
    """``{position: value}`` of the columns that need not be kept, and what is put in their place; none for a table in
    which other columns or unique values depend on them in ways that only SQLite knows."""
    if any(column.generated for column in schema.columns):
        return {}
    if any(rule.expressions or rule.condition is not None for rule in schema.unique):
        return {}
    unique = {column for rule in schema.unique for column in rule.columns}
    return {
        position: None if column.nullable else 0
        for position, column in enumerate(schema.columns)
        if column.name not in needed and column.name not in unique and column.name not in schema.pk
    }
