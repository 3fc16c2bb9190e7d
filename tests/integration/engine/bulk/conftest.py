"""A site whose deadlines are so long that nothing is announced, renewed or read anew while a test runs."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from django_smarterbase.storage.filesystem import FileSystemStore
from tests.integration.commands.conftest import server, site
from tests.integration.commands.site import Site

__all__ = ["most_at_once", "patient", "server", "site"]

PATIENT = {"write_deadline": 300.0, "trust_seconds": 200.0}
CONCURRENCY = 8


@pytest.fixture
def patient(site: Site) -> Site:
    """The site, empty."""
    site.restart(**PATIENT)
    return site


@pytest.fixture
def most_at_once(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Callable[[], int]]:
    """Makes a request of the store wait for company, and tells how many of them were under way at once at most.

    Each waits until there have been ``CONCURRENCY``, or for a moment where so many do not come.
    """

    def watch(name: str) -> Callable[[], int]:
        company, under_way, most, request = threading.Condition(), 0, 0, getattr(FileSystemStore, name)

        def slow(*arguments: object, **conditions: object) -> object:
            nonlocal under_way, most
            with company:
                under_way += 1
                most = max(most, under_way)
                company.notify_all()
                company.wait_for(lambda: most >= CONCURRENCY, timeout=1)
                under_way -= 1
            return request(*arguments, **conditions)

        monkeypatch.setattr(FileSystemStore, name, slow)
        return lambda: most

    return watch
