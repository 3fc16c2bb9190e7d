"""Automatic packing: by one process, in the background, only when a scan had to read much."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

import pytest

from django_smarterbase import background
from django_smarterbase.exceptions import StorageUnavailable
from django_smarterbase.packs import auto, packing
from django_smarterbase.packs.documents import DocumentStore
from django_smarterbase.packs.scanning import Tally

from .conftest import PACKS, PREFIX, TABLE, fill

Process = Callable[..., DocumentStore]
PATIENCE = 60.0  # seconds


@pytest.fixture(params=["files"])
def kind(request: pytest.FixtureRequest) -> str:
    """The adapter under test: what is specific to others is tested elsewhere."""
    return request.param


@pytest.fixture(autouse=True)
def packings(monkeypatch: pytest.MonkeyPatch) -> list[packing.Packing]:
    """The packings that were begun; more than ten documents that are read are many."""
    begun: list[packing.Packing] = []
    run = packing.Packing.run

    def noted(self: packing.Packing) -> packing.PackReport:
        begun.append(self)
        return run(self)

    monkeypatch.setattr(packing.Packing, "run", noted)
    monkeypatch.setattr(auto, "_FEWEST", 10)
    return begun


def scan(store: DocumentStore) -> int:
    """Scan to the end."""
    return sum(1 for _each in store.scan(PREFIX))


def idle(*stores: DocumentStore) -> None:
    """Return when no thread of the stores is at work."""
    until = time.monotonic() + PATIENCE
    while any(table.busy for store in stores for table in store._auto._tables.values()):
        assert time.monotonic() < until
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("tally", "due"),
    [
        (Tally(packable=1000, read=1000), False),
        (Tally(packable=1001, read=1001), True),
        (Tally(packable=100_000, read=10_000), False),
        (Tally(packable=100_000, read=10_001), True),
        (Tally(packable=5000, read=0), False),
    ],
)
def test_packing_is_due_when_more_than_a_thousand_and_a_tenth_were_read(monkeypatch, tally, due) -> None:
    monkeypatch.undo()
    assert auto.is_due(tally) is due


def test_one_of_many_processes_packs(process: Process, packings) -> None:
    fill(process(), 30)
    stores = [process(pack=True) for _ in range(6)]
    gate = threading.Barrier(len(stores))

    def work(store: DocumentStore) -> None:
        gate.wait(PATIENCE)
        assert scan(store) == 30

    threads = [threading.Thread(target=work, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    idle(*stores)
    assert len(packings) == 1
    assert process().get(PACKS.lease) is None
    for store in stores:
        scan(store)
    idle(*stores)
    assert len(packings) == 1


def test_table_that_another_process_has_packed_since_is_left(process: Process, packings) -> None:
    store, other = process(pack=True), process()
    fill(store, 30)
    assert store.packs(TABLE) is None
    iterator = store.scan(PREFIX)
    other.pack(TABLE)
    assert sum(1 for _each in iterator) == 30
    idle(store)
    assert len(packings) == 1
    assert store.packs(TABLE) is not None


def test_process_packs_a_table_once_in_a_while(process: Process, packings, monkeypatch) -> None:
    store = process(pack=True)
    for size in (100, 101, 102):
        fill(store, 30, size)
        scan(store)
        idle(store)
    assert len(packings) == 1
    monkeypatch.setattr(auto, "REST", 0.0)
    store._auto._tables[PACKS.prefix].next_time = 0.0
    for _time in range(3):
        scan(store)
        idle(store)
    assert len(packings) == 2


def test_documents_that_are_never_packed_make_no_packing_due(process: Process, packings, monkeypatch) -> None:
    monkeypatch.setattr("django_smarterbase.packs.scanning.LARGEST", 150)
    store = process(pack=True)
    fill(store, 30, size=151)
    scan(store)
    idle(store)
    assert packings == []


def test_packing_that_fails_is_told_and_not_tried_at_once(process: Process, packings, monkeypatch, caplog) -> None:
    store = process(pack=True)
    fill(store, 30)
    put = store._store.put

    def fail(key: str, *args: object, **kwargs: object) -> str:
        if key.endswith(".pack"):
            raise StorageUnavailable("the disk is full")
        return put(key, *args, **kwargs)

    monkeypatch.setattr(store._store, "put", fail)
    for _time in range(3):
        assert scan(store) == 30
        idle(store)
    (record,) = [each for each in caplog.records if each.name == "django_smarterbase.storage"]
    assert (record.levelno, record.event, record.detail) == (logging.WARNING, "packing_failed", "the disk is full")
    assert len(packings) == 1
    table = store._auto._tables[PACKS.prefix]
    assert table.failures == 1
    assert table.next_time - time.monotonic() > auto.REST
    assert store.get(PACKS.lease) is None


def test_defect_of_a_packing_is_told_and_ends_its_thread_alone(process: Process, monkeypatch, caplog) -> None:
    store = process(pack=True)
    fill(store, 30)
    monkeypatch.setattr(packing.Packing, "run", lambda _self: 1 / 0)
    assert scan(store) == 30
    idle(store)
    (record,) = [each for each in caplog.records if each.name == "django_smarterbase.storage"]
    assert (record.levelno, record.event) == (logging.ERROR, "packing_failed")
    assert record.exc_info is not None


def test_packing_gives_up_when_the_process_ends(process: Process, monkeypatch, caplog) -> None:
    caplog.set_level(logging.INFO, "django_smarterbase.storage")
    store = process(pack=True)
    fill(store, 30)
    monkeypatch.setattr(background, "_ending", threading.Event())
    background._ending.set()
    assert scan(store) == 30
    idle(store)
    (record,) = [each for each in caplog.records if each.name == "django_smarterbase.storage"]
    assert "given up" in record.getMessage()
    assert [each.key for each in store.list(PACKS.prefix)] == []
    assert store.get(PACKS.lease) is None
