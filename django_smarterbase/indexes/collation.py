"""Text as its collation compares it."""

from __future__ import annotations

from typing import Final

from ..tables import COLLATIONS, Column

_UPPER_TO_LOWER: Final = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}


class NotIndexable(ValueError):  # not an error: the caller scans instead
    """The index cannot be asked for this value, or cannot hold this column."""


def folded(column: Column, value: str) -> bytes:
    """The bytes by which SQLite tells ``value`` from others in the column, and sorts it. Raises NotIndexable."""
    collation = column.collation.upper()
    if collation not in COLLATIONS:
        raise NotIndexable(f"column {column.name!r} has the collation {column.collation!r}, which only SQLite knows")
    try:
        return _fold(collation, value).encode()
    except UnicodeEncodeError:
        raise NotIndexable(f"a value for column {column.name!r} is not Unicode text: {value!r}") from None


def folds(column: Column) -> bool:
    """Whether different texts may be the same to the column's collation."""
    return column.collation.upper() in {"NOCASE", "RTRIM"}


def _fold(collation: str, value: str) -> str:
    if collation == "RTRIM":
        return value.rstrip(" ")
    if collation != "NOCASE":
        return value
    lower = value.translate(_UPPER_TO_LOWER)
    head, nul, _ = lower.partition("\0")
    # SQLite's NOCASE looks no further than a NUL, and then compares the lengths.
    return f"{head}\0{len(lower.encode()):016x}" if nul else lower
