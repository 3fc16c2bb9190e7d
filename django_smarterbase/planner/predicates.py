"""From a WHERE tree to what keys and index sets can narrow: superset rules only.

A conjunct that is not understood narrows nothing, and no row that the statement could use is ever left out. Only the
lookups of Django itself are read (a class of one's own may compile to anything), only on a plain column of the alias,
only with literals or an uncorrelated subquery on the right.

Each node is read for one *truth*: which rows make it true, or which make it false. The others may make it NULL, which
is neither, so NOT only turns the truth over (https://www.sqlite.org/nulls.html): a row makes ``x = 1`` false when it
has another value in ``x``, and not when it has none.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from django.core.exceptions import EmptyResultSet, FullResultSet
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.expressions import Col
from django.db.models.lookups import Exact, In, IsNull
from django.db.models.sql.compiler import SQLCompiler
from django.db.models.sql.query import Query
from django.db.models.sql.where import AND, OR, NothingNode, WhereNode

from django_smarterbase.planner.covering import MAX_ENTRIES, Clause, Equalities, Ranges, cover
from django_smarterbase.planner.ranges import (
    DJANGO_LOOKUPS,
    Comparison,
    Interval,
    are_placeholders,
    comparison_of,
    literals,
    outside,
)
from django_smarterbase.planner.reaching import BINARY, has_plain_key, query_of, single_index, subquery_term
from django_smarterbase.planner.scopes import is_column
from django_smarterbase.tables import (
    Affinity,
    IndexComplement,
    IndexCondition,
    IndexDefinition,
    IndexEntry,
    IndexKeys,
    IndexTerm,
    Kind,
    TableSchema,
    Value,
)

#: The type of the values that a column holds as they are, and that Python calls equal exactly when SQLite does.
_ALIKE: Final = {Affinity.INTEGER: int, Affinity.TEXT: str}


@dataclass(frozen=True)
class Narrowing:
    """What a condition says of one alias.

    ``pks`` are the only primary keys that can match, each once (None: any); ``clauses`` must all hold; ``exact`` says
    that pks and clauses are the whole condition; ``columns`` are those that it names. ``residue`` are equalities that
    must hold too, of whatever columns: an entry's index is one that there might be.
    """

    pks: tuple[Value, ...] | None = None
    clauses: tuple[Clause, ...] = ()
    exact: bool = False
    columns: frozenset[str] = frozenset()
    residue: tuple[Clause, ...] = ()

    @property
    def narrows(self) -> bool:
        """Whether this leaves any document out."""
        return self.pks is not None or bool(self.clauses)


NOTHING: Final = Narrowing(pks=(), exact=True)
EVERYTHING: Final = Narrowing(exact=True)
ANYTHING: Final = Narrowing()


@dataclass
class _Conjunction:
    """The conjuncts of one AND, before the indexes that cover them are chosen. ``not_null`` are columns."""

    equalities: dict[str, tuple[Value, ...]] = field(default_factory=dict)
    ranges: Ranges = field(default_factory=Ranges)
    not_null: list[str] = field(default_factory=list)
    parts: list[Narrowing] = field(default_factory=list)


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
            return EVERYTHING
        return self.narrowing_of(where)

    def narrowing_of(self, node: Any, *, truth: bool = True) -> Narrowing:
        """What one node of the tree says of the alias when it is true, or when it is false."""
        if not isinstance(node, WhereNode):
            return self._conjunction([node], truth)
        if node.connector not in (AND, OR) or not node.children:
            return Narrowing(columns=self.columns_of(node))
        truth = truth != node.negated
        if (node.connector == AND) == truth:
            return self._conjunction(node.children, truth)
        return self._disjunction(node.children, truth)

    def _conjunction(self, children: Iterable[Any], truth: bool) -> Narrowing:
        found = _Conjunction()
        columns: set[str] = set()
        for child in children:
            columns |= self.columns_of(child)
            if isinstance(child, WhereNode):
                found.parts.append(self.narrowing_of(child, truth=truth))
            else:
                self._conjunct(child, truth, found)
        return self._combined(found, frozenset(columns))

    def _conjunct(self, lookup: Any, truth: bool, found: _Conjunction) -> None:
        """Note what one condition says. Equalities and ranges wait for each other, as one index may cover several."""
        column = self.column_of(lookup)
        ranged, comparison = self.comparison_of(lookup)
        if isinstance(lookup, NothingNode):
            found.parts.append(NOTHING if truth else EVERYTHING)
        elif column is not None and isinstance(lookup, IsNull):
            if lookup.rhs == truth:
                self._equal(column, (None,), True, found)
            else:
                found.not_null.append(column)
        elif comparison is not None:
            self._range(ranged, comparison, truth, found)
        elif column is None:
            found.parts.append(ANYTHING)
        elif (query := query_of(lookup.rhs)) is not None:
            found.parts.append(self._of_subquery(lookup, query, column, truth))
        else:
            values = self.values_of(lookup)
            if values is None or (not truth and self._compares_with_null(lookup)):
                found.parts.append(ANYTHING)
            else:
                self._equal(column, values, truth, found)

    def _range(self, column: str, comparison: Comparison, truth: bool, found: _Conjunction) -> None:
        """A comparison is false for what lies outside of its interval, if that is all it says."""
        intervals = comparison.intervals if truth else outside(comparison)
        if intervals is None:
            found.parts.append(ANYTHING)
            return
        if not comparison.exact:
            found.parts.append(ANYTHING)
        if intervals:
            found.ranges.add(column, intervals)
        else:
            found.parts.append(NOTHING)

    def _equal(self, column: str, values: tuple[Value, ...], truth: bool, found: _Conjunction) -> None:
        if not truth:
            found.parts.append(self._unequal(column, values))
        elif column in found.equalities:
            found.parts.append(self._covered({column: values}))
        else:
            found.equalities[column] = values

    def _unequal(self, column: str, values: tuple[Value, ...]) -> Narrowing:
        """The rows whose column has a value, and none of these."""
        index = single_index(self.schema, column)
        terms: tuple[IndexTerm, ...]
        if not values or (values == (None,) and self.schema.pk == (column,)):
            return EVERYTHING
        if has_plain_key(self.schema) and column == self.schema.pk[0]:
            terms = (IndexKeys(values),)
        elif index is not None:
            null = (None,) if self.schema.by_name[column].nullable and None not in values else ()
            terms = tuple(IndexEntry(index, (value,)) for value in (*values, *null))
        else:
            return ANYTHING
        return Narrowing(clauses=((IndexComplement(terms),),), exact=True)

    def _of_subquery(self, lookup: Any, query: Query, column: str, truth: bool) -> Narrowing:
        # A scalar subquery compares with its first row alone: what equals one of the others need not be unequal.
        if not (truth or isinstance(lookup, In)):
            return ANYTHING
        try:
            term = subquery_term(lookup, query, column, self.schema, self.compiler, self.connection, truth=truth)
        except EmptyResultSet:
            return NOTHING if truth else EVERYTHING
        plain = term is not None and (term.index is not None or has_plain_key(self.schema))
        if term is None or not (truth or plain):
            return ANYTHING
        return Narrowing(clauses=((term,),), exact=plain and isinstance(lookup, In))

    def _combined(self, found: _Conjunction, columns: frozenset[str]) -> Narrowing:
        parts = [*found.parts, *self._not_null(found), self._covered(found.equalities, found.ranges)]
        pk_sets = [part.pks for part in parts if part.pks is not None]
        comparable = len(pk_sets) < 2 or self._are_comparable(itertools.chain.from_iterable(pk_sets))
        return Narrowing(
            pks=(_in_all(pk_sets) if comparable else min(pk_sets, key=len)) if pk_sets else None,
            clauses=_one_complement(itertools.chain.from_iterable(part.clauses for part in parts)),
            exact=comparable and all(part.exact for part in parts),
            columns=columns,
            residue=tuple(itertools.chain.from_iterable(part.residue for part in parts)),
        )

    def _are_comparable(self, pks: Iterable[Value]) -> bool:
        """Whether Python calls primary keys equal exactly when SQLite does; to a decimal, "1" and "1.00" are one."""
        alike = _ALIKE.get(self.schema.by_name[self.schema.pk[0]].affinity)
        return all(type(pk) is alike for pk in pks)

    def _not_null(self, found: _Conjunction) -> Iterator[Narrowing]:
        """What other conditions on the column do not say already. NULL is in no range."""
        for column in dict.fromkeys(found.not_null):
            if column in found.ranges.by_column or None not in found.equalities.get(column, (None,)):
                continue
            if single_index(self.schema, column) is not None or self.schema.pk == (column,):
                yield self._unequal(column, (None,))
            else:
                found.ranges.add(column, (Interval(),))

    def _covered(self, equalities: dict[str, tuple[Value, ...]], ranges: Ranges | None = None) -> Narrowing:
        """Choose indexes for ``{column: values}`` and ranges."""
        if not all(equalities.values()):
            return NOTHING
        left, pks = dict(equalities), None
        if self._is_simple_pk() and self.schema.pk[0] in left:
            pks = left.pop(self.schema.pk[0])
        clauses, complete = cover(self.schema, left, ranges or Ranges())
        return Narrowing(pks=pks, clauses=clauses, exact=complete, residue=self._residue(left))

    def _residue(self, equalities: Equalities) -> tuple[Clause, ...]:
        """What a scan may look for. What SQLite generates is not to be had from a document."""
        return tuple(
            tuple(IndexEntry(IndexDefinition(column, (column,)), (value,)) for value in values)
            for column, values in equalities.items()
            if not self.schema.by_name[column].generated
        )

    def _is_simple_pk(self) -> bool:
        pk = self.schema.pk
        return len(pk) == 1 and pk[0] in self.schema.by_name and self.schema.by_name[pk[0]].collation in BINARY

    def _disjunction(self, children: Iterable[Any], truth: bool) -> Narrowing:
        parts = [self.narrowing_of(child, truth=truth) for child in children]
        columns = frozenset(itertools.chain.from_iterable(part.columns for part in parts))
        possible = [part for part in parts if part.pks != ()]
        if not all(part.narrows for part in possible):
            return Narrowing(exact=any(part == EVERYTHING for part in map(_nameless, possible)), columns=columns)
        if all(part.pks is not None for part in possible):
            return Narrowing(
                pks=tuple(dict.fromkeys(itertools.chain.from_iterable(part.pks or () for part in possible))),
                exact=all(part.exact and not part.clauses for part in possible),
                columns=columns,
            )
        clause = _null_apart(dict.fromkeys(itertools.chain.from_iterable(map(_terms, possible))))
        if sum(1 for _ in IndexCondition((clause,)).leaves) > MAX_ENTRIES:
            return Narrowing(columns=columns)
        plain = has_plain_key(self.schema) or all(part.pks is None for part in possible)
        return Narrowing(clauses=(clause,), exact=plain and all(part.exact for part in possible), columns=columns)

    def comparison_of(self, lookup: Any) -> tuple[str, Comparison | None]:
        """The column of the alias that a lookup constrains by the order of its values, and how; or None."""
        comparison = comparison_of(lookup, self.schema, self.compiler, self.connection)
        if comparison is None or not self._is_own(comparison.column):
            return "", None
        column = comparison.column.target.column or ""
        bounds = itertools.chain.from_iterable((each.lower, each.upper) for each in comparison.intervals)
        return ("", None) if self._are_fractions_as_text(column, bounds) else (column, comparison)

    def column_of(self, lookup: Any) -> str | None:
        """The column that a lookup of Django itself constrains, when it is a plain column of the alias."""
        if type(lookup).__module__ not in DJANGO_LOOKUPS or not isinstance(lookup, (Exact, In, IsNull)):
            return None
        if not self._is_own(lookup.lhs) or lookup.bilateral_transforms:
            return None
        column: str = lookup.lhs.target.column
        return column if self._compares(lookup, column) else None

    def _compares(self, lookup: Any, column: str) -> bool:
        """Whether a lookup compares the column with a value, or an index answers it as if it did.

        Django compiles ``live=True`` to the column by itself, of whose truth SQLite decides: an index of booleans knows
        that of other values, and a primary key does not.
        """
        if not isinstance(lookup.rhs, bool) or isinstance(lookup, IsNull) or not lookup.lhs.conditional:
            return True
        return self.schema.by_name[column].kind is Kind.BOOL and column not in self.schema.pk

    def _is_own(self, expression: Any) -> bool:
        """Whether this is a plain column of the alias."""
        if not is_column(expression) or expression.alias != self.alias:
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
        try:
            sql, params = lookup.process_rhs(self.compiler, self.connection)
        except EmptyResultSet:
            return ()
        except FullResultSet:
            return None
        values = literals(params) if are_placeholders(sql, params) else None
        if values is None or self._are_fractions_as_text(lookup.lhs.target.column, values):
            return None
        # SQLite binds NaN as NULL, which equals nothing.
        return tuple(dict.fromkeys(value for value in values if value is not None))

    def _are_fractions_as_text(self, column: str, values: Iterable[Value]) -> bool:
        """Whether SQLite takes the texts of floats: it tells "1.0" from "1", while the planner would take one for the
        other, as Python does."""
        return self.schema.by_name[column].affinity is Affinity.TEXT and any(type(value) is float for value in values)

    def _compares_with_null(self, lookup: Any) -> bool:
        """Whether there is a NaN on the right: then the lookup is false for no row."""
        try:
            _sql, params = lookup.process_rhs(self.compiler, self.connection)
        except EmptyResultSet:
            return False
        return None in (literals(params) or ())


def _in_all(pk_sets: Sequence[tuple[Value, ...]]) -> tuple[Value, ...]:
    """The primary keys that all have, in the order of the first."""
    first, *others = pk_sets
    sets = list(map(frozenset, others))
    return tuple(pk for pk in first if all(pk in each for each in sets))


def _nameless(part: Narrowing) -> Narrowing:
    return replace(part, columns=frozenset())


def _one_complement(clauses: Iterable[Clause]) -> tuple[Clause, ...]:
    """What lies outside of two unions lies outside of one of both."""
    kept: list[Clause] = []
    outside: dict[IndexTerm, None] = {}
    for clause in dict.fromkeys(clauses):
        if len(clause) == 1 and isinstance(clause[0], IndexComplement):
            outside |= dict.fromkeys(clause[0].terms)
        else:
            kept.append(clause)
    return (*kept, (IndexComplement(tuple(outside)),)) if outside else tuple(kept)


def _terms(part: Narrowing) -> Clause:
    """A narrowing as terms of a clause."""
    if part.pks is None and len(part.clauses) == 1:
        return part.clauses[0]
    keys: tuple[Clause, ...] = () if part.pks is None else ((IndexKeys(part.pks),),)
    clauses = (*keys, *part.clauses)
    return clauses[0] if len(clauses) == 1 else (IndexCondition(clauses),)


def _null_apart(terms: Iterable[IndexTerm]) -> Clause:
    """The terms of a clause. NULL is no value of any other set of an index, so what is added beside the complement of
    others need not be taken out of it first: as ``exclude()`` has it, ``x IS NULL OR x <> 1``."""
    found = list(terms)
    nulls = [term for term in found if isinstance(term, IndexEntry) and term.values == (None,)]
    for null in nulls:
        for position, term in enumerate(found):
            if isinstance(term, IndexComplement) and null in term.terms and _is_of(null.index, term):
                rest = tuple(each for each in term.terms if each != null)
                if rest:
                    found[position] = IndexComplement(rest)
                    found = [each for each in found if each != null]
                    break
    return tuple(found)


def _is_of(index: IndexDefinition, complement: IndexComplement) -> bool:
    return all(isinstance(term, IndexEntry) and term.index == index for term in complement.terms)
