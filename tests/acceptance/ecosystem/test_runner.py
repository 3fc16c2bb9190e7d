"""``manage.py test`` and pytest on the shop's own tests, as a project has them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from testproject.services import RedisServer
from tests.acceptance.ecosystem.places import Place

TESTS = "tests.acceptance.ecosystem.project.shop.tests"
PYTESTS = "tests/acceptance/ecosystem/project/shop/with_pytest.py"
_RAN = re.compile(r"^Ran (\d+) tests in .*\n\nOK$", re.MULTILINE)


@pytest.fixture(params=["sqlite", "files"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """Stock SQLite, and the engine with its Redis running."""
    place = Place(request.param, tmp_path)
    if place.kind == "sqlite":
        yield place
        return
    with RedisServer(place.redis_port):
        yield place


def databases(place: Place) -> set[str]:
    """The databases that there are in the folder of a place."""
    if place.kind == "sqlite":
        return {path.stem for path in place.folder.glob("*.sqlite3")}
    return {path.name for path in (place.folder / "objects").iterdir() if any(path.rglob("*.json"))}


def ran(place: Place, *arguments: str, **variables: str) -> tuple[int, str]:
    """How many tests ``manage.py test`` has run, all well, and what it said."""
    said = place.manage("test", TESTS, "--noinput", *arguments, **variables).stderr
    found = _RAN.search(said)
    assert found, said
    return int(found[1]), said


def test_runner_runs_each_kind_of_test_case_and_leaves_nothing(place: Place) -> None:
    assert ran(place)[0] == 10
    assert databases(place) <= {"shop"}


def test_runner_runs_in_parallel_each_process_in_a_copy(place: Place) -> None:
    number, said = ran(place, "--parallel", "2", "-v", "2")
    assert number == 10
    assert said.count("Cloning test database") == 2
    assert databases(place) <= {"shop"}


def test_runner_keeps_the_database_when_it_is_told_to(place: Place) -> None:
    # What a migration has put there is flushed by the first run, on any database.
    keeping = ("--keepdb", "-v", "2", "--exclude-tag", "migrated")
    number, said = ran(place, *keeping)
    assert number == 8
    assert "Using existing test database" in said
    assert len(databases(place) - {"shop"}) == 1
    again = place.manage("test", TESTS, "--noinput", *keeping)
    assert "Using existing test database" in again.stderr
    assert "No migrations to apply." in again.stdout
    assert _RAN.search(again.stderr)


@pytest.mark.parametrize("arguments", [(), ("--parallel", "2")], ids=["alone", "parallel"])
def test_runner_ends_well_when_redis_is_killed_in_the_middle(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    place = Place("files", tmp_path)
    with RedisServer(place.redis_port) as server:
        assert ran(place, *arguments, ECOSYSTEM_REDIS_PID=str(server.pid))[0] == 10
        assert server.pid is None
    assert databases(place) == set()


def test_runner_needs_no_redis_at_all(tmp_path: Path) -> None:
    assert ran(Place("files", tmp_path))[0] == 10


def test_pytest_django_runs_the_tests_alone_and_in_two_processes(place: Place) -> None:
    for arguments in ((), ("-n", "2")):
        assert "11 passed" in place.pytest(*arguments, PYTESTS).stdout
        assert databases(place) <= {"shop"}


def test_pytest_django_uses_a_database_again(place: Place) -> None:
    tests = ("-k", "not migrations", PYTESTS)  # which the first run has flushed, on any database
    assert "9 passed" in place.pytest("--reuse-db", *tests).stdout
    kept = databases(place)
    assert len(kept - {"shop"}) == 1
    assert "9 passed" in place.pytest("--reuse-db", *tests).stdout
    assert databases(place) == kept
    assert "9 passed" in place.pytest("--create-db", *tests).stdout
    assert databases(place) <= {"shop"}
