"""What a column of a raw table holds where nothing is given."""

from __future__ import annotations

import sqlite3

import pytest

from django_smarterbase.backend.rawtables import default_of


@pytest.mark.parametrize(
    "default", ["7", "'a'", '"quoted"', "NULL", "-1.5", "(1 + 2)", "(abs(-4))", "(lower('AB') || 'c')"]
)
@pytest.mark.parametrize("declared", ["integer", "text", "real", ""])
def test_default_is_what_sqlite_gives_a_row(declared: str, default: str) -> None:
    sqlite = sqlite3.connect(":memory:", isolation_level=None)
    sqlite.execute(f"CREATE TABLE t (c {declared} DEFAULT {default})")
    sqlite.execute("INSERT INTO t DEFAULT VALUES")
    told = sqlite.execute("PRAGMA table_xinfo(t)").fetchone()[4]
    value = default_of(sqlite, declared, told)
    (expected,) = sqlite.execute("SELECT c FROM t").fetchone()
    assert (value, type(value)) == (expected, type(expected))
    assert not sqlite.in_transaction
    sqlite.close()
