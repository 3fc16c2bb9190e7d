"""Introspection: the tables are those that migrations made; their columns are read from the workspace."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from django.db.backends.base.introspection import TableInfo
from django.db.backends.sqlite3.introspection import DatabaseIntrospection as SQLiteIntrospection

from django_smarterbase.backend.catalog import index_sql
from django_smarterbase.backend.workspace import PREFIX, quote

if TYPE_CHECKING:
    from django_smarterbase.backend.base import DatabaseWrapper

_SAVEPOINT: Final = "_sb_introspection"


class DatabaseIntrospection(SQLiteIntrospection):
    """SQLite's introspection, over scratch tables that are made when they are asked for."""

    connection: DatabaseWrapper

    def get_table_list(self, cursor: Any) -> list[TableInfo]:
        """The tables with a schema object, what raw DDL made, and the views of this workspace. Two listings."""
        catalog = self.connection.catalog
        stored = (*catalog.migrated_tables(), *catalog.raw_tables_kept())
        infos = {name: TableInfo(name, "t") for name in stored}
        for info in super().get_table_list(cursor):
            if info.type == "v" or not (info.name.startswith(PREFIX) or catalog.model_of(info.name) is not None):
                infos[info.name] = info
        return [infos[name] for name in sorted(infos)]

    def django_table_names(self, only_existing: bool = False, include_views: bool = True) -> list[str]:
        """As Django's. A table exists, and is flushed, when a migration has made it or it has documents. With
        ``only_existing`` a listing of folders more."""
        names: list[str] = super().django_table_names(only_existing, include_views)
        if only_existing:
            filled = self.connection.catalog.tables_with_documents(super().django_table_names())
            names += [name for name in filled if name not in names]
        return names

    def _prepare(self, table_name: str) -> None:
        if table_name in self.connection.session.workspace.names("view"):
            self.connection.catalog.raw_tables(f"SELECT * FROM {quote(table_name)}")  # makes the tables that it is of
        elif not self._is_defined(table_name) and self.connection.catalog.find(table_name) is not None:
            self.connection.ensure_table(table_name)

    def _is_defined(self, table_name: str) -> bool:
        """Whether a migration under way has left the scratch table, and knows better than a model what it is."""
        return self.connection.session.workspace.is_defined(table_name)

    def get_table_description(self, cursor: Any, table_name: str) -> Any:
        """As SQLite's."""
        self._prepare(table_name)
        return super().get_table_description(cursor, table_name)

    def get_relations(self, cursor: Any, table_name: str) -> Any:
        """As SQLite's."""
        self._prepare(table_name)
        return super().get_relations(cursor, table_name)

    def get_primary_key_columns(self, cursor: Any, table_name: str) -> Any:
        """As SQLite's."""
        self._prepare(table_name)
        return super().get_primary_key_columns(cursor, table_name)

    def get_constraints(self, cursor: Any, table_name: str) -> Any:
        """As SQLite's. Of the tables of models, all the indexes that the models have are among them."""
        self._prepare(table_name)
        with self._indexed(table_name):
            return super().get_constraints(cursor, table_name)

    @contextmanager
    def _indexed(self, table_name: str) -> Iterator[None]:
        """The scratch table with the indexes that no query needs."""
        model, sqlite = self.connection.catalog.model_of(table_name), self.connection.session.workspace.sqlite
        if model is None or self._is_defined(table_name):
            yield
            return
        sqlite.execute(f"SAVEPOINT {_SAVEPOINT}")
        self.connection.defining += 1
        try:
            for sql in index_sql(self.connection, model):
                sqlite.execute(sql)
            yield
        finally:
            self.connection.defining -= 1
            sqlite.execute(f"ROLLBACK TO {_SAVEPOINT}")
            sqlite.execute(f"RELEASE {_SAVEPOINT}")
