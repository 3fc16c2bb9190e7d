"""What the index room tells of its tables and of Redis."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

import pytest

from django_smarterbase.indexes import auto
from django_smarterbase.indexes.breaker import FAILURES, BreakerState, breaker_of
from django_smarterbase.indexes.service import IndexService, IndexUntrusted
from testproject.services import RedisServer
from tests.conftest import Told

from .world import SCHEMA, World

TABLE = {"database": "default", "table": SCHEMA.table}


def ask(world: World, times: int = 1, **service: IndexService) -> None:
    """Ask the index, trusted or not."""
    for _ in range(times):
        with suppress(IndexUntrusted):
            world.members("red", **service)


def test_trust_is_told_once_when_it_is_lost_and_when_it_is_there_again(
    written: Callable[..., World], told: Told
) -> None:
    world = written({"1": "red"})
    ask(world, 3)
    assert told == [("index_trusted", TABLE)]
    world.remove_keys()
    ask(world, 3)
    (lost,) = told.arguments("index_untrusted")
    assert lost == {**TABLE, "reason": "Redis lost the index", "detail": lost["detail"]}
    told.clear()
    world.first.rebuild(SCHEMA)
    ask(world, 3)
    assert [name for name, _ in told] == ["index_rebuilt", "index_trusted"]


def test_index_that_is_lost_from_the_beginning_is_told_so(written: Callable[..., World], told: Told) -> None:
    world = written({"1": "red"})
    world.remove_keys()
    ask(world, 2)
    assert [name for name, _ in told] == ["index_untrusted"]


def test_no_cache_is_no_loss_of_trust(world: World, told: Told) -> None:
    ask(world, service=world.service(alias=None))
    assert told == []


def test_rebuild_tells_how_much_and_how_long(written: Callable[..., World], told: Told) -> None:
    world = written({"1": "red", "2": "blue"})
    report = world.first.rebuild(SCHEMA)
    assert told.of("index_rebuilt") == [
        ("index_rebuilt", {**TABLE, "documents": 2, "seconds": report.seconds, "automatic": False})
    ]


def test_rebuild_that_nobody_asked_for_is_told_as_automatic(
    written: Callable[..., World], told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auto, "LOOK", 0.05)
    world = written({"1": "red"})
    world.remove_keys()
    service = world.service(auto_reindex=True)
    until = time.monotonic() + 60
    while not (told.of("index_trusted") and told.of("index_rebuilt")) and time.monotonic() < until:
        ask(world, service=service)
        time.sleep(0.02)
    (rebuilt,) = told.arguments("index_rebuilt")
    assert rebuilt == {**TABLE, "documents": 1, "seconds": rebuilt["seconds"], "automatic": True}


def test_check_tells_the_drift_that_it_finds_and_that_there_is_none(written: Callable[..., World], told: Told) -> None:
    world = written({"1": "red", "2": "blue"})
    world.first.audit(SCHEMA)
    world.store.delete(world.key("2"))
    findings = world.first.audit(SCHEMA)
    assert findings.drift > 0
    assert told.arguments("index_checked") == [
        {**TABLE, "documents": 2, "drift": 0.0, "reason": None},
        {**TABLE, "documents": 1, "drift": findings.drift, "reason": None},
    ]


def test_check_tells_that_an_index_is_not_trusted(written: Callable[..., World], told: Told) -> None:
    world = written({"1": "red"})
    world.remove_keys()
    world.first.audit(SCHEMA)
    (checked,) = told.arguments("index_checked")
    assert checked == {**TABLE, "documents": 1, "drift": 100.0, "reason": "Redis lost the index"}


def test_outage_of_redis_is_told_until_the_breaker_opens(own_world: World, own_redis: RedisServer, told: Told) -> None:
    own_world.write("1", "red")
    ask(own_world)
    told.clear()
    own_redis.kill()
    ask(own_world, FAILURES + 3)
    failed = told.arguments("redis_request_failed")
    assert [(each["cache"], type(each["error"]).__name__) for each in failed] == [("own", "ConnectionError")] * FAILURES
    assert told.of("breaker_changed") == [("breaker_changed", {"cache": "own", "state": "open"})]
    assert [(each["table"], each["reason"]) for each in told.arguments("index_untrusted")] == [
        (SCHEMA.table, "Redis unreachable")
    ]
    assert breaker_of("own").state is BreakerState.OPEN
