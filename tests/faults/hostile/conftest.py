"""A site for each module, on files."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytest_django.plugin import DjangoDbBlocker

from testproject.services import RedisServer

from ..places import Place
from .sides import Sides, opened


@pytest.fixture(scope="module")
def sides(
    tmp_path_factory: pytest.TempPathFactory, server: RedisServer, django_db_blocker: DjangoDbBlocker
) -> Iterator[Sides]:
    """The engine on files and stock SQLite, both empty, with the bestiary's tables. Nothing is written beside them."""
    location = str(tmp_path_factory.mktemp("hostile") / "objects")
    place = Place("zoo", location, server.url, write_deadline=0.8, trust_seconds=0.05, socket_timeout=20.0)
    with django_db_blocker.unblock(), opened(place) as sides:
        yield sides
        assert not sides.outside()
