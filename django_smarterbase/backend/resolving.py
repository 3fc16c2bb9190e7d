"""Puts the values that subqueries select in their place, so that an index can be asked."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

from django_smarterbase.tables import (
    IndexComplement,
    IndexCondition,
    IndexDefinition,
    IndexEntry,
    IndexKeys,
    IndexSubquery,
    IndexTerm,
    Value,
)

Terms = tuple[IndexTerm, ...]
Select = Callable[[IndexSubquery], Sequence[Value]]


def resolved(condition: IndexCondition, select: Select) -> IndexCondition:
    """The condition without subqueries; ``select`` runs one and returns its values, NULLs included."""
    return IndexCondition(tuple(_terms(clause, select) for clause in condition.clauses))


def terms_of_values(index: IndexDefinition | None, values: Sequence[Value]) -> Terms:
    """The documents with one of ``values`` in the column of ``index``, or as their primary key; NULL equals none."""
    found = dict.fromkeys(value for value in values if value is not None)
    if index is None:
        return (IndexKeys(tuple(found)),)
    return tuple(IndexEntry(index, (value,)) for value in found)


def _terms(terms: Terms, select: Select) -> Terms:
    return tuple(itertools.chain.from_iterable(_resolved(term, select) for term in terms))


def _resolved(term: IndexTerm, select: Select) -> Terms:
    if isinstance(term, IndexSubquery):
        values = select(term)
        return _outside(term.index, values) if term.negated else terms_of_values(term.index, values)
    if isinstance(term, IndexComplement):
        return (IndexComplement(_terms(term.terms, select)),)
    return (resolved(term, select),) if isinstance(term, IndexCondition) else (term,)


def _outside(index: IndexDefinition | None, values: Sequence[Value]) -> Terms:
    """The documents whose column is known to equal none of ``values``, as NOT IN has it
    (https://www.sqlite.org/lang_expr.html#in_op): each of them when there is no value, none when NULL is one."""
    if not values:
        return (IndexCondition(),)
    if None in values:
        return ()
    null = () if index is None else (IndexEntry(index, (None,)),)
    return (IndexComplement((*terms_of_values(index, values), *null)),)
