"""The library's tables on a site of the module's own, or of a test's own where Redis is to come and go."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.contrib.contenttypes.models import ContentType
from django.test import modify_settings
from pytest_django import DjangoDbBlocker

from testproject.services import RedisServer
from tests.integration.commands.site import Site, site_in
from tests.integration.engine.equivalence.conftest import LIBRARY
from tests.integration.engine.equivalence.rows import fill


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    """A Redis for the module."""
    with RedisServer() as server:
        yield server


@pytest.fixture(scope="module")
def library(
    tmp_path_factory: pytest.TempPathFactory, server: RedisServer, django_db_blocker: DjangoDbBlocker
) -> Iterator[Site]:
    """The library with its rows, which no test changes."""
    yield from _filled(tmp_path_factory.mktemp("objects"), server, django_db_blocker)


@pytest.fixture
def own_library(tmp_path: Path, server: RedisServer, django_db_blocker: DjangoDbBlocker) -> Iterator[Site]:
    """The library with its rows, for one test."""
    yield from _filled(tmp_path / "objects", server, django_db_blocker)


def _filled(folder: Path, server: RedisServer, django_db_blocker: DjangoDbBlocker) -> Iterator[Site]:
    with (
        django_db_blocker.unblock(),
        modify_settings(INSTALLED_APPS={"append": LIBRARY}),
        site_in(folder, server) as site,
    ):
        ContentType.objects.clear_cache()
        fill("default")
        site.restart()
        yield site
    ContentType.objects.clear_cache()


@pytest.fixture
def own_site(tmp_path: Path, server: RedisServer, django_db_blocker: DjangoDbBlocker) -> Iterator[Site]:
    """An empty site, without the library."""
    with django_db_blocker.unblock(), site_in(tmp_path / "objects", server) as site:
        yield site
