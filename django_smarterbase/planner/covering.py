"""The choice of indexes for equalities and ranges that hold together."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from django_smarterbase.planner.ranges import Interval, is_told_apart
from django_smarterbase.tables import IndexDefinition, IndexEntry, IndexRange, IndexTerm, TableSchema, Value

#: More sets than this are not asked for at once: a script over them keeps Redis from others for too long.
MAX_ENTRIES: Final = 50_000
_MAX_PRODUCT: Final = 2000  # combinations of values, before an index over fewer columns is the better one
_MOST_RANGES: Final = 100  # of one clause; each is a search of its own

Equalities = Mapping[str, tuple[Value, ...]]
Clause = tuple[IndexTerm, ...]


@dataclass
class Ranges:
    """The ranges of columns in one AND: of each column alternatives, one of which must hold, and of these as many as
    there are conditions."""

    by_column: dict[str, list[tuple[Interval, ...]]] = field(default_factory=dict)

    def add(self, column: str, intervals: tuple[Interval, ...]) -> None:
        """Add a condition; one bound joins another to a single interval."""
        conditions = self.by_column.setdefault(column, [])
        for position, others in enumerate(conditions):
            if len(intervals) == len(others) == 1 and (both := intervals[0].within(others[0])) is not None:
                conditions[position] = (both,)
                return
        conditions.append(intervals)

    def __iter__(self) -> Iterator[tuple[str, tuple[Interval, ...]]]:
        for column, conditions in self.by_column.items():
            for intervals in conditions:
                yield column, intervals


def cover(schema: TableSchema, equalities: Equalities, ranges: Ranges) -> tuple[tuple[Clause, ...], bool]:
    """The clauses that the table's indexes offer, and whether they say all that is said.

    A range takes the index that begins with the most of the equalities and goes on with its column. Of what is left
    the longest index that is covered is used first, each column once.
    """
    clauses: list[Clause] = []
    left, complete = dict(equalities), True
    told_apart = {name: values for name, values in equalities.items() if all(map(is_told_apart, values))}
    for column, intervals in ranges:
        index, prefix = _index_for_range(schema, column, told_apart, len(intervals))
        if index is None:
            complete = False
            continue
        clauses.append(_range_clause(index, prefix, equalities, intervals))
        for name in prefix:
            left.pop(name, None)
    for index in sorted(schema.indexes, key=lambda index: -len(index.columns)):
        if left and all(column in left for column in index.columns):
            clause = _product(index, left)
            if clause is not None:
                clauses.append(clause)
                for column in index.columns:
                    del left[column]
    return tuple(clauses), complete and not left


def ordered_columns(schema: TableSchema, index: IndexDefinition) -> tuple[str, ...]:
    """The columns by which an ordered index sorts: its own, then the primary key."""
    return index.columns if index == schema.pk_index else (*index.columns, *schema.ordering_key)


def orders(schema: TableSchema) -> tuple[IndexDefinition, ...]:
    """The ordered indexes of a table: those of the model, and that of the primary key."""
    return (*schema.indexes, schema.pk_index) if schema.ordering_key else schema.indexes


def _index_for_range(
    schema: TableSchema, column: str, equalities: Equalities, alternatives: int
) -> tuple[IndexDefinition | None, tuple[str, ...]]:
    """The index in which ``column`` comes next after the most columns that have equalities, and these columns."""
    best: IndexDefinition | None = None
    prefix: tuple[str, ...] = ()
    for index in orders(schema):
        names = ordered_columns(schema, index)
        position = names.index(column) if column in names else -1
        before = names[:position] if position >= 0 else ()
        if position < 0 or any(name not in equalities for name in before):
            continue
        size = alternatives * math.prod(len(equalities[name]) for name in before)
        if size <= _MOST_RANGES and (best is None or len(before) > len(prefix)):
            best, prefix = index, before
    return best, prefix


def _range_clause(
    index: IndexDefinition, prefix: tuple[str, ...], equalities: Equalities, intervals: tuple[Interval, ...]
) -> Clause:
    return tuple(
        IndexRange(index, values, each.lower, each.upper, each.lower_inclusive, each.upper_inclusive)
        for values in itertools.product(*(equalities[name] for name in prefix))
        for each in intervals
    )


def _product(index: IndexDefinition, equalities: Equalities) -> Clause | None:
    """The entries of every combination of values, or None when there are too many to be worth it."""
    choices = [equalities[column] for column in index.columns]
    if math.prod(map(len, choices)) > (MAX_ENTRIES if len(choices) == 1 else _MAX_PRODUCT):
        return None
    return tuple(IndexEntry(index, values) for values in itertools.product(*choices))
