"""A fingerprint tells statements apart, and tells nobody what they are."""

import subprocess
import sys

import pytest

from django_smarterbase.profiling.fingerprint import fingerprint

SQL = "SELECT name FROM authors WHERE name = %s"


def test_fingerprint_is_equal_for_the_same_statement_and_is_sixteen_hexadecimal_digits():
    assert fingerprint(SQL, ("Ada",)) == fingerprint(SQL, ["Ada"])
    assert len(bytes.fromhex(fingerprint(SQL, ("Ada",)))) == 8


@pytest.mark.parametrize(
    ("sql", "params"),
    [
        (SQL, ("Bob",)),
        (SQL + " LIMIT 1", ("Ada",)),
        (SQL, ("Ada", "Ada")),
        (SQL, (b"Ada",)),
        (SQL, None),
        (SQL, {"name": "Ada"}),
    ],
)
def test_fingerprint_differs_when_sql_or_parameters_differ(sql, params):
    assert fingerprint(sql, params) != fingerprint(SQL, ("Ada",))


def test_fingerprint_tells_numbers_from_texts():
    assert fingerprint(SQL, (1,)) != fingerprint(SQL, ("1",))


def test_fingerprint_takes_text_that_is_no_unicode():
    assert fingerprint(SQL, ("\ud800",)) != fingerprint(SQL + "\ud800", ("",))


def test_fingerprint_is_another_one_in_another_process():
    code = f"from django_smarterbase.profiling.fingerprint import fingerprint; print(fingerprint({SQL!r}, ('Ada',)))"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()

    assert len(other) == 16
    assert other != fingerprint(SQL, ("Ada",))
