"""Redis absent, gone, slow to refuse, restarted, emptied or damaged: never a wrong answer, and writes go on."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

from django_smarterbase.exceptions import CorruptDocument, IndexUnavailable
from django_smarterbase.indexes import manifest
from django_smarterbase.indexes.breaker import FAILURES, breaker_of
from django_smarterbase.indexes.keys import without_value
from django_smarterbase.indexes.service import Change, FallbackReason, IndexUntrusted
from django_smarterbase.ops import counting
from testproject.services import RedisServer
from tests.clock import Clock

from .conftest import world_on
from .world import EVERYTHING, OPTIONS, SCHEMA, World, colored, row_of


def reason(world: World, **how: object) -> FallbackReason | None:
    """Why a process without a lease does not trust the index; None when it does."""
    try:
        world.service(**how).read(SCHEMA, colored("red"))
    except IndexUntrusted as untrusted:
        return untrusted.reason
    return None


def test_outage_costs_the_first_write_a_lease_and_later_ones_a_look(
    own_world: World, own_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(manifest, "time", clock)
    own_world.write("1", "red")
    own_redis.stop()
    began = clock.now
    assert own_world.write("2", "red").degraded is True
    first = clock.now
    with counting() as ops:
        own_world.write("3", "red")
    assert (first - began, clock.now - first) == (pytest.approx(OPTIONS.trust_seconds), pytest.approx(0))
    assert ops.storage.system == 1
    own_redis.start()
    assert reason(own_world) is FallbackReason.SUSPECT


def test_process_that_only_sees_a_suspect_table_waits_too(own_world: World, own_redis: RedisServer) -> None:
    own_world.write("1", "red")
    own_redis.stop()
    own_world.write("2", "red")
    other = own_world.service()
    began = time.monotonic()
    own_world.write("3", "red", service=other)
    assert time.monotonic() - began >= OPTIONS.trust_seconds


def test_reader_with_a_lease_misses_nothing_that_another_process_writes_cut_off(world: World) -> None:
    """The reader goes on trusting for the length of its lease; the writer must not have written by then."""
    world.write("1", "red")
    reader, writer = world.service(), world.service(alias="unreachable")
    with override_settings(CACHES={**_caches(), "unreachable": _cache("redis://127.0.0.1:1/0")}):
        for number in range(3):
            reader.read(SCHEMA, colored("red"))
            write = world.begin(str(number), "red", service=writer)
            with pytest.raises(IndexUntrusted) as caught:
                reader.read(SCHEMA, colored("red"))
            assert caught.value.reason is FallbackReason.SUSPECT
            write.finish({str(number): world.put(str(number), "red")})
            world.first.rebuild(SCHEMA)
            reader = world.service()
            assert reader.read(SCHEMA, EVERYTHING).stems is not None


def test_unreachable_redis_is_waited_for_once_a_statement(world: World) -> None:
    world.write("1", "red")
    with override_settings(CACHES={**_caches(), "unreachable": _cache("redis://127.0.0.1:1/0")}):
        service = world.service(alias="unreachable")
        with counting() as ops:
            for _ in range(3):
                with pytest.raises(IndexUntrusted) as caught:
                    service.read(SCHEMA, colored("red"))
                assert caught.value.reason is FallbackReason.UNREACHABLE
        assert ops.redis.round_trips == 1


def test_breaker_leaves_redis_alone_after_repeated_failures(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.write("1", "red")
    caplog.set_level(logging.INFO, "django_smarterbase.index")
    with override_settings(CACHES={**_caches(), "unreachable": _cache("redis://127.0.0.1:1/0")}):
        reasons = [reason(world, alias="unreachable") for _ in range(FAILURES + 2)]
    assert reasons == [FallbackReason.UNREACHABLE] * FAILURES + [FallbackReason.BREAKER_OPEN] * 2
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert not breaker_of("unreachable").admits()


def test_redis_that_dies_between_begin_and_finish_leaves_the_document_in_doubt(
    own_redis: RedisServer, tmp_path: Path
) -> None:
    with RedisServer(directory=tmp_path) as server, world_on(server) as world:
        world.write("1", "red")
        write = world.begin("2", "red")
        server.stop()
        write.finish({"2": world.put("2", "red")})
        server.start()
        assert reason(world) is FallbackReason.RESTARTED


def test_restart_with_an_old_dump_is_not_trusted_and_mended_without_reading_everything(tmp_path: Path) -> None:
    with RedisServer(directory=tmp_path) as server, world_on(server) as world:
        world.write("1", "red")
        world.write("2", "red")
        server.stop()
        world.write("3", "red")
        server.start()
        assert reason(world) is FallbackReason.SUSPECT
        report = world.service().rebuild(SCHEMA)
        assert (report.read, report.reused) == (1, 2)
        assert world.members("red", service=world.service()) == {"1", "2", "3"}


def test_restart_that_kept_its_data_is_verified_by_two_listings_and_no_reading(tmp_path: Path) -> None:
    documents = 500  # more than go into one script
    with RedisServer(directory=tmp_path) as server, world_on(server) as world:
        stems = [f"{number}" for number in range(documents)]
        write = world.first.begin(SCHEMA, [Change(stem, row_of(stem, "red"), existed=False) for stem in stems])
        write.finish({stem: world.put(stem, "red") for stem in stems})
        server.stop()
        server.start()
        assert reason(world) is FallbackReason.RESTARTED
        with counting() as ops:
            report = world.service().rebuild(SCHEMA)
        assert (report.documents, report.read, report.reused, report.mended) == (documents, 0, documents, 0)
        assert (ops.storage.reads, ops.storage.lists, ops.storage.bytes_read) == (0, 2, 0)
        assert world.members("red", service=world.service()) == set(stems)


def test_restart_is_noticed_when_nobody_wrote_meanwhile(tmp_path: Path) -> None:
    with RedisServer(directory=tmp_path) as server, world_on(server) as world:
        world.write("1", "red")
        server.stop()
        server.start()
        assert reason(world) is FallbackReason.RESTARTED
        assert world.write("2", "red").degraded is True, "its sets may be older than the documents"
        assert reason(world) is FallbackReason.SUSPECT
        assert world.service().rebuild(SCHEMA).reused == 1
        assert reason(world) is None


@pytest.mark.parametrize(
    "empty",
    [lambda server, world: server.restart_empty(), lambda server, world: world.redis.flushall()],
    ids=["restarted empty", "flushed"],
)
def test_empty_redis_is_no_answer_and_the_rebuild_brings_it_back(
    own_world: World, own_redis: RedisServer, empty: Callable[[RedisServer, World], None]
) -> None:
    own_world.write("1", "red")
    own_world.write("2", "red")
    empty(own_redis, own_world)
    assert reason(own_world) is FallbackReason.FLUSHED
    assert own_world.write("3", "red").degraded is True
    own_world.service().rebuild(SCHEMA)
    assert own_world.members("red", service=own_world.service()) == {"1", "2", "3"}
    assert own_world.write("4", "red").degraded is False


def test_restart_forgets_the_scripts_and_nobody_notices(own_world: World) -> None:
    own_world.write("1", "red")
    own_world.redis.script_flush()
    assert own_world.members("red") == {"1"}
    own_world.redis.script_flush()
    assert own_world.write("2", "red").degraded is False


@pytest.mark.parametrize(
    "ending", ["set:*", "all:*", "docs:*", "pend:*", "age:*", "tally:*", "tally:*:color_size", "live", "marker"]
)
def test_lost_key_is_never_an_answer(world: World, ending: str) -> None:
    world.write("1", "red")
    world.write("2", "red")
    world.begin("3", "red")
    keys = world.redis_keys(ending)
    assert keys
    world.redis.delete(*keys)
    if ending not in {"live", "all:*", "tally:*:color_size"}:  # those are for writers, and for other questions
        assert reason(world) in {FallbackReason.DRIFT, FallbackReason.FLUSHED}
    world.write("1", "blue")
    try:
        found = world.members("red", "blue", service=world.service())
    except IndexUntrusted:
        pass
    else:
        assert found >= {"1", "2"}
    world.first.rebuild(SCHEMA)
    assert world.members("blue", service=world.service()) == {"1"}


def test_lost_single_set_is_noticed_by_the_query_that_needs_it(world: World) -> None:
    world.write("1", "red")
    world.write("2", "blue")
    world.redis.delete(*world.redis_keys("set:*:things-by-color:tred"))
    assert world.members("blue") == {"2"}
    with pytest.raises(IndexUntrusted) as caught:
        world.members("red")
    assert caught.value.reason is FallbackReason.DRIFT
    assert caught.value.detail.endswith(":things-by-color")  # which value it is of, nobody shall read in a log
    with pytest.raises(IndexUntrusted) as caught:
        world.members("blue")
    assert caught.value.reason is FallbackReason.FLUSHED


def test_lost_record_is_noticed_by_the_writer_that_needs_it(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.write("1", "red")
    world.write("2", "red")
    (docs,) = world.redis_keys("docs:*")
    world.redis.hdel(docs, "1")
    world.write("1", "blue")
    assert reason(world) is FallbackReason.FLUSHED
    assert "the record of 1" in caplog.text


def test_record_that_a_writer_cut_off_has_not_left_is_not_called_a_damage(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.write("1", "red")
    with override_settings(CACHES={**_caches(), "unreachable": _cache("redis://127.0.0.1:1/0")}):
        assert world.write("2", "red", service=world.service(alias="unreachable")).degraded is True
    assert world.write("2", "blue").degraded is False, "it feeds the sets, which nobody trusts before a rebuild"
    assert reason(world) is FallbackReason.SUSPECT
    assert "lacks the record of 2: Redis lost a key, or a process wrote without the index" in caplog.text


def test_lost_note_is_noticed_at_finish(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.write("1", "red")
    write = world.begin("1", "blue")
    world.redis.delete(*world.redis_keys("pend:*"))
    write.finish({"1": world.put("1", "blue")})
    assert reason(world) is FallbackReason.FLUSHED
    assert "the pending note of 1" in caplog.text


@pytest.mark.parametrize("ending", ["set:*", "all:*", "docs:*", "tally:*", "live", "marker"])
@pytest.mark.parametrize("first", ["read", "write"])
def test_key_of_another_type_is_named_and_the_next_rebuild_works(
    world: World, ending: str, first: str, caplog: pytest.LogCaptureFixture
) -> None:
    world.write("1", "red")
    keys = world.redis_keys(ending)
    for key in keys:
        world.redis.delete(key)
        world.redis.set(key, "somebody else's")
    if first == "read" and ending != "live":
        with pytest.raises(IndexUntrusted) as caught:
            world.first.read(SCHEMA, EVERYTHING if ending == "all:*" else colored("red"))
        assert caught.value.reason is FallbackReason.DRIFT
        assert any(f"'{without_value(key)}'" in caught.value.detail for key in keys)
    world.write("1", "blue")
    if first == "write" and ending not in {"all:*", "marker"}:  # the write needs neither
        assert any(f"'{without_value(key)}'" in caplog.text for key in keys)
    try:
        world.first.rebuild(SCHEMA)
    except IndexUnavailable:
        world.first.rebuild(SCHEMA)
    assert world.members("blue", service=world.service()) == {"1"}


def test_evicting_redis_is_not_trusted_unless_allowed(own_world: World) -> None:
    own_world.write("1", "red")
    assert reason(own_world) is None
    own_world.redis.config_set("maxmemory-policy", "allkeys-lru")
    assert reason(own_world) is FallbackReason.EVICTING
    assert reason(own_world, allow_eviction=True) is None
    assert own_world.first.state(SCHEMA).reason is FallbackReason.EVICTING
    with pytest.raises(IndexUnavailable, match="maxmemory-policy"):
        own_world.first.rebuild(SCHEMA)


def test_redis_without_memory_lets_writes_go_on(own_world: World) -> None:
    own_world.write("1", "red")
    own_world.redis.config_set("maxmemory", "1")
    assert own_world.write("2", "red").degraded is True
    own_world.redis.config_set("maxmemory", "0")
    assert reason(own_world) is FallbackReason.SUSPECT


def test_replica_that_refuses_writes_lets_them_go_on(own_world: World) -> None:
    own_world.write("1", "red")
    own_world.redis.replicaof("127.0.0.1", "1")
    assert own_world.write("2", "red").degraded is True
    own_world.redis.replicaof("no", "one")
    assert reason(own_world) is FallbackReason.SUSPECT


def test_redis_that_wants_a_password_lets_writes_go_on(own_world: World) -> None:
    own_world.write("1", "red")
    own_world.redis.config_set("requirepass", "secret")
    own_world.redis.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    assert own_world.write("2", "red").degraded is True


def test_manifest_that_cannot_be_read_trusts_nobody_and_stops_degraded_writes(world: World) -> None:
    world.write("1", "red")
    world.store.put(world.keys.manifest(), b"broken")
    with pytest.raises(IndexUntrusted, match=r"manifest\.json"):
        world.service().read(SCHEMA, colored("red"))
    with pytest.raises(CorruptDocument, match=r"manifest\.json"):
        world.write("2", "red", service=world.service(alias=None))


def test_alias_that_does_not_exist_is_a_configuration_error(world: World) -> None:
    world.write("1", "red")
    with pytest.raises(ImproperlyConfigured, match="CACHES does not define"):
        world.service(alias="nowhere").read(SCHEMA, colored("red"))


def test_alias_without_redis_is_a_configuration_error(world: World) -> None:
    world.write("1", "red")
    with pytest.raises(ImproperlyConfigured, match=r"django_redis\.cache\.RedisCache"):
        world.service(alias="default").read(SCHEMA, colored("red"))


def test_outage_of_a_table_is_warned_of_once_and_its_end_told(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "django_smarterbase.index")
    world.write("1", "red")
    world.remove_keys()
    for _ in range(3):
        with pytest.raises(IndexUntrusted):
            world.members("red")
    world.first.rebuild(SCHEMA)
    world.members("red")
    said = [(record.levelname, record.message) for record in caplog.records if "trusted" in record.message]
    assert [level for level, _ in said] == ["WARNING", "INFO"]


def _cache(url: str) -> dict[str, object]:
    return {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": url, "OPTIONS": {"SOCKET_TIMEOUT": 20}}


def _caches() -> dict[str, object]:
    from django.conf import settings

    caches: dict[str, object] = settings.CACHES
    return caches
