"""A connection's session: runs one statement after another over a workspace that is loaded for each.

Autocommit: load, run, note what changed, empty the workspace, write; when another writer was faster, all of it again.
Inside a transaction: the changes stay pending in the workspace and are written at COMMIT.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Final

from django.db.migrations.recorder import MigrationRecorder

from django_smarterbase.backend.account import Account
from django_smarterbase.backend.admission import Contradiction
from django_smarterbase.backend.changes import ChangeReader
from django_smarterbase.backend.claims import ClaimTaken
from django_smarterbase.backend.commit_errors import commit_error, outrun
from django_smarterbase.backend.coursing import load_or_answer
from django_smarterbase.backend.document_writes import DocumentWrite, WriteFailed, moves_values
from django_smarterbase.backend.index_rows import IndexRows, IndexRowsFinder
from django_smarterbase.backend.intents import commit_whole
from django_smarterbase.backend.loader import Loader
from django_smarterbase.backend.locked_run import lock_rows
from django_smarterbase.backend.locking import TransactionLocks
from django_smarterbase.backend.migration_claims import MigrationClaims
from django_smarterbase.backend.numbers import Numbering, make_way, raise_sequences
from django_smarterbase.backend.proposals import proposals_of
from django_smarterbase.backend.recovery import TransactionUndecided, recovery_of
from django_smarterbase.backend.references import verify_references
from django_smarterbase.backend.requests import Execution, Request
from django_smarterbase.backend.retrying import MAX_ATTEMPTS, pause
from django_smarterbase.backend.rivals import Rivals
from django_smarterbase.backend.sieve import prepare_sieve
from django_smarterbase.backend.snapshot import Snapshot
from django_smarterbase.backend.unit_of_work import IntentLog, UnitOfWork, is_announced_first
from django_smarterbase.backend.workspace import Workspace
from django_smarterbase.exceptions import ConflictError
from django_smarterbase.planner.scopes import Statement
from django_smarterbase.signals import send, statement_retried
from django_smarterbase.storage.history import History
from django_smarterbase.tables import TableSchema

if TYPE_CHECKING:
    from django_smarterbase.backend.base import DatabaseWrapper
    from django_smarterbase.backend.resources import Resources

_SAVEPOINT: Final = "_sb_statement"


class Session:
    """The statements of one connection for one tenant, or for none. Not thread-safe, as a connection is not.

    One that goes on for another tenant takes over the workspace, which is empty outside of a transaction.
    """

    def __init__(self, wrapper: DatabaseWrapper, resources: Resources, workspace: Workspace) -> None:
        self.wrapper = wrapper
        self.resources = resources
        self.workspace = workspace
        self.index_rows = IndexRowsFinder(workspace)
        self.unit = UnitOfWork(resources, lambda: self.locks.keep(), self._await_transactions)
        self.recovery = recovery_of(resources)
        self.migrating: set[str] = set()
        self.migration_claims = MigrationClaims(workspace)
        self.account = Account()  # of the last attempt at the last statement, whether it went well or not
        self.locks = self._no_locks()
        self.written_by: Statement | None = None  # the last one that wrote, whose models tell of foreign keys
        self._transaction: Snapshot | None = None

    @property
    def in_transaction(self) -> bool:
        """Whether statements wait for a COMMIT."""
        return not self.wrapper.autocommit

    def _no_locks(self) -> TransactionLocks:
        return TransactionLocks(self.resources, self.wrapper.table_schema)

    def await_decision(self, ids: Iterable[str], since: float = math.inf) -> set[str]:
        """Return when these transactions of other connections are decided, so that nothing is built on sand. As
        ``Recovery.await_decision``."""
        return self.recovery.await_decision(ids, self.wrapper.catalog.find, since=since)

    def _await_transactions(self, own: IntentLog | None) -> None:
        self.recovery.await_all(self.wrapper.catalog.find, but=own.key if own is not None else None)

    def snapshot(self) -> Snapshot:
        """What the transaction has read, to which whoever reads more must add; a fresh one outside of any."""
        if not self.in_transaction:
            return Snapshot()
        if self._transaction is None:
            self._transaction = Snapshot()
        return self._transaction

    @property
    def reloads(self) -> bool:
        """Whether the workspace is emptied after every statement of a transaction too (conformance runs)."""
        return os.environ.get("SMARTERBASE_RELOAD") == "1"

    def run(self, request: Request, execution: Execution) -> None:
        """Run a statement. Raises what SQLite and Django raise, and the errors of this package."""
        self.account = Account()
        for table in dict.fromkeys((*request.plan.tables, *request.written)):
            self.wrapper.ensure_table(table, armed=table in request.written)
        if self.in_transaction:
            self._run_pending(request, execution)
        else:
            if self.recovery.waiting:
                self.look_for_abandoned_transactions()
            self._run_autocommit(request, execution)

    def look_for_abandoned_transactions(self) -> None:
        """Look when it is time to."""
        self.recovery.consider(self.wrapper.catalog.find)

    def _run_autocommit(self, request: Request, execution: Execution) -> None:
        prepare_sieve(self.workspace, request, self.wrapper.table_schema)
        failure: WriteFailed | None = None
        in_pieces = True
        standing: set[str] = set()  # keys that an attempt has changed for good: another one must not do it again
        for attempt in range(1, MAX_ATTEMPTS + 1):
            snapshot = Snapshot()
            writes = self._attempt_alone(request, execution, snapshot, attempt, in_pieces=in_pieces)
            if writes == []:
                return  # it has only read, or found nothing to change
            if writes is None:
                in_pieces = False  # what contradicts itself is judged by one who remembers all of it
            else:
                writes = [write for write in writes if write.key not in standing]
                self.await_decision(write.built_on for write in writes if write.built_on is not None)
                raise_sequences(self.resources, snapshot, writes)
                self.written_by = self.wrapper.statement
                verify_references(self, writes)
                failure = self.apply(writes)
                if failure is None:
                    return
                standing |= failure.standing
                if attempt < MAX_ATTEMPTS:
                    make_way(self.resources, snapshot, failure.write)
            if attempt < MAX_ATTEMPTS:
                send(
                    statement_retried,
                    Session,
                    database=self.wrapper.alias,
                    operation=request.operation,
                    model=request.model,
                    attempt=attempt,
                )
                pause(attempt)
                self.account = Account()
        if failure is not None and isinstance(failure.error, ClaimTaken):
            raise commit_error(failure) from failure
        raise outrun(request.model, MAX_ATTEMPTS, standing)

    def apply(self, writes: list[DocumentWrite]) -> WriteFailed | None:
        """Apply writes in autocommit, all or none; returns the failure when another writer was faster. Locks are waited
        for before anything is done that others wait for: as a single batch is announced, at no cost, or apart.

        What moves unique values is a transaction to others: a part of it would leave two documents with one value.
        """
        if is_announced_first(writes):
            return self._commit(writes, owner="")
        try:
            self.locks.reserve(writes)
            return self._commit(writes, whole=moves_values(writes))
        finally:
            self.release_locks()

    def _attempt_alone(
        self, request: Request, execution: Execution, snapshot: Snapshot, attempt: int, *, in_pieces: bool
    ) -> list[DocumentWrite] | None:
        """An attempt that leaves the workspace empty; None when what it read is of different moments."""
        loader = self._loader(request, snapshot)
        self.workspace.sqlite.execute("BEGIN")
        try:
            return self._attempt(request, execution, loader, in_pieces=in_pieces, keys=attempt > 1)
        except ConflictError as error:
            if attempt == MAX_ATTEMPTS or isinstance(error, TransactionUndecided):
                raise
            if isinstance(error, Contradiction):
                self.await_decision(error.undecided)
            return None
        finally:
            if self.workspace.sqlite.in_transaction:
                self.workspace.sqlite.execute("ROLLBACK")

    def _run_pending(self, request: Request, execution: Execution) -> None:
        self.locks.keep()
        snapshot = self.snapshot()
        loader = self._loader(request, snapshot)
        try:
            writes = self._attempt(request, execution, loader, keys=True)
            if request.locking is not None:
                again = partial(self._attempt, request, execution, loader, keys=True)
                lock_rows(self, request.locking, execution, loader, again)
        except BaseException as error:
            self._empty(snapshot)
            if isinstance(error, Contradiction):
                self.await_decision(error.undecided)
            raise
        changes = ChangeReader(self.resources, self.workspace, snapshot)
        for write in writes:
            changes.stage(write)
        statement = self.wrapper.statement
        if writes and (statement is None or statement.model is not MigrationRecorder.Migration):
            self.written_by = statement
        if self.reloads:
            self._empty(snapshot)

    def _loader(self, request: Request, snapshot: Snapshot) -> Loader:
        return Loader(
            self.resources,
            self.workspace,
            snapshot,
            self.wrapper.table_schema,
            request.hints.access,
            repeatable=self.in_transaction,
            account=self.account,
        )

    def _attempt(
        self,
        request: Request,
        execution: Execution,
        loader: Loader,
        *,
        in_pieces: bool = False,
        keys: bool,
    ) -> list[DocumentWrite]:
        if request.shortcut is not None and request.shortcut.answer(loader, execution):
            return []
        loader.index_rows = self.tables_from_index(request, execution.sql)
        if load_or_answer(self.wrapper, loader, request, execution, in_pieces=in_pieces):
            return []
        if request.written:
            return self._write(request, execution, loader, keys=keys)
        execution.execute(loader.left_out)
        return []

    def tables_from_index(self, request: Request, sql: str) -> Mapping[str, IndexRows]:
        """Of which tables the index knows all that a statement reads; none in a transaction, which must remember it."""
        if not request.index_may_suffice or request.hints.access == "scan" or self.in_transaction:
            return {}
        return self.index_rows.of(sql, [self.wrapper.table_schema(table) for table in request.plan.tables])

    def _write(self, request: Request, execution: Execution, loader: Loader, *, keys: bool) -> list[DocumentWrite]:
        """Run a writing statement, again whenever stored rows turn up that SQLite must see to judge it."""
        schemas = [self.wrapper.table_schema(table) for table in request.written]
        for schema in schemas:
            self.resources.indexes.attend(schema)  # before it is asked for rivals: a new table has its index at once
            loader.overlay(schema)
        changes = ChangeReader(self.resources, self.workspace, loader.snapshot)
        numbering = Numbering(self.resources, self.workspace, loader.snapshot, schemas, request.auto_values)
        every_key = request.upsert or not self.in_transaction
        rivals = Rivals(loader, self.await_decision, keys=keys or request.upsert, every_key=every_key)
        for schema in schemas if request.rehearsed else ():
            if schema.unique:  # by their keys alone, rows that the statement has made are looked up soon enough
                proposals = proposals_of(self.workspace, schema, request, execution)
                loader.fetch(schema, rivals.of_proposals(schema, proposals))
        while True:
            numbering.prepare()
            self.workspace.sqlite.execute(f"SAVEPOINT {_SAVEPOINT}")
            undone = True
            try:
                with self.workspace.recording():
                    execution.execute()
                writes = [write for schema in schemas for write in changes.take(schema)]
                unseen = {} if numbering.falls_short(writes) else rivals.of(writes)
                undone = bool(unseen) or numbering.repeats
            finally:
                if undone:
                    self.workspace.sqlite.execute(f"ROLLBACK TO {_SAVEPOINT}")
                self.workspace.sqlite.execute(f"RELEASE {_SAVEPOINT}")
            if not undone:
                return writes
            for table, stems in unseen.items():
                loader.fetch(self.wrapper.table_schema(table), stems)

    def _commit(
        self, writes: list[DocumentWrite], *, whole: bool = False, owner: str | None = None
    ) -> WriteFailed | None:
        """Apply the writes, ``whole`` whatever becomes of this process; returns the failure when another writer was
        faster, raises any other."""
        commit = partial(commit_whole, self.unit) if whole else self.unit.commit
        try:
            commit(writes, owner=owner)
        except WriteFailed as failure:
            if failure.is_conflict:
                return failure
            raise failure.error from failure
        return None

    def commit(self) -> int:
        """Write what the transaction has pending, or nothing; returns the number of documents.

        Raises ConflictError, LockNotAvailable and IntegrityError.
        """
        try:
            return self._write_pending()
        finally:
            self.written_by = None
            self.release_locks()

    def release_locks(self) -> None:
        """The transaction is over, and so are its locks."""
        locks, self.locks = self.locks, self._no_locks()
        locks.release()

    def _write_pending(self) -> int:
        self.account = Account()
        writes = self._pending_writes(self.snapshot())
        verify_references(self, writes)
        snapshot, self._transaction = self._transaction or Snapshot(), None
        owner = self._secure(writes, snapshot) if writes else None
        failure = self._commit(writes, whole=len(writes) > 1, owner=owner)
        if failure is not None:
            raise commit_error(failure) from failure
        self.migrating.clear()
        self.migration_claims.keep()
        self.workspace.clear_pending()
        self._empty(snapshot)
        return len(writes)

    def _pending_writes(self, snapshot: Snapshot) -> list[DocumentWrite]:
        changes = ChangeReader(self.resources, self.workspace, snapshot)
        return [
            changes.staged(document, self._schema_of_pending(document.table, snapshot) if document.table else None)
            for document in self.workspace.pending()
        ]

    def verify_pending(self) -> None:
        """Verify the foreign keys that the transaction touches, as COMMIT is going to. Raises IntegrityError."""
        verify_references(self, self._pending_writes(self.snapshot()))

    def _secure(self, writes: list[DocumentWrite], snapshot: Snapshot) -> str | None:
        """Make sure of what the transaction rests on, before anything of it is written. Returns whose locks are its own
        when those of others are still to be waited for."""
        self.await_decision(write.built_on for write in writes if write.built_on is not None)
        raise_sequences(self.resources, snapshot, writes)
        if is_announced_first(writes) and len(writes) == 1 and self.locks.covers(writes):
            return self.locks.token
        self.locks.keep(at_once=True)
        self.locks.reserve(writes)
        self.locks.verify(snapshot, writes)
        return None

    def _schema_of_pending(self, table: str, snapshot: Snapshot) -> TableSchema:
        """The table of a pending document as the transaction has used it: the model may have been one of a migration,
        and that of today may have columns that do not exist yet. Of a table that a migration has renamed or dropped,
        only its name may be left."""
        codec = snapshot.table(table).codec
        if codec is not None:
            return codec.schema
        return self.wrapper.catalog.find(table) or TableSchema(table, table, (), ("id",))

    def rolled_back(self) -> None:
        """The transaction was rolled back as a whole, and so were the migrations in it."""
        self.release_locks()
        self._transaction = self.written_by = None
        for table in self.migrating:
            self.resources.forget_history(table)
        self.migrating.clear()
        self.workspace.forget()
        self.wrapper.catalog.forget()
        self.migration_claims.give_back()

    def rolled_back_to_savepoint(self) -> None:
        """Rows that were loaded or changed since the savepoint are gone; the documents that were read are not."""
        self.workspace.forget()
        self.wrapper.catalog.forget()
        for table in self.migrating:
            pending = self.workspace.pending_one(self.resources.keys.schema(table))
            if pending is None or pending.body is None:
                self.resources.forget_history(table)
            else:
                self.resources.assume_history(table, History.load(pending.body))
            self.snapshot().table(table).return_to(self.resources.history(table))
        for table, seen in self.snapshot().tables.items():
            keys = {stem: self.resources.keys.document(table, stem) for stem in seen.gone}
            seen.forget(stem for stem, key in keys.items() if self.workspace.pending_one(key) is None)
        if self._transaction is not None:
            self._empty(self._transaction)
        self.migration_claims.give_back()

    def empty(self) -> None:
        """Empty the workspace; a transaction goes on from what it has read and what it has pending."""
        if self._transaction is not None:
            self._empty(self._transaction)

    def _empty(self, snapshot: Snapshot) -> None:
        self.workspace.empty(snapshot.tables)
        snapshot.workspace_emptied()
