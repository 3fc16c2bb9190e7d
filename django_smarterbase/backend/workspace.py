"""The workspace: scratch tables in a private in-memory SQLite, where Django's own SQL runs over candidate rows.

A scratch table is a cache and nothing more: it can be emptied after any statement. Tables that a statement writes get
triggers that note the keys of the touched rows in a change log, one table ``_sb_log:<table>`` each. The pending
documents of a transaction stand in ``_sb_pending``, so that ROLLBACK TO SAVEPOINT undoes them with the rows.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from django.db.utils import NotSupportedError

from django_smarterbase.recent import Recent
from django_smarterbase.tables import Column, TableSchema, Value

if TYPE_CHECKING:
    from django_smarterbase.backend.programs import Program

PREFIX: Final = "_sb_"
_PROGRAMS: Final = 500  # statements of which a connection remembers what SQLite makes of them
_ASIDE: Final = "_sb_aside"
_LOADING: Final = "_sb_loading"
_FEW: Final = 100  # rows of which CHECK constraints are looked at sooner than SQLite compiles its statements anew
_SETUP: Final = """
CREATE TABLE IF NOT EXISTS _sb_state (recording INTEGER NOT NULL, claim_books INTEGER NOT NULL);
INSERT INTO _sb_state SELECT 0, 0 WHERE NOT EXISTS (SELECT 1 FROM _sb_state);
CREATE TABLE IF NOT EXISTS _sb_pending (
    object_key TEXT PRIMARY KEY, table_name TEXT, stem TEXT, body BLOB, base_etag TEXT
);
CREATE TABLE IF NOT EXISTS _sb_made (table_name TEXT PRIMARY KEY, signature TEXT);
PRAGMA ignore_check_constraints = ON;
"""


class TouchedRow(NamedTuple):
    """A row that a statement touched: its primary key and its values now, or None when it is gone."""

    pk: tuple[Value, ...]
    values: tuple[Value, ...] | None


class PendingDocument(NamedTuple):
    """A document that the transaction is going to write (``body``) or delete (None).

    ``base_etag`` is the ETag it was read with; None when there was no document. A system object has an empty table.
    """

    key: str
    table: str
    stem: str
    body: bytes | None
    base_etag: str | None


@dataclass
class ScratchTable:
    """A scratch table as it stands in SQLite. ``stored`` are the positions of the columns that can be inserted."""

    schema: TableSchema
    insert_sql: str
    stored: tuple[int, ...] | None
    armed: bool = False


def quote(name: str) -> str:
    """An SQL identifier."""
    return '"{}"'.format(name.replace('"', '""'))


def definition(column: Column) -> str:
    """A column of a table without constraints, in which values are what they are in the scratch table."""
    collation = f" COLLATE {quote(column.collation)}" if column.collation else ""
    return f"{quote(column.name)} {column.affinity}{collation}"


class Workspace:
    """The scratch tables of one connection. Not thread-safe, as a connection is not.

    ``programs`` are ``{(schema_version, sql): Program}`` of the statements that were asked about last.
    """

    def __init__(self, sqlite: sqlite3.Connection) -> None:
        self.sqlite = sqlite
        self.programs: Recent[tuple[int, str], Program] = Recent(_PROGRAMS)
        self.sieves: dict[str, tuple[Column, ...]] = {}  # by the table that each stands beside
        self._tables: dict[str, ScratchTable] = {}
        self._defined: set[str] = set()  # tables that a schema editor has left as they stand
        self._enforces_checks = self._is_strict = False
        sqlite.executescript(_SETUP)

    def stands(self, schema: TableSchema, *, armed: bool = False) -> bool:
        """Whether the scratch table is known to be there as it was made for this very ``schema``."""
        table = self._tables.get(schema.table)
        return table is not None and table.schema is schema and (table.armed or not armed)

    def ensure(
        self, schema: TableSchema, create_sql: Callable[[], Sequence[str]] | None, *, armed: bool = False
    ) -> None:
        """Make the scratch table of ``schema``, anew when it stands there otherwise.

        Without ``create_sql`` it is raw DDL's and is taken as it stands.
        """
        table = self._tables.get(schema.table)
        if table is None or self.is_altered(schema):
            if create_sql is None or self._was_made_for(schema):
                table = self._adopt(schema)
            else:
                table = self._create(schema, create_sql())
            self._tables[schema.table] = table
        if armed and not table.armed:
            self._arm(table)

    def forget(self) -> None:
        """Look at SQLite's own schema again before a table is used: a rollback may have undone its creation."""
        self._tables.clear()
        self._defined.clear()
        self._forget_programs()

    def schema_version(self) -> int:
        """A number that is another one as soon as SQLite's schema has changed; a rollback gives the last one back."""
        version: int = self.sqlite.execute("PRAGMA schema_version").fetchone()[0]
        return version

    def _forget_programs(self) -> None:
        """A version that was rolled back may come again, and be of another schema then."""
        self.programs.discard(lambda _key: True)

    def has_table(self, table: str) -> bool:
        """Whether SQLite has this scratch table."""
        found = self.sqlite.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (table,))
        return found.fetchone() is not None

    def definition(self, table: str) -> list[str]:
        """The SQL that makes a table and, after it, its indexes, as SQLite remembers them; none for an unknown one."""
        rows = self.sqlite.execute(
            "SELECT sql FROM sqlite_master WHERE tbl_name = ? AND type IN ('table', 'index') AND sql IS NOT NULL "
            "ORDER BY type DESC, name",
            (table,),
        )
        return [row[0] for row in rows]

    def names(self, type: str) -> list[str]:
        """The scratch tables, or the views, temporary ones too, in alphabetical order."""
        rows = self.sqlite.execute(
            "SELECT name FROM (SELECT * FROM sqlite_master UNION ALL SELECT * FROM sqlite_temp_master) WHERE type = ? "
            "AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name NOT LIKE '\\_sb\\_%' ESCAPE '\\' ORDER BY name",
            (type,),
        )
        return [row[0] for row in rows]

    def drop(self, table: str) -> None:
        """Remove a scratch table and its change log."""
        self._tables.pop(table, None)
        self._forget_programs()
        self.sqlite.execute(f"DROP TABLE IF EXISTS {quote(table)}")
        self.sqlite.execute(f"DROP TABLE IF EXISTS {quote(_log_of(table))}")

    def _was_made_for(self, schema: TableSchema) -> bool:
        found = self.sqlite.execute("SELECT signature FROM _sb_made WHERE table_name = ?", (schema.table,)).fetchone()
        return found is not None and found[0] == _signature(schema) and self.has_table(schema.table)

    def _adopt(self, schema: TableSchema) -> ScratchTable:
        trigger = _trigger_of(schema.table, "insert")
        armed = self.sqlite.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (trigger,)).fetchone()
        return _described(schema, armed=armed is not None)

    def _create(self, schema: TableSchema, statements: Sequence[str]) -> ScratchTable:
        if schema.table.lower().startswith(PREFIX):
            raise NotSupportedError(
                f"{schema.label}: no table can be called {schema.table!r}, since names that begin with {PREFIX!r} are "
                "the engine's own. Give the model another db_table."
            )
        self.drop(schema.table)
        self._defined.discard(schema.table)
        for sql in statements:
            self.sqlite.execute(sql)
        self.sqlite.execute("INSERT OR REPLACE INTO _sb_made VALUES (?, ?)", (schema.table, _signature(schema)))
        return _described(schema)

    def altered(self, tables: Iterable[str] = ()) -> None:
        """DDL has changed scratch tables: each is made anew from its model when a statement needs it. Of ``tables`` it
        knows better than a model what they are, until then."""
        self._tables.clear()
        self._forget_programs()
        self._defined.update(tables)
        self.sqlite.execute("DELETE FROM _sb_made")

    def is_defined(self, table: str) -> bool:
        """Whether a scratch table stands as a schema editor has left it."""
        return table in self._defined and self.has_table(table)

    def _arm(self, table: ScratchTable) -> None:
        """Create the change log and the triggers that fill it while the workspace records."""
        name, pk = table.schema.table, table.schema.pk
        log = quote(_log_of(name))
        columns = ", ".join(f"k{position}" for position in range(len(pk)))
        self.sqlite.execute(f"CREATE TABLE IF NOT EXISTS {log} ({columns})")
        for event, images in (("insert", ("NEW",)), ("update", ("OLD", "NEW")), ("delete", ("OLD",))):
            body = " ".join(
                f"INSERT INTO {log} VALUES ({', '.join(f'{image}.{quote(column)}' for column in pk)});"
                for image in images
            )
            self.sqlite.execute(
                f"CREATE TRIGGER {quote(_trigger_of(name, event))} AFTER {event.upper()} ON {quote(name)} "
                f"WHEN (SELECT recording FROM _sb_state) BEGIN {body} END"
            )
        table.armed = True

    @contextmanager
    def aside(self, table: str) -> Iterator[None]:
        """Within the block the table is empty; afterwards it, and all else, is what it was. An open transaction loses
        nothing by it."""
        self.sqlite.execute(f"SAVEPOINT {_ASIDE}")
        try:
            self.sqlite.execute(f"DELETE FROM {quote(table)}")
            yield
        finally:
            self.sqlite.execute(f"ROLLBACK TO {_ASIDE}")
            self.sqlite.execute(f"RELEASE {_ASIDE}")

    def is_altered(self, schema: TableSchema) -> bool:
        """Whether the scratch table now stands there for another schema than ``schema``."""
        table = self._tables.get(schema.table)
        return table is not None and table.schema is not schema and _signature(table.schema) != _signature(schema)

    def insert(self, table: str, rows: Iterable[tuple[Value, ...]]) -> None:
        """Load rows, each in the order of the schema's columns, whatever CHECK constraints say of them unless the block
        is ``strict``. Raises sqlite3.IntegrityError."""
        scratch = self._tables[table]
        if scratch.stored is not None:
            positions = scratch.stored
            rows = (tuple(row[position] for position in positions) for row in rows)
        if self._enforces_checks and not self._is_strict:
            rows = list(rows)
            if len(rows) <= _FEW and self.sqlite.in_transaction and self._admits(scratch, rows):
                return
            self.enforce_checks(False)
        self.sqlite.executemany(scratch.insert_sql, rows)

    def _admits(self, scratch: ScratchTable, rows: Sequence[tuple[Value, ...]]) -> bool:
        """Load rows, all or none: all if no constraint is against it. For a transaction that SQLite has begun: else the
        savepoint would be one, and its release a COMMIT."""
        self.sqlite.execute(f"SAVEPOINT {_LOADING}")
        try:
            self.sqlite.executemany(scratch.insert_sql, rows)
        except sqlite3.Error:  # of whatever kind, as a CHECK may call functions that fail
            self.sqlite.execute(f"ROLLBACK TO {_LOADING}")
            return False
        finally:
            self.sqlite.execute(f"RELEASE {_LOADING}")
        return True

    @contextmanager
    def strict(self) -> Iterator[None]:
        """Within the block CHECK constraints have their say in what is loaded."""
        self.enforce_checks(True)
        self._is_strict = True
        try:
            yield
        finally:
            self._is_strict = False

    def enforce_checks(self, enforced: bool) -> None:
        """Turn CHECK constraints on, as only SQL needs them that writes, or off. After that SQLite compiles each of its
        statements anew, so they are left on until something needs them off."""
        if enforced is not self._enforces_checks:
            self.sqlite.execute(f"PRAGMA ignore_check_constraints = {'OFF' if enforced else 'ON'}")
            self._enforces_checks = enforced

    def empty(self, tables: Iterable[str]) -> None:
        """Remove all rows of the tables."""
        for table in tables:
            if table in self._tables or self.has_table(table):
                self.sqlite.execute(f"DELETE FROM {quote(table)}")

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Note the rows that SQL touches inside the block, under the table's own constraints."""
        self.enforce_checks(True)
        self.sqlite.execute("UPDATE _sb_state SET recording = 1")
        try:
            yield
        finally:
            self.sqlite.execute("UPDATE _sb_state SET recording = 0")

    def take_touched(self, table: str) -> list[TouchedRow]:
        """The rows touched since the last call, each once, and forget them."""
        schema, log = self._tables[table].schema, quote(_log_of(table))
        width = len(schema.pk)
        keys = ", ".join(f"l.k{position}" for position in range(width))
        join = " AND ".join(f"{_exactly(schema, column)} IS l.k{position}" for position, column in enumerate(schema.pk))
        # A leading + keeps the converters that Django registers for declared types off: documents hold raw values.
        values = "".join(f", +t.{quote(column.name)}" for column in schema.columns)
        stands = f"t.{quote(schema.row_number)} IS NOT NULL"
        rows = self.sqlite.execute(
            f"SELECT DISTINCT {keys}, {stands}{values} FROM {log} l LEFT JOIN {quote(table)} t ON {join}"
        ).fetchall()
        if rows:
            self.sqlite.execute(f"DELETE FROM {log}")
        return [TouchedRow(row[:width], row[width + 1 :] if row[width] else None) for row in rows]

    def rows(self, table: str) -> list[tuple[Value, ...]]:
        """The rows that are loaded, each in the order of the schema's columns."""
        columns = ", ".join(f"+{quote(column.name)}" for column in self._tables[table].schema.columns)
        return self.sqlite.execute(f"SELECT {columns} FROM {quote(table)}").fetchall()

    def column_values(self, table: str, column: str) -> list[Value]:
        """The distinct values of a column in the rows that are loaded, NULL apart."""
        name = quote(column)
        rows = self.sqlite.execute(f"SELECT DISTINCT +{name} FROM {quote(table)} WHERE {name} IS NOT NULL")
        return [row[0] for row in rows]

    def selected(self, query: str, params: Sequence[Any]) -> list[Value]:
        """The distinct values of the only column of a query in brackets, NULL among them."""
        # A leading + keeps the converters that Django registers for declared types off. The collation that the value
        # has in the query would count those as one that it likens, of which another column may equal either.
        distinct = f"WITH found(v) AS (SELECT * FROM {query}) SELECT DISTINCT +v COLLATE BINARY FROM found"
        rows = self.sqlite.execute(distinct, params)
        return [row[0] for row in rows]

    def highest(self, table: str, column: str) -> int:
        """The highest value of an integer column in the rows that are loaded; 0 without any."""
        found = self.sqlite.execute(f"SELECT MAX(+{quote(column)}) FROM {quote(table)}").fetchone()[0]
        return found if isinstance(found, int) else 0

    def next_auto_value(self, table: str, last: int) -> None:
        """Let SQLite number the rows that come next from ``last + 1``."""
        changed = self.sqlite.execute("UPDATE sqlite_sequence SET seq = ? WHERE name = ?", (last, table))
        if not changed.rowcount:
            self.sqlite.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", (table, last))

    def stage(self, document: PendingDocument) -> None:
        """Put a pending document in the transaction, in place of an earlier one under its key."""
        self.sqlite.execute("INSERT OR REPLACE INTO _sb_pending VALUES (?, ?, ?, ?, ?)", document)

    def unstage(self, key: str) -> None:
        """Take a pending document out of the transaction."""
        self.sqlite.execute("DELETE FROM _sb_pending WHERE object_key = ?", (key,))

    def pending(self, table: str | None = None) -> list[PendingDocument]:
        """The pending documents of a table, or of all, in the order of their keys."""
        columns = "SELECT object_key, table_name, stem, body, base_etag FROM _sb_pending"
        if table is None:
            rows = self.sqlite.execute(f"{columns} ORDER BY object_key")
        else:
            rows = self.sqlite.execute(f"{columns} WHERE table_name = ? ORDER BY object_key", (table,))
        return [PendingDocument(*row) for row in rows]

    def has_pending(self, table: str) -> bool:
        """Whether a document of the table is pending."""
        found = self.sqlite.execute("SELECT 1 FROM _sb_pending WHERE table_name = ? LIMIT 1", (table,))
        return found.fetchone() is not None

    def pending_one(self, key: str) -> PendingDocument | None:
        """The pending document under ``key``, or None."""
        rows = self.sqlite.execute(
            "SELECT object_key, table_name, stem, body, base_etag FROM _sb_pending WHERE object_key = ?", (key,)
        ).fetchone()
        return None if rows is None else PendingDocument(*rows)

    def clear_pending(self) -> None:
        """Forget all pending documents."""
        self.sqlite.execute("DELETE FROM _sb_pending")


def _signature(schema: TableSchema) -> str:
    """What a scratch table depends on."""
    return repr((schema.columns, schema.pk, schema.unique, schema.checks))


def _described(schema: TableSchema, *, armed: bool = False) -> ScratchTable:
    stored = tuple(position for position, column in enumerate(schema.columns) if not column.generated)
    names = ", ".join(quote(schema.columns[position].name) for position in stored)
    marks = ", ".join("?" * len(stored))
    insert = f"INSERT INTO {quote(schema.table)} ({names}) VALUES ({marks})"
    return ScratchTable(schema, insert, None if len(stored) == len(schema.columns) else stored, armed)


def _exactly(schema: TableSchema, column: str) -> str:
    """The column in SQL that tells 'a' from 'A', though its own collation may not."""
    known = schema.by_name.get(column)
    binary = known is None or known.collation.upper() in ("", "BINARY")
    return f"t.{quote(column)}" if binary else f"t.{quote(column)} COLLATE BINARY"


def _log_of(table: str) -> str:
    return f"{PREFIX}log:{table}"


def _trigger_of(table: str, event: str) -> str:
    return f"{PREFIX}{event}:{table}"
