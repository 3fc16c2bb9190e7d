"""Operations: SQLite's SQL, and how a database is flushed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from itertools import chain
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.db.backends.sqlite3.operations import DatabaseOperations as SQLiteOperations

from django_smarterbase.backend.upkeep import delete_documents

if TYPE_CHECKING:
    from django_smarterbase.backend.base import DatabaseWrapper


class FlushStatement(str):
    """One statement of ``sql_flush``: SQL to show, and the ``tables`` that it empties or whose sequences it resets."""

    tables: tuple[str, ...]
    resets_sequences: bool

    def __new__(cls, sql: str, tables: Iterable[str], *, resets_sequences: bool = False) -> FlushStatement:
        statement = super().__new__(cls, sql)
        statement.tables = tuple(tables)
        statement.resets_sequences = resets_sequences
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
        """One DELETE a table, and one UPDATE of all their sequences when they are to begin anew.

        ``allow_cascade`` adds the tables that refer to one of these.
        """
        names = sorted(_with_referring(tables) if allow_cascade else tables)
        deletions = super().sql_flush(style, names)
        statements: list[str] = [FlushStatement(sql, [name]) for sql, name in zip(deletions, names, strict=True)]
        if reset_sequences:
            statements += self.sequence_reset_by_name_sql(style, [{"table": name} for name in names])
        return statements

    def sequence_reset_by_name_sql(self, style: Any, sequences: list[Any]) -> list[str]:
        """SQLite's UPDATE. A cursor that is given it lets the sequences of these tables begin anew."""
        tables = [sequence["table"] for sequence in sequences]
        statements = super().sequence_reset_by_name_sql(style, sequences)
        return [FlushStatement(sql, tables, resets_sequences=True) for sql in statements]

    def execute_sql_flush(self, sql_list: Iterable[str]) -> None:
        """Delete the documents without reading them: one listing a table. Raises StorageUnavailable."""
        for statement in sql_list:
            if not isinstance(statement, FlushStatement) or statement.resets_sequences:
                super().execute_sql_flush([statement])
                continue
            for schema in filter(None, map(self.connection.catalog.find, statement.tables)):
                delete_documents(self.connection.resources, schema)


def _with_referring(tables: Iterable[str]) -> set[str]:
    """These tables and those whose rows refer to theirs, directly or not, by the foreign keys of all models."""
    referring: defaultdict[str, set[str]] = defaultdict(set)
    for model in chain.from_iterable(models.values() for models in apps.all_models.values()):
        if model._meta.managed:
            for field in model._meta.local_concrete_fields:
                if isinstance(field.related_model, type):  # text, where the app of the other model is not installed
                    referring[field.related_model._meta.db_table].add(model._meta.db_table)
    found, following = set[str](), list(tables)
    while following:
        table = following.pop()
        if table not in found:
            found.add(table)
            following += referring[table]
    return found
