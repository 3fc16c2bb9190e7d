"""The cursor: every statement, of the ORM or raw, passes here on its way to the workspace."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Final

from django.db.backends.sqlite3.base import SQLiteCursorWrapper

from django_smarterbase.backend.rawsql import qmark

if TYPE_CHECKING:
    from django_smarterbase.backend.base import DatabaseWrapper
    from django_smarterbase.backend.recording import FollowingRows
    from django_smarterbase.backend.streams import RowStream

Row = tuple[Any, ...]
_OFFSET: Final = re.compile(r" OFFSET ([0-9]+)$")


class WorkspaceCursor(SQLiteCursorWrapper):
    """A cursor whose rows are taken while the workspace holds them, and handed out afterwards: all at once, or, when
    they are asked for bit by bit, those of a piece of the documents at a time."""

    def __init__(self, connection: Any, *, wrapper: DatabaseWrapper) -> None:
        super().__init__(connection)
        self.wrapper = wrapper
        self.rows: list[Row] | None = None
        self._unread: Iterator[Row] = iter(())
        self._following: FollowingRows | None = None

    def execute(self, query: str, params: Any = None) -> WorkspaceCursor:
        """Run a statement. Raises the errors of SQLite and of this package."""
        self._run(query, params, lambda sql: super(WorkspaceCursor, self).execute(sql, params))
        return self

    def executemany(self, query: str, param_list: Any) -> WorkspaceCursor:
        """Run a statement once for each set of parameters; they are one unit."""
        params = list(param_list)
        first = params[0] if params else ()
        self._run(query, first, lambda sql: super(WorkspaceCursor, self).executemany(sql, params))
        return self

    def executescript(self, script: str) -> WorkspaceCursor:
        """Run the statements of a script, each by itself; none of them ends the transaction under way, as sqlite3 would
        have it."""
        for statement in self.wrapper.ops.prepare_sql_script(script):
            self.execute(statement)
        return self

    def convert_query(self, query: str, *, param_names: list[str] | None = None) -> str:
        """The SQL with parameters as SQLite writes them."""
        return qmark(query) if param_names is None else super().convert_query(query, param_names=param_names)

    def _run(self, query: str, params: Any, run: Callable[[str], Any]) -> None:
        self._end_stream()
        self.rows = None
        following = self._following = self.wrapper.run_statement(self, query, params, _Execution(self, query, run))
        self._unread = iter(self.rows or ())
        if following is not None:
            self._unread = chain(self._unread, chain.from_iterable(following))
        self.rows = None

    def _end_stream(self) -> None:
        if self._following is not None:
            self._following.close()
            self._following = None

    def close(self) -> None:
        """Close the cursor, and read no further if there are rows that have not been asked for."""
        self._end_stream()
        with suppress(sqlite3.ProgrammingError):  # one that outlives its connection has been closed with it
            super().close()

    def fetchone(self) -> Row | None:
        """The next row, or None."""
        return next(self._unread, None)

    def fetchmany(self, size: int | None = None) -> list[Row]:
        """The next rows, ``arraysize`` of them unless ``size`` says otherwise."""
        return list(islice(self._unread, self.arraysize if size is None else size))

    def fetchall(self) -> list[Row]:
        """All rows that have not been handed out yet."""
        return list(self._unread)

    def __iter__(self) -> WorkspaceCursor:
        return self

    def __next__(self) -> Row:
        return next(self._unread)


class _Execution:
    """One statement's SQL, bound to its cursor. ``rows`` are the cursor's."""

    def __init__(self, cursor: WorkspaceCursor, sql: str, run: Callable[[str], Any]) -> None:
        self.cursor = cursor
        self.sql = sql
        self.stream: RowStream | None = None
        self._run = run

    @property
    def offset(self) -> int:
        """The number of the OFFSET at the end of the SQL; 0 when it does not end so."""
        found = _OFFSET.search(self.sql)
        return int(found.group(1)) if found is not None else 0

    @property
    def rows(self) -> list[Row] | None:
        """The rows of the last run; None for a statement that returns none."""
        return self.cursor.rows

    @rows.setter
    def rows(self, rows: list[Row] | None) -> None:
        self.cursor.rows = rows

    def execute(self, left_out: int = 0) -> None:
        """Run the SQL and take its rows, since the workspace may be emptied before anybody asks for them.

        The OFFSET is less by ``left_out``, the rows before the page that are not in the workspace.
        """
        sql = self.sql if not left_out else _OFFSET.sub(f" OFFSET {self.offset - left_out}", self.sql)
        self._run(sql)
        rows = super(WorkspaceCursor, self.cursor).fetchall()
        self.cursor.rows = rows if self.cursor.description is not None else None
