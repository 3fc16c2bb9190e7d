"""What a scan leaves out: nothing that SQLite would call equal, and most of what it would not."""

from __future__ import annotations

import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_smarterbase.backend.narrowing import Narrowing
from django_smarterbase.exceptions import CorruptDocument
from django_smarterbase.storage.codec import DocumentCodec
from django_smarterbase.tables import (
    Affinity,
    Column,
    IndexCondition,
    IndexDefinition,
    IndexEntry,
    Kind,
    TableSchema,
    Value,
)

KEY = "db/things/1.json"
KINDS = {
    Affinity.TEXT: (Kind.PLAIN, Kind.UUID, Kind.DATETIME, Kind.JSON),
    Affinity.INTEGER: (Kind.PLAIN, Kind.BOOL, Kind.DURATION),
    Affinity.REAL: (Kind.PLAIN,),
    Affinity.NUMERIC: (Kind.PLAIN, Kind.DECIMAL),
    Affinity.BLOB: (Kind.PLAIN, Kind.BINARY),
}
DECLARED = {
    Affinity.TEXT: "text",
    Affinity.INTEGER: "integer",
    Affinity.REAL: "real",
    Affinity.NUMERIC: "decimal",
    Affinity.BLOB: "blob",
}
COLUMNS = st.sampled_from(
    [
        Column("value", kind, affinity, collation)
        for affinity, kinds in KINDS.items()
        for kind in kinds
        for collation in (("", "NOCASE", "RTRIM") if affinity is Affinity.TEXT else ("",))
    ]
)
VALUES = st.one_of(
    st.none(),
    st.integers(-3, 3),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.sampled_from(["", "a", "A", "a ", "1", "1.0", "01", " 1", "1e0", "a\0b", "2026-01-01 00:00:00", "0" * 32, "é"]),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
    st.binary(max_size=3),
)


def schema_of(column: Column) -> TableSchema:
    return TableSchema("things", "Thing", (Column("id", affinity=Affinity.INTEGER), column), ("id",))


def condition(*values: Value, column: str = "value") -> IndexCondition:
    return IndexCondition((tuple(IndexEntry(IndexDefinition(column, (column,)), (value,)) for value in values),))


@given(column=COLUMNS, value=VALUES, wanted=st.lists(VALUES, min_size=1, max_size=3))
def test_narrowing_admits_all_that_sqlite_calls_equal(column: Column, value: Value, wanted: list[Value]) -> None:
    with sqlite3.connect(":memory:") as sqlite:
        collation = f" COLLATE {column.collation}" if column.collation else ""
        sqlite.execute(f"CREATE TABLE things (value {DECLARED[column.affinity]}{collation})")
        sqlite.execute("INSERT INTO things VALUES (?)", (value,))
        stored = sqlite.execute("SELECT value FROM things").fetchone()[0]
        equal = any(
            sqlite.execute(
                "SELECT 1 FROM things WHERE value = ? OR (value IS NULL AND ? IS NULL)", (each, each)
            ).fetchone()
            for each in wanted
        )
    sqlite.close()
    codec = DocumentCodec(schema_of(column))
    if equal:
        assert Narrowing(codec, condition(*wanted)).admits(KEY, codec.encode((1, stored)))


@pytest.mark.parametrize(
    ("column", "stored", "wanted"),
    [
        (Column("value", affinity=Affinity.TEXT), "a", "b"),
        (Column("value", affinity=Affinity.TEXT), "a", None),
        (Column("value", affinity=Affinity.TEXT), None, "a"),
        (Column("value", affinity=Affinity.TEXT, collation="NOCASE"), "a", "b"),
        (Column("value", affinity=Affinity.INTEGER), 1, 2),
        (Column("value", Kind.UUID, Affinity.TEXT), "0" * 32, "1" * 32),
        (Column("value", Kind.DECIMAL, Affinity.NUMERIC), 1.5, "2.5"),
        (Column("value", Kind.BINARY, Affinity.BLOB), b"a", b"b"),
    ],
)
def test_narrowing_refuses_what_is_not_equal(column: Column, stored: Value, wanted: Value) -> None:
    codec = DocumentCodec(schema_of(column))
    assert not Narrowing(codec, condition(wanted)).admits(KEY, codec.encode((1, stored)))


def test_narrowing_refuses_what_misses_one_of_several_clauses() -> None:
    codec = DocumentCodec(schema_of(Column("value", affinity=Affinity.TEXT)))
    both = IndexCondition((*condition("a").clauses, *condition(2, column="id").clauses))
    assert not Narrowing(codec, both).admits(KEY, codec.encode((1, "a")))
    assert not Narrowing(codec, both).admits(KEY, codec.encode((2, "b")))
    assert Narrowing(codec, both).admits(KEY, codec.encode((2, "a")))


@pytest.mark.parametrize(
    "body", [b'{"id": 1}', b'{"id": 1, "value": {"$odd": 1}}', b'{"id": 1, "value": "b", "_v": 9}']
)
def test_narrowing_admits_what_must_be_read_as_a_whole(body: bytes) -> None:
    codec = DocumentCodec(schema_of(Column("value", affinity=Affinity.TEXT)))
    assert Narrowing(codec, condition("a")).admits(KEY, body)


@pytest.mark.parametrize(
    ("column", "attribute"),
    [
        (Column("value", Kind.UUID, Affinity.TEXT), b'"no UUID"'),
        (Column("value", affinity=Affinity.INTEGER), b'"no number"'),
        (Column("value", Kind.DATETIME, Affinity.TEXT), b'"2026-02-30T00:00:00.000000Z"'),
    ],
)
def test_narrowing_admits_what_cannot_be_read_so_that_it_is_told(column: Column, attribute: bytes) -> None:
    codec = DocumentCodec(schema_of(column))
    assert Narrowing(codec, condition("0" * 32, 5)).admits(KEY, b'{"id": 1, "value": %s}' % attribute)


@pytest.mark.parametrize("body", [b"", b"[]", b"no JSON", b'{"value": ' + b"[" * 600 + b"]" * 600 + b"}"])
def test_narrowing_raises_for_what_is_no_document(body: bytes) -> None:
    codec = DocumentCodec(schema_of(Column("value", affinity=Affinity.TEXT)))
    with pytest.raises(CorruptDocument):
        Narrowing(codec, condition("a")).admits(KEY, body)
