"""The engine: ``DATABASES[alias]["ENGINE"] = "django_smarterbase.backend"``."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final
from weakref import WeakSet

from django.core.exceptions import ImproperlyConfigured
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.sqlite3 import base as sqlite_base
from django.db.backends.utils import debug_transaction
from django.db.models import Field, Model
from django.db.transaction import TransactionManagementError
from django.db.utils import DatabaseError, NotSupportedError
from django.utils.asyncio import async_unsafe

from django_smarterbase.backend.catalog import Catalog
from django_smarterbase.backend.client import DatabaseClient
from django_smarterbase.backend.creation import DatabaseCreation
from django_smarterbase.backend.cursor import WorkspaceCursor
from django_smarterbase.backend.features import DatabaseFeatures
from django_smarterbase.backend.historical import HistoricalModels
from django_smarterbase.backend.index_counts import index_counts
from django_smarterbase.backend.introspection import DatabaseIntrospection
from django_smarterbase.backend.operations import DatabaseOperations
from django_smarterbase.backend.recording import FollowingRows
from django_smarterbase.backend.requests import Execution, Request
from django_smarterbase.backend.resources import Resources, resources_for
from django_smarterbase.backend.retrying import again_after_conflicts
from django_smarterbase.backend.schema import DatabaseSchemaEditor
from django_smarterbase.backend.session import Session
from django_smarterbase.backend.statements import StatementRunner, commit_recorded
from django_smarterbase.backend.table_references import verify_tables
from django_smarterbase.backend.workspace import Workspace
from django_smarterbase.exceptions import TenantInTransaction
from django_smarterbase.planner.obstacles import Obstacle
from django_smarterbase.planner.plan import QueryPlan
from django_smarterbase.planner.scopes import Statement
from django_smarterbase.tables import TableSchema
from django_smarterbase.tenancy import tenant_of


class DatabaseWrapper(sqlite_base.DatabaseWrapper):
    """A connection: a private in-memory SQLite as workspace, over the documents of one database.

    ``statement`` and ``request`` are those of the ORM statement that is being compiled and run; None for raw SQL.
    ``defining`` is above 0 while a schema editor works on scratch tables, whose SQL concerns no documents.
    ``editors`` is how many schema editors are open: above 0 within a migration, whose models are the ``historical``.
    ``constraints_disabled`` says that foreign keys are not verified, though the option may be on.
    """

    display_name = "smarterbase"
    SchemaEditorClass = DatabaseSchemaEditor
    client_class = DatabaseClient  # type: ignore[assignment]
    creation_class = DatabaseCreation
    features_class = DatabaseFeatures
    introspection_class = DatabaseIntrospection
    #: Do a transaction again as long as others are faster; managers ask for it.
    again_after_conflicts = staticmethod(again_after_conflicts)
    ops_class = DatabaseOperations

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.statement: Statement | None = None
        self.request: Request | None = None
        self.defining = 0
        self.editors = 0
        self.historical: HistoricalModels | None = None
        self.constraints_disabled = False
        self.catalog = Catalog(self)
        self._session: Session | None = None
        self._opened_by = 0  # the process that opened the connection last

    @property
    def resources(self) -> Resources:
        """The store, indexes and sequences that this process shares, of the tenant for which this context works.

        Raises ImproperlyConfigured.
        """
        tenant, session = tenant_of(self.alias), self._session
        if session is not None and session.resources.tenant == tenant:
            return session.resources  # also when those of many other tenants have taken its place in the process
        return resources_for(self.alias, self.settings_dict, tenant)

    @property
    def session(self) -> Session:
        """The session of the open connection, which is opened when there is none, for the tenant for which this context
        works. Raises TenantInTransaction."""
        if self.connection is None:
            self.ensure_connection()
        if self._session is None:
            raise ImproperlyConfigured("A smarterbase connection is opened by Django, not by hand.")
        if self._session.resources.tenant != tenant_of(self.alias):
            self.refuse_other_tenant(tenant_of(self.alias))
            self.catalog.forget_raw_tables(self._session.workspace)
            self._begin_session(self._session.workspace)
        return self._session

    def _begin_session(self, workspace: Workspace) -> None:
        """Go on for the tenant for which this context works, and look for transactions that a dead process has left
        there: at most one listing in ``write_deadline`` for all connections of this process."""
        self._session = Session(self, self.resources, workspace)
        self._session.look_for_abandoned_transactions()

    def refuse_other_tenant(self, tenant: str | None) -> None:
        """Raise TenantInTransaction if a transaction is open that belongs to another tenant than this."""
        session = self._session
        if session is None or not session.in_transaction or session.resources.tenant == tenant:
            return
        raise TenantInTransaction(
            f"The open transaction on database {self.alias!r} belongs to {_called(session.resources.tenant)}, and "
            f"was to go on for {_called(tenant)}. It has one tenant only: open atomic() within the block of tenant()."
        )

    def ensure_connection(self) -> None:
        """Open a connection when there is none. Raises TransactionManagementError in a transaction of the process from
        which this one was forked."""
        if self.connection is None and self.in_atomic_block and self._opened_by != os.getpid():
            raise TransactionManagementError(
                f"This transaction was begun by the process {self._opened_by}, which alone goes on with it; this "
                f"process ({os.getpid()}) was forked in the middle of it. Fork before the atomic block, or leave the "
                "block before you use the database in the child."
            )
        super().ensure_connection()

    def get_connection_params(self) -> dict[str, Any]:
        """Parameters for sqlite3: always a database in memory. Raises ImproperlyConfigured without a NAME."""
        if not self.settings_dict["NAME"]:
            raise ImproperlyConfigured(
                f"DATABASES[{self.alias!r}] has no NAME. It is the prefix of every object key: give it a short name."
            )
        self.transaction_mode = None
        self.init_commands: list[str] = []
        return {
            "database": ":memory:",
            "detect_types": sqlite3.PARSE_DECLTYPES | sqlite3.PARSE_COLNAMES,
            "check_same_thread": False,
            "cached_statements": 512,
        }

    @async_unsafe
    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """Open a workspace and a session. Redis is not asked."""
        sqlite = super().get_new_connection(conn_params)
        sqlite.execute("PRAGMA foreign_keys = OFF")
        sqlite.execute("PRAGMA secure_delete = OFF")  # on in some builds; the memory of rows is no secret here
        sqlite.execute("PRAGMA recursive_triggers = ON")
        self._opened_by = os.getpid()
        _open.add(self)
        self._session = Session(self, self.resources, Workspace(sqlite))
        return sqlite

    @async_unsafe
    def connect(self) -> None:
        """Open the connection, and look for transactions that dead processes have left: what they wrote may be in
        tables that only an open connection can find."""
        super().connect()
        if self._session is not None:
            self._session.look_for_abandoned_transactions()

    def prepare_database(self) -> None:
        """Before ``migrate`` looks at anything: return when the transactions under way are decided, among them that of
        a migration whose process died. ``write_deadline`` at most after each has been silent; one listing if none is.
        """
        super().prepare_database()
        self.session.recovery.await_all(self.catalog.find)
        self.resources.forget_histories()

    def check_database_version_supported(self) -> None:
        """Raise NotSupportedError when Python brings a SQLite that is too old to be the workspace."""
        found, oldest = self.get_database_version(), self.features.minimum_database_version
        if oldest is not None and found < oldest:
            wanted, has = (".".join(map(str, version)) for version in (oldest, found))
            raise NotSupportedError(f"SQLite {wanted} or later is required (found {has}).")

    def is_usable(self) -> bool:
        """Whether the workspace is open. The store and Redis are not asked."""
        try:
            self.connection.execute("SELECT 1")
        except sqlite3.ProgrammingError:
            return False
        return True

    def create_cursor(self, name: str | None = None) -> Any:
        """A cursor on the workspace."""
        return WorkspaceCursor(self.connection, wrapper=self)

    def run_statement(
        self, cursor: WorkspaceCursor, query: str, params: Any, execution: Execution
    ) -> FollowingRows | None:
        """Run what a cursor was given; the ORM has announced its request, raw SQL is looked into. Returns the rows that
        follow those of ``execution``, if they are read as they are asked for."""
        return StatementRunner(self, self.session, cursor, execution).run(query, params)

    def plan(self, sql: str, params: Sequence[Any]) -> QueryPlan:
        """The plan of the statement that has just been compiled to ``sql`` and its parameters."""
        return self.catalog.plan(self.statement or Statement(), sql, params)

    def plan_afresh(self, sql: str) -> QueryPlan:
        """The plan of the statement that has just been compiled to ``sql``, without a template."""
        return self.catalog.plan_afresh(sql, self.statement or Statement())

    @contextmanager
    def unnoted(self) -> Iterator[None]:
        """Note nothing of what is compiled within the block: it is no part of the statement under way."""
        statement, self.statement = self.statement, None
        try:
            yield
        finally:
            self.statement = statement

    def obstacles(self, sql: str) -> tuple[Obstacle, ...]:
        """Why the statement that has just been compiled to ``sql`` scans, if it does."""
        return self.catalog.obstacles(self.statement or Statement(), sql)

    def schema_of_model(self, model: type[Model]) -> TableSchema:
        """The table of a model."""
        return self.catalog.of_model(model)

    def table_schema(self, table: str) -> TableSchema:
        """The table of this name, as the statement under way sees it. Raises ProgrammingError when there is none."""
        return self.catalog.of_table(table)

    def ensure_table(self, table: str, *, armed: bool = False) -> None:
        """Make the scratch table, with triggers when the statement is going to write it."""
        self.catalog.ensure(table, armed=armed)

    def index_counts(self, model: type[Model], field: Field[Any, Any]) -> dict[Any, int]:
        """``{value: documents}`` of an indexed field. See ``SmarterBaseQuerySet.index_counts``."""
        return index_counts(self, model, field)

    def disable_constraint_checking(self) -> bool:
        """Verify no foreign keys until ``enable_constraint_checking``. Returns True, without which SQLite's schema
        editor refuses to work."""
        self.constraints_disabled = True
        return True

    def enable_constraint_checking(self) -> None:
        """Verify foreign keys again, if the option ``check_foreign_keys`` is on."""
        self.constraints_disabled = False

    def check_constraints(self, table_names: Sequence[str] | None = None) -> None:
        """Verify the foreign keys of these tables, reading all of their rows, with the option ``check_foreign_keys``.

        Without names: of all tables, or, in a transaction, those that it has changed. Raises IntegrityError.
        """
        if self.defining or not self.features.supports_foreign_keys:
            return
        if table_names is not None:
            verify_tables(self, table_names)
        elif self.session.in_transaction:
            self.session.verify_pending()
        else:
            verify_tables(self, self.introspection.django_table_names())

    def is_in_memory_db(self) -> bool:
        """False: what counts is in the storage, and a connection may be closed at any time."""
        return False

    def _set_autocommit(self, autocommit: bool) -> None:
        if not autocommit:
            self.session  # noqa: B018 - the transaction that begins belongs to the tenant of now
        super()._set_autocommit(autocommit)

    def _commit(self) -> None:
        if self.connection is None or self._session is None:
            return
        try:
            with debug_transaction(self, "COMMIT"), self.wrap_database_errors:
                commit_recorded(self.alias, self._session)
                self.connection.commit()
        except DatabaseError:
            raise
        except BaseException:
            # Django rolls back after a DatabaseError only. What is pending here must not outlive its transaction, be it
            # ended by Ctrl-C, as later statements would see it.
            self.rollback()
            raise

    def _rollback(self) -> None:
        if self.connection is not None and self._session is not None:
            super()._rollback()
            self._session.rolled_back()

    def _savepoint_rollback(self, sid: str) -> None:
        super()._savepoint_rollback(sid)
        if self._session is not None:
            self._session.rolled_back_to_savepoint()

    @async_unsafe
    def close(self) -> None:
        """Close the workspace; stored documents are not concerned."""
        BaseDatabaseWrapper.close(self)

    def _close(self) -> None:
        super()._close()
        if self._session is not None:
            self._session.release_locks()
            self._session = None

    def leave(self) -> None:
        """In a forked child: what was open is the parent's, its transaction and its locks too, and is not touched.

        The next statement opens a connection; in a block that was open at the fork it is an error.
        """
        if self.connection is not None:
            _of_parent.append(self.connection)
        self._session = self.connection = None
        self.run_on_commit = []
        self.closed_in_transaction = self.needs_rollback = self.in_atomic_block


def _called(tenant: str | None) -> str:
    return "no tenant" if tenant is None else f"the tenant {tenant!r}"


_open: Final[WeakSet[DatabaseWrapper]] = WeakSet()
_of_parent: Final[list[sqlite3.Connection]] = []


def _forked() -> None:
    """A child may neither use nor close a connection of its parent: https://www.sqlite.org/howtocorrupt.html, 2.6."""
    for wrapper in list(_open):
        wrapper.leave()


os.register_at_fork(after_in_child=_forked)
