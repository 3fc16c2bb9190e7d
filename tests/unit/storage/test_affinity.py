"""A value is stored as SQLite stores it, whatever affinity its column has."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from django_smarterbase.storage.affinity import stored
from django_smarterbase.tables import Affinity, Value

TEXTS = ("1", "007", "1.0", " 2.50 ", "1e3", "-0", "-0.0", "0x10", "9223372036854775808", "", "x", "1e400")
VALUES = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.integers(-(2**64), 2**64).map(float),
    st.sampled_from(TEXTS),
    st.binary(max_size=4),
)


@pytest.mark.parametrize("affinity", list(Affinity))
@given(value=VALUES)
@example(value=1.0)
@example(value=-0.0)
@example(value=2.0**63)
@example(value=-(2.0**63))
@example(value=2.0**53 + 2)
@example(value=float("inf"))
def test_value_is_stored_as_sqlite_stores_it(affinity: Affinity, value: Value) -> None:
    with closing(sqlite3.connect(":memory:")) as sqlite:
        sqlite.execute(f"CREATE TABLE t (c {affinity.value})")
        sqlite.execute("INSERT INTO t VALUES (?)", (value,))
        (expected,) = sqlite.execute("SELECT c FROM t").fetchone()
    held = stored(affinity, value)
    assert (type(held), repr(held)) == (type(expected), repr(expected))
