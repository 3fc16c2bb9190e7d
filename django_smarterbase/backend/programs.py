"""What SQLite is going to do for a piece of SQL: it says so itself, before anything is executed."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from dataclasses import dataclass
from typing import Final

from django_smarterbase.backend.rawsql import authorized

# EXPLAIN's instructions by which rows are put together (https://www.sqlite.org/opcode.html): Agg* and Count; windows
# have a second look at their rows, by OpenDup, and need not have a function with a step (FIRST_VALUE has none).
_AGGREGATING: Final = ("Agg", "Count", "OpenDup")


@dataclass(frozen=True, slots=True)
class Program:
    """``columns`` are those that the SQL reads, ``{table: names}``, be it in conditions, joins or the order; a table of
    which only rows are counted has none. ``aggregates`` says that it puts rows together."""

    columns: dict[str, frozenset[str]]
    aggregates: bool


def program_of(sqlite: sqlite3.Connection, sql: str) -> Program:
    """Ask SQLite about SQL in its own parameter style, whose tables must be there."""
    columns: dict[str, set[str]] = defaultdict(set)

    def note(action: int, table: str | None, column: str | None) -> None:
        if action == sqlite3.SQLITE_READ and table is not None:
            columns[table].update([column] if column else [])

    instructions = authorized(sqlite, sql, note)
    aggregates = any(name.startswith(_AGGREGATING) for name in instructions)
    return Program({table: frozenset(names) for table, names in columns.items()}, aggregates)
