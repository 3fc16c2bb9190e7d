"""Writing: birth, begin and finish in bulk, writers that die, code of two versions, stores without conditions."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from django.core.files.storage import InMemoryStorage

from django_smarterbase.exceptions import ConflictError, IndexUnavailable
from django_smarterbase.indexes import writes
from django_smarterbase.indexes.rebuild import Rebuild
from django_smarterbase.indexes.service import Change, FallbackReason, IndexUntrusted
from django_smarterbase.indexes.writes import Writer
from django_smarterbase.ops import counting
from django_smarterbase.storage.memory import MemoryStore

from .world import EVERYTHING, OPTIONS, OTHER_CODE, SCHEMA, World, colored, row_of


class Unconditional(MemoryStore):
    """A store where the last writer wins."""

    conditional = False

    def put(self, key: str, body: bytes, *, if_match: str | None = None, if_absent: bool = False) -> str:
        return super().put(key, body)


def test_first_write_gives_an_empty_table_a_trusted_index(world: World) -> None:
    with pytest.raises(IndexUntrusted) as caught:
        world.first.read(SCHEMA, EVERYTHING)
    assert caught.value.reason is FallbackReason.NOT_BUILT
    assert world.write("1", "red").degraded is False
    assert world.members("red") == {"1"}
    assert world.first.state(SCHEMA).trusted


def test_first_write_leaves_a_table_with_documents_to_the_rebuild(world: World) -> None:
    world.put("old", "red")
    assert world.write("1", "red").degraded is True
    assert world.first.state(SCHEMA).reason is FallbackReason.NOT_BUILT
    world.first.rebuild(SCHEMA)
    assert world.members("red") == {"old", "1"}


def test_write_that_asked_redis_just_before_the_birth_asks_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    announce, asked = Writer._announce, []

    def announce_before_the_birth(writer: Writer, *arguments: Any) -> Any:
        asked.append(writer)
        try:
            return announce(writer, *arguments)
        finally:
            if len(asked) == 1:
                world.service()._writer._midwife.attend(SCHEMA)

    monkeypatch.setattr(writes, "_REGISTRATION", 60.0)
    monkeypatch.setattr(Writer, "attend", lambda *_: None)
    monkeypatch.setattr(Writer, "_announce", announce_before_the_birth)
    write = world.begin("1", "red")
    monkeypatch.undo()
    assert (write.degraded, len(asked)) == (False, 2)
    assert world.first.state(SCHEMA).trusted


def test_births_of_many_processes_at_once_make_one_trusted_index(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writes, "_REGISTRATION", 60.0)
    errors: list[BaseException] = []

    def process(number: int) -> None:
        try:
            service = world.service()
            for turn in range(5):
                world.write(f"{number}-{turn}", "red", service=service)
        except BaseException as error:
            errors.append(error)
            raise

    threads = [threading.Thread(target=process, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert world.first.state(SCHEMA).trusted
    assert world.members("red") == world.truth(["red"])
    assert len(world.truth(["red"])) == 20


def test_write_of_one_document_takes_two_round_trips_and_no_request(world: World) -> None:
    world.write("1", "red")
    with counting() as ops:
        write = world.first.begin(SCHEMA, [Change("2", row_of("2", "red"), existed=False)])
        write.finish({"2": "etag"})
    assert ops.redis.round_trips == 2
    assert (ops.storage.total, ops.storage.system) == (0, 0)


def test_bulk_write_takes_few_round_trips(world: World) -> None:
    world.write("0", "red")
    stems = [f"s{number}" for number in range(1000)]
    with counting() as ops:
        write = world.first.begin(SCHEMA, [Change(stem, row_of(stem, "red"), existed=False) for stem in stems])
        write.finish(dict.fromkeys(stems, "etag"))
    assert ops.redis.round_trips == 10
    assert world.first.read(SCHEMA, colored("red"), members=False).count == 1001


def test_begin_refuses_a_document_named_twice(world: World) -> None:
    change = Change("1", row_of("1", "red"), existed=False)
    with pytest.raises(ValueError, match="twice"):
        world.first.begin(SCHEMA, [change, change])


def test_abort_leaves_the_index_as_it_was(world: World) -> None:
    world.write("1", "red")
    world.begin("1", "blue").abort(["1"])
    world.begin("2", "blue").abort(["2"])
    assert world.members("blue") == set()
    assert world.first.read(SCHEMA, colored("red")) == world.first.read(SCHEMA, EVERYTHING)
    assert world.first.state(SCHEMA).pending == 0


def test_finish_and_abort_of_one_write_concern_their_documents_only(patient_world: World) -> None:
    patient_world.write("0", "red")
    write = patient_world.first.begin(
        SCHEMA, [Change(stem, row_of(stem, "red"), existed=False) for stem in ("1", "2", "3")]
    )
    write.finish({"1": patient_world.put("1", "red")})
    write.abort(["2"])
    reading = patient_world.first.read(SCHEMA, colored("red"))
    assert set(reading.stems or ()) == {"0", "1", "3"}
    assert reading.in_doubt == {"3"}
    write.finish({"1": "again", "2": "late"})
    assert set(patient_world.first.read(SCHEMA, colored("red")).stems or ()) == {"0", "1", "3"}


def test_deletion_leaves_nothing_behind_in_redis(world: World) -> None:
    world.write("1", "red")
    world.write("1", None)
    assert world.first.read(SCHEMA, EVERYTHING).stems == ()
    assert not world.redis_keys("set:*")
    assert not world.redis_keys("docs:*")
    assert not world.redis_keys("pend:*")


def test_writer_that_died_is_swept_when_its_deadline_is_over(patient_world: World) -> None:
    patient_world.write("1", "red")
    patient_world.write("2", "red")
    patient_world.begin("1", "blue")
    patient_world.put("1", "blue")
    patient_world.begin("2", "blue")
    assert patient_world.first.sweep(SCHEMA) == 0
    patient_world.pass_deadline()
    assert patient_world.first.sweep(SCHEMA) == 2
    blue, red = patient_world.first.read(SCHEMA, colored("blue")), patient_world.first.read(SCHEMA, colored("red"))
    assert (blue.stems, blue.in_doubt) == (("1",), frozenset())
    assert (red.stems, red.in_doubt) == (("2",), frozenset())


def test_query_that_meets_an_old_note_settles_it_by_the_way(patient_world: World) -> None:
    patient_world.write("1", "red")
    patient_world.begin("2", "red")
    patient_world.pass_deadline()
    assert patient_world.first.read(SCHEMA, colored("red")).in_doubt == {"2"}
    assert patient_world.first.read(SCHEMA, colored("red")).in_doubt == frozenset()


def test_sweep_leaves_an_old_creation_alone_while_a_young_write_is_under_way(patient_world: World) -> None:
    patient_world.write("0", "red")
    patient_world.begin("1", "red")
    patient_world.pass_deadline()
    young = patient_world.begin("1", "blue")
    assert patient_world.first.sweep(SCHEMA) == 0
    young.finish({"1": patient_world.put("1", "blue")})
    assert patient_world.first.sweep(SCHEMA) == 1
    assert patient_world.members("red") == {"0"}
    assert patient_world.members("blue") == {"1"}


def test_finish_after_the_sweep_changes_nothing(patient_world: World) -> None:
    patient_world.write("1", "red")
    write = patient_world.begin("1", "blue")
    etag = patient_world.put("1", "blue")
    patient_world.pass_deadline()
    patient_world.first.sweep(SCHEMA)
    write.finish({"1": etag})
    assert patient_world.first.read(SCHEMA, EVERYTHING).in_doubt == frozenset()
    assert patient_world.members("blue") == {"1"}
    assert patient_world.members("red") == set()


def test_finish_withdraws_trust_when_the_document_was_written_after_the_sweep(patient_world: World) -> None:
    """The sweep has read the document as it was before, so no set names it by its new value."""
    patient_world.write("1", "red")
    write = patient_world.begin("1", "blue")
    patient_world.pass_deadline()
    patient_world.first.sweep(SCHEMA)
    write.finish({"1": patient_world.put("1", "blue")})
    with pytest.raises(IndexUntrusted):
        patient_world.first.read(SCHEMA, colored("blue"))


def test_document_that_cannot_be_decoded_is_swept_out_of_the_index(patient_world: World) -> None:
    patient_world.write("1", "red")
    patient_world.begin("1", "blue")
    patient_world.store.put(patient_world.key("1"), b"broken")
    patient_world.pass_deadline()
    assert patient_world.first.sweep(SCHEMA) == 1
    assert patient_world.first.read(SCHEMA, EVERYTHING).stems == ()


def test_code_with_other_definitions_makes_the_index_suspect(world: World) -> None:
    world.write("1", "red")
    old_code = world.service()
    assert world.write("2", "red", service=old_code, schema=OTHER_CODE).degraded is True
    with pytest.raises(IndexUntrusted) as caught:
        world.service().read(SCHEMA, colored("red"))
    assert caught.value.reason is FallbackReason.SUSPECT
    world.first.rebuild(SCHEMA)
    assert world.members("red") == {"1", "2"}


def test_rebuild_for_new_definitions_ends_the_feeding_of_the_old_ones(world: World) -> None:
    world.write("1", "red", schema=OTHER_CODE)
    new_code = world.service()
    new_code.rebuild(SCHEMA)
    assert world.write("2", "red", service=new_code).degraded is False
    assert world.members("red", service=new_code) == {"1", "2"}


def test_writes_without_a_cache_make_the_index_of_others_suspect(world: World) -> None:
    world.write("1", "red")
    assert world.write("2", "red", service=world.service(alias=None)).degraded is True
    with pytest.raises(IndexUntrusted):
        world.service().read(SCHEMA, colored("red"))


def test_writes_without_a_cache_do_not_wait_when_no_index_was_ever_trusted(world: World) -> None:
    service = world.service(alias=None, trust_seconds=20, write_deadline=30)
    began = time.monotonic()
    world.write("1", "red", service=service)
    world.write("2", "red", service=service)
    assert time.monotonic() - began < 20


def test_refusing_database_writes_without_a_cache_but_not_without_its_redis(world: World) -> None:
    world.put("old", "red")
    refusing = world.service(on_index_outage="refuse")
    with pytest.raises(IndexUnavailable, match="on_index_outage"):
        world.write("1", "red", service=refusing)
    assert world.write("1", "red", service=world.service(on_index_outage="refuse", alias=None)).degraded


def test_store_without_conditions_has_one_writer_of_a_document_at_a_time(patient_world: World) -> None:
    patient_world.store = Unconditional(InMemoryStorage(), OPTIONS)
    service = patient_world.service()
    patient_world.write("1", "red", service=service)
    first = patient_world.begin("1", "blue", service=service)
    order: list[str] = []

    def second() -> None:
        write = patient_world.begin("1", "green", service=service)
        order.append("second begins")
        write.finish({"1": patient_world.put("1", "green")})

    thread = threading.Thread(target=second)
    thread.start()
    time.sleep(0.1)
    etag = patient_world.put("1", "blue")
    order.append("first ends")
    first.finish({"1": etag})
    thread.join()
    assert order == ["first ends", "second begins"]
    assert patient_world.members("green", service=service) == {"1"}
    assert patient_world.members("blue", service=service) == set()


def test_store_without_conditions_takes_over_from_a_writer_that_died(patient_world: World) -> None:
    patient_world.store = Unconditional(InMemoryStorage(), OPTIONS)
    service = patient_world.service()
    patient_world.write("1", "red", service=service)
    patient_world.begin("1", "blue", service=service)
    patient_world.pass_deadline()
    patient_world.write("1", "green", service=service)
    assert patient_world.members("green", service=service) == {"1"}


def test_store_without_conditions_gives_up_on_a_document_that_is_always_busy(world: World) -> None:
    world.store = Unconditional(InMemoryStorage(), OPTIONS)
    service = world.service()
    world.write("1", "red", service=service)
    world.begin("1", "blue", service=service)
    (notes,) = world.redis_keys("pend:*")
    of_tomorrow = int((time.time() + 86400) * 1000)  # however often one looks, there is a young one
    world.redis.hset(notes, "1", f"0123 2 {of_tomorrow} 1 *")
    with pytest.raises(ConflictError, match="twice the write deadline"):
        world.begin("1", "green", service=world.service(write_deadline=0.2))


def test_write_waits_for_the_registration_of_a_rebuild_that_has_just_begun(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writes, "_REGISTRATION", 60.0)
    world.write("1", "red")
    world.remove_keys()
    rebuild = Rebuild(world.first._room, world.first._sweeper, world.first._room.redis, SCHEMA)
    rebuild.claim.make()
    thread = threading.Timer(0.1, rebuild.register)
    thread.start()
    write = world.begin("2", "red", service=world.service())
    thread.join()
    assert write.degraded is False
    state = world.first.state(SCHEMA)
    assert state.entry is not None
    assert state.entry.building == rebuild.epoch


def test_write_does_not_wait_for_ever_for_a_rebuild_that_died(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writes, "_REGISTRATION", 0.2)
    world.write("1", "red")
    world.remove_keys()
    Rebuild(world.first._room, world.first._sweeper, world.first._room.redis, SCHEMA).claim.make()
    assert world.write("2", "red").degraded is True
    monkeypatch.setattr(writes, "_REGISTRATION", 60.0)
    began = time.monotonic()
    assert world.write("3", "red").degraded is True
    assert time.monotonic() - began < 30


def test_write_with_redis_but_without_an_index_costs_one_look_at_the_manifest(world: World) -> None:
    world.put("old", "red")
    world.write("1", "red")
    with counting() as ops:
        assert world.write("2", "red").degraded is True
    assert ops.storage.system == 1
