"""The schema editor: SQLite's DDL on empty scratch tables, and steps in the tables' schema objects.

No migration rewrites a document. What a migration does to a table is noted as a step, and documents of older versions
are read through it (``storage.history``). Only a table that is dropped or renamed has its objects touched.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from django.db.backends.sqlite3.schema import DatabaseSchemaEditor as SQLiteSchemaEditor
from django.db.migrations.state import ModelState
from django.db.models import Field, Model, UniqueConstraint
from django.db.utils import IntegrityError, OperationalError

from django_smarterbase.backend.alterations import (
    Alteration,
    addition,
    alterations,
    is_retyped,
    may_break,
    model_since,
    reference_before,
    references_to,
    removal,
)
from django_smarterbase.backend.catalog import creation_sql
from django_smarterbase.backend.historical import HistoricalModels
from django_smarterbase.backend.modeltables import column_name, column_of, named, sqlite_value
from django_smarterbase.backend.refusals import refuse_missing_default, refuse_other_key, refuse_taken_name
from django_smarterbase.backend.tablewrites import delete_table, move_table, save_history
from django_smarterbase.backend.upkeep import delete_claims
from django_smarterbase.backend.verification import verify_documents
from django_smarterbase.storage.affinity import stored as value_as_stored
from django_smarterbase.storage.history import History
from django_smarterbase.storage.values import tag
from django_smarterbase.tables import Column, Value

if TYPE_CHECKING:
    from django_smarterbase.backend.base import DatabaseWrapper


class DatabaseSchemaEditor(SQLiteSchemaEditor):
    """Edits scratch tables and schema objects. SQL that a migration brings itself (RunSQL) runs over the documents."""

    connection: DatabaseWrapper
    _depth = 0
    _remaking = 0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._defined: set[str] = set()  # the tables that the operation under way is at work on
        self._historical = self.connection.historical or HistoricalModels(self.connection)

    @contextmanager
    def _structural(self, *models: type[Model]) -> Iterator[bool]:
        """Run DDL on empty scratch tables of ``models``; yields whether it concerns the documents too.

        It does not when Django's editor only goes through it to remake a scratch table.
        """
        outermost = self._depth == 0
        if outermost and not self.collect_sql:
            self.connection.session.empty()
        if not self.collect_sql and not self._remaking:
            for model in models:
                self.connection.catalog.define(model, anew=outermost)
                self._defined.add(model._meta.db_table)
        self._depth += 1
        self.connection.defining += 1
        try:
            yield not self._remaking and not self.collect_sql
            if outermost and not self.collect_sql:
                self._execute_deferred()
        finally:
            self._depth -= 1
            self.connection.defining -= 1
            if outermost and not self.collect_sql:
                self.connection.session.workspace.altered(self._defined)
                self._defined.clear()
                self.connection.catalog.forget()

    def _execute_deferred(self) -> None:
        """Make the indexes of new scratch tables at once: a migration that has left no SQL to the end is recorded in
        the transaction that carries it out, so that a process which dies leaves both or neither."""
        deferred, self.deferred_sql = self.deferred_sql, []
        for sql in deferred:
            self.execute(sql, None)

    def _remake_table(self, model: type[Model], *args: Any, **kwargs: Any) -> Any:
        with self._structural(model):
            self._remaking += 1
            try:
                return super()._remake_table(model, *args, **kwargs)
            finally:
                self._remaking -= 1

    def create_model(self, model: type[Model]) -> None:
        """Make the scratch table and the schema object. Documents that were there before are rows of the table.

        Raises OperationalError when a migration has made a table of this name already.
        """
        table = model._meta.db_table
        if not self._remaking and not self.collect_sql:
            if self.connection.catalog.has_schema_object(table):
                raise OperationalError(f'table "{table}" already exists')
            self.connection.session.workspace.drop(table)
        with self._structural() as concerns_documents:
            super().create_model(model)
            if concerns_documents:
                self._defined.add(table)
                save_history(self.connection, table, History())
                self._historical.note(model)

    def delete_model(self, model: type[Model], handle_autom2m: bool = True) -> None:
        """Drop the scratch table, and delete the documents, their packs, the schema object and the sequence."""
        table = model._meta.db_table
        with self._structural(model) as concerns_documents:
            super().delete_model(model, handle_autom2m)
            if concerns_documents:
                delete_table(self.connection, self.connection.schema_of_model(model))
                self.connection.session.workspace.drop(table)
                self._historical.note_end(table)

    def alter_db_table(self, model: type[Model], old_db_table: str, new_db_table: str) -> None:
        """Rename the scratch table, and move the documents to the new table's keys, all of them or none.

        Raises OperationalError when there is a table of the new name, or documents are.
        """
        renamed = old_db_table != new_db_table
        with self._structural() as concerns_documents:
            if concerns_documents and renamed:
                refuse_taken_name(self.connection, named(model, old_db_table, self.connection), new_db_table)
                self._make_under_old_name(model, old_db_table)
            super().alter_db_table(model, old_db_table, new_db_table)
            if concerns_documents and renamed:
                self._defined.add(new_db_table)
                old, new = (named(model, table, self.connection) for table in (old_db_table, new_db_table))
                move_table(self.connection, old, new)
                self._historical.note_end(old_db_table)
                self._historical.note(model)

    def _make_under_old_name(self, model: type[Model], table: str) -> None:
        workspace = self.connection.session.workspace
        if not workspace.is_defined(table):
            old = named(model, table, self.connection)
            workspace.ensure(old, lambda: creation_sql(self.connection, model, table, indexed=True))

    def add_field(self, model: type[Model], field: Field[Any, Any]) -> None:
        """Add the column; documents without it read the default that it has now.

        Raises IntegrityError when they can read none, or break a constraint of the field.
        """
        with self._structural(model) as concerns_documents:
            noted = concerns_documents and field.column and not field.many_to_many
            if noted and field.primary_key:
                refuse_other_key(self.connection, model, field)
            if noted:
                refuse_missing_default(self.connection, model, field, self.effective_default(field))
            super().add_field(model, field)
            if noted:
                default = None if field.generated else self._tagged_default(field)
                steps = [] if field.generated else [addition(self._column(field), default)]
                shared = field.unique and (field.generated or default is not None)
                self._note(model, steps, model_since(field) if shared else None)
                self._historical.note(model_since(field) or model)

    def remove_field(self, model: type[Model], field: Field[Any, Any]) -> None:
        """Drop the column; its attributes go when their documents are next written."""
        with self._structural(model) as concerns_documents:
            noted = concerns_documents and field.column and not field.many_to_many
            if noted and field.primary_key:
                refuse_other_key(self.connection, model, field)
            super().remove_field(model, field)
            if noted:
                self._note(model, [removal(column_name(field))])
                self._historical.note_removal(model, lambda state: state.fields.pop(field.name))

    def alter_field(
        self, model: type[Model], old_field: Field[Any, Any], new_field: Field[Any, Any], strict: bool = False
    ) -> None:
        """Alter the column; older documents are read by its old name and type.

        Raises IntegrityError and DataError when there are documents that the new field does not admit.
        """
        with self._structural(model) as concerns_documents:
            noted = concerns_documents and old_field.column and new_field.column
            if noted and old_field.primary_key != new_field.primary_key:
                refuse_other_key(self.connection, model, new_field)
            super().alter_field(model, old_field, new_field, strict)
            if noted:
                self._note_alteration(model, old_field, new_field)
                self._historical.note(model_since(new_field) or model)

    def _column(self, field: Field[Any, Any]) -> Column:
        return column_of(field, self.connection)

    def _note_alteration(self, model: type[Model], old_field: Field[Any, Any], new_field: Field[Any, Any]) -> None:
        """Note what becomes of a column, and of those of the foreign keys that hold its values."""
        old, new = self._column(old_field), self._column(new_field)
        default = self._tagged_default(new_field) if old.nullable and not new.nullable else None
        verified = model_since(new_field) if may_break(old_field, new_field, default, self.connection) else None
        steps = list(alterations(old, new, default))
        others: dict[type[Model], list[Alteration]] = {}
        if new_field.unique and is_retyped(old, new) and model_since(new_field) is not None:
            for key in references_to(new_field):
                before = reference_before(key, old_field, self.connection)
                own = key.model._meta.db_table == model._meta.db_table
                (steps if own else others.setdefault(key.model, [])).extend(
                    alterations(before, self._column(key), None)
                )
        self._note(model, steps, verified, new if is_retyped(old, new) else None)
        for other, its_steps in others.items():
            self._note(other, its_steps, other)

    def _note(
        self,
        model: type[Model],
        steps: Sequence[Alteration],
        verified: type[Model] | None = None,
        retyped: Column | None = None,
    ) -> None:
        """Add the steps to a table's schema object, after all documents have been seen to be sound for ``verified``,
        the model since, if it is given; ``retyped`` is a column that they may have no value for."""
        resources, table = self.connection.resources, model._meta.db_table
        before = history = resources.history(table)
        for change, column, details in steps:
            history = history.with_step(change, column, **details)
        resources.assume_history(table, history)
        try:
            if verified is not None:
                self._verify(verified, retyped)
        except BaseException:
            resources.assume_history(table, before)
            raise
        if steps:
            save_history(self.connection, table, history)

    def _alter_many_to_many(self, model: type[Model], old_field: Any, new_field: Any, strict: bool) -> None:
        old, new = old_field.remote_field.through, new_field.remote_field.through
        if old._meta.db_table == new._meta.db_table:
            super()._alter_many_to_many(model, old_field, new_field, strict)
            if not self.collect_sql:
                for name in ("m2m_reverse_field_name", "m2m_field_name"):
                    ends = (f.remote_field.through._meta.get_field(getattr(f, name)()) for f in (old_field, new_field))
                    self._note_alteration(old, *ends)
            return
        depth, self._depth, self.connection.defining = self._depth, 0, 0
        try:
            super()._alter_many_to_many(model, old_field, new_field, strict)
        finally:
            self._depth = self.connection.defining = depth

    def alter_unique_together(self, model: type[Model], old_unique_together: Any, new_unique_together: Any) -> None:
        """Check the documents against what is new. Raises IntegrityError for one that does not meet it."""
        stands = self._stands(model)
        with self._structural(model) as concerns_documents:
            if self.collect_sql or stands:
                super().alter_unique_together(model, old_unique_together, new_unique_together)
            before, after = ({tuple(names) for names in each} for each in (old_unique_together, new_unique_together))
            if concerns_documents and after - before:
                self._verify(model)
            if concerns_documents:
                self._historical.note(model)

    def add_index(self, model: type[Model], index: Any) -> None:
        """Nothing to do for the documents: the Redis index follows with the next ``sb_reindex``."""
        with self._structural(model):
            if self.collect_sql or not self._has_index(index.name):
                super().add_index(model, index)

    def remove_index(self, model: type[Model], index: Any) -> None:
        """Nothing to do for the documents."""
        with self._structural(model):
            if self.collect_sql or self._has_index(index.name):
                super().remove_index(model, index)

    def rename_index(self, model: type[Model], old_index: Any, new_index: Any) -> None:
        """Nothing to do for the documents: the Redis index of the new name follows with the next ``sb_reindex``."""
        with self._structural(model):
            super().rename_index(model, old_index, new_index)

    def add_constraint(self, model: type[Model], constraint: Any) -> None:
        """Check the documents against it. Raises IntegrityError for one that does not meet it."""
        with self._structural(model) as concerns_documents:
            if self.collect_sql or not self._has_index(constraint.name):
                super().add_constraint(model, constraint)
            if concerns_documents:
                self._verify(model)
                self._historical.note(model)

    def remove_constraint(self, model: type[Model], constraint: Any) -> None:
        """Delete the claims that documents have by it; otherwise nothing to do for them."""
        stands = self._stands(model)
        with self._structural(model) as concerns_documents:
            if self.collect_sql or stands:
                super().remove_constraint(model, constraint)
            if concerns_documents:
                self._historical.note_removal(model, partial(_remove_constraint, constraint.name))
            if concerns_documents and isinstance(constraint, UniqueConstraint):
                delete = partial(delete_claims, self.connection.resources, model._meta.db_table, constraint.name)
                self.connection.on_commit(delete)

    def _stands(self, model: type[Model]) -> bool:
        """Whether the scratch table is as an earlier operation left it; otherwise it is made of the model since."""
        return self.connection.session.workspace.is_defined(model._meta.db_table)

    def _has_index(self, name: str) -> bool:
        """Whether the scratch table, made from the model since, has the index or unique constraint already."""
        sqlite = self.connection.session.workspace.sqlite
        found = sqlite.execute("SELECT 1 FROM sqlite_master WHERE type = 'index' AND name = ?", (name,))
        return found.fetchone() is not None

    def _verify(self, model: type[Model], retyped: Column | None = None) -> None:
        session = self.connection.session
        session.empty()
        session.workspace.altered()
        try:
            book = verify_documents(self.connection, model, retyped)
        finally:
            session.workspace.altered()
        if session.in_transaction:
            session.migration_claims.add(book)

    def __enter__(self) -> DatabaseSchemaEditor:
        entered: DatabaseSchemaEditor = super().__enter__()
        self.connection.editors += 1
        if self.connection.historical is None:
            self.connection.historical = self._historical
        return entered

    def __exit__(self, exc_type: Any, exc_value: Any, traceback: Any) -> None:
        if exc_type is None and self.connection.in_atomic_block:
            try:
                # Those of what the migration itself has written. COMMIT does not, as checks are off.
                self.connection.enable_constraint_checking()
                self.connection.check_constraints()
            except IntegrityError as error:
                self._leave(type(error), error, error.__traceback__)
                raise
        self._leave(exc_type, exc_value, traceback)

    def _leave(self, exc_type: Any, exc_value: Any, traceback: Any) -> None:
        self.connection.editors -= 1
        if not self.connection.editors:
            self.connection.historical = None
        self.connection.defining += 1
        try:
            super().__exit__(exc_type, exc_value, traceback)
        finally:
            self.connection.defining -= 1

    def _tagged_default(self, field: Field[Any, Any]) -> Any:
        value: Value
        if field.has_db_default():
            sql, params = self.db_default_sql(field)
            sqlite = self.connection.session.workspace.sqlite
            value = sqlite.execute(f"SELECT {sql}".replace("%s", "?"), params).fetchone()[0]
        else:
            value = sqlite_value(self.effective_default(field))
        value = value_as_stored(self._column(field).affinity, value)
        return None if value is None else tag(value)


def _remove_constraint(name: str, state: ModelState) -> None:
    state.options["constraints"] = [each for each in state.options["constraints"] if each.name != name]
