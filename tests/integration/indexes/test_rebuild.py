"""The online rebuild: complete, incremental, interrupted, contended, with writers all the while."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from django_smarterbase.exceptions import CorruptDocument, IndexUnavailable
from django_smarterbase.indexes import filling
from django_smarterbase.indexes.service import FallbackReason
from django_smarterbase.ops import counting
from django_smarterbase.storage.base import Stored

from .world import COLOR, EVERYTHING, OPTIONS, SCHEMA, World, colored


@pytest.fixture
def old(world: World) -> World:
    """A table that had documents before it had an index."""
    for number in range(5):
        world.put(str(number), "red")
    world.store.put(f"{world.keys.table_prefix(SCHEMA.table)}notes.txt", b"a foreign object")
    return world


def test_rebuild_makes_the_index_of_documents_that_were_there_before(old: World) -> None:
    report = old.first.rebuild(SCHEMA)
    assert (report.documents, report.read, report.reused, report.mended, report.corrupt) == (5, 5, 0, 0, 0)
    assert report.seconds >= OPTIONS.write_deadline
    assert old.members("red") == {"0", "1", "2", "3", "4"}
    assert old.first.counts(SCHEMA, COLOR).counts == {("red",): 5}


def test_rebuild_reads_only_what_it_does_not_know(old: World) -> None:
    old.first.rebuild(SCHEMA)
    old.put("0", "blue")
    old.put("9", "blue")
    old.put("1", None)
    with counting() as ops:
        report = old.first.rebuild(SCHEMA)
    assert (report.documents, report.read, report.reused) == (5, 2, 3)
    assert ops.storage.reads == 2
    assert old.members("blue") == {"0", "9"}
    assert old.members("red") == {"2", "3", "4"}


@pytest.mark.parametrize("piece", [1, 7, 2500])
def test_rebuild_makes_the_same_index_whatever_the_pieces(
    world: World, monkeypatch: pytest.MonkeyPatch, piece: int
) -> None:
    """1,200 members of one set are more than one command takes."""
    monkeypatch.setattr(filling, "PIECE", piece)
    colors = {str(number): ("red", "blue", "green")[number % 3 if number % 100 == 0 else 0] for number in range(1200)}
    for pk, color in colors.items():
        world.put(pk, color)
    for full in (True, False):
        report = world.first.rebuild(SCHEMA, full=full)
        assert (report.documents, report.read, report.mended) == (1200, 1200 if full else 0, 0)
        expected = Counter((color,) for color in colors.values())
        assert world.first.counts(SCHEMA, COLOR).counts == expected
        for color in ("red", "blue", "green"):
            assert world.members(color) == {pk for pk, own in colors.items() if own == color}
        tally = world.redis.hgetall(f"sb:{{{world.name}:things}}:tally:{report.epoch}")
        orders = {name: int(number) for name, number in tally.items() if name.startswith(b"o:")}
        assert (int(tally[b"docs"]), int(tally[b"all"]), int(tally[b"v:things-by-color"])) == (1200, 1200, 3)
        assert orders
        assert set(orders.values()) == {1200}


def test_document_that_is_listed_twice_is_entered_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a folder may list a file that is replaced meanwhile."""
    scan = world.store.scan

    def twice(prefix: str) -> Iterator[tuple[str, Stored]]:
        for color in ("red", "blue"):
            world.put("1", color)
            yield from list(scan(prefix))

    monkeypatch.setattr(world.store, "scan", twice)
    assert world.first.rebuild(SCHEMA, full=True).documents == 1
    assert world.first.counts(SCHEMA, COLOR).counts == {("blue",): 1}
    assert (world.members("red"), world.members("blue")) == (set(), {"1"})


def test_full_rebuild_reads_everything(old: World) -> None:
    old.first.rebuild(SCHEMA)
    assert old.first.rebuild(SCHEMA, full=True).read == 5


def test_rebuild_leaves_only_the_new_epoch_in_redis(old: World) -> None:
    for _ in range(2):
        report = old.first.rebuild(SCHEMA)
    assert all(report.epoch in key for key in old.redis_keys("*:*"))
    assert not old.redis_keys("seen:*")
    assert not old.redis_keys("builder")


def test_rebuild_removes_the_keys_of_one_that_died(old: World) -> None:
    dead = "0123456789abcdef"
    base = f"sb:{{{old.name}:things}}:"
    old.redis.sadd(f"{base}set:{dead}:things-by-color:tred", "1")
    old.redis.hset(f"{base}live", dead, "B x y")
    old.first.rebuild(SCHEMA)
    assert not [key for key in old.redis_keys() if dead in key]
    assert dead.encode() not in old.redis.hkeys(f"{base}live")


def test_ready_index_stays_trusted_during_the_rebuild(world: World) -> None:
    world.write("1", "red")
    seen: list[set[str]] = []
    world.first.rebuild(SCHEMA, progress=lambda done, total: seen.append(world.members("red", service=world.service())))
    assert seen
    assert all(members == {"1"} for members in seen)


def test_rebuild_reports_its_progress(old: World) -> None:
    calls: list[tuple[int, int | None]] = []
    old.first.rebuild(SCHEMA, progress=lambda done, total: calls.append((done, total)))
    assert calls[0] == (5, None)
    assert calls[-1] == (5, 5)


def test_writes_during_the_rebuild_are_all_in_it(old: World) -> None:
    stop = threading.Event()
    problems: list[BaseException] = []

    def write_on() -> None:
        turn = 0
        try:
            service = old.service()
            while not stop.is_set():
                turn += 1
                stem = str(turn % 7)
                color = None if turn % 5 == 0 and old.store.get(old.key(stem)) else ("red", "green", "blue")[turn % 3]
                old.write(stem, color, service=service)
        except BaseException as error:
            problems.append(error)
            raise

    thread = threading.Thread(target=write_on)
    old.write("5", "red")
    thread.start()
    try:
        for _ in range(50):
            try:
                old.first.rebuild(SCHEMA)
                break
            except IndexUnavailable:
                continue
    finally:
        time.sleep(0.2)
        stop.set()
        thread.join()
    assert not problems
    for color in ("red", "green", "blue"):
        reading = old.service().read(SCHEMA, colored(color))
        assert (set(reading.stems or ()), reading.in_doubt) == (old.truth([color]), frozenset())


def test_write_that_began_before_the_registration_is_mended(world: World) -> None:
    """It did not feed the new epoch, and its PUT comes after the document was read for it."""
    world.write("1", "red")
    write = world.begin("1", "blue")
    written: list[str] = []

    def put_late(done: int, total: int | None) -> None:
        if total is not None and not written:
            written.append("blue")
            write.finish({"1": world.put("1", "blue")})

    report = world.first.rebuild(SCHEMA, progress=put_late)
    assert written
    assert report.mended == 1
    assert world.members("blue", service=world.service()) == {"1"}
    assert world.members("red", service=world.service()) == set()


def test_document_that_a_dead_writer_deleted_is_mended(world: World) -> None:
    world.write("1", "red")
    world.write("2", "red")
    deleted: list[str] = []

    def delete(done: int, total: int | None) -> None:
        if total is not None and not deleted:
            deleted.append("1")
            world.put("1", None)

    world.first.rebuild(SCHEMA, progress=delete)
    assert world.members("red") == {"2"}


def test_rebuild_sweeps_the_writes_that_died_while_it_ran(world: World) -> None:
    world.write("1", "red")
    begun: list[str] = []

    def die(done: int, total: int | None) -> None:
        if not begun:
            begun.append("2")
            world.begin("2", "red", service=world.service())

    world.first.rebuild(SCHEMA, progress=die)
    reading = world.first.read(SCHEMA, EVERYTHING)
    assert (reading.stems, reading.in_doubt) == (("1",), frozenset())


def test_second_rebuild_is_refused_while_the_first_one_lives(world: World) -> None:
    world.write("1", "red")
    refusals: list[str] = []

    def second(done: int, total: int | None) -> None:
        if not refusals:
            with pytest.raises(IndexUnavailable, match="Another rebuild") as caught:
                world.service().rebuild(SCHEMA)
            refusals.append(str(caught.value))

    world.first.rebuild(SCHEMA, progress=second)
    assert refusals
    assert world.members("red") == {"1"}


def test_interrupted_rebuild_leaves_the_ready_index_and_can_be_run_again(world: World) -> None:
    world.write("1", "red")

    def interrupt(done: int, total: int | None) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        world.first.rebuild(SCHEMA, progress=interrupt)
    state = world.first.state(SCHEMA)
    assert state.trusted
    assert state.entry is not None
    assert state.entry.building is None
    assert world.first.rebuild(SCHEMA).documents == 1
    assert len(world.redis_keys("docs:*")) == 1


def test_rebuild_fails_when_redis_is_flushed_meanwhile(old: World) -> None:
    def flush(done: int, total: int | None) -> None:
        old.remove_keys()

    with pytest.raises(IndexUnavailable, match="Redis lost"):
        old.first.rebuild(SCHEMA, progress=flush)
    assert old.first.state(SCHEMA).reason is FallbackReason.NOT_BUILT
    assert old.first.rebuild(SCHEMA).documents == 5


def test_rebuild_fails_when_a_process_writes_around_it(old: World) -> None:
    cut_off = old.service(alias=None)

    def write_around(done: int, total: int | None) -> None:
        old.write("around", "red", service=cut_off)

    with pytest.raises(IndexUnavailable, match="without the index"):
        old.first.rebuild(SCHEMA, progress=write_around)
    assert old.first.rebuild(SCHEMA).documents == 6


def test_rebuild_fails_without_redis(old: World) -> None:
    with pytest.raises(IndexUnavailable, match="option cache"):
        old.service(alias=None).rebuild(SCHEMA)


def test_rebuild_names_the_document_that_it_cannot_read(old: World) -> None:
    old.store.put(old.key("2"), b"broken")
    with pytest.raises(CorruptDocument, match=old.key("2")):
        old.first.rebuild(SCHEMA)
    report = old.service(on_corrupt="skip").rebuild(SCHEMA)
    assert (report.documents, report.corrupt) == (4, 1)
    assert "2" not in old.members("red", service=old.service())


def test_rebuild_of_many_documents_goes_in_pieces(world: World) -> None:
    for number in range(450):
        world.put(str(number), ("red", "blue")[number % 2])
    with counting() as ops:
        world.first.rebuild(SCHEMA)
    assert ops.redis.round_trips < 60
    assert world.first.read(SCHEMA, colored("red"), members=False).count == 225
