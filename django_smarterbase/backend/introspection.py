"""Introspection: the tables are those that migrations made; their columns are read from the workspace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db.backends.base.introspection import TableInfo
from django.db.backends.sqlite3.introspection import DatabaseIntrospection as SQLiteIntrospection

from django_smarterbase.backend.workspace import PREFIX

if TYPE_CHECKING:
    from django_smarterbase.backend.base import DatabaseWrapper


class DatabaseIntrospection(SQLiteIntrospection):
    """SQLite's introspection, over scratch tables that are made when they are asked for."""

    connection: DatabaseWrapper

    def get_table_list(self, cursor: Any) -> list[TableInfo]:
        """The tables with a schema object, and what raw DDL made in this workspace: tables and views. One listing."""
        infos = {name: TableInfo(name, "t") for name in self.connection.catalog.migrated_tables()}
        for info in super().get_table_list(cursor):
            if not info.name.startswith(PREFIX) and self.connection.catalog.model_of(info.name) is None:
                infos[info.name] = info
        return [infos[name] for name in sorted(infos)]

    def _prepare(self, table_name: str) -> None:
        if self.connection.catalog.find(table_name) is not None:
            self.connection.ensure_table(table_name)

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
        """As SQLite's."""
        self._prepare(table_name)
        return super().get_constraints(cursor, table_name)
