"""What SQLite says of a statement: that it is asked once, and anew when its schema has changed."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest

from django_smarterbase.backend.programs import Program, program_of
from django_smarterbase.backend.workspace import Workspace

ALL = "SELECT id FROM chosen WHERE id > ?"


class Asked(sqlite3.Connection):
    """Counts how often it is asked, which takes an authorizer."""

    times = 0

    def set_authorizer(self, authorizer: Any) -> None:
        """As ever."""
        self.times += authorizer is not None
        super().set_authorizer(authorizer)


@pytest.fixture
def sqlite() -> Iterator[Asked]:
    connection = sqlite3.connect(":memory:", factory=Asked)
    connection.execute("CREATE TABLE things (id, a, b)")
    connection.execute("CREATE VIEW chosen AS SELECT id FROM things WHERE a")
    yield connection
    connection.close()


def test_program_tells_columns_and_whether_rows_are_put_together(sqlite: Asked) -> None:
    workspace = Workspace(sqlite)
    assert program_of(workspace, "SELECT a FROM things WHERE b") == Program({"things": frozenset("ab")}, False)
    assert program_of(workspace, "SELECT MAX(a) FROM things") == Program({"things": frozenset("a")}, True)


def test_program_is_asked_for_once_while_the_schema_stays(sqlite: Asked) -> None:
    workspace = Workspace(sqlite)
    found = [program_of(workspace, ALL) for _ in range(3)]
    assert (sqlite.times, found[0]) == (1, found[2])
    program_of(workspace, "SELECT a FROM things")
    assert sqlite.times == 2


def test_program_is_asked_for_anew_when_the_schema_has_changed(sqlite: Asked) -> None:
    workspace = Workspace(sqlite)
    assert program_of(workspace, ALL).columns["things"] == {"id", "a"}
    sqlite.execute("DROP VIEW chosen")
    sqlite.execute("CREATE VIEW chosen AS SELECT id FROM things WHERE b")
    assert program_of(workspace, ALL).columns["things"] == {"id", "b"}


def test_program_is_asked_for_anew_when_a_rollback_has_undone_a_change_of_the_schema(sqlite: Asked) -> None:
    workspace = Workspace(sqlite)
    sqlite.execute("BEGIN")
    sqlite.execute("DROP VIEW chosen")
    sqlite.execute("CREATE VIEW chosen AS SELECT id FROM things WHERE b")
    assert program_of(workspace, ALL).columns["things"] == {"id", "b"}
    sqlite.execute("ROLLBACK")
    workspace.forget()
    sqlite.execute("DROP VIEW chosen")  # from here on the schema has the version again that was rolled back
    sqlite.execute("CREATE VIEW chosen AS SELECT id FROM things WHERE a AND b")
    assert program_of(workspace, ALL).columns["things"] == {"id", "a", "b"}
