"""Plans for many statements, each made once for all that differ in nothing but the values of their parameters.

Such a *template* is made by the planner itself, from a WHERE tree in which placeholders hide the values. So nothing in
it depends on a value, but on which of them are equal: that is part of the key under which it is kept, and so are the
text of the SQL, the values that are selected, and the schemas of its tables. Where the placeholders come to stand, the
values are filled in.

A template holds whatever Django objects a statement was compiled from. With the same SQL, values and schemas SQLite
does the same, and what narrows the one narrows the other. Only what a plan tells of fields could differ, by conditions
of which SQL does not tell, as they match everything or nothing: so their number is part of the key too.

A statement has no template, and is planned each time, when it has several FROM clauses, when a parameter belongs to
anything but the SELECT or SET clause and comparisons of a column with values in WHERE (``_Hiding`` tells), or when it
locks rows, which SQL does not say.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from operator import itemgetter
from typing import Any, Final, cast

from django.core.exceptions import EmptyResultSet, FullResultSet
from django.db.models.lookups import (
    Exact,
    GreaterThan,
    GreaterThanOrEqual,
    In,
    LessThan,
    LessThanOrEqual,
    Lookup,
    Range,
)
from django.db.models.sql.where import AND, OR, WhereNode

from django_smarterbase.planner.placeholders import Placeholder, shape_of
from django_smarterbase.planner.plan import QueryPlan
from django_smarterbase.planner.ranges import DJANGO_LOOKUPS, is_told_apart, literals
from django_smarterbase.planner.scopes import Scope, Statement, is_column, is_opaque
from django_smarterbase.recent import Recent
from django_smarterbase.tables import TableSchema, Value

_MOST_PARAMETERS: Final = 30  # a statement with more takes so long that its plan does not matter
_COMPARISONS: Final = (Exact, In, GreaterThan, GreaterThanOrEqual, LessThan, LessThanOrEqual, Range)
_HIDDEN: Final = object()

Values = Sequence[Value]
SchemaOf = Callable[[str], TableSchema | None]
Planner = Callable[[Statement], QueryPlan]


@dataclass(frozen=True, slots=True)
class _Template:
    """A plan with places to be filled; ``fill`` is None for a statement that must be planned each time.

    It keeps the ``schemas`` by whose identity it is found, so that no other can take their place in memory.
    """

    fill: Callable[[Values], QueryPlan] | None
    schemas: tuple[TableSchema | None, ...]


class Templates:
    """The templates that were used last, ``size`` of them. Thread-safe."""

    def __init__(self, size: int) -> None:
        self._recent: Recent[Hashable, _Template] = Recent(size)

    def __len__(self) -> int:
        return len(self._recent)

    def plan(
        self, statement: Statement, sql: str, params: Sequence[Any], schema_of: SchemaOf, planner: Planner
    ) -> QueryPlan:
        """The plan of a statement that was compiled to ``sql``, by its template or else by ``planner``."""
        values = _values(statement, params)
        if values is None:
            return planner(statement)
        scope = statement.scopes[0]
        selected = _number_selected(scope)
        shape = shape_of(values[selected:])
        schemas = tuple(schema_of(table.table_name) for table in scope.aliases.values())
        key = (sql, *values[:selected], shape, _number_of_conditions(scope.where), *map(id, schemas))
        template = self._recent.find(key)
        if template is None:
            hiding = _Hiding(scope, shape, selected)
            plan = None if is_opaque(statement, sql) else _plan_of(statement, hiding, values[selected:], planner)
            template = _Template(None if plan is None else _filling(plan) or (lambda _values: plan), schemas)
            self._recent.keep(key, template)
        return planner(statement) if template.fill is None else template.fill(values)


def _values(statement: Statement, params: Sequence[Any]) -> list[Value] | None:
    """The parameters as SQLite gets them, without those that an UPDATE assigns: what it finds does not depend on them.
    None for a statement that has no template, as can be told at once.

    A float has none, since it may equal an integer without being alike.
    """
    if len(statement.scopes) != 1 or statement.opaque or statement.scopes[0].query.select_for_update:
        return None
    params = params[statement.scopes[0].assigned :]
    if len(params) > _MOST_PARAMETERS:
        return None
    values = literals(params)
    if values is None or not all(type(value) in (int, str) and is_told_apart(value) for value in values):
        return None
    return values


def _number_selected(scope: Scope) -> int:
    """How many parameters the SELECT clause has, which come before all others."""
    selected: Any = getattr(scope.compiler, "select", None) or ()
    return sum([len(params) for _expression, (_sql, params), _alias in selected])


def _number_of_conditions(node: WhereNode | None) -> int:
    children = node.children if node is not None else ()
    return sum(_number_of_conditions(child) if isinstance(child, WhereNode) else 1 for child in children)


def _plan_of(statement: Statement, hiding: _Hiding, values: list[Value], planner: Planner) -> QueryPlan | None:
    """The plan with placeholders; None when it cannot be made without the ``values`` of what is not selected."""
    scope = statement.scopes[0]
    try:
        where = hiding.tree(scope.where) if scope.where is not None else None
    except _Unfit:
        return None
    if hiding.values != values:
        return None  # some of the parameters stand elsewhere
    return planner(replace(statement, scopes=[replace(scope, where=where)]))


class _Unfit(Exception):
    """A value has its say in the plan, or its place among the parameters is not known."""


class _Hiding:
    """Puts placeholders in the place of the values in a WHERE tree, ``values`` in the order in which SQL has them.

    An AND and an OR have the SQL and the parameters of their parts one after the other, unless one of these matches
    everything or nothing, which is not dealt with here. So when the values are all the parameters that the statement
    has beside those ``selected``, which come first, the n-th value is the n-th parameter after them.

    Nor is a column dealt with that is a condition by itself and must equal values too: the planner makes an equality of
    the one as well, and no placeholder tells whether a value is the same. Nor is a primary key that must equal values
    twice, since the planner looks for those that are in both places.
    """

    def __init__(self, scope: Scope, shape: tuple[int, ...], selected: int) -> None:
        self.values: list[Value] = []
        self._by_itself: set[Any] = set()
        self._equalled: set[Any] = set()
        self._compiler: Any = scope.compiler
        self._shape = shape
        self._selected = selected

    def tree(self, node: WhereNode) -> WhereNode:
        """The same tree with comparisons that do not tell what they compare with. Raises _Unfit."""
        if node.connector not in (AND, OR):
            raise _Unfit
        children: list[Any] = [
            self.tree(child) if isinstance(child, WhereNode) else self._lookup(child) for child in node.children
        ]
        return WhereNode(children, node.connector, node.negated)

    def _lookup(self, lookup: Any) -> Lookup[Any]:
        if not isinstance(lookup, Lookup) or type(lookup).__module__ not in DJANGO_LOOKUPS:
            raise _Unfit
        connection = self._compiler.connection
        try:
            with connection.unnoted():
                _sql, own = self._compiler.compile(lookup)
        except (EmptyResultSet, FullResultSet):
            raise _Unfit from None
        if not own:
            if isinstance(lookup, Exact):
                self._keep_apart(lookup.lhs, self._by_itself)
            return lookup  # the text of the SQL tells all of it
        if not isinstance(lookup, _COMPARISONS) or not is_column(lookup.lhs) or hasattr(lookup.rhs, "as_sql"):
            raise _Unfit
        sql, params = lookup.process_rhs(self._compiler, connection)
        if list(params) != list(own):
            raise _Unfit
        if isinstance(lookup, (Exact, In)):
            self._keep_apart(lookup.lhs, self._equalled)
        placeholders = self._placeholders(params)
        hidden: Any = copy.copy(lookup)
        hidden.rhs = _HIDDEN
        hidden.process_rhs = lambda *_args: (sql, placeholders)
        return cast("Lookup[Any]", hidden)

    def _keep_apart(self, column: Any, columns: set[Any]) -> None:
        """Note a column that stands by itself, or one that must equal values. Raises _Unfit for one of both, and for a
        key that must equal values again."""
        if column in self._equalled and column.target.primary_key:
            raise _Unfit
        columns.add(column)
        if self._by_itself & self._equalled:
            raise _Unfit

    def _placeholders(self, params: Sequence[Any]) -> list[Placeholder]:
        first = len(self.values)
        self.values += literals(params) or ()
        return [Placeholder(self._selected + position) for position in self._shape[first : len(self.values)]]


def _filling(part: Any) -> Callable[[Values], Any] | None:
    """What makes a part of a plan for given values; None for a part in which no placeholder stands."""
    if isinstance(part, Placeholder):
        return itemgetter(part.position)
    if isinstance(part, tuple):
        return _filling_all(part, lambda *filled: filled)
    if is_dataclass(part):
        made: Any = type(part)
        return _filling_all([getattr(part, each.name) for each in fields(part)], made)
    return None


def _filling_all(parts: Sequence[Any], made: Callable[..., Any]) -> Callable[[Values], Any] | None:
    found = [(place, fill) for place, part in enumerate(parts) if (fill := _filling(part)) is not None]
    if not found:
        return None

    def filled(values: Values) -> Any:
        whole = list(parts)
        for place, fill in found:
            whole[place] = fill(values)
        return made(*whole)

    return filled
