"""The tables that a connection knows: from models, or, for raw DDL, from the workspace itself."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from django.apps import apps as installed_apps
from django.apps.registry import Apps
from django.db import connections, router
from django.db.migrations.recorder import MigrationRecorder
from django.db.models import Model
from django.db.utils import ProgrammingError

from django_smarterbase.backend.modeltables import schema_of_model
from django_smarterbase.backend.programs import program_of
from django_smarterbase.backend.rawsql import RawTables, missing_table, qmark, tables_of
from django_smarterbase.backend.rawtables import raw_schema, restore_raw_table
from django_smarterbase.backend.workspace import Workspace, quote
from django_smarterbase.planner.obstacles import Hindrance, Obstacle, obstacles_of
from django_smarterbase.planner.plan import QueryPlan, Scan, Step
from django_smarterbase.planner.planner import plan_statement
from django_smarterbase.planner.scopes import Statement, is_opaque, may_aggregate
from django_smarterbase.planner.templates import Templates
from django_smarterbase.tables import ForeignKey, TableSchema

if TYPE_CHECKING:
    from django_smarterbase.backend.base import DatabaseWrapper

Answer = TypeVar("Answer")

_TEMPLATES: Final = 500
_UNIQUE_INDEX: Final = "CREATE UNIQUE INDEX"

_templates: Final = Templates(_TEMPLATES)  # of all connections of the process


class Catalog:
    """Finds ``TableSchema`` objects by table name, and makes their scratch tables."""

    def __init__(self, wrapper: DatabaseWrapper) -> None:
        self.wrapper = wrapper
        self._models: dict[str, type[Model]] = {}
        self._source: list[type[Model]] | None = None
        self._defined: dict[str, TableSchema] = {}
        self._creation: dict[TableSchema, tuple[str, ...]] = {}

    def of_model(self, model: type[Model]) -> TableSchema:
        """The table of a model, as its migrations left it."""
        return self.wrapper.resources.settled(schema_of_model(model, self.wrapper))

    def of_table(self, table: str) -> TableSchema:
        """The table of this name: of a model if there is one, otherwise as it stands in the workspace."""
        statement = self.wrapper.statement
        if statement is not None and table in statement.schemas:
            return self.wrapper.resources.settled(statement.schemas[table])
        model = self.model_of(table)
        if model is not None:
            found = schema_of_model(model, self.wrapper)
            if statement is not None:
                statement.schemas[table] = found
            return self.wrapper.resources.settled(found)
        schema = self._raw_schema(table)
        if schema is None:
            raise ProgrammingError(
                f"No model and no table {table!r} is known. Tables are made from the models in INSTALLED_APPS; check "
                "its spelling, or install the app that it belongs to."
            )
        return schema

    def _raw_schema(self, table: str) -> TableSchema | None:
        """The schema of a raw table, which is made in this workspace if it is not there."""
        workspace = self.wrapper.session.workspace
        if table in self._defined and workspace.has_table(table):
            return self._defined[table]
        schema = raw_schema(workspace, table)
        if schema is None and restore_raw_table(self.wrapper, table):
            schema = raw_schema(workspace, table)
        if schema is not None:
            self._defined[table] = schema
        return schema

    def find(self, table: str) -> TableSchema | None:
        """As ``of_table``, but None for a table that nobody knows."""
        try:
            return self.of_table(table)
        except ProgrammingError:
            return None

    def model_of(self, table: str) -> type[Model] | None:
        """The model of a table, in the registry of the query under way (historical models have one of their own)."""
        statement = self.wrapper.statement
        if statement is None:
            return self._model_seen_from(None, table)
        if table not in statement.models:
            statement.models[table] = self._model_seen_from(statement, table)
        return statement.models[table]

    def _model_seen_from(self, statement: Statement | None, table: str) -> type[Model] | None:
        for model in _models_of(statement):
            found = self.registered(model._meta.apps, table) or _own_table(model, table)
            if found is not None:
                return found
        historical = statement.historical if statement is not None else None
        found = historical(table) if historical is not None else None
        return found or self.registered(installed_apps, table) or _of_app_not_installed(table) or _of_no_app(table)

    def registered(self, registry: Apps, table: str) -> type[Model] | None:
        """The model that has the table, of those in a registry."""
        models = registry.get_models(include_auto_created=True, include_swapped=True)
        if models is not self._source:
            # In a migration, Django shows apps that have no migrations without their relations and constraints.
            stripped = {state.app_label for state in getattr(registry, "real_models", ())}
            self._source = models
            self._models = {}
            for model in models:
                whole = installed_apps.get_model(model._meta.label) if model._meta.app_label in stripped else model
                concrete = whole._meta.concrete_model
                if concrete is not None:
                    self._models.setdefault(concrete._meta.db_table, concrete)
        return self._models.get(table)

    def forget(self, table: str | None = None) -> None:
        """Look at the workspace again for tables that are no model's."""
        if table is None:
            self._defined.clear()
        else:
            self._defined.pop(table, None)

    def forget_raw_tables(self, workspace: Workspace) -> None:
        """Take what raw DDL made out of a workspace: the next tenant may have another table of that name, or none."""
        for table in workspace.names("table"):
            if self.model_of(table) is None:
                workspace.drop(table)
        for view in workspace.names("view"):
            workspace.sqlite.execute(f"DROP VIEW {quote(view)}")
        workspace.forget()
        self.forget()

    def ensure(self, table: str, *, armed: bool = False) -> None:
        """Make the scratch table."""
        schema, workspace = self.of_table(table), self.wrapper.session.workspace
        if not workspace.stands(schema, armed=armed):
            workspace.ensure(schema, self.maker(schema), armed=armed)

    def maker(self, schema: TableSchema) -> Callable[[], Sequence[str]] | None:
        """What gives the SQL of the scratch table; None for a raw table, which is taken as it stands."""
        model = self.model_of(schema.table)
        return None if model is None else partial(self._creation_sql, schema, model)

    def _creation_sql(self, schema: TableSchema, model: type[Model]) -> Sequence[str]:
        if schema not in self._creation:
            self._creation[schema] = creation_sql(self.wrapper, model)
        return self._creation[schema]

    def plan(self, statement: Statement, sql: str, params: Sequence[Any]) -> QueryPlan:
        """The plan of a compiled statement, which is the connection's."""
        return _templates.plan(statement, sql, params, self.find, partial(self.plan_afresh, sql))

    def plan_afresh(self, sql: str, statement: Statement) -> QueryPlan:
        """The plan as its tables, conditions and values have it.

        SQL text that came in from outside (``.extra()``, ``RawSQL``, expressions of one's own) can read tables that no
        compiler has noted. Then every table that SQLite says it reads is scanned. It can also put
        rows together, of which only SQLite knows, or nobody where there is no SQL yet; then no page is enough.
        """
        if is_opaque(statement, sql):
            read = self.raw_tables(qmark(sql)).read
            return QueryPlan(tuple(Step(table, table, Scan()) for table in read), read)
        statement.aggregates = may_aggregate(statement) and (
            not sql or self._asked(partial(program_of, self.wrapper.session.workspace), qmark(sql)).aggregates
        )
        return plan_statement(statement, self.find, self.wrapper)

    def obstacles(self, statement: Statement, sql: str) -> tuple[Obstacle, ...]:
        """Why a compiled statement scans, if it does."""
        if is_opaque(statement, sql):
            return (Obstacle(Hindrance.RAW),)
        return obstacles_of(statement, self.find, self.wrapper)

    def raw_tables(self, sql: str) -> RawTables:
        """The tables of raw SQL, made on demand when they are models'. Raises sqlite3.OperationalError."""
        return self._asked(partial(tables_of, self.wrapper.session.workspace.sqlite), sql)

    def _asked(self, question: Callable[[str], Answer], sql: str) -> Answer:
        """What SQLite says of SQL, whose tables are made on demand when they are models'."""
        while True:
            try:
                return question(sql)
            except sqlite3.OperationalError as error:
                table = missing_table(error)
                if table is None or not self._made(table):
                    raise

    def _made(self, table: str) -> bool:
        """Make the scratch table that SQL names, be it in other capitals; False for one that is there, or unknown."""
        if self.wrapper.session.workspace.has_table(table):
            return False
        name = self.spelled(table) if self.find(table) is None else table
        if self.find(name) is None:
            return False
        self.ensure(name)
        return True

    def migrated_tables(self) -> list[str]:
        """The tables that have a schema object, those of the transaction under way included. One listing."""
        keys = self.wrapper.resources.keys
        return self._named_by(keys.schema_prefix(), keys.table_of_schema)

    def _named_by(self, prefix: str, name_of: Callable[[str], str | None]) -> list[str]:
        """The tables that have an object under ``prefix``, as the transaction under way has it. One listing."""
        keys = {listed.key for listed in self.wrapper.resources.store.list(prefix)}
        for pending in self.wrapper.session.workspace.pending(""):
            (keys.add if pending.body is not None else keys.discard)(pending.key)
        return [table for key in sorted(keys) if (table := name_of(key)) is not None]

    def tables_with_documents(self, tables: Iterable[str]) -> list[str]:
        """Those of ``tables`` that have objects, of documents or others. One listing of folders."""
        resources = self.wrapper.resources
        prefix = resources.keys.prefix()
        filled = {f"{prefix}{folder}/" for folder in resources.store.folders(prefix)}
        return [table for table in tables if resources.keys.table_prefix(table) in filled]

    def spelled(self, table: str) -> str:
        """The name of a table as it was made, since SQLite finds it in capitals too; two listings at most."""
        stands = self.wrapper.session.workspace.has_table(table)
        if stands or self.model_of(table) is not None or self.has_schema_object(table):
            return table
        known = (*self.wrapper.session.workspace.names("table"), *self._models, *self.migrated_tables())
        known += (*self.raw_tables_kept(),)
        return next((name for name in known if name.lower() == table.lower()), table)

    def raw_tables_kept(self) -> list[str]:
        """The raw tables whose SQL is kept, those of the transaction under way included. One listing."""
        keys = self.wrapper.resources.keys
        return self._named_by(keys.raw_table_prefix(), keys.name_of_raw_table)

    def has_schema_object(self, table: str) -> bool:
        """Whether a migration has made the table."""
        resources = self.wrapper.resources
        key = resources.keys.schema(table)
        pending = self.wrapper.session.workspace.pending_one(key)
        return pending.body is not None if pending is not None else resources.store.get(key) is not None

    def refuse_join_across(self, tables: Iterable[str]) -> None:
        """Raise ProgrammingError for a statement that reads a table which the routers keep in another database.

        Here it would look like an empty one. A statement about a model that itself is kept elsewhere knows better.
        """
        if len(connections.settings) == 1:
            return
        statement = self.wrapper.statement
        model = statement.model if statement is not None else None
        if model is not None:
            # Its own table needs no router, which is asked for every other one.
            own = None if model._meta.proxy else model._meta.db_table
            tables = [table for table in tables if table != own]
            if not tables or not self._is_here(model):
                return
        for table in tables:
            other = self.model_of(table)
            if other is not None and other is not model and not self._is_here(other):
                raise ProgrammingError(
                    f"{other._meta.label} is in the database {router.db_for_read(other)!r}, so a statement on "
                    f"{self.wrapper.alias!r} cannot read it. Query it there, and use what that gives, as in "
                    "filter(field__in=list(...)); use prefetch_related() in place of select_related()."
                )

    def _is_here(self, model: type[Model]) -> bool:
        return bool(router.allow_migrate_model(self.wrapper.alias, model))

    def target_of(self, key: ForeignKey) -> TableSchema | None:
        """The table to which a foreign key refers; None when that lies in another database, or nobody knows it."""
        model = self.model_of(key.target)
        if model is None or not self._is_here(model):
            return None
        schema = self.of_model(model)
        return schema if key.target_column in schema.by_name else None

    def referrers(self, table: str) -> list[tuple[TableSchema, ForeignKey]]:
        """The foreign keys to ``table`` of the models in this database, each with the table that has it."""
        statement = self.wrapper.statement
        model = statement.model if statement is not None else None
        self.registered(installed_apps if model is None else model._meta.apps, table)
        here = (each for each in self._models.values() if not each._meta.swapped and self._is_here(each))
        return [
            (schema, key) for schema in map(self.of_model, here) for key in schema.foreign_keys if key.target == table
        ]

    @contextmanager
    def seen_from(self, statement: Statement | None) -> Iterator[None]:
        """Find tables as ``statement`` does, whose models may be those of a migration that has gone on since."""
        anew = None if statement is None else replace(statement, models={}, schemas={})
        previous, self.wrapper.statement = self.wrapper.statement, anew
        try:
            yield
        finally:
            self.wrapper.statement = previous

    def define(self, model: type[Model], *, anew: bool = False) -> None:
        """Make the scratch table of a model that a migration is at work on, as SQLite would have it, unless one stands
        there; ``anew`` unless a migration has left it."""
        schema, workspace = self.of_model(model), self.wrapper.session.workspace
        if anew and not workspace.is_defined(schema.table):
            workspace.drop(schema.table)
        stands = workspace.has_table(schema.table)
        workspace.ensure(schema, None if stands else lambda: creation_sql(self.wrapper, model, indexed=True))


def _models_of(statement: Statement | None) -> Iterator[type[Model]]:
    """The models that a statement is about, its main one first, and mostly the only one that is looked at."""
    if statement is None:
        return
    if statement.model is not None:
        yield statement.model
    for scope in statement.scopes:
        if scope.query.model is not None and scope.query.model is not statement.model:
            yield scope.query.model


def _of_app_not_installed(table: str) -> type[Model] | None:
    """The model of a table whose app is not installed at the moment. Raw SQL may still name it, as in any database."""
    for models in installed_apps.all_models.values():
        for model in models.values():
            if model._meta.db_table == table:
                return model._meta.concrete_model
    return None


def _of_no_app(table: str) -> type[Model] | None:
    """The model of the table in which migrations are noted."""
    recorded = MigrationRecorder.Migration
    return recorded if recorded._meta.db_table == table else None


def _own_table(model: type[Model], table: str) -> type[Model] | None:
    """The model, or the parent or relation of it, that has this table though no registry lists it."""
    meta = model._meta
    candidates = [model, *meta.all_parents, *(field.related_model for field in meta.get_fields() if field.is_relation)]
    candidates += [field.remote_field.through for field in meta.local_many_to_many]
    for candidate in candidates:
        if isinstance(candidate, type) and candidate._meta.db_table == table:
            return candidate._meta.concrete_model
    return None


def index_sql(wrapper: DatabaseWrapper, model: type[Model]) -> list[str]:
    """The SQL that makes the indexes of a model, but for those of its unique constraints."""
    return list(map(str, wrapper.SchemaEditorClass(wrapper)._model_indexes_sql(model)))


def creation_sql(
    wrapper: DatabaseWrapper, model: type[Model], table: str | None = None, *, indexed: bool = False
) -> tuple[str, ...]:
    """The SQL that makes a model's scratch table and its unique indexes, as Django's own schema editor writes it.

    ``table`` is another name for it, before or after a migration renames it. ``indexed`` brings the other indexes too,
    which no query needs but who looks at the table.
    """
    editor = wrapper.SchemaEditorClass(wrapper)
    editor.deferred_sql = []
    sql, params = editor.table_sql(model)
    if params:
        sql %= tuple(editor.quote_value(param) for param in params)
    indexes = [*map(str, editor.deferred_sql), *index_sql(wrapper, model)]
    statements = (sql, *(each for each in indexes if indexed or each.startswith(_UNIQUE_INDEX)))
    if table is None:
        return statements
    return tuple(each.replace(quote(model._meta.db_table), quote(table), 1) for each in statements)
