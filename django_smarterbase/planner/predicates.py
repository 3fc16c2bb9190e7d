"""From a WHERE tree to what keys and index sets can narrow: superset rules only.

A conjunct that is not understood narrows nothing, and no row that the statement could use is ever left out. Only the
lookups of Django itself are read (a class of one's own may compile to anything), only on a plain column of the alias,
only with literal right-hand sides.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from django.core.exceptions import EmptyResultSet, FullResultSet
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.expressions import Col
from django.db.models.lookups import Exact, In, IsNull, Lookup
from django.db.models.sql.compiler import SQLCompiler
from django.db.models.sql.query import Query
from django.db.models.sql.where import AND, OR, WhereNode

from django_smarterbase.tables import IndexCondition, IndexDefinition, IndexEntry, TableSchema, Value

MAX_ENTRIES: Final = 2000
_DJANGO_LOOKUPS: Final = ("django.db.models.lookups", "django.db.models.fields.related_lookups")
_BINARY: Final = ("", "BINARY")

Clause = tuple[IndexEntry, ...]


@dataclass(frozen=True)
class Narrowing:
    """What a condition says of one alias.

    ``pks`` are the only primary keys that can match (None: any); ``clauses`` must all hold; ``subqueries`` are
    ``(column, lookup)`` conjuncts with a subquery on the right; ``exact`` says that pks and clauses are the whole
    condition; ``columns`` are those that it names. ``residue`` are clauses that must hold too, but that no index of the
    table answers: an entry's index is one that there might be.
    """

    pks: frozenset[Value] | None = None
    clauses: tuple[Clause, ...] = ()
    subqueries: tuple[tuple[str, Lookup[Any]], ...] = ()
    exact: bool = False
    columns: frozenset[str] = frozenset()
    residue: tuple[Clause, ...] = ()

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

    def _combined(self, found: _Conjunction, columns: frozenset[str]) -> Narrowing:
        parts = [*found.parts, self._covered(found.equalities)]
        pk_sets = [part.pks for part in parts if part.pks is not None]
        return Narrowing(
            pks=frozenset.intersection(*pk_sets) if pk_sets else None,
            clauses=tuple(itertools.chain.from_iterable(part.clauses for part in parts)),
            subqueries=(*found.subqueries, *itertools.chain.from_iterable(part.subqueries for part in parts)),
            exact=found.exact and parts[-1].exact,
            columns=columns,
            residue=tuple(itertools.chain.from_iterable(part.residue for part in parts)),
        )

    def _covered(self, equalities: dict[str, tuple[Value, ...]]) -> Narrowing:
        """Choose indexes for ``{column: values}``, the longest first, each column once."""
        if not all(equalities.values()):
            return NOTHING
        left, clauses, pks = dict(equalities), [], None
        if self._is_simple_pk() and self.schema.pk[0] in left:
            pks = frozenset(left.pop(self.schema.pk[0]))
        for index in sorted(self.schema.indexes, key=lambda index: -len(index.columns)):
            if left and all(column in left for column in index.columns):
                clause = _product(index, left)
                if clause is not None:
                    clauses.append(clause)
                    for column in index.columns:
                        del left[column]
        return Narrowing(pks=pks, clauses=tuple(clauses), exact=not left, residue=self._residue(left))

    def _residue(self, equalities: dict[str, tuple[Value, ...]]) -> tuple[Clause, ...]:
        """Clauses of columns without an index. What SQLite generates is not to be had from a document."""
        return tuple(
            tuple(IndexEntry(IndexDefinition(column, (column,)), (value,)) for value in values)
            for column, values in equalities.items()
            if not self.schema.by_name[column].generated
        )

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

    def column_of(self, lookup: Any) -> str | None:
        """The column that a lookup of Django itself constrains, when it is a plain column of the alias."""
        if type(lookup).__module__ not in _DJANGO_LOOKUPS or not isinstance(lookup, (Exact, In, IsNull)):
            return None
        lhs = lookup.lhs
        if not isinstance(lhs, Col) or lhs.alias != self.alias or lookup.bilateral_transforms:
            return None
        column: str = lhs.target.column or ""
        return column if column in self.schema.by_name else None

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
        if sql.count("%s") != len(params) or sql.strip("(), ").replace("%s", "").strip(", "):
            return None
        return _literals(params)


def _literals(params: Iterable[Any]) -> tuple[Value, ...] | None:
    values: list[Value] = []
    for param in params:
        if isinstance(param, bool):
            values.append(int(param))
        elif isinstance(param, float) and math.isnan(param):
            continue  # SQLite binds NaN as NULL, which equals nothing
        elif isinstance(param, Decimal):
            values.append(str(param))
        elif isinstance(param, (memoryview, bytearray)):
            values.append(bytes(param))
        elif type(param) in (int, float, str, bytes):
            values.append(param)
        elif isinstance(param, (str, int)):
            values.append(str(param) if isinstance(param, str) else int(param))
        else:
            return None
    return tuple(dict.fromkeys(values))


def _product(index: IndexDefinition, equalities: dict[str, tuple[Value, ...]]) -> Clause | None:
    """The entries of every combination of values, or None when there are too many to be worth it."""
    choices = [equalities[column] for column in index.columns]
    size = 1
    for values in choices:
        size *= len(values)
    if size > MAX_ENTRIES:
        return None
    return tuple(IndexEntry(index, values) for values in itertools.product(*choices))


def _smallest(clauses: tuple[Clause, ...]) -> Clause:
    return min(clauses, key=len)


def condition_of(narrowing: Narrowing) -> IndexCondition:
    """The index condition of a narrowing's clauses."""
    return IndexCondition(narrowing.clauses)
