"""Codes against SQLite itself: equal exactly when SQLite calls the values equal."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from django_smarterbase.indexes.definitions import definition, indexable
from django_smarterbase.indexes.encoding import (
    LOSSY,
    NotIndexable,
    code,
    sought_entry,
    stored_code,
    value_of,
)
from django_smarterbase.indexes.entries import doubtful_entries, entries_of
from django_smarterbase.tables import Affinity, Column, IndexDefinition, IndexEntry, Kind, TableSchema, Value

DECLARED = {
    "INTEGER": Affinity.INTEGER,
    "REAL": Affinity.REAL,
    "NUMERIC": Affinity.NUMERIC,
    "TEXT": Affinity.TEXT,
    "BLOB": Affinity.BLOB,
}
COLLATIONS = ("", "BINARY", "NOCASE", "RTRIM", "nocase")

NEAR_NUMBERS = st.text(alphabet=" \t\n\x0b\x0c\r\x1c0123456789+-.eEaA\0xé", max_size=9)
ODD_TEXTS = st.sampled_from(
    ["9223372036854775807", "9223372036854775808", "1e3", " 1 ", "0x10", "1_000", "٣", "inf", "nan", "1.0", "01", "-0"]
)
TEXTS = st.one_of(
    st.text(max_size=6),
    NEAR_NUMBERS,
    ODD_TEXTS,
    st.integers().map(str),
    st.floats(allow_nan=False).map(repr),
    st.floats().map("{:.20g}".format),
    st.text(min_size=60, max_size=70),
)
NUMBERS = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.integers(-5, 5),
    st.floats(),
    st.integers(-(2**53) - 3, 2**53 + 3).map(float),
    st.sampled_from([2**53 + 1, 2.0**53, 2.0**63, -(2.0**63), 2**63 - 1, -(2**63), 1e300, -0.0]),
)
VALUES: st.SearchStrategy[Value] = st.one_of(st.none(), NUMBERS, TEXTS, st.binary(max_size=40))


def lookalike(value: Value) -> Value:
    """Another value that SQLite may call equal to ``value``."""
    if isinstance(value, str):
        return value.swapcase()
    if isinstance(value, int):
        return float(value)
    if isinstance(value, float) and abs(value) < 2**63:
        return int(value)
    return value


def respelled(value: Value) -> Value:
    """``value`` as text, or with a blank after it."""
    return f"{value} " if isinstance(value, str) else str(value) if isinstance(value, (int, float)) else value


PAIRS = VALUES.flatmap(
    lambda value: st.tuples(
        st.just(value), st.one_of(VALUES, st.sampled_from([value, lookalike(value), respelled(value)]))
    )
)


@pytest.fixture(scope="module")
def sqlite() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    yield connection
    connection.close()


@settings(max_examples=1500, deadline=None)
@given(declared=st.sampled_from(sorted(DECLARED)), collation=st.sampled_from(COLLATIONS), pair=PAIRS)
@example(declared="REAL", collation="", pair=(2**53 + 1, 2**53 + 1))
@example(declared="TEXT", collation="NOCASE", pair=("a\0b", "A\0c"))
@example(declared="TEXT", collation="NOCASE", pair=("a\0b", "a\0cd"))
def test_code_is_equal_exactly_when_sqlite_calls_the_values_equal(
    sqlite: sqlite3.Connection, declared: str, collation: str, pair: tuple[Value, Value]
) -> None:
    stored, sought = pair
    sqlite.execute("DROP TABLE IF EXISTS t")
    sqlite.execute(f"CREATE TABLE t (c {declared} {'COLLATE ' + collation if collation else ''})")
    sqlite.execute("INSERT INTO t VALUES (?)", (stored,))
    held, equal = sqlite.execute("SELECT +c, c IS ? FROM t", (sought,)).fetchone()
    column = Column("c", affinity=DECLARED[declared], collation=collation)

    assert (stored_code(column, stored) == code(column, sought)) == bool(equal)
    assert stored_code(column, held) == stored_code(column, stored)


@settings(max_examples=500, deadline=None)
@given(declared=st.sampled_from(sorted(DECLARED)), value=VALUES)
def test_code_tells_its_value_unless_it_says_otherwise(sqlite: sqlite3.Connection, declared: str, value: Value) -> None:
    column = Column("c", affinity=DECLARED[declared])
    text = stored_code(column, value)
    if not text.startswith(LOSSY):
        assert stored_code(column, value_of(column, text)) == text


@settings(max_examples=500, deadline=None)
@given(collation=st.sampled_from(COLLATIONS), value=VALUES)
def test_code_has_no_separator_in_it(collation: str, value: Value) -> None:
    text = code(Column("c", affinity=Affinity.TEXT, collation=collation), value)
    assert not set(text) & set(" ,:\n{}*?[]\\")
    assert len(text) < 250


@pytest.mark.parametrize(
    "column, value",
    [
        (Column("c", affinity=Affinity.INTEGER), 2**63),
        (Column("c", affinity=Affinity.TEXT), "\ud800"),
        (Column("c", affinity=Affinity.TEXT, collation="unicode"), "x"),
    ],
)
def test_code_refuses_what_sqlite_alone_could_compare(column: Column, value: Value) -> None:
    with pytest.raises(NotIndexable, match="c"):
        code(column, value)


BY_A = IndexDefinition("by a:1", ("a",))
BY_AB = IndexDefinition("ab", ("a", "b"))
SCHEMA = TableSchema(
    "t",
    "app.T",
    (Column("a", affinity=Affinity.TEXT), Column("b", affinity=Affinity.INTEGER)),
    ("a",),
    indexes=(BY_A, BY_AB),
)


def test_entries_of_names_every_index_and_all() -> None:
    assert entries_of(SCHEMA, {"a": "x y", "b": "7"}) == (
        "*",
        "by%20a%3A1:tx%20y",
        "ab:tx%20y,i7",
        ">by%20a%3A1:tx#Py!tx#Py!",
        ">ab:tx#Py!rc01c!tx#Py!",
        ">:tx#Py!",
    )


def test_sought_entry_is_the_entry_of_the_documents_that_have_the_values() -> None:
    sought = sought_entry(SCHEMA, IndexEntry(BY_AB, ("x", 7.0)))
    assert sought in entries_of(SCHEMA, {"a": "x", "b": 7})


def test_sought_entry_refuses_an_index_that_the_table_does_not_have() -> None:
    with pytest.raises(NotIndexable, match="other"):
        sought_entry(SCHEMA, IndexEntry(IndexDefinition("other", ("a",)), ("x",)))


def test_indexable_leaves_out_unknown_collations_and_generated_columns() -> None:
    columns = (Column("a", collation="unicode"), Column("b", generated=True), Column("c"))
    indexes = tuple(IndexDefinition(name, (name,)) for name in "abc")
    assert indexable(replace(SCHEMA, columns=columns, indexes=indexes)) == (indexes[2],)


@pytest.mark.parametrize(
    "changed",
    [
        replace(SCHEMA, indexes=(BY_A,)),
        replace(SCHEMA, indexes=(BY_A, replace(BY_AB, name="ba"))),
        replace(SCHEMA, indexes=(BY_A, replace(BY_AB, columns=("b", "a")))),
        replace(SCHEMA, columns=(Column("a", affinity=Affinity.TEXT), Column("b", affinity=Affinity.TEXT))),
        replace(
            SCHEMA,
            columns=(Column("a", affinity=Affinity.TEXT, collation="NOCASE"), Column("b", affinity=Affinity.INTEGER)),
        ),
    ],
)
def test_definition_differs_when_entries_would(changed: TableSchema) -> None:
    assert definition(changed) != definition(SCHEMA)


def test_definition_is_the_same_when_only_other_columns_and_the_order_differ() -> None:
    more = replace(SCHEMA, columns=(*SCHEMA.columns, Column("z")), indexes=(BY_AB, BY_A))
    assert definition(more) == definition(SCHEMA)


FLAGS = TableSchema(
    "flags",
    "Flag",
    (
        Column("id", affinity=Affinity.INTEGER),
        Column("live", Kind.BOOL, Affinity.NUMERIC),
        Column("size", affinity=Affinity.INTEGER),
    ),
    ("id",),
    indexes=(IndexDefinition("live", ("live",)), IndexDefinition("both", ("live", "size"))),
)


@pytest.mark.parametrize("value", [None, 0, 1, 1.0, "1", " 0 "])
def test_document_has_one_entry_in_each_index_while_its_booleans_are_plain(value: Value) -> None:
    entries = entries_of(FLAGS, {"id": 5, "live": value, "size": 7})
    assert [entry.partition(":")[0] for entry in entries] == ["*", "live", "both", ">live", ">both", ">"]


@pytest.mark.parametrize(("value", "code", "truth"), [(2, "i2", 1), ("2x", "t2x", 1), ("a", "ta", 0), (b"", "b", 0)])
def test_document_has_the_entries_of_what_is_odd_and_of_what_it_is_taken_for(
    value: Value, code: str, truth: int
) -> None:
    entries = entries_of(FLAGS, {"id": 5, "live": value, "size": 7})
    taken = entries_of(FLAGS, {"id": 5, "live": truth, "size": 7})
    assert entries[:3] == ("*", f"live:{code}", f"both:{code},i7")
    assert entries[6] == "?live:odd"
    assert entries[7:] == (*taken[1:3], *taken[3:5])


def test_document_has_entries_of_every_selection_of_its_odd_booleans() -> None:
    columns = (Column("id", affinity=Affinity.INTEGER), *(Column(name, Kind.BOOL, Affinity.NUMERIC) for name in "ab"))
    schema = TableSchema("flags", "Flag", columns, ("id",), indexes=(IndexDefinition("ab", ("a", "b")),))
    entries = entries_of(schema, {"id": 5, "a": 2, "b": "x"})
    assert [entry for entry in entries if entry.startswith("ab:")] == ["ab:i2,tx", "ab:i2,i0", "ab:i1,tx", "ab:i1,i0"]
    assert doubtful_entries(schema, schema.indexes) == "?a:odd ?b:odd"
    assert doubtful_entries(schema, [schema.pk_index]) == ""
