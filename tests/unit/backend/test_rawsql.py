"""SQL in Django's style of parameters becomes SQLite's as Django would have it."""

from __future__ import annotations

import sqlite3

from django.db.backends.sqlite3.base import SQLiteCursorWrapper
from hypothesis import example, given
from hypothesis import strategies as st

from django_smarterbase.backend.rawsql import qmark


@given(st.text("%s?'x\n"))
@example("a = %s AND b LIKE '%%s%%'")
@example("%%%s")
def test_parameters_are_marked_as_django_marks_them(sql: str) -> None:
    with sqlite3.connect(":memory:") as connection:
        expected = connection.cursor(SQLiteCursorWrapper).convert_query(sql)
    connection.close()
    assert qmark(sql) == expected
