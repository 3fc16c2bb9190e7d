"""The entries of a document: in which sets it is, and where it stands in ordered indexes.

It has one entry in each index. An *odd* document has more: one whose boolean column holds neither NULL nor what Django
writes for true and false, as raw SQL and expressions can. SQLite takes such a value for true or for false where the
column is a condition by itself (``WHERE "live"`` is true of a 2) and compares it as what it is. So the document stands
in the indexes of that column both by its value and by what that stands for, just like one that is being written stands
there by what it was and what it is going to be; and like that, it is in doubt for who asks these indexes. It has the
entry ``?<column>:odd``, by which the scripts know it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from ..storage import affinity
from ..tables import Column, IndexDefinition, Kind, Row, TableSchema, Value
from .definitions import KeptIndex, facts_of
from .encoding import code, stored_code
from .ordering import odd_entry, odd_moments, ordered_entries, ordered_entry

ALL: Final = "*"


def entries_of(schema: TableSchema, row: Row) -> tuple[str, ...]:
    """All entries of a document. A column that an index names must be in ``row``. Raises NotIndexable.

    Of the entries in one index, that of the values comes first.
    """
    facts = facts_of(schema)
    entries = (
        ALL,
        *(_set_entry(index, row) for index in facts.indexes.values()),
        *ordered_entries(schema, row),
        *odd_moments(schema, row),
    )
    truths = {column: truth for column in facts.truths if (truth := odd_truth(column, row[column.name])) is not None}
    return tuple(dict.fromkeys((*entries, *_odd_entries(schema, row, truths)))) if truths else entries


def odd_truth(column: Column, value: Value) -> int | None:
    """What SQLite takes the value of a boolean column for, 0 or 1; None for one that is plainly so, and for NULL.

    Raises NotIndexable.
    """
    if value is None or (type(value) is int and value in (0, 1)):
        return None
    if stored_code(column, value) in {code(column, plain) for plain in (None, 0, 1)}:
        return None
    return int(affinity.is_true(affinity.stored(column.affinity, value)))


def is_odd(column: Column, value: Value) -> bool:
    """Whether a column is one of booleans, and holds none. Raises NotIndexable."""
    return column.kind is Kind.BOOL and odd_truth(column, value) is not None


def doubtful_entries(schema: TableSchema, indexes: Iterable[IndexDefinition]) -> str:
    """The entries of odd documents that are in doubt for who asks these indexes, separated by blanks."""
    truths = facts_of(schema).truths
    if not truths:
        return ""
    asked = {name for index in indexes for name in index.columns}
    return " ".join([odd_entry(column) for column in truths if column.name in asked])


def _set_entry(index: KeptIndex, row: Row) -> str:
    return index.prefix + ",".join([stored_code(column, row[column.name]) for column in index.columns])


def _odd_entries(schema: TableSchema, row: Row, truths: Mapping[Column, int]) -> Iterator[str]:
    """The entries by which a document is odd, and those in each index with its truths in place of its values."""
    yield from map(odd_entry, truths)
    facts = facts_of(schema)
    for index in facts.indexes.values():
        yield from (_set_entry(index, other) for other in _taken_for(index, row, truths))
    for index in facts.orders.values():
        yield from (ordered_entry(index, other) for other in _taken_for(index, row, truths))


def _taken_for(index: KeptIndex, row: Row, truths: Mapping[Column, int]) -> Iterator[Row]:
    """The row with each selection of the index's odd columns replaced by their truths."""
    odd = [column for column in index.columns if column in truths]
    for values in itertools.product(*((row[column.name], truths[column]) for column in odd)):
        yield {**row, **{column.name: value for column, value in zip(odd, values, strict=True)}}
