"""What the SQL of an expression tells of the tables that it reads."""

from __future__ import annotations

from typing import Any
from unittest.mock import Mock

import pytest

from django_smarterbase.planner.scopes import Scope, names_tables


@pytest.mark.parametrize(
    "sql",
    [
        "(SELECT a FROM t)",
        '(select a from"t")',
        "(SELECT a FROM (t))",
        "(SELECT a FROM/**/t)",
        "(SELECT a -- it's\nFROM t WHERE b = 'x')",
        "(SELECT a /* don't */ FROM t WHERE b = 'x')",
        "(SELECT [it's] FROM t WHERE b = 'x')",
        "a IN t",
        "a NOT IN main.t",
        "(SELECT a FROM (SELECT 1) JOIN t)",
    ],
)
def test_sql_names_tables_when_it_reads_one(sql: str) -> None:
    assert names_tables(sql, [])


@pytest.mark.parametrize(
    "sql",
    [
        'LOWER("t"."from")',
        '"t"."valid from x" = %s',
        "`from t` + [in x]",
        "'FROM t' || a",
        "a IN (1, 2)",
        "a IN\n(%s)",
        "fromage + in_t",
        "(SELECT 1 FROM (SELECT 2))",
    ],
)
def test_sql_names_no_table_when_the_words_stand_for_something_else(sql: str) -> None:
    assert not names_tables(sql, [])


@pytest.mark.parametrize(
    ("sql", "named"),
    [
        ("(SELECT COUNT(*) FROM (SELECT a FROM t) s)", False),
        ("(SELECT COUNT(*) FROM (SELECT a FROM t) s JOIN u)", True),
        ("(SELECT a FROM t) + (SELECT b FROM u)", True),
    ],
)
def test_sql_names_tables_beyond_those_that_were_noted(sql: str, named: bool) -> None:
    query: Any = Mock()
    noted = Scope(query, query, None, {"t": query})
    assert names_tables(sql, [noted]) is named
