"""Index conditions in the words of ``lua/reading.lua``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from ..storage.affinity import stored
from ..storage.keys import stem
from ..tables import (
    IndexComplement,
    IndexCondition,
    IndexEntry,
    IndexKeys,
    IndexLeaf,
    IndexSubquery,
    IndexTerm,
    TableSchema,
)
from .answers import FallbackReason, IndexUntrusted
from .encoding import NotIndexable, sought_term

Word = str | int

#: What begins a term that is more than one word; no entry begins so.
SETS: Final = "(e"
KEYS: Final = "(k"
COMPLEMENT: Final = "(-"
CONDITION: Final = "(&"


def condition_words(schema: TableSchema, condition: IndexCondition) -> list[Word]:
    """The words of a condition, without repetitions. Raises IndexUntrusted for what no index can be asked for."""
    try:
        return _of_condition(schema, condition)
    except NotIndexable as problem:
        raise IndexUntrusted(FallbackReason.NOT_INDEXED, str(problem), expected=True) from problem


def _of_condition(schema: TableSchema, condition: IndexCondition) -> list[Word]:
    words: list[Word] = [len(condition.clauses)]
    for clause in condition.clauses:
        words += _of_terms(schema, clause)
    return words


def _of_terms(schema: TableSchema, terms: Iterable[IndexTerm]) -> list[Word]:
    # Several values may have one code, and a set that is named twice would be counted twice.
    codes: dict[str, dict[str, None]] = {}
    others: dict[tuple[Word, ...], None] = {}
    for term in terms:
        if isinstance(term, IndexEntry):
            index, _, code = sought_term(schema, term).partition(":")
            codes.setdefault(index, {})[code] = None
        else:
            others[_of_term(schema, term)] = None
    words: list[Word] = [len(codes) + len(others)]
    for index, found in codes.items():
        words += (SETS, index, len(found), *found)
    for other in others:
        words += other
    return words


def _of_term(schema: TableSchema, term: IndexTerm) -> tuple[Word, ...]:
    if isinstance(term, IndexLeaf):
        return (sought_term(schema, term),)
    if isinstance(term, IndexKeys):
        affinity = schema.by_name[schema.pk[0]].affinity
        stems = dict.fromkeys(stem([stored(affinity, pk)]) for pk in term.pks)
        return KEYS, len(stems), *stems
    if isinstance(term, IndexComplement):
        return COMPLEMENT, *_of_terms(schema, term.terms)
    if isinstance(term, IndexSubquery):
        raise TypeError("An IndexSubquery must be resolved before the index is asked: see backend/resolving.py.")
    return CONDITION, *_of_condition(schema, term)
