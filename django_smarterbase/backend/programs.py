"""What SQLite is going to do for a piece of SQL: it says so itself, before anything is executed."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from dataclasses import dataclass
from typing import Final

from django_smarterbase.backend.rawsql import authorized
from django_smarterbase.backend.workspace import Workspace

# EXPLAIN's instructions by which rows are put together (https://www.sqlite.org/opcode.html): Agg* and Count; windows
# have a second look at their rows, by OpenDup, and need not have a function with a step (FIRST_VALUE has none).
_AGGREGATING: Final = ("Agg", "Count", "OpenDup")


@dataclass(frozen=True, slots=True)
class Program:
    """``columns`` are those that the SQL reads, ``{table: names}``, be it in conditions, joins or the order; a table of
    which only rows are counted has none. ``aggregates`` says that it puts rows together."""

    columns: dict[str, frozenset[str]]
    aggregates: bool


def program_of(workspace: Workspace, sql: str) -> Program:
    """What SQLite says of SQL in its own parameter style, whose tables must be there.

    It is asked once for as long as its schema stays: an authorizer makes it compile all that it has compiled anew.
    Functions of the application's own must stay the aggregates, or not, that they are.
    """
    return workspace.programs.get((workspace.schema_version(), sql), lambda: _asked(workspace.sqlite, sql))


def _asked(sqlite: sqlite3.Connection, sql: str) -> Program:
    columns: dict[str, set[str]] = defaultdict(set)

    def note(action: int, table: str | None, column: str | None, _within: str | None) -> None:
        if action == sqlite3.SQLITE_READ and table is not None:
            columns[table].update([column] if column else [])

    instructions = authorized(sqlite, sql, note)
    aggregates = any(name.startswith(_AGGREGATING) for name in instructions)
    return Program({table: frozenset(names) for table, names in columns.items()}, aggregates)
