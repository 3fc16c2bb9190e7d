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


@dataclass(frozen=True, slots=True)
class RowByRow:
    """Run over one piece after the other. With ``counts`` the only row is a number of rows, and these add up."""

    step: Step
    counts: bool = False


@dataclass(frozen=True, slots=True)
class InOrder:
    """Run over the rows of ``keys``, in their order; ``matching`` are the same in none (None: all rows).

    ``by_pk`` is 1 or -1 where that is the order, ascending or descending, of primary keys that the names of the objects
    tell; otherwise 0.
    """

    step: Step
    keys: KeysSql
    matching: KeysSql | None
    by_pk: int


@dataclass(frozen=True, slots=True)
class Sifted:
    """Run over the rows of ``keys`` alone (None: over all), or over ``enough`` of them, whichever these are.

    ``rowwise`` says that this holds only if the statement puts no rows together, which SQLite is to be asked about.
    """

    step: Step
    keys: KeysSql | None
    enough: int | None = None
    rowwise: bool = False


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
    if compiler.operation != "select":
        keys = _matching(scope, step, schema.pk[0])
        return Sifted(step, keys) if keys is not None else None
    if is_count(compiler):
        return RowByRow(step, counts=True)
    if not _is_row_by_row(compiler):
        return Sifted(step, _matching(scope, step, schema.pk[0]))
    return _rowwise(compiler, scope, step, lazy=lazy)


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


def _rowwise(compiler: NotingCompiler, scope: Scope, step: Step, *, lazy: bool) -> Course:
    query, schema = compiler.query, compiler.connection.table_schema(step.table)
    ordered = bool(compiler.noted_order_by)
    if query.is_sliced:
        if ordered and query.high_mark is not None and _sorts_keys(compiler):
            return Sifted(step, _keys(compiler, query.high_mark), rowwise=True)
        enough = None if ordered else query.high_mark
        return Sifted(step, _matching(scope, step, schema.pk[0]), enough, rowwise=True)
    if not ordered:
        return RowByRow(step)
    matching = _matching(scope, step, schema.pk[0])
    if not lazy or not stems_tell_keys(schema) or not _sorts_keys(compiler):
        return Sifted(step, matching)
    by_pk = pk_order(compiler, schema.pk[0]) if isinstance(step.path, Scan) else None
    return InOrder(step, _keys(compiler, None), matching, by_pk or 0)


def _matching(scope: Scope, step: Step, pk: str) -> KeysSql | None:
    """The keys of the rows that WHERE lets pass; None when it lets all pass."""
    compiler: Any = scope.compiler
    if scope.where is None or not scope.where.children:
        return None
    with compiler.connection.unnoted():
        try:
            where, params = compiler.compile(scope.where)
        except FullResultSet:
            return None
        table, _params = compiler.compile(scope.aliases[step.alias])
    column = f"{compiler.quote_name_unless_alias(step.alias)}.{quote(pk)}"
    return KeysSql(qmark(f"SELECT {column} FROM {table} WHERE {where}"), tuple(params))


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
