"""Sites for the commands, each on the module's own Redis."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django import DjangoDbBlocker

from testproject.services import RedisServer

from .site import Site, site_in


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    """A Redis that the module's tests stop and empty at will; each finds it running and empty."""
    with RedisServer() as server:
        yield server


@pytest.fixture
def site(tmp_path: Path, server: RedisServer, django_db_blocker: DjangoDbBlocker) -> Iterator[Site]:
    """An open, empty site."""
    with django_db_blocker.unblock(), site_in(tmp_path / "objects", server) as site:
        yield site
