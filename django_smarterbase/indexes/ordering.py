"""Codes that sort as SQLite sorts: what ordered indexes hold.

The code of a column is a tag, printable ASCII without blanks, and ``!``, which sorts below whatever may stand in its
place. Its bytes compare as SQLite's ORDER BY compares the values::

    n!              NULL
    r<digits>!      a number: the largest float that is no more than it, as sortable hexadecimal digits, then what is
                    left up to an integer between two floats; without the zeros at the end
    t<escaped>!     text as its collation compares it, byte by byte
    x<escaped>!     bytes

Bytes that would break this are written as two: ``#0`` to ``#S`` for those below ``$``, ``|0`` to ``~o`` for those from
``|`` on. Text and bytes are cut after 64 bytes, which ``"`` then says: such codes never turn the order round, but are
the same for different values.

An *ordered entry* is ``><index>:`` and the codes of the index's columns, then those of the primary key, which tell
apart what the index does not. The index of the primary key itself has an empty name. A document has the entry
``?<column>:odd`` when an ordered column of dates or moments holds another text; for booleans see ``entries``.
"""

from __future__ import annotations

import math
import re
import struct
from dataclasses import replace
from datetime import datetime
from typing import Final

from ..storage import affinity
from ..tables import TOLD_APART, Column, IndexDefinition, IndexRange, Kind, Row, TableSchema, Value, Walk
from .collation import NotIndexable, folded
from .definitions import KeptIndex, facts_of
from .keys import part

END: Final = "!"
CUT: Final = '"'
NULL: Final = f"n{END}"
_CALENDAR: Final = (Kind.DATE, Kind.DATETIME)
_MOMENT: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?: [0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?)?")
ABOVE_NULL: Final = "o"
ABOVE_ALL: Final = "~"

_SIGN: Final = 1 << 63
_ALL_BITS: Final = (1 << 64) - 1
_ESCAPES: Final = (("#", 0x00, 0x24), ("|", 0x7C, 0x80), ("}", 0x80, 0xC0), ("~", 0xC0, 0x100))
_ESCAPED: Final = {
    byte: f"{lead}{chr(0x30 + byte - first)}" for lead, first, end in _ESCAPES for byte in range(first, end)
}


def ordered_entries(schema: TableSchema, row: Row) -> list[str]:
    """The ordered entries of a document. Raises NotIndexable."""
    facts = facts_of(schema)
    codes = {column.name: stored_order(column, row[column.name]) for column in facts.ordered_columns}
    return [kept.prefix + "".join([codes[column.name] for column in kept.columns]) for kept in facts.orders.values()]


def ordered_entry(kept: KeptIndex, row: Row) -> str:
    """The entry of one ordered index. Raises NotIndexable."""
    return kept.prefix + "".join([stored_order(column, row[column.name]) for column in kept.columns])


def odd_moments(schema: TableSchema, row: Row) -> list[str]:
    """An entry for each ordered column of dates or moments that holds another text, so that texts which begin alike
    need not be of the same year, month or day.
    """
    return [
        odd_entry(column)
        for column in facts_of(schema).ordered_columns
        if column.kind in _CALENDAR and isinstance(row[column.name], str) and not _is_moment(str(row[column.name]))
    ]


def odd_entry(column: Column) -> str:
    """The entry of documents in which ``column`` holds a text that is no date, or what is neither true nor false."""
    return f"?{part(column.name)}:odd"


def kept_order(schema: TableSchema, index: IndexDefinition) -> KeptIndex:
    """The ordered index. Raises NotIndexable."""
    kept = facts_of(schema).orders.get(index)
    if kept is None:
        columns = ", ".join(index.columns)
        raise NotIndexable(f"{schema.table} has no index {index.name!r} on {columns}")
    return kept


def sought_range(schema: TableSchema, sought: IndexRange) -> str:
    """A part of an ordered index as the scripts take it: ``><index>:<first code> <code after the last>``.

    Raises NotIndexable.
    """
    _columns, first, last = bounds_of(schema, sought)
    return f"{kept_order(schema, sought.index).prefix}{first} {last}"


def bounds_of(schema: TableSchema, sought: IndexRange) -> tuple[tuple[Column, ...], str, str]:
    """The columns that a range is about, its first code and the code after its last.

    A bound that was cut is taken in, whatever the range says. Raises NotIndexable.
    """
    columns = kept_order(schema, sought.index).columns[: len(sought.prefix) + 1]
    prefix = "".join([order(column, value) for column, value in zip(columns, sought.prefix, strict=False)])
    first, last = ABOVE_NULL, ABOVE_ALL
    if sought.lower is not None:
        first = _edge(columns[-1], sought.lower, after=not sought.lower_inclusive, cut_after=False)
    if sought.upper is not None:
        last = _edge(columns[-1], sought.upper, after=sought.upper_inclusive, cut_after=True)
    return columns, prefix + first, prefix + last


def walk_bounds(schema: TableSchema, walk: Walk) -> tuple[str, str, str, str]:
    """The ordered index of a walk as the scripts call it, its first code, the code after its last, and the code of NULL
    if that is to be moved. Raises NotIndexable.
    """
    kept = kept_order(schema, walk.index)
    prefix = "".join([order(column, value) for column, value in zip(kept.columns, walk.prefix, strict=False)])
    first, last = prefix, prefix + ABOVE_ALL
    if walk.within is not None:
        _columns, first, last = bounds_of(schema, replace(walk.within, index=walk.index, prefix=walk.prefix))
    return kept.prefix[1:-1], first, last, prefix + NULL if walk.nulls_moved else ""


def order(column: Column, value: Value) -> str:
    """The code of a value that a query compares with ``column``. Raises NotIndexable."""
    return _code(column, affinity.compared(column.affinity, value))


def stored_order(column: Column, value: Value) -> str:
    """The code of a value that a row has in ``column``. Raises NotIndexable."""
    return _code(column, affinity.stored(column.affinity, value))


def _is_moment(text: str) -> bool:
    if _MOMENT.fullmatch(text) is None:
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _edge(column: Column, value: Value, *, after: bool, cut_after: bool) -> str:
    """Where the codes of ``value`` begin, or what comes after them."""
    code = order(column, value)
    if code == NULL:
        raise NotIndexable(f"a range of column {column.name!r} has NULL for a bound")
    if code[-2] == CUT:
        after = cut_after
    # Nothing that begins with the code is above it with its end raised by one.
    return code[:-1] + CUT if after else code


def _code(column: Column, value: Value) -> str:
    if value is None:
        return NULL
    if isinstance(value, str):
        return f"t{_escaped(folded(column, value))}{END}"
    if isinstance(value, bytes):
        return f"x{_escaped(value)}{END}"
    return f"r{_number(column, value)}{END}"


def _escaped(raw: bytes) -> str:
    text = raw[:TOLD_APART].decode("latin-1").translate(_ESCAPED)
    return text if len(raw) <= TOLD_APART else text + CUT


def _number(column: Column, value: int | float) -> str:
    if isinstance(value, float):
        return f"{_sortable(value + 0.0):016x}".rstrip("0")
    if not affinity.INT64_MIN <= value <= affinity.INT64_MAX:
        raise NotIndexable(f"{value} does not fit the 64 bits of an integer in column {column.name!r}")
    below = float(value)  # such floats are no more than 1024 apart
    if below > value:
        below = math.nextafter(below, -math.inf)
    return f"{_sortable(below):016x}{value - int(below):03x}".rstrip("0")


def _sortable(value: float) -> int:
    """An integer of 64 bits that is smaller for a smaller float; -0.0 must be 0.0 already."""
    bits: int = struct.unpack(">Q", struct.pack(">d", value))[0]
    return bits ^ _ALL_BITS if bits & _SIGN else bits | _SIGN
