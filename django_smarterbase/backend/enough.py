"""Loads as much of a table as a statement in a transaction takes that wants any few of its rows.

The first reading of a document counts until the transaction ends, so what is read is kept; but no more is read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django_smarterbase.backend.courses import KeysSql, Sifted
from django_smarterbase.backend.loader import Loader
from django_smarterbase.backend.pieces import Pieces
from django_smarterbase.backend.programs import program_of
from django_smarterbase.backend.rawsql import qmark
from django_smarterbase.backend.workspace import quote
from django_smarterbase.planner.plan import Scan
from django_smarterbase.tables import TableSchema

if TYPE_CHECKING:
    from django_smarterbase.backend.requests import Request


def load_enough(loader: Loader, request: Request) -> bool:
    """Load until the rows that the statement may take are there; False for one that takes what it can get."""
    if [type(step.path) for step in request.plan.steps] != [Scan]:
        return False
    course = request.course
    if not isinstance(course, Sifted) or course.enough is None:
        return False
    schema = loader.schema_of(course.step.table)
    if program_of(loader.workspace, qmark(request.sql)).aggregates:
        return False
    loader.overlay(schema)
    table = loader.snapshot.table_as(loader.resources.codec(schema))
    if table.complete:
        return False
    # Not narrowed: later statements of the transaction may want what this one does not.
    pieces = Pieces(loader, schema).of(Scan(), once=False)
    while _number(loader, schema, course.keys) < course.enough:
        piece = next(pieces, None)
        if piece is None:
            table.complete = True
            break
        loader.take(schema, piece)
    pieces.close()
    return True


def _number(loader: Loader, schema: TableSchema, keys: KeysSql | None) -> int:
    """How many rows there are that the statement may take."""
    rows, params = (quote(schema.table), ()) if keys is None else (f"({keys.sql})", keys.params)
    number: int = loader.workspace.sqlite.execute(f"SELECT COUNT(*) FROM {rows}", params).fetchone()[0]
    return number
