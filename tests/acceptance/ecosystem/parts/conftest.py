"""The shop for a test of its own, and the middle of a test, in which Redis may be killed."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from django.db import connection

from django_smarterbase.backend.resources import close_resources
from django_smarterbase.indexes import breaker
from django_smarterbase.profiling.profile import QueryProfile
from django_smarterbase.profiling.recorder import add_sink, remove_sink
from testproject.services import RedisServer
from tests.acceptance.ecosystem.project.shop import assortment

STOCK = settings.PLACE == "sqlite"
#: How a test with a middle is run.
WAYS = {"sqlite": ["stock"], "files": ["redis", "outage"], "s3": ["outage"]}[settings.PLACE]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run the tests that have a middle with Redis and without."""
    if "midway" in metafunc.fixturenames:
        metafunc.parametrize("midway", WAYS, indirect=True)


class Midway:
    """Called in the middle of a test. There Redis is killed, if there is a ``server`` to kill.

    ``profiles`` are those of all statements of the test so far, in all threads; none on stock SQLite.
    """

    def __init__(self, server: RedisServer | None) -> None:
        self.profiles: list[QueryProfile] = []
        self._server = server
        self._middle: int | None = None
        self._by_key = False

    def __call__(self, *, by_key: bool = False) -> None:
        """The middle is here. ``by_key``: what follows finds its rows by primary key, and so misses no index."""
        self._middle, self._by_key = len(self.profiles), by_key
        if self._server is not None:
            self._server.kill()

    def turns(self) -> Iterator[int]:
        """Twice the same: 0 before the middle, and 1 after it."""
        yield 0
        self()
        yield 1

    def verify(self) -> None:
        """The first half was answered by indexes; the second too, unless Redis was killed, which its profiles show."""
        assert self._middle is not None, "The test never came to its middle."
        first, second = self.profiles[: self._middle], self.profiles[self._middle :]
        assert first
        assert second
        assert not [profile for profile in first if profile.fallback]
        assert any(profile.fallback for profile in second) == (self._server is not None and not self._by_key)


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer | None]:
    """The Redis of the settings; None for stock SQLite."""
    if STOCK:
        yield None
        return
    with RedisServer(urlsplit(settings.REDIS_URL).port) as server:
        yield server


@pytest.fixture(scope="session")
def redis_url(redis_server: RedisServer | None) -> str:
    """In place of the outer tests' Redis."""
    return settings.REDIS_URL


@pytest.fixture(autouse=True)
def _database(django_db_reset_sequences: None) -> None:
    """Every test commits, is flushed afterwards, and counts from 1."""


@pytest.fixture
def midway(request: pytest.FixtureRequest, _database: None, redis_server: RedisServer | None) -> Iterator[Midway]:
    """What the test calls in its middle; see ``Midway``."""
    midway = Midway(redis_server if request.param == "outage" else None)
    add_sink(midway.profiles.append)
    yield midway
    remove_sink(midway.profiles.append)
    if redis_server is not None and redis_server.pid is None:
        _start_over(redis_server)
    if not STOCK:
        midway.verify()


def _start_over(server: RedisServer) -> None:
    """Redis is back, and empty, and no document is left: so each table has its index at once, for which a rebuild would
    wait until the write deadline is over. This process is told at once, as a new one would be.
    """
    store, keys = connection.resources.store, connection.resources.keys
    made_by_migrate = (keys.schema_prefix(), keys.table_prefix("django_migrations"))
    for listed in list(store.list(keys.prefix())):
        if not listed.key.startswith(made_by_migrate):
            store.delete(listed.key)
    connection.close()
    close_resources(connection.settings_dict["NAME"])
    breaker._breakers.clear()
    server.start()


@pytest.fixture
def shop(_database: None) -> None:
    """The products of ``assortment``."""
    assortment.fill()
