"""Values as a column of a declared affinity holds them, and as SQLite compares them with it.

The rules are section 3 and 4.2 of https://www.sqlite.org/datatype3.html. What is not plain (text that looks like a
number, a number in a text column) is asked of SQLite itself, so that no digit is rounded in another way.
"""

from __future__ import annotations

import math
import os
import re
import sqlite3
import threading
from typing import Final

from ..tables import Affinity, Value

INT64_MIN: Final = -(2**63)
INT64_MAX: Final = 2**63 - 1

_NUMERIC = frozenset((Affinity.INTEGER, Affinity.REAL, Affinity.NUMERIC))
_WHOLE = frozenset((Affinity.INTEGER, Affinity.NUMERIC))
_NUMBER = re.compile(r"[ \t\n\v\f\r]*[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?[ \t\n\v\f\r]*")
_SHORT_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,17}")


def stored(affinity: Affinity, value: Value) -> Value:
    """``value`` as a column holds it once it is stored."""
    held = compared(affinity, value)
    if affinity is Affinity.REAL and isinstance(held, (int, float)):
        return held + 0.0  # a float, and no negative zero
    if affinity in _WHOLE and isinstance(held, float) and held.is_integer():
        return _ask("number", held)
    return held


def compared(affinity: Affinity, value: Value) -> Value:
    """``value`` as SQLite compares it with a column, when it comes as a parameter.

    It differs from ``stored`` in REAL columns: an integer that no float equals is found nowhere.
    """
    if isinstance(value, str):
        return _number(value) if affinity in _NUMERIC else value
    if isinstance(value, float) and math.isnan(value):
        return None
    if affinity is Affinity.TEXT and isinstance(value, (int, float)):
        return str(int(value)) if isinstance(value, int) else _ask("text", value)
    return value


def is_true(value: Value) -> bool:
    """Whether SQLite takes a value for true where it is a condition by itself; NULL is not."""
    (answer,) = _oracle().execute("SELECT CASE WHEN ? THEN 1 ELSE 0 END", (value,)).fetchone()
    return bool(answer)


def _number(text: str) -> Value:
    if not _NUMBER.fullmatch(text):
        return text
    if _SHORT_INTEGER.fullmatch(text):
        return int(text)
    return _ask("number", text)


_of_thread = threading.local()
_of_parent: list[threading.local] = []


def _oracle() -> sqlite3.Connection:
    """This thread's private SQLite database, with one row whose columns have the affinities."""
    connection: sqlite3.Connection | None = getattr(_of_thread, "connection", None)
    if connection is None:
        connection = _of_thread.connection = sqlite3.connect(":memory:", isolation_level=None)
        connection.execute("CREATE TABLE oracle (number NUMERIC, text TEXT)")
        connection.execute("INSERT INTO oracle VALUES (NULL, NULL)")
    return connection


def _ask(column: str, value: Value) -> Value:
    connection = _oracle()
    connection.execute(f"UPDATE oracle SET {column} = ?", (value,))  # noqa: S608 - a literal of this module
    answer: Value = connection.execute(f"SELECT {column} FROM oracle").fetchone()[0]  # noqa: S608
    return answer


def _forked() -> None:
    """A child may neither use nor close a connection of its parent: https://www.sqlite.org/howtocorrupt.html, 2.6."""
    global _of_thread
    _of_parent.append(_of_thread)
    _of_thread = threading.local()


os.register_at_fork(after_in_child=_forked)
