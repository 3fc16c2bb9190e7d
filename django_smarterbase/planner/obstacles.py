"""Why a statement scans: what stands between its conditions and an index.

Read from the WHERE trees once more, for ``explain()`` only, so that planning costs no statement more than it must. Each
obstacle is of one condition; taking away one of them is enough, unless they stand in an OR.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.constants import LOOKUP_SEP
from django.db.models.expressions import Col
from django.db.models.lookups import IsNull, Lookup, Transform
from django.db.models.sql.datastructures import Join
from django.db.models.sql.where import AND, OR, ExtraWhere, WhereNode

from django_smarterbase.planner.covering import MAX_ENTRIES, orders
from django_smarterbase.planner.plan import Scan, Step
from django_smarterbase.planner.planner import SchemaOf, ScopePlanner
from django_smarterbase.planner.predicates import PredicateReader
from django_smarterbase.planner.ranges import outside
from django_smarterbase.planner.reaching import query_of, reach, single_index
from django_smarterbase.planner.scopes import Statement, is_column
from django_smarterbase.tables import IndexCondition, TableSchema


class Hindrance(enum.StrEnum):
    """What an obstacle is."""

    NO_CONDITION = "no condition"
    NOT_INDEXED = "no index on the field"
    UNINDEXABLE = "the field cannot have an index"
    LOOKUP = "lookup that no index answers"
    EXCLUSIVE = "one or the other"
    TRANSFORM = "transform"
    EXPRESSION = "compared with an expression"
    SUBQUERY = "subquery that cannot be run first"
    TOO_MANY = "too many values"
    DISJUNCTION = "branches of an OR without an index"
    JOIN_NOT_INDEXED = "join by a field without an index"
    JOIN_TYPES = "join of columns of different types"
    JOIN_COMPOSITE = "join by several fields"
    RAW = "SQL from outside"


@dataclass(frozen=True, slots=True)
class Obstacle:
    """One obstacle.

    ``fields`` are model fields of ``schema``; ``lookup`` is what stands behind the field in a filter ("gt",
    "year__gte"); ``branches`` are the obstacles of each branch of an OR that narrows nothing.
    """

    hindrance: Hindrance
    schema: TableSchema | None = None
    fields: tuple[str, ...] = ()
    lookup: str = ""
    branches: tuple[tuple[Obstacle, ...], ...] = ()


def obstacles_of(statement: Statement, schema_of: SchemaOf, connection: BaseDatabaseWrapper) -> tuple[Obstacle, ...]:
    """The obstacles of every FROM clause that scans a table, innermost first, each once."""
    found: dict[Obstacle, None] = {}
    for scope in reversed(statement.scopes):
        planner = ScopePlanner(scope, schema_of, connection)
        steps = planner.steps()
        scans = [step for step in steps if isinstance(step.path, Scan)]
        if scans:
            found |= dict.fromkeys(_Finder(planner).of_scans(steps, scans))
    return tuple(found)


class _Finder:
    """Finds the obstacles of one FROM clause."""

    def __init__(self, planner: ScopePlanner) -> None:
        self._planner = planner
        self._scope = planner.scope

    def of_scans(self, steps: list[Step], scans: list[Step]) -> Iterator[Obstacle]:
        """Of the conditions, where none of them found a place to begin; of the joins, where one cannot be followed."""
        if any(step.table in self._scope.extra_tables for step in scans):
            yield Obstacle(Hindrance.RAW)
        first, *later = steps
        if isinstance(first.path, Scan):
            yield from self._of_all_conditions() or [
                Obstacle(Hindrance.NO_CONDITION, self._planner.schema_of(first.table))
            ]
        for step in later:
            if isinstance(step.path, Scan) and step.alias in self._scope.aliases:
                yield from self._of_joins(step)

    def _of_all_conditions(self) -> list[Obstacle]:
        found = [obstacle for alias in self._scope.aliases for obstacle in self._of_conditions(alias)]
        return found + list(_of_other_conditions(self._scope.where))

    def _of_joins(self, step: Step) -> Iterator[Obstacle]:
        """Why an alias cannot be reached from those that were found before it."""
        order, schema = list(self._planner.placed), self._planner.schema_of(step.table)
        before = set(order[: order.index(step.alias)])
        for alias, join in self._scope.aliases.items():
            if not isinstance(join, Join):
                continue
            if alias == step.alias and join.parent_alias in before:
                columns = [pair[1] for pair in join.join_cols]
            elif join.parent_alias == step.alias and alias in before:
                columns = [pair[0] for pair in join.join_cols]
            else:
                continue
            yield Obstacle(_of_join(schema, columns), schema, _named(schema, columns))

    def _of_conditions(self, alias: str) -> Iterator[Obstacle]:
        """Why the conditions on an alias do not narrow it; those on one that may be NULL could not anyway."""
        schema = self._planner.schema_of(self._scope.aliases[alias].table_name)
        if schema is None or self._scope.where is None or not self._planner.is_required(alias):
            return
        reader = PredicateReader(alias, schema, self._scope.compiler, self._planner.connection)
        yield from _Reading(reader, schema).of(self._scope.where)


class _Reading:
    """Reads the conditions on one alias."""

    def __init__(self, reader: PredicateReader, schema: TableSchema) -> None:
        self._reader = reader
        self._schema = schema

    def of(self, node: Any, *, truth: bool = True) -> Iterator[Obstacle]:
        """The obstacles in a part of the WHERE tree that is to be true, or to be false."""
        if not isinstance(node, WhereNode):
            yield from self._together([node], truth)
            return
        truth = truth != node.negated
        if node.connector not in (AND, OR):
            if columns := self._reader.columns_of(node):
                yield self._obstacle(Hindrance.EXCLUSIVE, *sorted(columns))
        elif (node.connector == AND) == truth:
            yield from self._together(node.children, truth)
        else:
            yield from self._disjunction(node, truth)

    def _together(self, children: Iterable[Any], truth: bool) -> Iterator[Obstacle]:
        """Conditions joined by AND: what lacks an index could have one over all its columns."""
        lacking: dict[str, None] = {}
        for child in children:
            if isinstance(child, WhereNode):
                yield from self.of(child, truth=truth)
                continue
            for obstacle in self._of_lookup(child, truth):
                if obstacle.hindrance is Hindrance.NOT_INDEXED:
                    lacking |= dict.fromkeys(obstacle.fields)
                else:
                    yield obstacle
        if lacking:
            yield Obstacle(Hindrance.NOT_INDEXED, self._schema, tuple(lacking))

    def _of_lookup(self, lookup: Any, truth: bool) -> Iterator[Obstacle]:
        ranged, comparison = self._reader.comparison_of(lookup)
        column = self._reader.column_of(lookup)
        if comparison is not None and (truth or outside(comparison) is not None):
            yield from filter(None, [self._range(ranged)])
        elif column is not None:
            yield from filter(None, [self._comparison(lookup, column)])
        else:
            yield from self._other_lookup(lookup)

    def _range(self, column: str) -> Obstacle | None:
        """Why a comparison by order does not narrow; None when it would if it stood alone."""
        if any(index.columns[0] == column for index in orders(self._schema)):
            return None
        return self._lacks_index(column)

    def _lacks_index(self, column: str) -> Obstacle:
        indexable = self._schema.by_name[column].indexable
        return self._obstacle(Hindrance.NOT_INDEXED if indexable else Hindrance.UNINDEXABLE, column)

    def _comparison(self, lookup: Any, column: str) -> Obstacle | None:
        """Why an ``exact``, ``in`` or ``isnull`` does not narrow; None when it would if it stood alone."""
        query = query_of(lookup.rhs)
        values = (None,) if isinstance(lookup, IsNull) else None if query else self._reader.values_of(lookup)
        if values is None and query is None:
            return self._obstacle(Hindrance.EXPRESSION, column)
        is_pk = self._schema.pk == (column,)
        if not is_pk and single_index(self._schema, column) is None:
            return self._lacks_index(column)
        if values is None:
            return self._obstacle(Hindrance.SUBQUERY, column)
        return self._obstacle(Hindrance.TOO_MANY, column) if len(values) > MAX_ENTRIES and not is_pk else None

    def _other_lookup(self, node: Any) -> Iterator[Obstacle]:
        columns = self._reader.columns_of(node)
        if not columns or not isinstance(node, Lookup):
            return
        names = [*_transforms(node.lhs), node.lookup_name or ""]
        if len(names) > 1 and names[-1] == "exact":
            names.pop()
        if not is_column(node.lhs):
            hindrance = Hindrance.TRANSFORM
        else:
            hindrance = Hindrance.LOOKUP
        yield self._obstacle(hindrance, *sorted(columns), lookup=LOOKUP_SEP.join(names))

    def _disjunction(self, node: WhereNode, truth: bool) -> Iterator[Obstacle]:
        """Each branch of an OR must narrow."""
        parts = [(child, self._reader.narrowing_of(child, truth=truth)) for child in node.children]
        without = [child for child, part in parts if not part.narrows]
        if len(without) == len(parts) and not self._reader.columns_of(node):
            return  # it is about other aliases
        if without:
            branches = tuple(tuple(self.of(child, truth=truth)) for child in without)
            yield Obstacle(Hindrance.DISJUNCTION, self._schema, branches=branches)
        elif sum(1 for _, part in parts for _ in IndexCondition(part.clauses).leaves) > MAX_ENTRIES:
            yield self._obstacle(Hindrance.TOO_MANY, *sorted(self._reader.columns_of(node)))

    def _obstacle(self, hindrance: Hindrance, *columns: str, lookup: str = "") -> Obstacle:
        return Obstacle(hindrance, self._schema, _named(self._schema, columns), lookup)


def _of_join(schema: TableSchema | None, columns: list[str]) -> Hindrance:
    if len(columns) != 1:
        return Hindrance.JOIN_COMPOSITE
    reachable, _index = reach(schema, columns[0])
    return Hindrance.JOIN_TYPES if reachable else Hindrance.JOIN_NOT_INDEXED


def _of_other_conditions(where: Any) -> Iterator[Obstacle]:
    """Of conditions on no column: a function, EXISTS, SQL text."""
    for node in _leaves(where):
        if isinstance(node, ExtraWhere):
            yield Obstacle(Hindrance.RAW)
        elif not isinstance(node, Lookup) or not isinstance(_innermost(node.lhs), Col):
            yield Obstacle(Hindrance.EXPRESSION)


def _innermost(expression: Any) -> Any:
    while (inner := getattr(expression, "lhs", None)) is not None:
        expression = inner
    return expression


def _named(schema: TableSchema | None, columns: Iterable[str]) -> tuple[str, ...]:
    return tuple(schema.field_names.get(column, column) if schema is not None else column for column in columns)


def _transforms(expression: Any) -> tuple[str, ...]:
    """The names of the transforms around a column, the innermost first."""
    names: list[str] = []
    while isinstance(expression, Transform):
        names.insert(0, str(getattr(expression, "key_name", None) or expression.lookup_name or "transform"))
        expression = expression.lhs
    return tuple(names)


def _leaves(node: Any) -> Iterator[Any]:
    if isinstance(node, WhereNode):
        for child in node.children:
            yield from _leaves(child)
    elif node is not None:
        yield node
