"""A small world for the index room: objects in memory, a real Redis, short deadlines."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import redis
from django.core.files.storage import InMemoryStorage
from django.test import override_settings

from django_smarterbase.indexes import breaker
from django_smarterbase.storage.memory import MemoryStore
from testproject.services import RedisServer

from .processes import caches
from .world import OPTIONS, PATIENT, World


@pytest.fixture(autouse=True)
def closed_breakers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test begins with breakers that know of no failure."""
    monkeypatch.setattr(breaker, "_breakers", {})


@pytest.fixture
def world(redis_url: str) -> Iterator[World]:
    """A world on the shared Redis, under a NAME of its own."""
    client = redis.Redis.from_url(redis_url)
    world = World(MemoryStore(InMemoryStorage(), OPTIONS), "smarterbase", client)
    yield world
    world.remove_keys()
    client.close()


@pytest.fixture
def patient_world(redis_url: str) -> Iterator[World]:
    """As ``world``, but no lease and no deadline runs out in the middle of a test."""
    client = redis.Redis.from_url(redis_url)
    world = World(MemoryStore(InMemoryStorage(), OPTIONS), "smarterbase", client, PATIENT)
    yield world
    world.remove_keys()
    client.close()


@pytest.fixture
def own_world(own_redis: RedisServer) -> Iterator[World]:
    """A world on a Redis of its own, which the test may stop and empty."""
    with world_on(own_redis) as world:
        yield world


class world_on:  # noqa: N801 - used as a context manager only
    """A world whose cache alias ``own`` is the given server."""

    def __init__(self, server: RedisServer) -> None:
        self.server = server
        self.settings = override_settings(CACHES=caches(server.url))

    def __enter__(self) -> World:
        self.settings.enable()
        self.client = redis.Redis.from_url(self.server.url)
        return World(MemoryStore(InMemoryStorage(), OPTIONS), "own", self.client)

    def __exit__(self, *_: object) -> None:
        self.client.close()
        self.settings.disable()


@pytest.fixture
def written(world: World) -> Callable[..., World]:
    """The world with documents: ``written({"1": "red"})``."""

    def write(documents: dict[str, str]) -> World:
        for stem, color in documents.items():
            world.write(stem, color)
        return world

    return write
