"""A first look at the documents of a piece, by which a statement is spared those that its WHERE does not let pass.

SQLite decides here as everywhere. Of each document only the columns are read that WHERE names; they go into a table
beside the scratch table, the *sieve*, with the same affinities and collations and no constraints, and SQLite says which
of them its WHERE is true of. Only these are read as a whole, and the statement is run over them. What cannot be told
that way is let pass.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Generator
from contextlib import closing
from typing import TYPE_CHECKING, Final

from django_smarterbase.backend.loader import Loader
from django_smarterbase.backend.pieces import Piece
from django_smarterbase.backend.programs import program_of
from django_smarterbase.backend.workspace import PREFIX, Workspace, definition, quote
from django_smarterbase.exceptions import CorruptDocument
from django_smarterbase.planner.plan import Scan
from django_smarterbase.storage.codec import FIRST_VERSION, VERSION, outline
from django_smarterbase.tables import TableSchema, Value

if TYPE_CHECKING:
    from django_smarterbase.backend.courses import KeysSql, Where
    from django_smarterbase.backend.requests import Request

FEW: Final = 20  # documents that are read sooner than SQLite is asked about them
_PLACE: Final = f"{PREFIX}place"  # of a document in its piece


def prepare_sieve(workspace: Workspace, request: Request, schema_of: Callable[[str], TableSchema]) -> None:
    """Make the sieve of the table that a statement scans, if it may use one. Not within a transaction, which would take
    it back."""
    if len(request.plan.steps) != 1 or not isinstance(request.plan.steps[0].path, Scan):
        return
    if request.shortcut is not None or request.course is None or request.course.where is None:
        return
    schema = schema_of(request.course.step.table)
    if workspace.sieves.get(schema.table) != schema.columns:
        sieve, columns = quote(_sieve_of(schema)), ", ".join(map(definition, schema.columns))
        workspace.sqlite.execute(f"DROP TABLE IF EXISTS {sieve}")
        workspace.sqlite.execute(f"CREATE TABLE {sieve} ({_PLACE} INTEGER, {columns})")
        workspace.sieves[schema.table] = schema.columns


class Sieve:
    """Lets documents of a table pass for which ``where`` (None: nothing) may be true."""

    def __init__(self, loader: Loader, schema: TableSchema, where: Where | None) -> None:
        self._loader = loader
        self._schema = schema
        self._where = where

    def through(self, pieces: Generator[Piece]) -> Generator[Piece]:
        """The same pieces, each with the documents that pass. It gives up where these are most of a piece."""
        look: _Look | None = None
        with closing(pieces):
            for number, piece in enumerate(pieces):
                if number == 0 and len(piece) >= FEW:
                    look = self._look()
                passed = piece if look is None else look.passed(piece)
                if 2 * len(passed) > len(piece):
                    look = None
                yield passed

    def _look(self) -> _Look | None:
        """None where the sieve cannot tell what WHERE is of the table itself: both must read the very same columns, and
        no number of a row, which is another one there."""
        workspace, schema, sieve = self._loader.workspace, self._schema, _sieve_of(self._schema)
        if self._where is None or workspace.sieves.get(schema.table) != schema.columns:
            return None
        places, itself = self._where.selecting(_PLACE, sieve), self._where.selecting("1", schema.table)
        if places is None or itself is None:
            return None
        try:
            columns = program_of(workspace, f"{places.sql} UNION ALL {itself.sql}").columns
        except sqlite3.Error:  # of a column that only SQLite computes
            return None
        read = columns.get(schema.table, frozenset())
        same = columns == {sieve: read | {_PLACE}, schema.table: read}
        return _Look(self._loader, schema, places, read) if same and read and read <= schema.by_name.keys() else None


class _Look:
    """Asks SQLite of the columns ``read`` in each document of a piece."""

    def __init__(self, loader: Loader, schema: TableSchema, places: KeysSql, read: frozenset[str]) -> None:
        codec, names = loader.resources.codec(schema), [name for name in schema.by_name if name in read]
        self._workspace = loader.workspace
        self._places = places
        self._version = codec.version
        self._pick = codec.picker(names)
        self._sieve = _sieve_of(schema)
        columns = ", ".join([_PLACE, *map(quote, names)])
        marks = ", ".join("?" * (len(names) + 1))
        self._insert_sql = f"INSERT INTO {quote(self._sieve)} ({columns}) VALUES ({marks})"

    def passed(self, piece: Piece) -> Piece:
        """The documents for which WHERE is true, or of which the columns alone do not tell."""
        passed, rows = set(), []
        for place, (_stem, key, stored) in enumerate(piece):
            values = self._values(key, stored.body)
            if values is None:
                passed.add(place)
            else:
                rows.append((place, *values))
        try:
            with self._workspace.aside(self._sieve):
                self._workspace.sqlite.executemany(self._insert_sql, rows)
                found = self._workspace.sqlite.execute(self._places.sql, self._places.params)
                passed.update(place for (place,) in found)
        except sqlite3.Error:  # of a function that fails, which the statement itself is to meet
            return piece
        return [document for place, document in enumerate(piece) if place in passed]

    def _values(self, key: str, body: bytes) -> tuple[Value, ...] | None:
        try:
            raw = outline(key, body)
        except CorruptDocument:  # as who reads it as a whole will say
            return None
        return self._pick(raw) if raw.get(VERSION, FIRST_VERSION) == self._version else None


def _sieve_of(schema: TableSchema) -> str:
    return f"{PREFIX}sieve:{schema.table}"
