"""From a WHERE tree to what keys and index sets can narrow: superset rules only.

A conjunct that is not understood narrows nothing, and no row that the statement could use is ever left out. Only the
lookups of Django itself are read (a class of one's own may compile to anything), only on a plain column of the alias,
only with literal right-hand sides.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from django.core.exceptions import EmptyResultSet, FullResultSet
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.expressions import Col
from django.db.models.lookups import Exact, In, IsNull, Lookup
from django.db.models.sql.compiler import SQLCompiler
from django.db.models.sql.query import Query
from django.db.models.sql.where import AND, OR, WhereNode

from django_smarterbase.planner.covering import MAX_ENTRIES, Ranges, cover
from django_smarterbase.planner.ranges import DJANGO_LOOKUPS, Comparison, are_placeholders, comparison_of, literals
from django_smarterbase.tables import IndexCondition, IndexRange, IndexTerm, TableSchema, Value

_BINARY: Final = ("", "BINARY")

Clause = tuple[IndexTerm, ...]


@dataclass(frozen=True)
class Narrowing:
    """What a condition says of one alias.

    ``pks`` are the only primary keys that can match (None: any); ``clauses`` must all hold; ``subqueries`` are
    ``(column, lookup)`` conjuncts with a subquery on the right; ``exact`` says that pks and clauses are the whole
    condition; ``columns`` are those that it names.
    """

    pks: frozenset[Value] | None = None
    clauses: tuple[Clause, ...] = ()
    subqueries: tuple[tuple[str, Lookup[Any]], ...] = ()
    exact: bool = False
    columns: frozenset[str] = frozenset()

    @property
    def narrows(self) -> bool:
        """Whether this leaves any document out without running a subquery."""
        return self.pks is not None or bool(self.clauses)


NOTHING: Final = Narrowing(pks=frozenset(), exact=True)
ANYTHING: Final = Narrowing()


@dataclass
class _Conjunction:
    """The conjuncts of one AND, before the indexes that cover them are chosen."""

    equalities: dict[str, tuple[Value, ...]] = field(default_factory=dict)
    ranges: Ranges = field(default_factory=Ranges)
    parts: list[Narrowing] = field(default_factory=list)
    subqueries: list[tuple[str, Lookup[Any]]] = field(default_factory=list)
    exact: bool = True


class PredicateReader:
    """Reads the WHERE trees of one statement for one alias."""

    def __init__(self, alias: str, schema: TableSchema, compiler: SQLCompiler, connection: BaseDatabaseWrapper) -> None:
        self.alias = alias
        self.schema = schema
        self.compiler = compiler
        self.connection = connection

    def read(self, where: WhereNode | None) -> Narrowing:
        """What ``where`` says of the alias; no condition at all is exact and narrows nothing."""
        if where is None or not where.children:
            return Narrowing(exact=True)
        return self.narrowing_of(where)

    def narrowing_of(self, node: Any) -> Narrowing:
        """What one node of the tree says of the alias."""
        if not isinstance(node, WhereNode):
            return self._conjunction([node])
        if node.negated or node.connector not in (AND, OR):
            return Narrowing(columns=self.columns_of(node))
        if node.connector == AND:
            return self._conjunction(node.children)
        return self._disjunction(node.children)

    def _conjunction(self, children: Iterable[Any]) -> Narrowing:
        found = _Conjunction()
        columns: set[str] = set()
        for child in children:
            columns |= self.columns_of(child)
            if isinstance(child, WhereNode):
                part = self.narrowing_of(child)
                found.parts.append(part)
                found.exact = found.exact and part.exact
            else:
                self._conjunct(child, found)
        return self._combined(found, frozenset(columns))

    def _conjunct(self, lookup: Any, found: _Conjunction) -> None:
        if self._range(lookup, found):
            return
        column = self.column_of(lookup)
        if column is None:
            found.exact = False
        elif isinstance(lookup.rhs, Query):
            found.exact = False
            if isinstance(lookup, In):
                found.subqueries.append((column, lookup))
        else:
            values = self.values_of(lookup)
            if values is None:
                found.exact = False
            elif column in found.equalities:
                found.parts.append(self._covered({column: values}))
                found.exact = found.exact and found.parts[-1].exact
            else:
                found.equalities[column] = values

    def _range(self, lookup: Any, found: _Conjunction) -> bool:
        """Take a lookup that says something of a column's order; returns whether it is one."""
        column, comparison = self.comparison_of(lookup)
        if comparison is None:
            return False
        found.exact = found.exact and comparison.exact
        if comparison.intervals:
            found.ranges.add(column, comparison.intervals)
        else:
            found.parts.append(NOTHING)
        return True

    def _combined(self, found: _Conjunction, columns: frozenset[str]) -> Narrowing:
        parts = [*found.parts, self._covered(found.equalities, found.ranges)]
        pk_sets = [part.pks for part in parts if part.pks is not None]
        return Narrowing(
            pks=frozenset.intersection(*pk_sets) if pk_sets else None,
            clauses=tuple(itertools.chain.from_iterable(part.clauses for part in parts)),
            subqueries=(*found.subqueries, *itertools.chain.from_iterable(part.subqueries for part in parts)),
            exact=found.exact and parts[-1].exact,
            columns=columns,
        )

    def _covered(self, equalities: dict[str, tuple[Value, ...]], ranges: Ranges | None = None) -> Narrowing:
        """Choose indexes for ``{column: values}`` and ranges."""
        if not all(equalities.values()):
            return NOTHING
        left, pks = dict(equalities), None
        if self._is_simple_pk() and self.schema.pk[0] in left:
            pks = frozenset(left.pop(self.schema.pk[0]))
        clauses, complete = cover(self.schema, left, ranges or Ranges())
        return Narrowing(pks=pks, clauses=clauses, exact=complete)

    def _is_simple_pk(self) -> bool:
        pk = self.schema.pk
        return len(pk) == 1 and pk[0] in self.schema.by_name and self.schema.by_name[pk[0]].collation in _BINARY

    def _disjunction(self, children: Iterable[Any]) -> Narrowing:
        parts = [self.narrowing_of(child) for child in children]
        columns = frozenset(itertools.chain.from_iterable(part.columns for part in parts))
        possible = [part for part in parts if part.pks != frozenset()]
        if all(part.pks is not None for part in possible):
            exact = all(part.exact and not part.clauses for part in possible)
            return Narrowing(
                pks=frozenset(itertools.chain.from_iterable(part.pks or () for part in possible)),
                exact=exact,
                columns=columns,
            )
        if any(part.pks is not None or not part.clauses for part in possible):
            return Narrowing(columns=columns)
        clause = tuple(dict.fromkeys(itertools.chain.from_iterable(_smallest(part.clauses) for part in possible)))
        if len(clause) > MAX_ENTRIES:
            return Narrowing(columns=columns)
        exact = all(part.exact and len(part.clauses) == 1 for part in possible)
        return Narrowing(clauses=(clause,), exact=exact, columns=columns)

    def comparison_of(self, lookup: Any) -> tuple[str, Comparison | None]:
        """The column of the alias that a lookup constrains by the order of its values, and how; or None."""
        comparison = comparison_of(lookup, self.schema, self.compiler, self.connection)
        if comparison is None or not self._is_own(comparison.column):
            return "", None
        return comparison.column.target.column or "", comparison

    def column_of(self, lookup: Any) -> str | None:
        """The column that a lookup of Django itself constrains, when it is a plain column of the alias."""
        if type(lookup).__module__ not in DJANGO_LOOKUPS or not isinstance(lookup, (Exact, In, IsNull)):
            return None
        if not self._is_own(lookup.lhs) or lookup.bilateral_transforms:
            return None
        column: str = lookup.lhs.target.column
        return column

    def _is_own(self, expression: Any) -> bool:
        """Whether this is a plain column of the alias."""
        if not isinstance(expression, Col) or expression.alias != self.alias:
            return False
        return (expression.target.column or "") in self.schema.by_name

    def columns_of(self, node: Any) -> frozenset[str]:
        """The columns of the alias that a node compares with something, directly or in a transform."""
        if isinstance(node, WhereNode):
            return frozenset(itertools.chain.from_iterable(map(self.columns_of, node.children)))
        lhs = getattr(node, "lhs", None)
        while lhs is not None and not isinstance(lhs, Col):
            lhs = getattr(lhs, "lhs", None)
        return frozenset((lhs.target.column or "",)) if lhs is not None and lhs.alias == self.alias else frozenset()

    def values_of(self, lookup: Any) -> tuple[Value, ...] | None:
        """The literals that the column must equal one of, as SQLite gets them; None when there are none to be had."""
        if isinstance(lookup, IsNull):
            return (None,) if lookup.rhs is True else None
        try:
            sql, params = lookup.process_rhs(self.compiler, self.connection)
        except EmptyResultSet:
            return ()
        except FullResultSet:
            return None
        values = literals(params) if are_placeholders(sql, params) else None
        # SQLite binds NaN as NULL, which equals nothing.
        return None if values is None else tuple(dict.fromkeys(value for value in values if value is not None))


def _smallest(clauses: tuple[Clause, ...]) -> Clause:
    """The clause that an OR takes for its branch: equalities rather than ranges, and few of them."""
    return min(clauses, key=lambda clause: (any(isinstance(term, IndexRange) for term in clause), len(clause)))


def condition_of(narrowing: Narrowing) -> IndexCondition:
    """The index condition of a narrowing's clauses."""
    return IndexCondition(narrowing.clauses)
