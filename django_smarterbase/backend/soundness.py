"""What a document must be to be a row of its table, as far as it tells by itself.

The loader asks for every document, and so does the index before it says that there is one: otherwise a count would
include what a query refuses. What SQLite alone can judge (a unique value that two documents have) is left to it.
"""

from __future__ import annotations

from collections.abc import Sequence

from django_smarterbase.exceptions import CorruptDocument
from django_smarterbase.storage.affinity import stored as value_as_stored
from django_smarterbase.storage.keys import stem as stem_of
from django_smarterbase.tables import TableSchema, Value


def check_key(schema: TableSchema, stem: str, key: str, values: Sequence[Value]) -> None:
    """Raise CorruptDocument unless the primary key is what the object's key names, and as SQLite is going to hold it.

    A text "01" in an integer column would become a 1, which is the key of another object.
    """
    columns = [schema.columns[position] for position in schema.pk_positions]
    held = [
        value_as_stored(column.affinity, values[position])
        for column, position in zip(columns, schema.pk_positions, strict=True)
    ]
    if stem != stem_of(held):
        raise CorruptDocument(key, "its primary key is not the one that the object's key names")
    if schema.numbers_rows and not isinstance(held[0], int):
        raise CorruptDocument(key, f"its primary key is {held[0]!r:.100}, not a whole number")


def check_nulls(schema: TableSchema, key: str, values: Sequence[Value]) -> None:
    """Raise CorruptDocument for a null in a column that admits none."""
    for column, value in zip(schema.columns, values, strict=True):
        if value is None and not column.nullable:
            raise CorruptDocument(key, f"NOT NULL constraint failed: {schema.table}.{column.name}")


def is_its_own_stem(value: Value, stem: str, *, is_text: bool) -> bool:
    """Whether it takes no more than this to see that a primary key has the stem, as for most there are."""
    return (value == stem and stem.isalnum()) if is_text else (type(value) is int and str(value) == stem)
