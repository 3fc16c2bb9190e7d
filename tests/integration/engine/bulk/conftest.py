"""A site whose deadlines are so long that nothing is announced, renewed or read anew while a test runs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from django_smarterbase.storage.filesystem import FileSystemStore
from tests.integration.commands.conftest import server, site
from tests.integration.commands.site import Site

__all__ = ["most_at_once", "patient", "server", "site"]

PATIENT = {"write_deadline": 300.0, "trust_seconds": 200.0}


@pytest.fixture
def patient(site: Site) -> Site:
    """The site, empty."""
    site.restart(**PATIENT)
    return site


@pytest.fixture
def most_at_once(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Callable[[], int]]:
    """Makes a request of the store take a while, and tells how many of them were under way at once at most."""

    def watch(name: str) -> Callable[[], int]:
        lock, under_way, most, request = threading.Lock(), 0, 0, getattr(FileSystemStore, name)

        def slow(*arguments: object, **conditions: object) -> object:
            nonlocal under_way, most
            with lock:
                under_way += 1
                most = max(most, under_way)
            time.sleep(0.01)
            with lock:
                under_way -= 1
            return request(*arguments, **conditions)

        monkeypatch.setattr(FileSystemStore, name, slow)
        return lambda: most

    return watch
