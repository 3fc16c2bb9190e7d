"""Codes of values and entries of documents: two values have one code exactly when SQLite calls them equal.

A code is a tag and text of ``[A-Za-z0-9_.~%+-]``::

    n              NULL (index entries treat it as equal to itself, as ``IS`` does)
    i<decimal>     an integer, or a float that equals one that SQLite can hold
    f<repr>        any other float
    t<encoded>     text, percent-encoded              !t<sha256>   text over 64 bytes
    b<hex>         bytes                              !b<sha256>   more than 32 bytes
    !c<encoded>    text folded by its collation, so that its value cannot be read back

An *entry* is ``<index>:<code>[,<code>]``, or ``*``, which every document has, or an ordered one (``ordering``). A
document has one entry in each index, unless it is odd (``entries``). A change that encodes anything differently raises
``definitions.VERSION``.
"""

from __future__ import annotations

import hashlib
from typing import Final
from urllib.parse import unquote

from ..storage import affinity
from ..tables import Affinity, Column, IndexEntry, IndexLeaf, TableSchema, Value
from .collation import NotIndexable as NotIndexable
from .collation import folded, folds
from .definitions import facts_of
from .keys import part
from .ordering import sought_range

LOSSY: Final = "!"  # begins each code that does not tell its value

_INLINE_TEXT = 64  # bytes
_INLINE_BYTES = 32


def code(column: Column, value: Value) -> str:
    """The code of a value that a query compares with ``column``. Raises NotIndexable."""
    return _code(column, affinity.compared(column.affinity, value))


def stored_code(column: Column, value: Value) -> str:
    """The code of a value that a row has in ``column``. Raises NotIndexable."""
    return _code(column, affinity.stored(column.affinity, value))


def value_of(column: Column, code: str) -> Value:
    """The value that ``code`` stands for, as the column holds it. The code must not begin with ``LOSSY``."""
    tag, text = code[0], code[1:]
    if tag == "n":
        return None
    if tag == "i":
        return float(text) if column.affinity is Affinity.REAL else int(text)
    if tag == "f":
        return float(text)
    return bytes.fromhex(text) if tag == "b" else unquote(text, errors="strict")


def sought_term(schema: TableSchema, sought: IndexLeaf) -> str:
    """What a script is asked for: an entry, or the part of an ordered index. Raises NotIndexable."""
    return sought_entry(schema, sought) if isinstance(sought, IndexEntry) else sought_range(schema, sought)


def sought_entry(schema: TableSchema, sought: IndexEntry) -> str:
    """The entry that a query asks for. Raises NotIndexable."""
    index = facts_of(schema).indexes.get(sought.index)
    if index is None:
        columns = ", ".join(sought.index.columns)
        raise NotIndexable(f"{schema.table} has no index {sought.index.name!r} on {columns}")
    pairs = zip(index.columns, sought.values, strict=True)
    return index.prefix + ",".join([code(column, value) for column, value in pairs])


def _code(column: Column, value: Value) -> str:
    if value is None:
        return "n"
    if isinstance(value, str):
        return _text_code(column, value)
    if isinstance(value, (int, float)):
        return _number_code(column, value)
    return f"b{value.hex()}" if len(value) <= _INLINE_BYTES else f"{LOSSY}b{hashlib.sha256(value).hexdigest()}"


def _number_code(column: Column, value: int | float) -> str:
    if isinstance(value, float) and not value.is_integer():
        return f"f{value!r}"
    whole = int(value)
    if affinity.INT64_MIN <= whole <= affinity.INT64_MAX:
        return f"i{whole}"
    if isinstance(value, float):
        return f"f{value!r}"
    raise NotIndexable(f"{value} does not fit the 64 bits of an integer in column {column.name!r}")


def _text_code(column: Column, value: str) -> str:
    raw = folded(column, value)
    if len(raw) > _INLINE_TEXT:
        return f"{LOSSY}t{hashlib.sha256(raw).hexdigest()}"
    text = part(raw.decode())
    return f"{LOSSY}c{text}" if folds(column) else f"t{text}"
