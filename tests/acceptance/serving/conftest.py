"""A filled site of a test's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from testproject.services import RedisServer

from .places import Place, variables_of


@pytest.fixture
def folder_place(tmp_path: Path, own_redis: RedisServer) -> Place:
    """The objects in a folder, the indexes in a Redis of the test's own."""
    place = Place(tmp_path, variables_of(own_redis.url))
    place.fill()
    return place
