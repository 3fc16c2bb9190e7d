"""Raw tables: those that raw DDL made, such as that of ``createcachetable``, and no model describes.

The object ``_sb/tables/<table>.json`` holds ``{"sql": [...]}``, the statements that make the table and its indexes, so
that every connection has it. It is written when the DDL is committed.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import orjson

from django_smarterbase.backend.definitions import Act, definition_of
from django_smarterbase.backend.modeltables import affinity_of, is_row_number
from django_smarterbase.backend.tablewrites import write_system_object
from django_smarterbase.backend.workspace import Workspace, quote
from django_smarterbase.exceptions import CorruptDocument
from django_smarterbase.tables import Affinity, Column, TableSchema, Value, free_row_number

if TYPE_CHECKING:
    from django_smarterbase.backend.base import DatabaseWrapper

_MAKE: Final = frozenset((Act.CREATE_TABLE, Act.CREATE_INDEX, Act.CREATE_UNIQUE_INDEX))
_ASIDE: Final = "_sb_default"
_ROWID: Final = "rowid"
_MEND: Final = "Drop the table by raw SQL and make it again (manage.py createcachetable); its documents go with it."


def keep_raw_table(wrapper: DatabaseWrapper, table: str) -> None:
    """Write down the SQL of a raw table as it stands in the workspace: at COMMIT, or at once outside of a transaction.

    A table of a model, or that migrations made, is left to these. Raises ConflictError and StorageUnavailable.
    """
    workspace = wrapper.session.workspace
    statements = workspace.definition(table)
    if statements and wrapper.catalog.model_of(table) is None and not wrapper.catalog.has_schema_object(table):
        body = orjson.dumps({"sql": statements}, option=orjson.OPT_INDENT_2)
        write_system_object(wrapper, table, wrapper.resources.keys.raw_table(table), body)


def is_raw_table(wrapper: DatabaseWrapper, table: str) -> bool:
    """Whether the SQL of a table is kept, as the transaction sees it. One GET."""
    return _body(wrapper, table) is not None


def restore_raw_table(wrapper: DatabaseWrapper, table: str) -> bool:
    """Make a raw table in this workspace; False when there is none of that name. One GET. Raises CorruptDocument."""
    body = _body(wrapper, table)
    if body is None:
        return False
    for sql in _statements(table, wrapper.resources.keys.raw_table(table), body):
        wrapper.session.workspace.sqlite.execute(sql)
    return True


def bring_raw_tables(wrapper: DatabaseWrapper) -> None:
    """Make all raw tables in this workspace that are not there. One listing, and a GET for each of them."""
    for table in wrapper.catalog.raw_tables_kept():
        if not wrapper.session.workspace.has_table(table):
            restore_raw_table(wrapper, table)


def forget_raw_table(wrapper: DatabaseWrapper, table: str) -> None:
    """Delete the object, as the documents of a table that raw SQL drops are."""
    write_system_object(wrapper, table, wrapper.resources.keys.raw_table(table), None)


def _body(wrapper: DatabaseWrapper, table: str) -> bytes | None:
    key = wrapper.resources.keys.raw_table(table)
    pending = wrapper.session.workspace.pending_one(key)
    if pending is not None:
        return pending.body
    stored = wrapper.resources.store.get(key)
    return stored.body if stored is not None else None


def _statements(table: str, key: str, body: bytes) -> Sequence[str]:
    try:
        statements: list[str] = orjson.loads(body)["sql"]
        if not statements or not all(_makes(sql, table) for sql in statements):
            raise ValueError("it does something else")
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptDocument(key, f"it does not hold the SQL of a table ({error!r:.200})", _MEND) from error
    return statements


def _makes(sql: str, table: str) -> bool:
    found = definition_of(sql)
    return found is not None and found.act in _MAKE and found.table.lower() == table.lower()


def table_of_index(workspace: Workspace, name: str) -> str | None:
    """The table in the workspace that has the index of this name, in whatever capitals; None when none has."""
    sql = "SELECT tbl_name FROM sqlite_master WHERE type = 'index' AND name = ? COLLATE NOCASE"
    found = workspace.sqlite.execute(sql, (name,)).fetchone()
    return None if found is None else found[0]


def raw_schema(workspace: Workspace, table: str) -> TableSchema | None:
    """The schema of a table as it stands in the workspace; None when it does not."""
    rows = workspace.sqlite.execute(f"PRAGMA table_xinfo({quote(table)})").fetchall()
    if not rows:
        return None
    columns = [
        Column(
            row[1],
            affinity=affinity_of(row[2]),
            generated=row[6] in (2, 3),
            default=None if row[4] is None else default_of(workspace.sqlite, row[2], row[4]),
        )
        for row in rows
    ]
    key = [row[1:3] for row in sorted((row for row in rows if row[5]), key=lambda row: row[5])]
    number = free_row_number(row[1] for row in rows)
    if not key:
        key = [(number or _ROWID, "INTEGER")]
        columns.insert(0, Column(key[0][0], affinity=Affinity.INTEGER))
    without_rowid = number is not None and not _has_column(workspace, table, number)
    return TableSchema(
        table,
        table,
        tuple(columns),
        tuple(name for name, _declared in key),
        numbers_rows=len(key) == 1 and is_row_number(key[0][1]) and not without_rowid,
        without_rowid=without_rowid,
    )


def _has_column(workspace: Workspace, table: str, name: str) -> bool:
    try:
        workspace.sqlite.execute(f"SELECT {name} FROM {quote(table)} LIMIT 0")
    except sqlite3.OperationalError:
        return False
    return True


def default_of(sqlite: sqlite3.Connection, declared: str, default: str) -> Value:
    """The value that a column of this declared type has by ``default``, as PRAGMA table_xinfo tells it: an expression
    without the parentheses that it needs."""
    sqlite.execute(f"SAVEPOINT {_ASIDE}")
    try:
        try:
            sqlite.execute(f"CREATE TABLE {_ASIDE} (c {declared} DEFAULT {default})")
        except sqlite3.OperationalError:
            sqlite.execute(f"CREATE TABLE {_ASIDE} (c {declared} DEFAULT ({default}))")
        sqlite.execute(f"INSERT INTO {_ASIDE} DEFAULT VALUES")
        value: Value = sqlite.execute(f"SELECT +c FROM {_ASIDE}").fetchone()[0]
        return value
    finally:
        sqlite.execute(f"ROLLBACK TO {_ASIDE}")
        sqlite.execute(f"RELEASE {_ASIDE}")
