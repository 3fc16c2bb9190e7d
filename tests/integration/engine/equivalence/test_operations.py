"""Every operation of migrations, over documents of every version: the rows are those that stock SQLite has."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connections

from django_smarterbase.backend.resources import close_resources
from django_smarterbase.backend.upkeep import delete_database
from testproject.services import RedisServer

from .migrating import History
from .scenarios import SCENARIOS

#: Ways in which the engine carries them out.
MODES = ("with the index", "with reload", "without Redis")


@pytest.fixture(params=MODES)
def engine(
    request: pytest.FixtureRequest, databases: tuple[str, str], server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """The alias of the engine."""
    if request.param == "with reload":
        monkeypatch.setenv("SMARTERBASE_RELOAD", "1")
    if request.param == "without Redis":
        server.stop()
    yield databases[0]
    server.start()
    ours: Any = connections[databases[0]]
    delete_database(ours.resources)
    close_resources(ours.settings_dict["NAME"])
    connections[databases[0]].close()
    with connections[databases[1]].cursor() as cursor:
        cursor.execute("PRAGMA foreign_keys = OFF")
        for table in connections[databases[1]].introspection.table_names(cursor):
            if table.startswith(("history_", "elsewhere_", "things")):
                cursor.execute(f'DROP TABLE "{table}"')
        cursor.execute("DELETE FROM sqlite_sequence")


@pytest.mark.parametrize("name", SCENARIOS)
def test_documents_of_every_version_read_as_migrated_rows(name: str, engine: str, databases: tuple[str, str]) -> None:
    ours, theirs = History(engine), History(databases[1])
    for history in (ours, theirs):
        SCENARIOS[name](history)
    assert ours.contents() == theirs.contents()
    for history in (ours, theirs):
        history.save_all()
    assert ours.contents() == theirs.contents()
