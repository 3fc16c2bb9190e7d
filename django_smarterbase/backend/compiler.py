"""Django's compilers, listening to themselves: what they compile is noted for the planner. Their SQL is unchanged."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from django.core.exceptions import EmptyResultSet
from django.db import NotSupportedError
from django.db.models.constants import OnConflict
from django.db.models.expressions import Col, RawSQL
from django.db.models.sql import compiler
from django.db.models.sql.constants import GET_ITERATOR_CHUNK_SIZE, MULTI, SINGLE
from django.db.models.sql.datastructures import BaseTable, Join
from django.db.models.sql.where import ExtraWhere, WhereNode

from django_smarterbase.backend.courses import course_of
from django_smarterbase.backend.explaining import explain
from django_smarterbase.backend.index_only import is_plain_count, shortcut_for
from django_smarterbase.backend.index_rows import told_columns
from django_smarterbase.backend.locked_select import RowLocking, add_keys, select_locked
from django_smarterbase.backend.requests import Request
from django_smarterbase.hints import hints_of
from django_smarterbase.planner.explanation import explanation_json, explanation_text
from django_smarterbase.planner.plan import KeyLookup, QueryPlan
from django_smarterbase.planner.scopes import Scope, Statement, names_tables

if TYPE_CHECKING:
    from django_smarterbase.backend.base import DatabaseWrapper

Sql = tuple[str, tuple[Any, ...]]


def _brings_sql(node: Any) -> bool:
    """Whether the SQL of an expression may not be Django's own: it is text, another class's, or of a template."""
    if type(node) in (Col, WhereNode):
        return False
    if isinstance(node, (RawSQL, ExtraWhere)) or not type(node).__module__.startswith("django."):
        return True
    return bool(getattr(node, "extra", None))


class _Noting:
    """The block in which a statement is the connection's. Written out, as a generator would take three times as long
    for each query."""

    __slots__ = ("_connection", "_outer", "_statement")

    def __init__(self, connection: DatabaseWrapper, statement: Statement) -> None:
        self._connection = connection
        self._statement = statement

    def __enter__(self) -> None:
        connection = self._connection
        self._outer = connection.statement, connection.request
        connection.statement, connection.request = self._statement, None

    def __exit__(self, *_error: object) -> None:
        self._connection.statement, self._connection.request = self._outer


class NotingCompiler(compiler.SQLCompiler):
    """What the compilers have in common: the statement under way is ``connection.statement``."""

    connection: DatabaseWrapper
    operation: Any = "select"
    noted_order_by: Any = ()
    locking: RowLocking | None = None
    where: Any
    having: Any
    qualify: Any
    _outermost = False
    _lazy = False

    def pre_sql_setup(self, *args: Any, **kwargs: Any) -> Any:
        """Set up as Django does, and keep the ordering that was found."""
        setup = super().pre_sql_setup(*args, **kwargs)
        if setup is not None:
            self.noted_order_by = setup[1] or ()
        return setup

    def _statement(self) -> _Noting:
        """Note one statement. A statement that is run while another is being compiled has its own."""
        return _Noting(self.connection, Statement(self.query.model))

    def _note(
        self, position: int | None, aliases: dict[str, BaseTable | Join], where: Any, *, assigned: int = 0
    ) -> None:
        statement = self.connection.statement
        if statement is not None:
            scope = Scope(self.query, self, where, aliases, tuple(self.query.extra_tables), assigned)
            statement.note(len(statement.scopes) if position is None else position, scope)

    def compile(self, node: Any) -> Any:
        """Compile a node, and note SQL text from outside that reads tables of its own."""
        statement = self.connection.statement
        if statement is None or statement.opaque or not _brings_sql(node):
            return compiler.SQLCompiler.compile(self, node)
        before = set(statement.scopes)
        compiled = compiler.SQLCompiler.compile(self, node)
        if names_tables(compiled[0], (scope for scope in statement.scopes if scope not in before)):
            statement.opaque = True
        return compiled

    def _position(self) -> int:
        statement = self.connection.statement
        return len(statement.scopes) if statement is not None else 0

    def get_from_clause(self) -> Any:
        """Note the aliases of this FROM clause: only now are all joins there, and soon some are gone again."""
        aliases = {
            alias: table
            for alias, table in self.query.alias_map.items()
            if self.query.alias_refcount[alias] and table.table_name is not None
        }
        self._note(None, aliases, self.where)
        return super().get_from_clause()

    def as_sql(self, *args: Any, **kwargs: Any) -> Any:
        """Compile; the outermost call of a statement also announces the request to the cursor."""
        outermost, self._outermost = self._outermost, False
        position = self._position()
        try:
            sql = super().as_sql(*args, **kwargs)
        except EmptyResultSet:
            if self.connection.statement is not None:
                del self.connection.statement.scopes[position:]  # what has no SQL reads nothing
            raise
        if outermost and sql[0]:
            self.connection.request = self._request(*sql)
        elif self.query.select_for_update and self.connection.statement is not None:
            self.connection.statement.locks_inside = True
        return sql

    def _request(self, sql: str, params: Sequence[Any]) -> Request:
        self._refuse_locks_inside()
        plan = self.connection.plan(sql, params)
        return Request(
            plan=plan,
            operation=self.operation,
            hints=hints_of(self.query),
            written=self._written(),
            model=self.query.model._meta.label if self.query.model else None,
            counts=is_plain_count(self),
            locking=self.locking,
            find_course=partial(course_of, self, plan, sql, lazy=self._lazy),
            lazy=self._lazy,
            shortcut=shortcut_for(self, plan) if self.operation == "select" else None,
            index_may_suffice=self.operation == "select" and self.locking is None and self._index_may_suffice(plan),
            sql=sql,
        )

    def _index_may_suffice(self, plan: QueryPlan) -> bool:
        """Whether it is worth asking SQLite which columns the query reads: not when it selects of each table one that
        no index tells, as most do."""
        if all(isinstance(step.path, KeyLookup) for step in plan.steps):
            return False
        schemas = {table: self.connection.catalog.find(table) for table in plan.tables}
        covered = {table: told_columns(schema) for table, schema in schemas.items() if schema is not None}
        for expression, *_ in self.select or ():
            if not covered:
                return False
            table = self.query.alias_map.get(expression.alias) if isinstance(expression, Col) else None
            if table is not None and expression.target.column not in covered.get(table.table_name, ()):
                covered.pop(table.table_name, None)
        return bool(covered)

    def _refuse_locks_inside(self) -> None:
        # An UPDATE over joins has its own query inside, and its rows are looked after as those of any UPDATE.
        of_its_own = self.operation == "update" and self.query.select_for_update
        if self.connection.statement is not None and self.connection.statement.locks_inside and not of_its_own:
            raise NotSupportedError(
                "select_for_update() in a subquery, or in a query that filters by a window function, would lock "
                "nothing. Run it first, as list(queryset.values_list('pk', flat=True)), and filter by its result."
            )

    def _written(self) -> tuple[str, ...]:
        return ()

    def execute_sql(
        self, result_type: Any = MULTI, chunked_fetch: bool = False, chunk_size: int = GET_ITERATOR_CHUNK_SIZE
    ) -> Any:
        """Run the statement. With ``chunked_fetch`` its rows may be read bit by bit, as they are asked for."""
        with self._statement():
            self._outermost = True
            self._lazy = chunked_fetch
            return super().execute_sql(result_type, chunked_fetch, chunk_size)


class SQLCompiler(NotingCompiler):
    """SELECT."""

    def get_select(self, with_col_aliases: bool = False) -> Any:
        """The SELECT clause, and after it the keys of the rows that are to be locked."""
        select, info, annotations = super().get_select(with_col_aliases)
        if self.locking is not None:
            add_keys(self, self.locking, select, info)
        return select, info, annotations

    def execute_sql(
        self, result_type: Any = MULTI, chunked_fetch: bool = False, chunk_size: int = GET_ITERATOR_CHUNK_SIZE
    ) -> Any:
        """Run the statement, over rows that are locked first if they are to be."""
        run = super().execute_sql
        locks = self.query.select_for_update and result_type in (MULTI, SINGLE)
        if not locks or self.connection.get_autocommit():
            return run(result_type, chunked_fetch, chunk_size)
        rows = select_locked(self, partial(run, MULTI, False, chunk_size))
        return [rows] if result_type == MULTI else next(iter(rows), None)

    def explain_query(self) -> Iterator[str]:
        """The plan of the query, then SQLite's own over the candidates. No document is read."""
        with self._statement():
            info: Any = self.query.explain_info
            self.query.explain_info = None
            try:
                prefix = self.connection.ops.explain_query_prefix(info.format, **info.options)
                sql, params = self._sql_or_none()
            finally:
                self.query.explain_info = info
            # It is explained, not run: the cursor must not take SQLite's EXPLAIN for it.
            announced, self.connection.request = self.connection.request, None
            request = announced or Request(QueryPlan(), self.operation, hints_of(self.query))
            inner = self._sqlite_plan(request.plan, f"{prefix} {sql}", params) if sql else []
            explanation = explain(self.connection, request, sql, inner)
        if info.format and info.format.lower() == "json":
            yield json.dumps(explanation_json(explanation))
        else:
            yield from explanation_text(explanation)

    def _sql_or_none(self) -> Sql:
        """The SQL, whose request is announced; empty for a query of which it is known that nothing can match."""
        self._outermost = True
        try:
            sql: Sql = self.as_sql()
        except EmptyResultSet:
            return "", ()
        return sql

    def _sqlite_plan(self, plan: QueryPlan, sql: str, params: tuple[Any, ...]) -> list[str]:
        for table in plan.tables:
            self.connection.ensure_table(table)
        with self.connection.cursor() as cursor:
            cursor.execute(sql, params)
            return [str(row[-1]) for row in cursor.fetchall()]


class SQLInsertCompiler(NotingCompiler, compiler.SQLInsertCompiler):
    """INSERT."""

    operation = "insert"

    def as_sql(self) -> list[Sql]:
        """Compile; the request holds for every statement of the list."""
        statements: list[Sql] = compiler.SQLInsertCompiler.as_sql(self)
        if self._outermost:
            self._outermost = False
            self.connection.request = self._insert_request([sql for sql, _params in statements])
        return statements

    def _insert_request(self, statements: list[str]) -> Request:
        meta = self.query.get_meta()
        schema = self.connection.table_schema(meta.db_table)
        numbered = schema.auto is not None and all(field.column != schema.auto for field in self.query.fields)
        sql = statements[0] if len(statements) == 1 else ""
        return Request(
            plan=self.connection.plan_afresh(sql),  # what its values select has no template
            operation="insert",
            hints=hints_of(self.query),
            written=(meta.db_table,),
            model=meta.label,
            auto_values=(len(self.query.objs) if len(statements) == 1 else 1) if numbered else 0,
            upsert=self.query.on_conflict is not None,
            rehearsed=self.query.on_conflict is OnConflict.UPDATE,  # to pass over rows makes nothing of others
            sql=sql,
        )

    def execute_sql(self, returning_fields: Any = None) -> Any:
        """Run the INSERT."""
        with self._statement():
            self._outermost = True
            return compiler.SQLInsertCompiler.execute_sql(self, returning_fields)


class SQLDeleteCompiler(NotingCompiler, compiler.SQLDeleteCompiler):
    """DELETE."""

    operation = "delete"

    def _written(self) -> tuple[str, ...]:
        return (self.query.get_meta().db_table,)

    def _as_sql(self, query: Any) -> Any:
        position = self._position()
        sql = super()._as_sql(query)
        table = query.alias_map[query.base_table]
        statement = self.connection.statement
        if statement is not None:
            statement.note(position, Scope(query, self, query.where, {query.base_table: table}))
        return sql


class SQLUpdateCompiler(NotingCompiler, compiler.SQLUpdateCompiler):
    """UPDATE."""

    operation = "update"
    _in_where = 0  # how many parameters the WHERE clause has

    def compile(self, node: Any) -> Any:
        """Compile a node; of the WHERE clause note how many parameters it has."""
        compiled = super().compile(node)
        if node is self.query.where:
            self._in_where = len(compiled[1])
        return compiled

    def _written(self) -> tuple[str, ...]:
        return (self.query.get_meta().db_table,)

    def as_sql(self) -> Any:
        """Compile; the table that is updated is noted before its subqueries."""
        outermost, self._outermost = self._outermost, False
        position = self._position()
        sql: Sql = compiler.SQLUpdateCompiler.as_sql(self)
        if sql[0]:
            table = self.query.alias_map[self.query.base_table]
            assigned = len(sql[1]) - self._in_where
            self._note(position, {self.query.base_table: table}, self.query.where, assigned=assigned)
            if outermost:
                self.connection.request = self._request(*sql)
        return sql

    def execute_sql(self, result_type: Any) -> Any:
        """Run the UPDATE and those of the parents' tables."""
        with self._statement():
            self._outermost = True
            return compiler.SQLUpdateCompiler.execute_sql(self, result_type)


class SQLAggregateCompiler(NotingCompiler, compiler.SQLAggregateCompiler):
    """An aggregate over a subquery."""
