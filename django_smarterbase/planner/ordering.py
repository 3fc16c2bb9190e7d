"""From ORDER BY and LIMIT, or MIN and MAX, to pages of ordered indexes.

Only where the WHERE clause says no more than the index knows, so that the index can tell where a page ends: of a
statement with one FROM clause whose joins add no rows to those of its base. Whatever SQLite might sort otherwise than
the index (another column after those of the index, a text that the index does not know to its end) is kept together
with what it is equal to.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from django.db.models import Max, Min
from django.db.models.expressions import OrderBy
from django.db.models.sql.constants import INNER
from django.db.models.sql.datastructures import Join

from django_smarterbase.planner.calendar import grouping_of
from django_smarterbase.planner.covering import Clause, ordered_columns, orders
from django_smarterbase.planner.plan import InnerJoin
from django_smarterbase.planner.predicates import Narrowing
from django_smarterbase.planner.ranges import is_told_apart
from django_smarterbase.planner.scopes import Scope, is_column, source_of
from django_smarterbase.tables import (
    IndexComplement,
    IndexCondition,
    IndexDefinition,
    IndexEntry,
    IndexRange,
    TableSchema,
    Value,
    Walk,
)

_EXTREMES: Final = {Min: False, Max: True}  # whether the walk that finds it goes backwards


@dataclass(frozen=True, slots=True)
class _Sorting:
    """One column of an ORDER BY."""

    column: str
    backwards: bool
    nulls_moved: bool


_OTHER: Final = _Sorting("", backwards=False, nulls_moved=False)  # what no index is sorted by


def walks_of(scope: Scope, alias: str, schema: TableSchema, narrowing: Narrowing) -> tuple[Walk, ...]:
    """The pages that hold all rows of ``alias`` which the statement can use; none when no index tells them."""
    query = scope.query
    if not narrowing.exact or narrowing.pks is not None or not _is_plain(scope):
        return ()
    asked = _Asked(schema, tuple(_with_ranges(narrowing.clauses)))
    if query.distinct:
        return _groups(scope, alias, asked)
    if not query.is_sliced:
        return _extremes(scope, alias, asked)
    sortings = _sortings(scope, alias, schema)
    if not sortings or query.high_mark is None:
        return ()
    walk = asked.page(sortings, query.low_mark, query.high_mark)
    return () if walk is None else (walk,)


def inner_joins(scope: Scope, base: str, schemas: Mapping[str, TableSchema | None]) -> tuple[InnerJoin, ...] | None:
    """The joins that drop a row of which the other side is missing; None when a join could add rows, or drop others.

    ``schemas`` are by alias.
    """
    found = []
    for alias, table in scope.aliases.items():
        if alias == base:
            continue
        if not isinstance(table, Join) or not _leads_to_one(table, schemas.get(alias)):
            return None
        if table.table_name == scope.aliases[base].table_name:
            return None  # its rows would stand among those of the page
        if table.join_type == INNER:
            column, target_column = table.join_cols[0]
            parent = scope.aliases[table.parent_alias].table_name
            found.append(InnerJoin(parent, column, table.table_name, target_column))
    return tuple(found)


def _leads_to_one(table: Join, schema: TableSchema | None) -> bool:
    """Whether a join finds one row at most, by its primary key alone."""
    if schema is None or table.filtered_relation is not None:
        return False
    if len(table.join_cols) != 1 or schema.pk != (table.join_cols[0][1],):
        return False
    join_field: Any = table.join_field
    return not join_field.get_extra_restriction(table.table_alias, table.parent_alias)


def _is_plain(scope: Scope) -> bool:
    """Whether the statement selects rows as they are, or aggregates over all of them."""
    query: Any = scope.query
    compiler: Any = scope.compiler
    if (
        compiler.select is None
        or query.combinator
        or query.distinct_fields
        or query.extra
        or query.extra_tables
        or query.select_for_update
    ):
        return False
    expressions = [each[0] for each in (*_noted(scope), *compiler.select)]
    if any(expression.contains_over_clause for expression in expressions):
        return False
    return compiler.having is None and compiler.qualify is None and query.group_by is None


def _noted(scope: Scope) -> Iterable[Any]:
    """``(OrderBy, SQL)`` of each part of the ORDER BY."""
    noted: Iterable[Any] = getattr(scope.compiler, "noted_order_by", ())
    return noted


def _sortings(scope: Scope, alias: str, schema: TableSchema) -> tuple[_Sorting, ...]:
    """The columns of an ORDER BY, up to the first that is no plain one of the alias, which stands for all that follow;
    none when it is the first."""
    found: list[_Sorting] = []
    for expression, _sql in _noted(scope):
        sorted_by = source_of(expression.expression, scope.compiler) if type(expression) is OrderBy else None
        column = _column(sorted_by, alias)
        if column is None or column not in schema.by_name:
            return (*found, _OTHER) if found else ()
        backwards = bool(expression.descending)
        moved = expression.nulls_first if backwards else expression.nulls_last
        found.append(_Sorting(column, backwards, bool(moved) and schema.by_name[column].nullable))
    return tuple(found)


def _column(expression: Any, alias: str) -> str | None:
    """The column of the alias that an expression is."""
    return expression.target.column if is_column(expression) and expression.alias == alias else None


def _groups(scope: Scope, alias: str, asked: _Asked) -> tuple[Walk, ...]:
    """The groups that tell all different values of one column, or of years, months or days of it."""
    if scope.query.is_sliced:
        return ()
    selected = [each[0] for each in scope.compiler.select or ()]
    ordered = [expression.expression for expression, _sql in _noted(scope)]
    told_apart = (*selected, *(source_of(expression, scope.compiler) for expression in ordered))
    found = [grouping_of(expression, alias, scope.compiler.connection) for expression in told_apart]
    first = found[0] if found else None
    if first is None or any(each is None or each.column != first.column for each in found):
        return ()
    letters = [each.letters for each in found if each is not None]
    walk = asked.groups(first.column, 0 if 0 in letters else max(letters))
    shifted = any(each.shifted for each in found if each is not None)
    return () if walk is None else (replace(walk, both_ends=shifted and walk.alike != 0),)


def _extremes(scope: Scope, alias: str, asked: _Asked) -> tuple[Walk, ...]:
    """A walk for each MIN and MAX, if nothing else is selected."""
    walks: list[Walk] = []
    for selected, _sql, _alias in scope.compiler.select or ():
        backwards = _EXTREMES.get(type(selected))
        column = _column(selected.get_source_expressions()[0], alias) if backwards is not None else None
        walk = asked.extreme(column, backwards=bool(backwards)) if column is not None else None
        if walk is None or selected.filter is not None:
            return ()
        walks.append(walk)
    return tuple(dict.fromkeys(walks))


class _Asked:
    """The conditions on an alias, all of which indexes know, and the walks through what meets them."""

    def __init__(self, schema: TableSchema, clauses: Sequence[Clause]) -> None:
        self._schema = schema
        self._clauses = clauses
        self._equal = dict(_equalities(schema, clauses))

    def page(self, sortings: Sequence[_Sorting], start: int, stop: int) -> Walk | None:
        """The best walk in this order; None when no index is sorted so."""
        wanted = [sorting for sorting in sortings if sorting.column not in self._equal] or list(sortings)
        found = [walk for index in orders(self._schema) for walk in self._pages(index, wanted)]
        best = max(found, key=lambda walk: (not walk.ties, len(walk.prefix), walk.ties), default=None)
        return None if best is None else replace(best, start=start, stop=stop)

    def extreme(self, column: str, *, backwards: bool) -> Walk | None:
        """The walk that begins with the smallest or the greatest value of a column that is not NULL."""
        found = [
            self._walk(index, size, backwards=backwards, within=IndexRange(index))
            for index in orders(self._schema)
            for size, name in self._next_columns(index)
            if name == column
        ]
        return max(found, key=lambda walk: len(walk.prefix), default=None)

    def groups(self, column: str, letters: int) -> Walk | None:
        """The walk through the groups of a column, if an index knows of the conditions by its order alone."""
        found = (
            replace(self._walk(index, size, backwards=False, within=None), alike=letters)
            for index in orders(self._schema)
            for size, name in self._next_columns(index)
            if name == column
        )
        return next((walk for walk in found if not walk.condition.clauses), None)

    def _pages(self, index: IndexDefinition, wanted: Sequence[_Sorting]) -> Iterator[Walk]:
        names = ordered_columns(self._schema, index)
        for size, _name in self._next_columns(index):
            depth = _depth(names[size:], wanted)
            if not depth:
                continue
            complete = depth == len(wanted) or set(names[: size + depth]) >= set(self._schema.pk)
            walk = self._walk(index, size, backwards=wanted[0].backwards, within=None)
            moved = wanted[0].nulls_moved and walk.within is None
            yield replace(walk, nulls_moved=moved, ties=0 if complete else depth)

    def _next_columns(self, index: IndexDefinition) -> Iterator[tuple[int, str]]:
        """(size, column): the columns that come first in the order when ``size`` of them are fixed by equalities."""
        for size, name in enumerate(ordered_columns(self._schema, index)):
            yield size, name
            if name not in self._equal or not is_told_apart(self._equal[name]):
                return

    def _walk(self, index: IndexDefinition, size: int, *, backwards: bool, within: IndexRange | None) -> Walk:
        """A walk of which the first ``size`` columns are fixed, with the bounds that there are for the next one."""
        names = ordered_columns(self._schema, index)
        fixed, others = set(names[:size]), []
        for clause in self._clauses:
            term = clause[0] if len(clause) == 1 else None
            if isinstance(term, IndexEntry) and fixed.issuperset(term.index.columns):
                continue
            unbounded = within is None or (within.lower is None and within.upper is None)
            if unbounded and isinstance(term, IndexRange) and self._bounded(term) == names[size]:
                within = term
                if fixed.issuperset(ordered_columns(self._schema, term.index)[: len(term.prefix)]):
                    continue
            others.append(clause)
        prefix = tuple(self._equal[name] for name in names[:size])
        return Walk(index, prefix, within, IndexCondition(tuple(others)), backwards)

    def _bounded(self, term: IndexRange) -> str:
        return ordered_columns(self._schema, term.index)[len(term.prefix)]


def _with_ranges(clauses: Iterable[Clause]) -> Iterator[Clause]:
    """The same clauses, of which "all but NULL" is a range: of all values, which a walk can go through."""
    for clause in clauses:
        terms = clause[0].terms if len(clause) == 1 and isinstance(clause[0], IndexComplement) else ()
        nulls = [term for term in terms if isinstance(term, IndexEntry) and term.values == (None,)]
        if not nulls:
            yield clause
            continue
        yield from ((IndexRange(term.index),) for term in nulls)
        others = tuple(term for term in terms if term not in nulls)
        if others:
            yield (IndexComplement(others),)


def _equalities(schema: TableSchema, clauses: Iterable[Clause]) -> Iterator[tuple[str, Value]]:
    """The columns of which only one value meets the conditions."""
    for clause in clauses:
        if len(clause) != 1:
            continue
        (term,) = clause
        if isinstance(term, IndexEntry):
            yield from zip(term.index.columns, term.values, strict=True)
        elif isinstance(term, IndexRange):
            yield from zip(ordered_columns(schema, term.index), term.prefix, strict=False)


def _depth(names: Sequence[str], wanted: Sequence[_Sorting]) -> int:
    """How many columns of an index are those of the ORDER BY, in one direction; only the first may have moved NULLs."""
    depth = 0
    for name, sorting in zip(names, wanted, strict=False):
        turned = sorting.backwards != wanted[0].backwards or (depth > 0 and sorting.nulls_moved)
        if sorting.column != name or turned:
            break
        depth += 1
    return depth
