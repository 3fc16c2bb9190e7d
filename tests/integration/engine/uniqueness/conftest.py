"""The engine and stock SQLite side by side, with empty tables of rooms and desks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.test import modify_settings
from pytest_django import DjangoDbBlocker

from testproject.services import RedisServer
from tests.integration.commands.conftest import server, site
from tests.integration.commands.site import Site
from tests.integration.engine.equivalence.stock import stock_sqlite

from .rooms.models import TABLES

ROOMS = "tests.integration.engine.uniqueness.rooms"

__all__ = ["server", "site"]


@pytest.fixture(scope="module", autouse=True)
def rooms() -> Iterator[None]:
    """The application is installed."""
    with modify_settings(INSTALLED_APPS={"append": ROOMS}):
        yield


@pytest.fixture
def stock(django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """An empty stock SQLite under the alias ``stock``."""
    with django_db_blocker.unblock(), stock_sqlite(TABLES):
        yield


@pytest.fixture(params=["with the index", "without Redis"])
def side_by_side(request: pytest.FixtureRequest, site: Site, server: RedisServer, stock: None) -> Iterator[Site]:
    """Both, empty, once with Redis and once while it is down."""
    site.restart(trust_seconds=0.05, write_deadline=10)
    if request.param == "without Redis":
        server.stop()
    yield site
    server.start()
