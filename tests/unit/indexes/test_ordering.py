"""Ordered codes against SQLite itself: they sort as its ORDER BY does."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from django_smarterbase.indexes.collation import NotIndexable
from django_smarterbase.indexes.ordering import CUT, order, ordered_entries, sought_range, stored_order
from django_smarterbase.tables import Affinity, Column, IndexDefinition, IndexRange, TableSchema, Value

from .test_encoding import COLLATIONS, DECLARED, VALUES, lookalike, respelled

LONG = "a" * 62
NEAR = st.one_of(
    VALUES,
    st.builds(lambda tail: LONG + tail, st.text(max_size=6)),
    st.builds(lambda tail: LONG.encode() + tail, st.binary(max_size=6)),
    st.text(alphabet='aA!"# $~|{}_\0é\U0010ffff', max_size=5),
    st.integers(2**60, 2**63 - 1),
    st.integers(2**60, 2**63 - 1).map(float),
    st.sampled_from([float("inf"), float("-inf"), 0.0, -0.0, 5e-324, -5e-324]),
)


@pytest.fixture(scope="module")
def sqlite() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    yield connection
    connection.close()


def column_in(sqlite: sqlite3.Connection, declared: str, collation: str, values: list[Value]) -> Column:
    """A column with these values in its table ``t``."""
    sqlite.execute("DROP TABLE IF EXISTS t")
    sqlite.execute(f"CREATE TABLE t (c {declared} {'COLLATE ' + collation if collation else ''})")
    sqlite.executemany("INSERT INTO t VALUES (?)", [(value,) for value in values])
    return Column("c", affinity=DECLARED[declared], collation=collation)


def with_lookalikes(values: list[Value]) -> list[Value]:
    return [each for value in values for each in (value, lookalike(value), respelled(value))]


@settings(max_examples=1500, deadline=None)
@given(
    declared=st.sampled_from(sorted(DECLARED)), collation=st.sampled_from(COLLATIONS), values=st.lists(NEAR, max_size=6)
)
@example(declared="NUMERIC", collation="", values=[2**53 + 1, 2.0**53, 2**53 + 2, 2**63 - 1, -(2**63), -1.5, "a", b"a"])
@example(declared="TEXT", collation="NOCASE", values=["a\0b", "A\0cc", "a", "ab", "a\0"])
def test_codes_sort_as_sqlite_does(
    sqlite: sqlite3.Connection, declared: str, collation: str, values: list[Value]
) -> None:
    column = column_in(sqlite, declared, collation, with_lookalikes(values))
    rows = sqlite.execute("SELECT +a.c, +b.c, a.c < b.c, a.c IS b.c FROM t a, t b").fetchall()

    ordered = [row[0] for row in sqlite.execute("SELECT +c FROM t ORDER BY c")]
    codes = [stored_order(column, value) for value in ordered]
    assert codes == sorted(codes)
    for one, other, smaller, same in rows:
        code, next_code = stored_order(column, one), stored_order(column, other)
        if CUT not in (code[-2], next_code[-2]):
            assert (code < next_code) == bool(smaller or ((one is None and other is not None) and not same))
            assert (code == next_code) == bool(same)


SIGNS = {"<": (False, True), "<=": (True, True), ">": (False, False), ">=": (True, False)}


@settings(max_examples=1000, deadline=None)
@given(
    declared=st.sampled_from(sorted(DECLARED)),
    collation=st.sampled_from(COLLATIONS),
    values=st.lists(NEAR, max_size=5),
    bound=NEAR.filter(lambda value: value is not None and value == value),
    sign=st.sampled_from(sorted(SIGNS)),
)
def test_range_holds_what_sqlite_selects(
    sqlite: sqlite3.Connection, declared: str, collation: str, values: list[Value], bound: Value, sign: str
) -> None:
    column = column_in(sqlite, declared, collation, with_lookalikes([*values, bound]))
    schema = TableSchema("t", "app.T", (column,), ("rowid",), indexes=(BY_C,))
    inclusive, is_upper = SIGNS[sign]
    if is_upper:
        sought = IndexRange(BY_C, upper=bound, upper_inclusive=inclusive)
    else:
        sought = IndexRange(BY_C, lower=bound, lower_inclusive=inclusive)
    cut = order(column, bound)[-2] == CUT
    for value, selected in sqlite.execute(f"SELECT +c, c {sign} ? FROM t", (bound,)):
        is_in = stands_in(ordered_entries(schema, {"c": value})[0], sought_range(schema, sought))
        assert is_in >= bool(selected)
        assert cut or is_in == bool(selected)


def stands_in(entry: str, term: str) -> bool:
    """Whether an entry is in a part of its index, as the scripts compare them."""
    name, _, bounds = term.partition(":")
    first, last = bounds.split(" ")
    assert entry.startswith(f"{name}:")
    return first <= entry.removeprefix(f"{name}:") < last


BY_C = IndexDefinition("by c", ("c",))
BY_AB = IndexDefinition("ab", ("a", "b"))
SCHEMA = TableSchema(
    "t",
    "app.T",
    (
        Column("id", affinity=Affinity.INTEGER),
        Column("a", affinity=Affinity.TEXT),
        Column("b", affinity=Affinity.INTEGER),
    ),
    ("id",),
    indexes=(BY_AB,),
)


@settings(max_examples=300, deadline=None)
@given(rows=st.lists(st.tuples(st.text(max_size=3), st.one_of(st.none(), st.integers(-3, 3))), min_size=2, max_size=8))
def test_codes_of_several_columns_sort_one_after_the_other_and_by_the_key_at_last(rows: list[tuple[str, int]]) -> None:
    stored = [{"id": number, "a": a, "b": b} for number, (a, b) in enumerate(rows)]
    by_code = sorted(stored, key=lambda row: ordered_entries(SCHEMA, row)[0])
    expected = sorted(stored, key=lambda row: (row["a"].encode(), row["b"] is not None, row["b"] or 0, row["id"]))
    assert by_code == expected


@settings(max_examples=500, deadline=None)
@given(collation=st.sampled_from(COLLATIONS), value=NEAR)
def test_code_is_printable_and_short(collation: str, value: Value) -> None:
    code = order(Column("c", affinity=Affinity.TEXT, collation=collation), value)
    assert code.isascii()
    assert code.isprintable()
    assert " " not in code
    assert len(code) <= 2 * 64 + 3
    assert code.endswith("!")
    assert "!" not in code[:-1]


def test_entries_are_of_each_index_and_of_the_primary_key() -> None:
    assert ordered_entries(SCHEMA, {"id": 1, "a": "x y", "b": None}) == [">ab:tx#Py!n!rbff!", ">:rbff!"]


def test_numbers_sort_with_those_that_no_float_equals() -> None:
    numbers = [-(2**63), -(2**53) - 1, -(2.0**53), -1.5, -1, 0, 5e-324, 1, 2.0**53, 2**53 + 1, 2**63 - 1, float("inf")]
    codes = [order(Column("c"), number) for number in numbers]
    assert all(one < other for one, other in pairwise(codes))


def test_range_under_a_prefix_stays_within_it() -> None:
    assert sought_range(SCHEMA, IndexRange(BY_AB, ("x",), lower=1, lower_inclusive=False)) == '>ab:tx!rbff" tx!~'
    assert sought_range(SCHEMA, IndexRange(BY_AB, ("x",))) == ">ab:tx!o tx!~"


def test_range_of_the_primary_key_has_its_own_index() -> None:
    assert sought_range(SCHEMA, IndexRange(SCHEMA.pk_index, upper=1)) == '>:o rbff"'


@pytest.mark.parametrize(
    "sought",
    [
        IndexRange(IndexDefinition("other", ("a",))),
        IndexRange(BY_AB, ("x",), lower=2**63),
        IndexRange(BY_AB, (), lower="\ud800"),
        IndexRange(BY_AB, (), upper=float("nan")),
    ],
)
def test_range_is_refused_that_no_index_can_be_asked_for(sought: IndexRange) -> None:
    with pytest.raises(NotIndexable):
        sought_range(SCHEMA, sought)
