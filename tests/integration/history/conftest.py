"""A site of the test's own whose statements are kept, and a process that knows nothing of other tests."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pytest_django import DjangoDbBlocker

from django_smarterbase.history import ProfileHistory, history_of, registry
from django_smarterbase.profiling import QueryProfile
from testproject.services import RedisServer
from tests.integration.commands.site import RecordingSite, Site, site_in

PATIENCE = 30.0  # seconds
MOMENT = datetime(2025, 3, 1, 12, tzinfo=UTC)


def wait_until(condition: Callable[[], bool]) -> None:
    """Return once the condition holds; fail when it does not within half a minute."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    """A Redis that the module's tests stop and empty at will; each finds it running and empty."""
    with RedisServer() as server:
        yield server


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch) -> Iterator[registry._Process]:
    """What a new process would have: no history, no thread."""
    process = registry._Process()
    monkeypatch.setattr(registry, "_process", process)
    yield process
    process.sender.end(5)


@pytest.fixture
def site(
    tmp_path: Path, server: RedisServer, process: registry._Process, django_db_blocker: DjangoDbBlocker
) -> Iterator[Site]:
    """An open, empty site."""
    with django_db_blocker.unblock(), site_in(tmp_path / "objects", server, RecordingSite) as site:
        yield site


@pytest.fixture
def recording(site: Site) -> Iterator[Site]:
    """The site, whose statements are kept from now on."""
    registry.install()
    yield site
    registry.uninstall()


@pytest.fixture
def history(site: Site) -> ProfileHistory:
    """The history of the site in this process."""
    return history_of("default")


@pytest.fixture
def other_process(site: Site) -> Callable[[], ProfileHistory]:
    """A function that gives the same history as another process has it."""
    return lambda: ProfileHistory("default", site.name, history_of("default").options)


@pytest.fixture
def made() -> Callable[..., QueryProfile]:
    """A function that makes a profile: its method is a number, which also says how many seconds late it started."""

    def make(number: int, **changes: Any) -> QueryProfile:
        facts: dict[str, Any] = {
            "method": str(number),
            "model": "articles.Author",
            "database": "default",
            "operation": "select",
            "complexity": "O(1)",
            "index_used": "key",
            "started_at": MOMENT + timedelta(seconds=number),
            "duration": 1.0,
        }
        return QueryProfile(**(facts | changes))

    return make
