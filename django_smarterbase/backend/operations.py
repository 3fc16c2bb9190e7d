"""Operations: SQLite's SQL, and how a database is flushed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from django.db.backends.sqlite3.operations import DatabaseOperations as SQLiteOperations

from django_smarterbase.backend.document_writes import WriteFailed
from django_smarterbase.backend.upkeep import delete_documents

if TYPE_CHECKING:
    from django_smarterbase.backend.base import DatabaseWrapper


class FlushStatement(str):
    """One statement of ``sql_flush``: SQL to show, and the ``table`` that it empties or whose sequence it resets."""

    table: str
    resets_sequence: bool

    def __new__(cls, sql: str, table: str, *, resets_sequence: bool = False) -> FlushStatement:
        statement = super().__new__(cls, sql)
        statement.table = table
        statement.resets_sequence = resets_sequence
        return statement


class DatabaseOperations(SQLiteOperations):
    """SQLite's operations over documents."""

    connection: DatabaseWrapper
    compiler_module = "django_smarterbase.backend.compiler"

    def for_update_sql(
        self, nowait: bool = False, skip_locked: bool = False, of: Any = (), no_key: bool = False
    ) -> str:
        """A comment, for whoever reads the SQL: the rows are locked before it runs (``backend.locking``)."""
        return f"/* {super().for_update_sql(nowait, skip_locked, of, no_key)} */"

    def explain_query_prefix(self, format: str | None = None, **options: Any) -> str:
        """SQLite's EXPLAIN. Raises ValueError for options, since there are none, and for an unknown format."""
        if options:
            raise ValueError(
                f"Unknown options: {', '.join(sorted(options))}. explain() runs nothing and takes none here, only "
                'format="text" or format="json". What a query really did stands in its profile, see profile_queries().'
            )
        return super().explain_query_prefix(format)

    def sql_flush(
        self, style: Any, tables: Iterable[str], *, reset_sequences: bool = False, allow_cascade: bool = False
    ) -> list[str]:
        """One DELETE a table, and one UPDATE of its sequence when they are to begin anew."""
        names = sorted(tables)
        statements: list[str] = []
        for table in names:
            (sql,) = super().sql_flush(style, [table])
            statements.append(FlushStatement(sql, table))
        if reset_sequences:
            statements += self.sequence_reset_by_name_sql(style, [{"table": table} for table in names])
        return statements

    def sequence_reset_by_name_sql(self, style: Any, sequences: Iterable[dict[str, Any]]) -> list[str]:
        """One UPDATE a table. A cursor that is given it lets the table's sequence begin anew."""
        statements: list[str] = []
        for sequence in sequences:
            (sql,) = super().sequence_reset_by_name_sql(style, [sequence])
            statements.append(FlushStatement(sql, sequence["table"], resets_sequence=True))
        return statements

    def execute_sql_flush(self, sql_list: Iterable[str]) -> None:
        """Delete the documents without reading them: one listing a table. Raises StorageUnavailable."""
        for statement in sql_list:
            if not isinstance(statement, FlushStatement) or statement.resets_sequence:
                super().execute_sql_flush([statement])
            else:
                try:
                    delete_documents(self.connection, statement.table)
                except WriteFailed as failure:
                    raise failure.error from failure
