"""Packs, on every store that can have them: what a scan costs and gives, and whatever is wrong with them."""

from __future__ import annotations

import logging
import threading
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest
from django.core.files.storage import FileSystemStorage
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from django_smarterbase.conf import Options
from django_smarterbase.exceptions import PackingFailed, StorageUnavailable
from django_smarterbase.indexes.lease import Lease
from django_smarterbase.ops import StorageOps, counting
from django_smarterbase.packs import packing, shelf
from django_smarterbase.packs.documents import DocumentStore
from django_smarterbase.packs.format import PackIndex
from django_smarterbase.storage.base import Stored
from django_smarterbase.storage.opening import open_store

from .conftest import KEYS, PACKS, PREFIX, TABLE, fill, key, scanned

Process = Callable[..., DocumentStore]


@pytest.fixture(autouse=True)
def small_packs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Packs of ten documents of ``fill``."""
    monkeypatch.setattr(packing, "SIZE", 1000)


def counted(store: DocumentStore) -> StorageOps:
    """The requests of a scan to its end."""
    with counting() as ops:
        for _each in store.scan(PREFIX):
            pass
    return ops.storage


def packs_of(store: DocumentStore) -> list[str]:
    """The keys of the packs that lie in the store."""
    return sorted(each.key for each in store.list(PACKS.prefix) if each.key != PACKS.list_of_packs())


def current(store: DocumentStore) -> PackIndex:
    """The index of the packs."""
    stored = store.get(PACKS.list_of_packs())
    assert stored is not None
    return PackIndex.load(stored.body)


def test_unchanged_documents_cost_their_packs_alone(process: Process) -> None:
    bodies = fill(process(), 25)
    report = process().pack(TABLE)
    assert (report.packs, report.documents, report.read, report.left_out) == (3, 25, 25, 0)
    store = process()
    assert scanned(store) == bodies
    ops = counted(store)
    assert (ops.lists, ops.reads, ops.packs, ops.packed, ops.system) == (1, 3, 3, 25, 0)
    assert ops.bytes_read == report.packed_bytes < 25 * 100


def test_first_scan_of_a_process_asks_for_the_index_of_packs_once(process: Process, monkeypatch) -> None:
    fill(process(), 3)
    store, other = process(), process()
    assert [counted(store).system for _time in range(3)] == [1, 0, 0]
    monkeypatch.setattr(shelf, "LOOK", 0.0)
    assert [counted(other).system for _time in range(3)] == [1, 1, 1]


def test_changed_new_and_deleted_documents_are_seen_at_once(process: Process) -> None:
    store = process()
    bodies = fill(store, 25)
    store.pack(TABLE)
    for number, body in ((3, b"{changed}"), (24, b"{changed too}"), (100, b"{new}")):
        store.put(key(number), body)
        bodies[key(number)] = body
    store.delete(key(12))
    del bodies[key(12)]
    assert scanned(store) == bodies
    ops = counted(store)
    assert (ops.lists, ops.packs, ops.reads - ops.packs, ops.packed) == (1, 3, 3, 22)


def test_document_that_comes_back_as_it_was_is_right(process: Process) -> None:
    store = process()
    bodies = fill(store, 3)
    store.pack(TABLE)
    store.put(key(1), b"{other}")
    store.put(key(1), bodies[key(1)])
    assert scanned(store) == bodies


def test_pack_whose_documents_are_all_gone_is_not_read(process: Process) -> None:
    store = process()
    fill(store, 30)
    store.pack(TABLE)
    for number in range(10):
        store.delete(key(number))
    assert counted(store).packs == 2


def test_packing_again_reads_only_what_has_changed_and_keeps_the_packs_before(process: Process) -> None:
    store = process()
    bodies = fill(store, 25)
    store.pack(TABLE)
    first = packs_of(store)
    store.put(key(7), b"{changed}")
    report = process().pack(TABLE)
    second = sorted(set(packs_of(store)) - set(first))
    assert (report.documents, report.read, len(first), len(second)) == (25, 1, 3, 3)
    # A process that has not looked since goes on with the packs that it knows.
    ops = counted(store)
    assert (ops.packed, ops.reads - ops.packs, ops.pack_failures) == (24, 1, 0)
    process().pack(TABLE)
    assert not set(first) & set(packs_of(store))
    assert set(second) < set(packs_of(store))
    assert scanned(store) == {**bodies, key(7): b"{changed}"}


def test_scan_under_way_goes_on_when_its_packs_are_replaced_and_deleted(process: Process) -> None:
    store = process()
    bodies = fill(store, 25)
    store.pack(TABLE)
    scan = store.scan(PREFIX)
    found = [next(scan) for _ in range(3)]
    for _time in range(2):
        process().pack(TABLE)
    assert {name: stored.body for name, stored in [*found, *scan]} == bodies


def test_objects_that_are_no_documents_or_too_large_are_scanned_and_not_packed(process: Process, monkeypatch) -> None:
    monkeypatch.setattr("django_smarterbase.packs.scanning.LARGEST", 150)
    store = process()
    bodies = fill(store, 3)
    strange = {f"{PREFIX}notes.txt": b"x", f"{PREFIX}inner/a.json": b"y", key(50): b"z" * 151}
    for name, body in strange.items():
        store.put(name, body)
    report = store.pack(TABLE)
    assert (report.documents, report.left_out, report.read) == (3, 3, 3)
    assert scanned(store) == bodies | strange


@pytest.mark.parametrize("kind", ["files"], indirect=True)
def test_file_whose_name_is_no_text_is_scanned_and_not_packed(process: Process, storage: FileSystemStorage) -> None:
    store = process()
    bodies = fill(store, 3)
    Path(storage.location, f"{PREFIX}\udcff.json").write_bytes(b"x")
    report = store.pack(TABLE)
    assert (report.documents, report.left_out) == (3, 1)
    assert scanned(store) == {**bodies, f"{PREFIX}\udcff.json": b"x"}


def test_names_are_found_in_the_order_in_which_stores_list_them(process: Process) -> None:
    store, names = process(), ("a", "a!b", "a-b", "a%2Fb", "A", "aa", "=e", "a.b", "_", "0")
    bodies = {f"{PREFIX}{name}.json": name.encode() for name in names}
    for name, body in bodies.items():
        store.put(name, body.ljust(600))
    assert store.pack(TABLE).packs == len(names)
    ops = counted(store)
    assert (ops.packs, ops.packed, ops.reads) == (len(names), len(names), len(names))
    assert scanned(store) == {name: body.ljust(600) for name, body in bodies.items()}


def test_table_without_documents_has_no_packs(process: Process) -> None:
    store = process()
    fill(store, 3)
    store.pack(TABLE)
    for number in range(3):
        store.delete(key(number))
    assert store.pack(TABLE).packs == 0
    assert (counted(store), store.packs(TABLE)) == (StorageOps(lists=1), None)


def test_unpacked_table_has_no_objects_of_packs(process: Process) -> None:
    store = process()
    bodies = fill(store, 3)
    store.pack(TABLE)
    store.unpack(TABLE)
    assert [each.key for each in store.list(PACKS.prefix)] == []
    ops = counted(store)
    assert (ops.system, ops.reads, ops.packs, ops.pack_failures) == (1, 3, 0, 0)
    assert scanned(store) == bodies


def _cut_off(body: bytes) -> bytes:
    return body[: len(body) // 2]


def _changed(body: bytes) -> bytes:
    return body[:-20] + bytes([body[-20] ^ 1]) + body[-19:]


@pytest.mark.parametrize("damage", [_cut_off, _changed, lambda _body: b"", lambda _body: b"{}"])
def test_damaged_pack_costs_its_documents_and_is_told_once(process: Process, caplog, damage) -> None:
    store = process()
    bodies = fill(store, 25)
    store.pack(TABLE)
    name = PACKS.pack(current(store).packs[1].name)
    stored = store.get(name)
    assert stored is not None
    store.put(name, damage(stored.body))
    assert scanned(store) == bodies
    ops = counted(store)
    assert (ops.packed, ops.reads - ops.packs, ops.packs, ops.pack_failures) == (15, 10, 3, 1)
    (record,) = [each for each in caplog.records if each.name == "django_smarterbase.storage"]
    assert (record.levelno, record.event, record.key) == (logging.WARNING, "pack_unusable", name)
    assert "sb_reindex --pack" in record.getMessage()


def test_pack_that_is_missing_or_another_ones_costs_its_documents(process: Process) -> None:
    store = process()
    bodies = fill(store, 25)
    store.pack(TABLE)
    first, second, third = (PACKS.pack(pack.name) for pack in current(store).packs)
    other = store.get(third)
    assert other is not None
    store.put(first, other.body)
    store.delete(second)
    assert scanned(store) == bodies
    assert counted(store).pack_failures == 2


@pytest.mark.parametrize(("ending", "packed"), [(".pack", 0), ("index.json", 25)])
def test_pack_that_cannot_be_reached_costs_its_documents(
    process: Process, monkeypatch, ending: str, packed: int
) -> None:
    monkeypatch.setattr(shelf, "LOOK", 0.0)
    store = process()
    bodies = fill(store, 25)
    store.pack(TABLE)
    get = store._store.get

    def fail(name: str) -> Stored | None:
        if name.endswith(ending):
            raise StorageUnavailable("no answer")
        return get(name)

    monkeypatch.setattr(store._store, "get", fail)
    with counting() as ops:
        assert scanned(store) == bodies
    # What was known of the packs goes on to be used.
    assert (ops.storage.packed, ops.storage.pack_failures) == (packed, 1 if packed else 3)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff",
        b"[]",
        b'{"format": 2}',
        b'{"format": 1, "made_at": "2026-11-25T00:00:00+00:00", "packs": [{}]}',
        b'{"format": 1, "made_at": "2026-11-25T00:00:00+00:00", "packs": 1}',
    ],
)
def test_index_of_packs_that_cannot_be_read_is_none(process: Process, content: bytes) -> None:
    store = process()
    bodies = fill(store, 5)
    store.put(PACKS.list_of_packs(), content)
    with counting() as ops:
        assert scanned(store) == bodies
    assert (ops.storage.pack_failures, ops.storage.reads) == (1, 5)
    assert process().pack(TABLE).packs == 1
    assert counted(process()).packed == 5


def test_index_of_packs_that_overlap_is_none(process: Process) -> None:
    store = process()
    bodies = fill(store, 25)
    store.pack(TABLE)
    index = orjson.loads(store.get(PACKS.list_of_packs()).body)
    index["packs"].reverse()
    store.put(PACKS.list_of_packs(), orjson.dumps(index))
    fresh = process()
    assert scanned(fresh) == bodies
    assert counted(fresh).packs == 0


def test_pack_of_another_size_than_its_index_says_costs_its_documents(process: Process) -> None:
    store = process()
    bodies = fill(store, 5)
    store.pack(TABLE)
    index = orjson.loads(store.get(PACKS.list_of_packs()).body)
    index["packs"][0]["raw_bytes"] = 10
    store.put(PACKS.list_of_packs(), orjson.dumps(index))
    fresh = process()
    assert scanned(fresh) == bodies
    assert (counted(fresh).pack_failures, counted(fresh).packed) == (1, 0)


def test_packing_leaves_nothing_when_it_is_stopped(process: Process) -> None:
    store = process()
    bodies = fill(store, 25)
    store.pack(TABLE)
    before = {each.key: each.etag for each in store.list(PACKS.prefix)}

    def stop(documents: int) -> None:
        if documents >= 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        process().pack(TABLE, stop)
    assert {each.key: each.etag for each in store.list(PACKS.prefix)} == before
    assert store.get(PACKS.lease) is None
    assert scanned(store) == bodies


def test_packing_is_refused_while_another_process_is_at_it(process: Process, monkeypatch) -> None:
    monkeypatch.setattr(packing, "LEASE", 0.2)
    store = process()
    fill(store, 3)
    lease = Lease(store, PACKS.lease, 30)
    assert lease.acquire()
    with pytest.raises(PackingFailed, match="another process is at it"):
        store.pack(TABLE)
    lease.release()
    monkeypatch.undo()  # a lease of 0.2 s may run out while a busy machine packs
    assert store.pack(TABLE).packs == 1


def test_packing_takes_over_from_a_process_that_was_killed(process: Process) -> None:
    store = process()
    fill(store, 3)
    assert Lease(store, PACKS.lease, 0.1).acquire()
    assert store.pack(TABLE).packs == 1
    assert store.get(PACKS.lease) is None


@pytest.mark.parametrize("kind", ["files"], indirect=True)
def test_packing_takes_over_though_it_was_late_to_see_who_was_killed(process: Process, monkeypatch) -> None:
    monkeypatch.setattr(packing, "LEASE", 3.0)
    store = process()
    fill(store, 3)
    assert Lease(store, PACKS.lease, packing.LEASE).acquire()
    acquire, looks = Lease.acquire, list[Lease]()

    def look(self: Lease) -> bool:
        if not looks:
            time.sleep(packing.LEASE / 4)
        looks.append(self)
        return acquire(self)

    monkeypatch.setattr(Lease, "acquire", look)
    assert store.pack(TABLE).packs == 1


def test_packing_that_others_have_overtaken_changes_nothing(process: Process) -> None:
    store = process()
    bodies = fill(store, 25)

    def overtake(documents: int) -> None:
        if documents == 10 and (mine := store.get(PACKS.lease)) is not None:
            store.delete(PACKS.lease, if_match=mine.etag)
            process().pack(TABLE)

    with pytest.raises(PackingFailed, match="meanwhile"):
        process().pack(TABLE, overtake)
    assert packs_of(store) == sorted(PACKS.pack(pack.name) for pack in current(store).packs)
    assert scanned(process()) == bodies
    assert counted(store).packed in {0, 25}


def test_packs_stay_when_nobody_knows_whether_they_are_current(process: Process, monkeypatch) -> None:
    store = process()
    bodies = fill(store, 25)
    put = store._store.put

    def lose_the_answer(name: str, *args: object, **kwargs: object) -> str:
        etag = put(name, *args, **kwargs)
        if name == PACKS.list_of_packs():
            raise StorageUnavailable("no answer")
        return etag

    with monkeypatch.context() as patch:
        patch.setattr(store._store, "put", lose_the_answer)
        with pytest.raises(StorageUnavailable):
            store.pack(TABLE)
    fresh = process()
    assert scanned(fresh) == bodies
    assert counted(fresh).packed == 25
    assert store.get(PACKS.lease) is None


def test_pack_has_a_bounded_number_of_documents(process: Process, monkeypatch) -> None:
    monkeypatch.setattr(packing, "MOST", 4)
    store = process()
    fill(store, 10, size=1)
    store.pack(TABLE)
    assert [pack.documents for pack in current(store).packs] == [4, 4, 2]


def test_remains_of_packings_that_died_go_with_the_next(process: Process) -> None:
    store = process()
    fill(store, 5)
    store.put(PACKS.pack("orphan"), zlib.compress(b"x"))
    store.pack(TABLE)
    assert packs_of(store) == [PACKS.pack(current(store).packs[0].name)]


def test_writers_at_work_are_never_hidden_by_packs(process: Process) -> None:
    """What was written before a scan began is in it, or something newer is, while others write and pack."""
    store = process()
    fill(store, 60)
    over, problems = threading.Event(), []

    def write() -> None:
        writer, turn = process(), 0
        while not over.is_set():
            turn += 1
            for number in range(0, 60, 7):
                writer.put(key(number), b'{"turn": %d}' % turn)
            floor[0] = turn

    def pack() -> None:
        packer = process()
        while not over.is_set():
            packer.pack(TABLE)

    floor = [0]
    threads = [threading.Thread(target=each) for each in (write, pack)]
    for thread in threads:
        thread.start()
    try:
        for _time in range(12):
            least, found = floor[0], dict(process().scan(PREFIX))
            assert len(found) == 60
            if least:
                turns = [orjson.loads(found[key(number)].body)["turn"] for number in range(0, 60, 7)]
                problems += [turn for turn in turns if turn < least]
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert problems == []


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    st.lists(
        st.tuples(st.sampled_from(["put", "delete", "pack", "new process"]), st.integers(0, 29), st.integers(0, 400)),
        max_size=40,
    )
)
def test_scan_gives_what_is_stored_after_any_changes(process: Process, changes) -> None:
    store, bodies = process(), dict[str, bytes]()
    for each in list(store.list("db/")):
        store.delete(each.key)
    for turn, (change, number, size) in enumerate(changes):
        match change:
            case "put":
                bodies[key(number)] = (b"{%d}" % turn).ljust(size)
                store.put(key(number), bodies[key(number)])
            case "delete":
                bodies.pop(key(number), None)
                store.delete(key(number))
            case "pack":
                assert process().pack(TABLE).documents == len(bodies)
            case _:
                store = process()
        assert {name: stored.body for name, stored in store.scan(PREFIX)} == bodies


def test_store_whose_listings_tell_no_etags_has_no_packs(make_storage) -> None:
    options = Options(pack=True)
    store = DocumentStore(open_store(make_storage("generic"), options), KEYS, options, {})
    bodies = fill(store, 3)
    with counting() as ops:
        assert {name: stored.body for name, stored in store.scan(PREFIX)} == bodies
    assert (ops.storage.reads, ops.storage.system) == (3, 0)
    with pytest.raises(PackingFailed, match="listings of this storage tell no ETags"):
        store.pack(TABLE)
