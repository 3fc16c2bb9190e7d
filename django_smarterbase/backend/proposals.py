"""The rows that an INSERT proposes, known before any of them is made.

A row that has the unique values of another is refused, passed over, or changes that other one (ON CONFLICT). Which it
is, SQLite can only say when it sees all rows that have them. Those of stored documents may be looked up when the
statement has run once, but for what it did to rows that were there for a part of it only, and for a statement that
failed over rows of its own: of these nothing is left to look up. So the rows are asked for first. A trigger writes each
of them down and keeps it from being made, and a savepoint takes all of that back.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

from django_smarterbase.backend.changes import as_row
from django_smarterbase.backend.requests import Execution, Request
from django_smarterbase.backend.uniqueness import Place, claims_of
from django_smarterbase.backend.workspace import PREFIX, Workspace, definition, quote
from django_smarterbase.storage.keys import stem as stem_of
from django_smarterbase.tables import Row, TableSchema

_PROPOSED: Final = f"{PREFIX}proposed"
_REHEARSAL: Final = f"{PREFIX}rehearsal"
_UNNUMBERED: Final = -1  # what a trigger before an INSERT sees in place of a number that SQLite is yet to give


class Proposal(NamedTuple):
    """A row that an INSERT proposes, with the claims to its unique values; without a stem while it has no key."""

    stem: str | None
    row: Row
    takes: tuple[str, ...]


def proposals_of(workspace: Workspace, schema: TableSchema, request: Request, execution: Execution) -> list[Proposal]:
    """The rows that the statement proposes, in their order, each once. For a transaction that SQLite has begun. Raises
    what the statement raises while its values are computed."""
    names = ", ".join(f"+{quote(column.name)}" for column in schema.columns)
    with _rehearsal(workspace, schema):
        execution.execute()
        number = quote(schema.row_number)
        proposed = workspace.sqlite.execute(f"SELECT {number}, {names} FROM {_PROPOSED}").fetchall()
        rows = [(Place(_PROPOSED, f"{number} = ?", (key,)), as_row(schema, values)) for key, *values in proposed]
        return [
            Proposal(_stem(schema, request, row), row, claims_of(workspace, schema, place, row)) for place, row in rows
        ]


@contextmanager
def _rehearsal(workspace: Workspace, schema: TableSchema) -> Iterator[None]:
    """Within the block, rows that are inserted in the table are written down in place of being made."""
    columns = ", ".join(map(definition, schema.columns))
    values = ", ".join(f"NEW.{quote(column.name)}" for column in schema.columns)
    workspace.sqlite.execute(f"SAVEPOINT {_REHEARSAL}")
    try:
        workspace.sqlite.execute(f"CREATE TABLE {_PROPOSED} ({columns})")
        workspace.sqlite.execute(
            f"CREATE TRIGGER {_REHEARSAL} BEFORE INSERT ON {quote(schema.table)} "
            f"BEGIN INSERT INTO {_PROPOSED} VALUES ({values}); SELECT RAISE(IGNORE); END"
        )
        yield
    finally:
        workspace.sqlite.execute(f"ROLLBACK TO {_REHEARSAL}")
        workspace.sqlite.execute(f"RELEASE {_REHEARSAL}")


def _stem(schema: TableSchema, request: Request, row: Row) -> str | None:
    pk = tuple(row[column] for column in schema.pk)
    unnumbered = schema.numbers_rows and request.auto_values != 0 and pk == (_UNNUMBERED,)
    return None if unnumbered or None in pk else stem_of(pk)
