"""An index that was lost is rebuilt in the background, once, by one of the processes that see it."""

from __future__ import annotations

import itertools
import json
import logging
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.test import override_settings

from django_smarterbase.indexes import auto
from django_smarterbase.indexes.auto import AutoRepair
from django_smarterbase.indexes.lease import Lease
from django_smarterbase.indexes.service import FallbackReason, IndexService, IndexUntrusted
from testproject.services import RedisServer

from . import processes
from .world import EVERYTHING, OPTIONS, OTHER_CODE, SCHEMA, World

PATIENCE = 60.0  # seconds


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks that a test need not wait for."""
    monkeypatch.setattr(auto, "LOOK", 0.05)


@pytest.fixture
def lost(written: Callable[..., World]) -> World:
    """A world of three things whose index Redis has lost."""
    world = written({"1": "red", "2": "red", "3": "blue"})
    world.remove_keys()
    return world


def reason(service: IndexService, schema=SCHEMA) -> FallbackReason | None:
    """Why the index does not answer, or None."""
    try:
        service.read(schema, EVERYTHING)
    except IndexUntrusted as untrusted:
        return untrusted.reason
    return None


def answers(service: IndexService, seconds: float = PATIENCE, schema=SCHEMA) -> bool:
    """Whether the index answers within this time, asked again and again."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if reason(service, schema) is None:
            return True
        time.sleep(0.01)
    return False


def idle(service: IndexService) -> None:
    """Return when no thread of the service is at work."""
    until = time.monotonic() + PATIENCE
    while any(table.busy for table in service._auto._known.tables.values()):
        assert time.monotonic() < until
        time.sleep(0.01)


def lease_key(world: World) -> str:
    """The key of the lease on the rebuild."""
    return world.keys.lease(f"reindex-{SCHEMA.table}")


def version(world: World) -> int:
    """How often the manifest's entry was changed."""
    entry = world.first.state(SCHEMA).entry
    assert entry is not None
    return entry.version


def test_a_lost_index_answers_again_by_itself(lost: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "django_smarterbase.index")
    service = lost.service(auto_reindex=True)
    assert reason(service) is FallbackReason.FLUSHED
    assert answers(service)
    assert lost.members("red", service=service) == {"1", "2"}
    idle(service)
    assert lost.store.get(lease_key(lost)) is None
    assert [record.levelname for record in caplog.records if "in the background: 3 documents" in record.message]


def test_a_lost_index_stays_lost_when_the_option_says_so(lost: World) -> None:
    service = lost.service(auto_reindex=False)
    assert not answers(service, 0.5)
    assert service._auto._known.tables == {}


def test_an_index_that_was_never_built_is_built_when_there_are_documents(world: World) -> None:
    world.put("1", "red")
    service = world.service(auto_reindex=True)
    assert reason(service) is FallbackReason.NOT_BUILT
    assert answers(service)
    assert world.members("red", service=service) == {"1"}


def test_an_empty_table_is_left_to_its_first_write(world: World) -> None:
    service = world.service(auto_reindex=True)
    assert not answers(service, 0.3)
    idle(service)
    assert world.first.state(SCHEMA).entry is None
    assert world.store.get(lease_key(world)) is None


@pytest.mark.parametrize("kind", [FallbackReason.SUSPECT, FallbackReason.DRIFT])
def test_writes_around_the_index_and_damage_are_mended(written: Callable[..., World], kind: FallbackReason) -> None:
    world = written({"1": "red", "2": "red"})
    if kind is FallbackReason.SUSPECT:
        world.write("3", "red", service=world.service(alias=None))
    else:
        (key,) = world.redis_keys("all:*")
        world.redis.delete(key)
    service = world.service(auto_reindex=True)
    assert reason(service) is kind
    assert answers(service)
    assert world.members("red", service=service) == world.truth(["red"])


def test_nothing_is_begun_while_redis_is_down(own_world: World, own_redis: RedisServer) -> None:
    own_world.write("1", "red")
    own_redis.stop()
    service = own_world.service(auto_reindex=True)
    assert not answers(service, 0.3)
    assert service._auto._known.tables == {}
    assert own_world.store.get(lease_key(own_world)) is None
    service._auto.consider(SCHEMA, FallbackReason.FLUSHED)
    idle(service)
    assert own_world.store.get(lease_key(own_world)) is None


def test_nothing_is_begun_without_a_cache(written: Callable[..., World]) -> None:
    service = written({"1": "red"}).service(alias=None, auto_reindex=True)
    assert reason(service) is FallbackReason.NO_CACHE
    assert service._auto._known.tables == {}


def test_the_one_with_the_lease_is_left_alone_until_it_has_run_out(lost: World) -> None:
    other = Lease(lost.store, lease_key(lost), 1.0)
    assert other.acquire()
    began, service = time.monotonic(), lost.service(auto_reindex=True)
    assert not answers(service, 0.7)
    assert answers(service)
    assert time.monotonic() - began > 1.0 + OPTIONS.write_deadline


def test_a_failure_is_logged_never_raised_and_tried_again_less_often(
    lost: World, caplog: pytest.LogCaptureFixture
) -> None:
    stored = lost.store.get(lost.key("1"))
    lost.store.put(lost.key("1"), b"not JSON")
    service = lost.service(auto_reindex=True)
    assert not answers(service, 1.2)
    idle(service)
    said = [record.message for record in caplog.records if "could not be rebuilt automatically" in record.message]
    assert 1 <= len(said) <= 4
    assert "not a readable document" in said[0]
    (table,) = service._auto._known.tables.values()
    assert table.failures == len(said)
    assert lost.store.get(lease_key(lost)) is None
    lost.store.put(lost.key("1"), stored.body)
    assert answers(service)
    idle(service)
    assert table.failures == 0


def test_an_error_that_nobody_foresaw_ends_no_query_and_no_later_repair(
    lost: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = lost.service(auto_reindex=True)
    with monkeypatch.context() as patch:
        patch.setattr(AutoRepair, "_rebuild", lambda *_: {}["surprise"])
        assert reason(service) is FallbackReason.FLUSHED
        idle(service)
    assert any(record.exc_info for record in caplog.records)
    assert lost.store.get(lease_key(lost)) is None
    assert answers(service)


def test_new_code_rebuilds_for_its_definitions_and_old_code_does_not_take_them_back(
    written: Callable[..., World],
) -> None:
    world = written({"1": "red"})
    old, new = world.service(auto_reindex=True), world.service(auto_reindex=True)
    assert answers(old)
    assert reason(new, OTHER_CODE) is FallbackReason.DEFINITIONS_CHANGED
    assert answers(new, schema=OTHER_CODE)
    built = version(world)
    time.sleep(2 * OPTIONS.trust_seconds)
    assert not answers(old, 0.5)
    idle(old)
    assert version(world) == built
    assert reason(new, OTHER_CODE) is None


@pytest.fixture
def folder_world(tmp_path: Path, own_redis: RedisServer) -> Iterator[World]:
    """A world in a folder and a Redis, both of its own, that other processes can see; its index was lost."""
    with override_settings(CACHES=processes.caches(own_redis.url)):
        world = processes.world_of(str(tmp_path), own_redis.url, "w")
        for number in range(50):
            world.write(str(number), "red")
        world.redis.flushall()
        yield world
        world.redis.close()


def started(role: str, folder: Path, url: str) -> subprocess.Popen[str]:
    """A process that plays a role in the folder's world."""
    command = [sys.executable, "-m", processes.__name__, role, str(folder), url, "w"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(process: subprocess.Popen[str]) -> tuple[str, str]:
    """What a process said on either stream, when it has ended well."""
    try:
        out, err = process.communicate(timeout=2 * PATIENCE)
    finally:
        process.kill()
    assert process.returncode == 0, err
    return out, err


def test_four_processes_that_see_it_do_one_rebuild(folder_world: World, tmp_path: Path, own_redis: RedisServer) -> None:
    before = version(folder_world)
    said = [ended(process) for process in [started("ask", tmp_path, own_redis.url) for _ in range(4)]]
    assert [out for out, _ in said] == ["answered\n"] * 4
    assert sum("being rebuilt in the background" in err for _, err in said) == 1
    assert not any("could not" in err or "Traceback" in err for _, err in said)
    assert version(folder_world) == before + 2  # claimed, and published
    assert folder_world.members("red") == {str(number) for number in range(50)}


def test_a_process_that_ends_in_the_middle_is_quick_and_gives_back_what_keeps_others_out(
    folder_world: World, tmp_path: Path, own_redis: RedisServer
) -> None:
    _, err = ended(started("end", tmp_path, own_redis.url))
    assert "being rebuilt in the background" in err
    assert "was given up: the process ends" in err
    assert "Traceback" not in err
    assert "could not" not in err
    assert "rebuilt in the background:" not in err, "it has waited for the end of the rebuild"
    assert folder_world.store.get(lease_key(folder_world)) is None
    assert folder_world.redis_keys("builder") == []
    assert folder_world.first.rebuild(SCHEMA).documents == 50


def test_a_process_that_dies_in_the_middle_is_followed_by_another(
    folder_world: World, tmp_path: Path, own_redis: RedisServer
) -> None:
    _, err = ended(started("die", tmp_path, own_redis.url))
    assert "being rebuilt in the background" in err
    assert folder_world.store.get(lease_key(folder_world)) is not None
    out, err = ended(started("ask", tmp_path, own_redis.url))
    assert out == "answered\n"


def test_a_forked_child_repairs_what_its_parent_had_begun(
    folder_world: World, tmp_path: Path, own_redis: RedisServer
) -> None:
    out, err = ended(started("fork", tmp_path, own_redis.url))
    assert out == "answered\n"
    assert err.count("being rebuilt in the background") == 2


def test_a_lease_is_never_held_twice_by_four_processes(tmp_path: Path, own_redis: RedisServer) -> None:
    running = [started("contend", tmp_path, own_redis.url) for _ in range(processes.CONTENDERS)]
    spans = sorted(span for process in running for span in json.loads(ended(process)[0]))
    assert len(spans) == processes.CONTENDERS * processes.TURNS
    assert [earlier for earlier, later in itertools.pairwise(spans) if later[0] <= earlier[1]] == []
