"""One statement's way through the house, from the cursor to its profile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from django.db.utils import NotSupportedError

from django_smarterbase.backend.account import Account
from django_smarterbase.backend.operations import FlushStatement
from django_smarterbase.backend.rawddl import define
from django_smarterbase.backend.rawsql import defines_tables, first_word, resolves_conflicts, touches_rows
from django_smarterbase.backend.recording import FollowingRows, Run
from django_smarterbase.backend.requests import Execution, Request
from django_smarterbase.backend.session import Session
from django_smarterbase.hints import hints_of
from django_smarterbase.planner.explain import explain_text
from django_smarterbase.planner.plan import QueryPlan, Scan, Step
from django_smarterbase.planner.scopes import Statement
from django_smarterbase.planner.values import filter_values
from django_smarterbase.profiling.fingerprint import fingerprint
from django_smarterbase.profiling.profile import FULL_SCAN, KEY, QueryProfile, redis_index
from django_smarterbase.profiling.recorder import caller_method, listening, record_made, wanted

if TYPE_CHECKING:
    from django_smarterbase.backend.base import DatabaseWrapper
    from django_smarterbase.backend.cursor import WorkspaceCursor
    from django_smarterbase.backend.streams import RowStream


class StatementRunner:
    """Runs what one cursor was given."""

    def __init__(
        self, wrapper: DatabaseWrapper, session: Session, cursor: WorkspaceCursor, execution: Execution
    ) -> None:
        self.wrapper = wrapper
        self.session = session
        self.cursor = cursor
        self.execution = execution

    def run(self, query: str, params: Any) -> FollowingRows | None:
        """Run the statement and, when somebody listens, record its profile; of one whose rows are read as they are
        asked for, at its end. Returns those that follow the first."""
        if isinstance(query, FlushStatement) and query.resets_sequences:
            for table in query.tables:
                self.session.resources.sequences.reset(table)
            return None
        request = self.wrapper.request
        if request is not None and request.sql in query:
            return self._run_recorded(request, query, params)
        historical = self.wrapper.historical
        if historical is None or self.wrapper.defining or not (touches_rows(query) or defines_tables(query)):
            return self._run_raw(query, params)
        with self.wrapper.catalog.seen_from(Statement(historical=historical.model_of)):
            return self._run_raw(query, params)

    def _run_raw(self, query: str, params: Any) -> FollowingRows | None:
        if self.wrapper.defining or not touches_rows(query):
            self._pass_through(query)
            return None
        return self._run_recorded(self._raw_request(query, params), query, params)

    def _pass_through(self, query: str) -> None:
        """Transactions, pragmas and definitions concern the workspace alone, but for those of raw tables."""
        defines = defines_tables(query)
        if defines or self.wrapper.defining:
            self.session.workspace.enforce_checks(False)  # rows that are copied are as they are
        if defines and not self.wrapper.defining:
            define(self.wrapper, query, self.execution)
        else:
            self.execution.execute()
        if first_word(query) == "ROLLBACK":
            self.session.rolled_back_to_savepoint()  # also one that did not come through Django
        if defines:
            self.session.workspace.altered()
            self.wrapper.catalog.forget()

    def _raw_request(self, query: str, params: Any) -> Request:
        sql = query
        if params is not None:
            names = list(params) if isinstance(params, Mapping) else None
            sql = self.cursor.convert_query(query, param_names=names)
        tables = self.wrapper.catalog.raw_tables(sql)
        if tables.sequences:
            raise NotSupportedError(
                "Raw SQL cannot read or change sqlite_sequence: the sequences of a smarterbase database are objects. "
                "To reset them, run what connection.ops.sequence_reset_by_name_sql() returns, or manage.py flush."
            )
        resolving = resolves_conflicts(sql)
        # What is unique in a raw table nobody claims, so SQLite has to see all of it.
        raw = (table for table in tables.written if self.wrapper.catalog.model_of(table) is None)
        scanned = tuple(dict.fromkeys((*tables.read, *raw)))
        steps = tuple(Step(table, table, Scan()) for table in scanned)
        return Request(
            plan=QueryPlan(steps, scanned),
            operation="raw",
            hints=hints_of(None),
            written=tables.written,
            auto_values=None,
            upsert=resolving,
            rehearsed=resolving,
        )

    def _run_recorded(self, request: Request, query: str, params: Any) -> FollowingRows | None:
        run = Run(self.wrapper.alias, request.operation, request.model)
        try:
            with run:
                self.wrapper.catalog.refuse_join_across(request.plan.tables)
                self.session.run(request, self.execution)
        finally:
            made, stream = _Made(request, query, params, run, self.session.account), self.execution.stream
            if stream is None or run.error is not None:
                self._record(made)
        return None if stream is None else self._following(made, stream)

    def _following(self, made: _Made, stream: RowStream) -> FollowingRows:
        """The rows of the stream. Who asked for what is told now, as others may read the rows."""
        made.filter_values = self._filter_values(made.request)
        if listening():
            made.method = caller_method()

        def ended(number: int) -> None:
            made.number = number
            self._record(made)

        return FollowingRows(stream, made.run, len(self.execution.rows or ()), ended)

    def _record(self, made: _Made) -> None:
        slow_ms = self.session.resources.options.slow_ms
        if wanted(made.run.duration, slow_ms):
            record_made(partial(self._profile, made), slow_ms)

    def _profile(self, made: _Made) -> QueryProfile:
        request, run, account, fallback = made.request, made.run, made.account, made.account.fallback_reason
        if made.number is None:
            made.number, made.filter_values = self._result_count(request), self._filter_values(request)
        index_used = _index_used(account)
        return QueryProfile(
            method=request.hints.name or made.method or caller_method(),
            model=request.model,
            database=self.wrapper.alias,
            tenant=self.session.resources.tenant,
            operation=request.operation,
            complexity="O(n)" if account.whole_table else "O(1)",
            index_used=index_used,
            started_at=run.started_at,
            duration=run.duration,
            filter_fields=request.plan.filter_fields,
            storage_ops=run.ops.storage,
            redis_ops=run.ops.redis,
            candidates=account.candidates,
            result_count=made.number,
            skipped_documents=account.skipped,
            fallback=fallback is not None,
            fallback_reason=fallback,
            error=run.error,
            plan=_plan_lines(account.steps or request.plan.steps, account, index_used),
            fingerprint=fingerprint(made.query, made.params),
            filter_values=made.filter_values,
        )

    def _filter_values(self, request: Request) -> tuple[str, ...] | None:
        if not self.session.resources.options.show_values:
            return None
        statement = self.wrapper.statement
        return filter_values(statement) if statement is not None and request.operation != "raw" else ()

    def _result_count(self, request: Request) -> int:
        rows = self.execution.rows
        if rows is None:
            return max(self.cursor.rowcount, 0)
        return rows[0][0] if request.counts and rows else len(rows)


@dataclass(slots=True)
class _Made:
    """What the profile of a statement is made of. Of one whose rows were read as they were asked for, ``number`` is how
    many; ``method`` and ``filter_values`` have been told at its beginning."""

    request: Request
    query: str
    params: Any
    run: Run
    account: Account
    method: str | None = None
    number: int | None = None
    filter_values: tuple[str, ...] | None = None


def _plan_lines(steps: Sequence[Step], account: Account, index_used: str) -> tuple[str, ...]:
    if account.scanned:
        return (
            *explain_text(steps, account.fallback_reason, beyond=account.beyond),
            *(f"{choice.table}: {choice.why}" for choice in account.choices),
        )
    return tuple(explain_text(steps, alone=index_used if account.indexes else None, beyond=account.beyond))


def _index_used(account: Account) -> str:
    if account.scanned:
        return FULL_SCAN
    if account.indexes:
        return redis_index("+".join(dict.fromkeys(account.indexes)))
    return KEY


def commit_recorded(alias: str, session: Session) -> None:
    """Write what the transaction has pending and, when somebody listens and there was anything, record its profile.

    It is one unit of counting, so that a Redis which hangs is waited for once, whatever the number of tables.
    """
    run, written = Run(alias, "commit", None), None
    try:
        with run:
            written = session.commit()
    finally:
        slow_ms = session.resources.options.slow_ms
        if written != 0 and wanted(run.duration, slow_ms):
            record_made(partial(_commit_profile, session, alias, written, run), slow_ms)


def _commit_profile(session: Session, alias: str, written: int | None, run: Run) -> QueryProfile:
    account = session.account
    return QueryProfile(
        method=hints_of(None).name or caller_method(),
        model=None,
        database=alias,
        tenant=session.resources.tenant,
        operation="commit",
        complexity="O(n)" if account.whole_table else "O(1)",
        index_used=_index_used(account),
        started_at=run.started_at,
        duration=run.duration,
        storage_ops=run.ops.storage,
        redis_ops=run.ops.redis,
        result_count=written,
        fallback=account.fallback_reason is not None,
        fallback_reason=account.fallback_reason,
        error=run.error,
    )
