"""Operations: SQLite's SQL, and how a database is flushed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from django.db.backends.sqlite3.operations import DatabaseOperations as SQLiteOperations

from django_smarterbase.backend.document_writes import WriteFailed
from django_smarterbase.backend.shown_sql import EmptyTable, ResetSequences
from django_smarterbase.backend.upkeep import delete_documents

if TYPE_CHECKING:
    from django_smarterbase.backend.base import DatabaseWrapper


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
            statements.append(EmptyTable(sql, table))
        if reset_sequences:
            for table in names:
                statements += self.sequence_reset_by_name_sql(style, [{"table": table, "column": None}])
        return statements

    def sequence_reset_by_name_sql(self, style: Any, sequences: Sequence[dict[str, Any]]) -> list[str]:
        """SQLite's one UPDATE, which a cursor carries out on the sequence objects, transaction or not."""
        tables = [sequence["table"] for sequence in sequences]
        return [ResetSequences(sql, tables) for sql in super().sequence_reset_by_name_sql(style, sequences)]

    def execute_sql_flush(self, sql_list: Iterable[str]) -> None:
        """Delete the documents without reading them: one listing a table. Raises StorageUnavailable."""
        for statement in sql_list:
            if isinstance(statement, EmptyTable):
                try:
                    delete_documents(self.connection, statement.table)
                except WriteFailed as failure:
                    raise failure.error from failure
            else:
                super().execute_sql_flush([statement])
