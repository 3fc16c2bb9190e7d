"""How a statement of one table may be run over a piece of its documents at a time, with the answer of one run over all.

- *Row by row*: each row of the answer is made of one row of the table, and their order does not matter. The SQL is run
  over one piece after the other.
- *In order*: the same, but sorted. The keys are sorted first, then it is run over the documents in their order.
- *Sifted*: the statement must see its rows together, but not those that its WHERE (or ORDER BY with LIMIT) leaves out.

What is not of this kind (joins, subqueries, what chance or the clock decides) is run over all of its candidates.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from django.core.exceptions import FullResultSet
from django.db.models.sql.compiler import SQLAggregateCompiler
from django.db.models.sql.datastructures import BaseTable
from django.utils.functional import cached_property

from django_smarterbase.backend.index_only import is_plain_count, pk_order, stems_tell_keys
from django_smarterbase.backend.rawsql import qmark
from django_smarterbase.backend.workspace import quote
from django_smarterbase.planner.plan import IndexLookup, KeyLookup, OrderedLookup, QueryPlan, Scan, Step
from django_smarterbase.planner.reaching import VOLATILE
from django_smarterbase.planner.scopes import Scope, is_bare, is_column, is_opaque

if TYPE_CHECKING:
    from django_smarterbase.backend.compiler import NotingCompiler


@dataclass(frozen=True, slots=True)
class KeysSql:
    """SQL, in SQLite's parameter style, that selects the primary keys of rows of the table."""

    sql: str
    params: tuple[Any, ...]


class Where:
    """The WHERE of a statement of one table, compiled anew when somebody asks, as few do: while the statement is run,
    since it may depend on the time zone."""

    def __init__(self, scope: Scope, step: Step, pk: str) -> None:
        self._scope = scope
        self._step = step
        self._pk = pk

    @cached_property
    def keys(self) -> KeysSql | None:
        """The keys of the rows that it lets pass; None when it lets all pass."""
        return self.selecting(quote(self._pk), self._step.table)

    def selecting(self, expression: str, table: str) -> KeysSql | None:
        """An SQL expression of each row that it lets pass of ``table``, which may stand in for the statement's own.
        None when it lets all pass."""
        if self._compiled is None:
            return None
        alias, where, params = self._compiled
        return KeysSql(qmark(f"SELECT {expression} FROM {quote(table)} AS {alias} WHERE {where}"), params)

    @cached_property
    def _compiled(self) -> tuple[str, str, tuple[Any, ...]] | None:
        compiler: Any = self._scope.compiler
        with compiler.connection.unnoted():
            try:
                where, params = compiler.compile(self._scope.where)
            except FullResultSet:
                return None
        return compiler.quote_name_unless_alias(self._step.alias), where, tuple(params)


@dataclass(frozen=True, slots=True)
class RowByRow:
    """Run over one piece after the other. With ``counts`` the only row is a number of rows, and these add up."""

    step: Step
    where: Where | None
    counts: bool = False


@dataclass(frozen=True, slots=True)
class InOrder:
    """Run over the rows of ``keys``, in their order.

    ``by_pk`` is 1 or -1 where that is the order, ascending or descending, of primary keys that the names of the objects
    tell; otherwise 0.
    """

    step: Step
    where: Where | None
    keys: KeysSql
    by_pk: int

    @property
    def matching(self) -> KeysSql | None:
        """The keys of the same rows, in no order; None for all of the table."""
        return None if self.where is None else self.where.keys


@dataclass(frozen=True, slots=True)
class Sifted:
    """Run over the rows that ``where`` (None: all) lets pass alone, over the ``first`` of them in an order, or over
    ``enough`` of them, whichever these are.

    ``rowwise`` says that this holds only if the statement puts no rows together, which SQLite is to be asked about.
    """

    step: Step
    where: Where | None
    first: KeysSql | None = None
    enough: int | None = None
    rowwise: bool = False

    @property
    def keys(self) -> KeysSql | None:
        """The keys of the rows that it is run over; None for all of the table."""
        return self.first or (None if self.where is None else self.where.keys)


Course = RowByRow | InOrder | Sifted


def course_of(compiler: NotingCompiler, plan: QueryPlan, sql: str, *, lazy: bool) -> Course | None:
    """The course that a compiled statement may take, or None. ``lazy`` says that its rows are asked for bit by bit."""
    if not may_have_course(plan, lazy=lazy) or compiler.locking is not None:
        return None
    step = plan.steps[0]
    if isinstance(step.path, OrderedLookup):
        step = replace(step, path=step.path.otherwise)
    scope = _only_scope(compiler, sql)
    if scope is None:
        return None
    schema = compiler.connection.table_schema(step.table)
    if len(schema.pk) != 1 or schema.pk[0] not in schema.by_name:
        return None
    where = Where(scope, step, schema.pk[0]) if scope.where is not None and scope.where.children else None
    if compiler.operation != "select":
        return Sifted(step, where) if where is not None and where.keys is not None else None
    if is_count(compiler):
        return RowByRow(step, where, counts=True)
    if not _is_row_by_row(compiler):
        return Sifted(step, where)
    return _rowwise(compiler, step, where, lazy=lazy)


def may_have_course(plan: QueryPlan, *, lazy: bool) -> bool:
    """Whether a statement of this plan may have a course at all."""
    if len(plan.steps) != 1:
        return False
    path = plan.steps[0].path
    if isinstance(path, OrderedLookup):
        path = path.otherwise
    return isinstance(path, Scan) or (lazy and isinstance(path, KeyLookup | IndexLookup))


def is_count(compiler: NotingCompiler) -> bool:
    """Whether the statement tells how many rows its WHERE lets pass, and nothing else."""
    if isinstance(compiler, SQLAggregateCompiler) or not is_plain_count(compiler) or compiler.having is not None:
        return False
    query = compiler.query
    return not (compiler.qualify is not None or query.is_sliced or query.distinct or query.combinator or query.extra)


def _only_scope(compiler: NotingCompiler, sql: str) -> Scope | None:
    """The only FROM clause of a statement that reads one table, once, and would answer the same in pieces."""
    statement = compiler.connection.statement
    if statement is None or len(statement.scopes) != 1 or is_opaque(statement, sql):
        return None
    scope = statement.scopes[0]
    if scope.extra_tables or [type(table) for table in scope.aliases.values()] != [BaseTable]:
        return None
    return None if VOLATILE.search(sql) else scope


def _is_row_by_row(compiler: NotingCompiler) -> bool:
    query = compiler.query
    if isinstance(compiler, SQLAggregateCompiler) or query.combinator or query.distinct or query.extra:
        return False
    if query.group_by is not None or compiler.having is not None or compiler.qualify is not None:
        return False
    return not any(each[0].contains_aggregate or each[0].contains_over_clause for each in compiler.select)


def _rowwise(compiler: NotingCompiler, step: Step, where: Where | None, *, lazy: bool) -> Course:
    query, schema = compiler.query, compiler.connection.table_schema(step.table)
    ordered = bool(compiler.noted_order_by)
    if query.is_sliced:
        if ordered and query.high_mark is not None and _sorts_keys(compiler):
            return Sifted(step, where, _keys(compiler, query.high_mark), rowwise=True)
        return Sifted(step, where, enough=None if ordered else query.high_mark, rowwise=True)
    if not ordered:
        return RowByRow(step, where)
    if not lazy or not stems_tell_keys(schema) or not _sorts_keys(compiler):
        return Sifted(step, where)
    by_pk = pk_order(compiler, schema.pk[0]) if isinstance(step.path, Scan) else None
    return InOrder(step, where, _keys(compiler, None), by_pk or 0)


def _sorts_keys(compiler: NotingCompiler) -> bool:
    """Whether the keys by themselves come in the order of the rows: not when a field formats a key that is selected, or
    what else is selected and may be ordered by as it stands there."""
    pk = compiler.query.get_meta().pk.get_col(compiler.query.get_initial_alias())
    return is_column(pk) and all(is_bare(each, compiler) for each in (pk, *(each[0] for each in compiler.select)))


def _keys(compiler: NotingCompiler, limit: int | None) -> KeysSql:
    """The keys of the rows that a SELECT gives, in its order, the first ``limit`` of them."""
    query = compiler.query.clone()
    query.clear_limits()
    query.set_values(["pk"])
    if limit is not None:
        query.set_limits(0, limit)
    with compiler.connection.unnoted():
        sql, params = query.get_compiler(connection=compiler.connection).as_sql()
    return KeysSql(qmark(sql), tuple(params))
