"""Which tables a piece of SQL reads and writes: SQLite itself says so.

``EXPLAIN <sql>`` is prepared under an authorizer (https://www.sqlite.org/c3ref/set_authorizer.html), which is told of
every table that the statement reads or changes. Nothing is executed.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from django.db.backends.sqlite3.base import FORMAT_QMARK_REGEX

from django_smarterbase.backend.workspace import PREFIX

Note = Callable[[int, str | None, str | None, str | None], None]

_FIRST_WORD: Final = re.compile(r"\s*(?:--[^\n]*\n\s*|/\*.*?\*/\s*)*([A-Za-z]+)", re.DOTALL)
_QUERIES: Final = frozenset(("SELECT", "INSERT", "UPDATE", "DELETE", "REPLACE", "WITH", "VALUES"))
_DEFINITIONS: Final = frozenset(("CREATE", "ALTER", "DROP"))
_RESOLVING: Final = re.compile(r"\b(?:OR|REPLACE|CONFLICT)\b", re.IGNORECASE)
_SEQUENCES: Final = "sqlite_sequence"
_MISSING: Final = re.compile(r"no such table: (?:main\.)?(.+)$")


@dataclass(frozen=True, slots=True)
class RawTables:
    """The tables that a statement reads (also those it updates or deletes from), and those it writes; and whether it
    names SQLite's own table of sequences.
    """

    read: tuple[str, ...]
    written: tuple[str, ...]
    sequences: bool = False


def qmark(sql: str) -> str:
    """SQL in Django's parameter style (``%s``, and ``%%`` for a percent sign) in SQLite's."""
    if "%%" not in sql:
        # The same SQL, without a look behind each character of a long SELECT clause.
        return sql.replace("%s", "?")
    return FORMAT_QMARK_REGEX.sub("?", sql).replace("%%", "%")


def first_word(sql: str) -> str:
    """The statement's verb in capitals, comments passed over; empty when there is none."""
    found = _FIRST_WORD.match(sql)
    return found.group(1).upper() if found else ""


def touches_rows(sql: str) -> bool:
    """Whether the statement reads or writes rows, as opposed to transactions, pragmas and definitions."""
    return first_word(sql) in _QUERIES


def resolves_conflicts(sql: str) -> bool:
    """Whether the statement may be an INSERT that says what becomes of a row whose values another one has."""
    return first_word(sql) in ("INSERT", "REPLACE", "WITH") and _RESOLVING.search(sql) is not None


def defines_tables(sql: str) -> bool:
    """Whether the statement changes SQLite's schema."""
    return first_word(sql) in _DEFINITIONS


def missing_table(error: sqlite3.OperationalError) -> str | None:
    """The table that SQLite did not find, or None for another error."""
    found = _MISSING.search(str(error))
    return found.group(1) if found else None


def tables_of(sqlite: sqlite3.Connection, sql: str) -> RawTables:
    """Ask SQLite for the tables of ``sql``, in its own ``?`` or ``:name`` parameter style.

    Raises sqlite3.OperationalError, also for a table that has no scratch table yet (see ``missing_table``).
    """
    read: dict[str, None] = {}
    written: dict[str, None] = {}
    sequences = False

    def note(action: int, table: str | None, _column: str | None, within: str | None) -> None:
        nonlocal sequences
        if within is not None and within.startswith(PREFIX):
            return  # a change log's trigger, which has but the row that the statement writes
        sequences = sequences or table == _SEQUENCES
        if table is not None and not table.startswith(("sqlite_", PREFIX)):
            if action in (sqlite3.SQLITE_READ, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE):
                read[table] = None
            if action in (sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE):
                written[table] = None

    authorized(sqlite, sql, note)
    return RawTables(tuple(name for name in read if _has(sqlite, name)), tuple(written), sequences)


def _has(sqlite: sqlite3.Connection, name: str) -> bool:
    """Whether there is a table or a view of the name; a function that stands for a table (``json_each``) is none."""
    found = sqlite.execute(
        "SELECT 1 FROM (SELECT name FROM sqlite_master UNION ALL SELECT name FROM sqlite_temp_master) WHERE name = ?",
        (name,),
    )
    return found.fetchone() is not None


def authorized(sqlite: sqlite3.Connection, sql: str, note: Note) -> list[str]:
    """Tell ``note`` of everything that ``sql`` is going to touch, as (action, table, column, the trigger or view that
    does it); returns the names of the instructions that SQLite has made of it. Nothing is executed."""

    def authorize(action: int, table: str | None, column: str | None, _database: str | None, within: str | None) -> int:
        note(action, table, column, within)
        return sqlite3.SQLITE_OK

    sqlite.set_authorizer(authorize)
    try:
        return [row[1] for row in _explained(sqlite, f"EXPLAIN {sql}")]
    finally:
        sqlite.set_authorizer(None)


def _explained(sqlite: sqlite3.Connection, sql: str) -> list[tuple[Any, ...]]:
    """Compile a statement. Parameters are bound to NULL one by one until SQLite has enough of them."""
    try:
        return sqlite.execute(sql).fetchall()
    except sqlite3.ProgrammingError as error:
        needed = re.search(r"uses (\d+)", str(error))
        if needed:
            return sqlite.execute(sql, (None,) * int(needed.group(1))).fetchall()
        if named := set(re.findall(r":(\w+)", sql)):
            return sqlite.execute(sql, dict.fromkeys(named)).fetchall()
        raise
