"""Raw DDL: what a CREATE, ALTER or DROP that comes as SQL does to documents; or why it is refused.

SQLite's schema is the workspace's, in which no rows stand between statements, and which ends with the connection. What
SQL changes there does not last: so it is carried out on the documents, or refused.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from django.db.transaction import atomic
from django.db.utils import NotSupportedError, OperationalError

from django_smarterbase.backend.definitions import Act, Definition, definition_of
from django_smarterbase.backend.modeltables import named
from django_smarterbase.backend.rawtables import (
    bring_raw_tables,
    forget_raw_table,
    is_raw_table,
    keep_raw_table,
    restore_raw_table,
    table_of_index,
)
from django_smarterbase.backend.refusals import first_document, refuse_taken_name
from django_smarterbase.backend.requests import Execution
from django_smarterbase.backend.tablewrites import delete_table, move_table, save_history
from django_smarterbase.backend.upkeep import delete_documents
from django_smarterbase.backend.verification import verify_unique_index
from django_smarterbase.backend.workspace import PREFIX
from django_smarterbase.tables import TableSchema

if TYPE_CHECKING:
    from django_smarterbase.backend.base import DatabaseWrapper

_COLUMNS: Final = frozenset((Act.ADD_COLUMN, Act.RENAME_COLUMN, Act.DROP_COLUMN))
_INDEXES: Final = frozenset((Act.CREATE_INDEX, Act.CREATE_UNIQUE_INDEX, Act.DROP_INDEX))
#: What a migration has in place of SQL about the table of a model.
_OPERATIONS: Final = {
    Act.ADD_COLUMN: "AddField",
    Act.RENAME_COLUMN: "RenameField",
    Act.DROP_COLUMN: "RemoveField",
    Act.CREATE_UNIQUE_INDEX: "AddConstraint with a UniqueConstraint",
}


def define(wrapper: DatabaseWrapper, sql: str, execution: Execution) -> None:
    """Carry out raw DDL. Raises NotSupportedError, naming the table and the remedy, for what no document would follow;
    nothing has changed then."""
    found = definition_of(sql)
    if found is None or (found.temporary and found.act in (_COLUMNS | {Act.RENAME_TABLE, Act.DROP_TABLE})):
        execution.execute()
        return
    _refuse_what_is_the_engines(found)
    _refuse_what_is_the_connections(found)
    if found.act is Act.CREATE_VIEW:
        execution.execute()
        return
    if found.act in _INDEXES:
        bring_raw_tables(wrapper)  # no two of them have an index of one name
    if found.act is Act.DROP_INDEX:
        _drop_index(wrapper, found.index, execution)
        return
    RawDefinition(wrapper, replace(found, table=wrapper.catalog.spelled(found.table)), execution).run()


def _drop_index(wrapper: DatabaseWrapper, index: str, execution: Execution) -> None:
    """Drop the index of a raw table. That of a model's table may have been another connection's."""
    table = table_of_index(wrapper.session.workspace, index)
    if table is None and wrapper.editors:
        return
    execution.execute()
    if table is not None:
        keep_raw_table(wrapper, table)


def _refuse_what_is_the_engines(found: Definition) -> None:
    for name in (found.table, found.new_name):
        if name.lower().startswith(PREFIX):
            raise NotSupportedError(
                f"{name!r} is no name for raw SQL to define, since names that begin with {PREFIX!r} are the engine's "
                "own. Nothing was changed. Choose another one."
            )


def _refuse_what_is_the_connections(found: Definition) -> None:
    if found.act is Act.CREATE_TRIGGER:
        raise NotSupportedError(
            f"{found.table!r} can have no trigger: it would be this connection's alone, and fire whenever documents "
            "are loaded. Nothing was changed. Use Django's signals (pre_save, post_save, post_delete) or override "
            "save() for what is to happen with each write, and db_default or GeneratedField for values."
        )
    if found.act is Act.CREATE_TABLE and found.temporary:
        raise NotSupportedError(
            f"{found.table!r} cannot be a temporary table: a connection serves one request after another, of other "
            "tenants too. Nothing was changed. Use a common table expression (WITH ... AS), or make a table with "
            "CREATE TABLE and drop it afterwards."
        )
    if found.copies:
        raise NotSupportedError(
            f"CREATE TABLE {found.table} AS SELECT would copy no documents. Nothing was changed. Create the table with "
            "its columns, then use INSERT INTO ... SELECT."
        )


class RawDefinition:
    """One statement of raw DDL about a table, under the name that it has."""

    def __init__(self, wrapper: DatabaseWrapper, found: Definition, execution: Execution) -> None:
        self._wrapper = wrapper
        self._found = found
        self._execution = execution
        self._catalog = wrapper.catalog
        self._table = found.table
        self._workspace = wrapper.session.workspace

    def run(self) -> None:
        """All steps."""
        self._refuse_columns()
        if self._found.act is Act.DROP_TABLE:
            self._drop()
        elif self._found.act is Act.RENAME_TABLE:
            self._rename()
        else:
            self._bring()
            if self._found.act is Act.CREATE_UNIQUE_INDEX:
                self._verify_unique()
            if not self._is_index_of_model():
                self._execution.execute()
            keep_raw_table(self._wrapper, self._table)

    def _bring(self) -> None:
        """Make the scratch table if there is such a table, since SQLite goes by it; none that a migration left."""
        if self._workspace.is_defined(self._table):
            return
        if self._is_made_by_migrations() and self._catalog.model_of(self._table) is not None:
            self._wrapper.ensure_table(self._table)
        elif not self._workspace.has_table(self._table):
            restore_raw_table(self._wrapper, self._table)

    def _verify_unique(self) -> None:
        """Check the documents first, as SQLite looks at the rows. Raises IntegrityError, as it does."""
        schema, session = self._catalog.find(self._table), self._wrapper.session
        if schema is None or not self._workspace.has_table(self._table):
            return  # SQLite says that there is none
        self._wrapper.ensure_table(self._table)
        session.empty()
        book = verify_unique_index(self._wrapper, schema, self._execution.execute)
        if session.in_transaction:
            session.migration_claims.add(book)

    def _is_index_of_model(self) -> bool:
        """Whether the scratch table has the index of a migration already: made of the model, as that has become."""
        made_of_model = self._wrapper.editors and self._catalog.model_of(self._table) is not None
        return bool(made_of_model) and table_of_index(self._workspace, self._found.index) == self._table

    def _is_made_by_migrations(self) -> bool:
        return self._catalog.has_schema_object(self._table)

    def _exists(self) -> bool:
        """Whether there is such a table, be it without a document and in no workspace."""
        return (
            self._catalog.model_of(self._table) is not None
            or self._is_made_by_migrations()
            or is_raw_table(self._wrapper, self._table)
        )

    def _refuse_columns(self) -> None:
        act, model = self._found.act, self._catalog.model_of(self._table)
        if act is Act.CREATE_UNIQUE_INDEX and self._wrapper.editors:
            return  # what the documents do not admit is found instead
        if act in _OPERATIONS and (model is not None or self._is_made_by_migrations()):
            owner = f"its model, {model._meta.label}" if model is not None else "a model"
            raise NotSupportedError(
                f"{act.value} on the table {self._table!r} would change no document: its columns and constraints are "
                f"those of {owner}. Nothing was changed. In a migration use {_OPERATIONS[act]} of django.db.migrations "
                "in place of the SQL, and of its state_operations."
            )
        if act in (Act.RENAME_COLUMN, Act.DROP_COLUMN) and (document := self._first_document()) is not None:
            raise NotSupportedError(
                f"{act.value} on the table {self._table!r} would change no document (such as {document!r}). Nothing "
                "was changed. Make another table with the columns that you want, INSERT INTO it ... SELECT, DROP TABLE "
                "this one, and ALTER TABLE the other one RENAME TO its name."
            )

    def _first_document(self) -> str | None:
        return first_document(self._wrapper, self._bare(self._table))

    @staticmethod
    def _bare(table: str) -> TableSchema:
        """A table of which only the name is known."""
        return TableSchema(table, table, (), ("id",))

    def _drop(self) -> None:
        """Delete what the table has, in the transaction if there is one."""
        wrapper, table = self._wrapper, self._table
        exists, known = self._exists(), self._catalog.find(table)  # while it is there
        if self._workspace.has_table(table) or not exists:
            self._execution.execute()
        if not exists:
            return
        self._workspace.drop(table)
        schema = known or self._bare(table)
        if wrapper.session.in_transaction:
            wrapper.session.empty()
            delete_table(wrapper, schema)
        else:
            delete_documents(wrapper.resources, schema)
            wrapper.resources.sequences.reset(table)
            save_history(wrapper, table, None)
        forget_raw_table(wrapper, table)

    def _rename(self) -> None:
        """Move the documents, as AlterModelTable does."""
        if not self._exists():
            self._execution.execute()  # SQLite says that there is none
            return
        old, new = self._schema(self._table, self._found.new_name), self._schema(self._found.new_name, self._table)
        self._refuse_unknown_name(new)
        refuse_taken_name(self._wrapper, old, new.table)
        if is_raw_table(self._wrapper, new.table):
            raise OperationalError(f"there is already another table or index with this name: {new.table}")
        with atomic(self._wrapper.alias):
            self._wrapper.session.empty()
            self._workspace.drop(old.table)
            if is_raw_table(self._wrapper, old.table):
                restore_raw_table(self._wrapper, old.table)
                self._execution.execute()
                keep_raw_table(self._wrapper, new.table)
                forget_raw_table(self._wrapper, old.table)
            move_table(self._wrapper, old, new)

    def _schema(self, table: str, other: str) -> TableSchema:
        """The table under one of its two names: as a model of it has it, or else as it stands."""
        model = self._catalog.model_of(table) or self._catalog.model_of(other)
        if model is not None:
            return named(model, table, self._wrapper)
        known = self._catalog.find(table) or self._catalog.find(other)
        return self._bare(table) if known is None else replace(known, table=table, label=table)

    def _refuse_unknown_name(self, new: TableSchema) -> None:
        """A migration may know of a name that no model has any more; whoever else renames a table would lose it."""
        model = self._catalog.model_of(self._table)
        if model is None or self._wrapper.editors or self._catalog.model_of(new.table) is not None:
            return
        raise NotSupportedError(
            f"The table {self._table!r} cannot be renamed to {new.table!r}: it is that of {model._meta.label}, which "
            f"would be without rows, and no model has the new name. Nothing was changed. Set db_table to {new.table!r} "
            "in the model's Meta, and let makemigrations and migrate do it."
        )
