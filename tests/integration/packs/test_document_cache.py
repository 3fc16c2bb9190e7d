"""The document cache: what it spares, and that nothing in it is ever taken on trust."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

import pytest
from django.core.cache import caches
from django.core.cache.backends.locmem import LocMemCache
from django.core.files.storage import FileSystemStorage
from django.test import override_settings
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from django_smarterbase.conf import Options
from django_smarterbase.ops import StorageOps, counting
from django_smarterbase.packs import bodies as bodies_module
from django_smarterbase.packs.documents import DocumentStore
from django_smarterbase.storage.base import Stored
from django_smarterbase.storage.opening import open_store

from .caches import Down, Lying
from .conftest import KEYS, PREFIX, TABLE, fill, key, scanned

Process = Callable[..., DocumentStore]
BACKENDS = {
    "bodies": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "bodies"},
    "down": {"BACKEND": "tests.integration.packs.caches.Down", "LOCATION": "down"},
    "lying": {"BACKEND": "tests.integration.packs.caches.Lying", "LOCATION": "lying"},
    "nothing": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"},
}


@pytest.fixture(params=("files", "s3"))
def kind(request: pytest.FixtureRequest) -> str:
    """The adapters that can tell that an object is unchanged."""
    return request.param


@pytest.fixture(autouse=True)
def cache_settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The caches, empty, and nobody knows of outages."""
    monkeypatch.setattr(bodies_module, "_breakers", {})
    monkeypatch.setattr(Down, "asked", 0)
    monkeypatch.setattr(Lying, "lie", None)
    with override_settings(CACHES={"default": BACKENDS["nothing"], **BACKENDS}):
        for alias in BACKENDS:
            caches[alias].clear()
        yield


@pytest.fixture
def cached(process: Process) -> Callable[..., DocumentStore]:
    """Makes a store with a document cache, as a new process has it."""
    return lambda alias="bodies": process(document_cache=alias)


def told(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """What the package has logged."""
    return [record for record in caplog.records if record.name.startswith("django_smarterbase")]


def measured(work: Callable[[], object]) -> StorageOps:
    """The requests of ``work``."""
    with counting() as ops:
        work()
    return ops.storage


def test_document_that_has_not_changed_is_not_sent_again(cached) -> None:
    body = fill(cached(), 1)[key(0)]
    assert measured(lambda: cached().get(key(0))) == StorageOps(reads=1, bytes_read=100, cache_misses=1)
    store = cached()
    assert measured(lambda: store.get(key(0))) == StorageOps(reads=1, cache_hits=1, bytes_saved=100)
    stored = store.get(key(0))
    assert stored == Stored(body, next(store.list(PREFIX)).etag)


def test_many_documents_are_revalidated_each(cached) -> None:
    bodies, store = fill(cached(), 5), cached()
    list(store.get_many(list(bodies)[:3]))
    keys = [key(4), key(0), key(99), key(2)]
    with counting() as ops:
        found = dict(store.get_many(iter(keys)))
    assert list(found) == keys
    assert {name: stored and stored.body for name, stored in found.items()} == {name: bodies.get(name) for name in keys}
    assert ops.storage == StorageOps(reads=4, bytes_read=100, cache_hits=2, cache_misses=2, bytes_saved=200)


def test_scan_makes_no_request_for_cached_documents(cached) -> None:
    store = cached()
    bodies = fill(store, 5)
    assert scanned(store) == bodies
    assert measured(lambda: list(store.scan(PREFIX))) == StorageOps(lists=1, cache_hits=5, bytes_saved=500)
    store.put(key(3), b"{changed}")
    store.delete(key(4))
    with counting() as ops:
        assert scanned(store) == {**{name: bodies[name] for name in list(bodies)[:3]}, key(3): b"{changed}"}
    assert (ops.storage.reads, ops.storage.cache_hits, ops.storage.cache_misses) == (1, 3, 1)


def test_what_is_in_no_pack_is_taken_from_the_cache(cached) -> None:
    store = cached()
    bodies = fill(store, 5)
    store.pack(TABLE)
    for number in range(3):
        store.put(key(number), b"{changed %d}" % number)
        bodies[key(number)] = b"{changed %d}" % number
    assert scanned(store) == bodies
    ops = measured(lambda: list(store.scan(PREFIX)))
    assert (ops.lists, ops.packs, ops.reads, ops.packed, ops.cache_hits) == (1, 1, 1, 2, 3)


def test_changed_and_deleted_documents_are_seen_at_once(cached) -> None:
    store, other = cached(), cached()
    fill(store, 2)
    list(store.get_many([key(0), key(1)]))
    other.put(key(0), b"{changed}")
    other.delete(key(1))
    assert [stored and stored.body for _key, stored in store.get_many([key(0), key(1)])] == [b"{changed}", None]
    assert store.get(key(1)) is None


def test_entries_of_two_places_are_two_though_keys_and_etags_are_the_same(cached, monkeypatch) -> None:
    store = cached()
    fill(store, 1)
    store.get(key(0))
    assert measured(lambda: store.get(key(0))).cache_hits == 1
    monkeypatch.setattr(store._store, "place", lambda: "elsewhere")
    assert measured(lambda: store.get(key(0))).cache_hits == 0


def test_places_differ_by_location(kind, make_storage, make_s3, tmp_path) -> None:
    others = {"files": lambda: FileSystemStorage(location=tmp_path / "other"), "s3": lambda: make_s3(location="other")}
    places = [open_store(each, Options()).place() for each in (make_storage(kind), others[kind]())]
    assert None not in places
    assert len(set(places)) == 2


@pytest.mark.parametrize("kind", ["memory", "generic"])
def test_store_that_has_to_read_to_compare_has_no_cache(kind, process) -> None:
    store = process(document_cache="bodies")
    fill(store, 1)
    for _time in range(2):
        assert measured(lambda: store.get(key(0))) == StorageOps(reads=1, bytes_read=100)


def test_system_objects_are_not_cached(cached) -> None:
    store, names = cached(), [KEYS.manifest(), KEYS.sequence(TABLE)]
    for name in names:
        store.put(name, b"{}")
    for _time in range(2):
        assert measured(lambda: [store.get(names[0]), list(store.get_many(names))]) == StorageOps(system=3)
    assert not caches["bodies"]._cache


def test_large_documents_are_not_cached(cached, monkeypatch) -> None:
    monkeypatch.setattr(bodies_module, "LARGEST", 99)
    store = cached()
    fill(store, 1)
    for _time in range(2):
        assert measured(lambda: store.get(key(0))).cache_misses == 1


def test_cache_that_was_emptied_costs_the_bodies_again(cached) -> None:
    store = cached()
    bodies = fill(store, 5)
    assert scanned(store) == bodies
    caches["bodies"].clear()
    assert scanned(store) == bodies
    assert measured(lambda: list(store.scan(PREFIX))).cache_hits == 5


def test_cache_that_keeps_nothing_changes_nothing(cached) -> None:
    store = cached("nothing")
    bodies = fill(store, 3)
    for _time in range(2):
        with counting() as ops:
            assert scanned(store) == bodies
        assert (ops.storage.reads, ops.storage.cache_misses, ops.storage.cache_failures) == (3, 3, 0)


def test_cache_that_is_down_is_asked_once_and_told_once(cached, monkeypatch, caplog) -> None:
    caplog.set_level(logging.INFO, "django_smarterbase")
    store = cached("down")
    bodies = fill(store, 3)
    with counting() as ops:
        assert scanned(store) == bodies
        assert scanned(cached("down")) == bodies
        assert store.get(key(0)).body == bodies[key(0)]
    assert (Down.asked, ops.storage.cache_failures, ops.storage.reads) == (1, 1, 7)
    (record,) = told(caplog)
    assert (record.name, record.event) == ("django_smarterbase.storage", "document_cache_unreachable")
    assert record.getMessage().startswith("The document cache (cache 'down') cannot be used: ConnectionError")
    # After its rest it is tried again.
    bodies_module._breaker_of("down")._pause = 0.0
    monkeypatch.setattr(Down, "get_many", LocMemCache.get_many)
    monkeypatch.setattr(Down, "set_many", LocMemCache.set_many)
    assert scanned(store) == bodies
    assert told(caplog)[-1].event == "document_cache_answers"


@pytest.mark.parametrize(
    "lie",
    [
        lambda _entry: None,
        lambda _entry: b"bytes",
        lambda entry: entry[:2],
        lambda entry: (entry[0], entry[1].decode(), entry[2]),
        lambda entry: (entry[0], b"{another body}", entry[2]),
        lambda entry: ("another etag", entry[1], entry[2]),
        lambda entry: (entry[0], None, entry[2]),
    ],
)
def test_entry_that_is_not_what_was_put_there_is_none(cached, lie) -> None:
    store = cached("lying")
    bodies = fill(store, 3)
    Lying.lie = lambda entry: entry
    assert scanned(store) == bodies
    assert measured(lambda: list(store.scan(PREFIX))).cache_hits == 3
    Lying.lie = lie
    with counting() as ops:
        assert scanned(store) == bodies
        assert store.get(key(0)).body == bodies[key(0)]
    assert (ops.storage.cache_hits, ops.storage.reads) == (0, 4)
    assert ops.storage.cache_failures == 4


def test_entry_of_another_document_is_none(cached) -> None:
    store = cached()
    bodies = fill(store, 2)
    scanned(store)
    cache = caches["bodies"]
    one, other = (bodies_module._name(store.place(), key(number)) for number in (0, 1))
    cache.set_many({one: cache.get(other), other: cache.get(one)})
    with counting() as ops:
        assert scanned(store) == bodies
    assert (ops.storage.cache_hits, ops.storage.cache_failures) == (0, 2)


def test_cache_is_tried_again_when_its_trial_was_broken_off(cached, monkeypatch) -> None:
    store = cached("down")
    bodies = fill(store, 1)
    store.get(key(0))
    bodies_module._breaker_of("down")._pause = 0.0

    def break_off(*_args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Down, "get_many", break_off)
    with pytest.raises(KeyboardInterrupt):
        store.get(key(0))
    monkeypatch.setattr(Down, "get_many", LocMemCache.get_many)
    monkeypatch.setattr(Down, "set_many", LocMemCache.set_many)
    assert scanned(store) == bodies
    assert measured(lambda: list(store.scan(PREFIX))).cache_hits == 1


def test_answer_that_is_no_mapping_is_none(cached) -> None:
    store = cached("lying")
    bodies = fill(store, 2)
    assert scanned(store) == bodies


def test_caller_who_stops_early_leaves_the_rest_unread(cached) -> None:
    store = cached()
    fill(store, 20)
    with counting() as ops:
        reading = store.get_many(key(number) for number in range(20))
        next(reading)
        reading.close()
    assert ops.storage.reads < 20


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    st.lists(
        st.tuples(st.sampled_from(["put", "delete", "pack", "clear", "get", "scan"]), st.integers(0, 9)), max_size=40
    )
)
def test_reads_give_what_is_stored_after_any_changes(cached, changes) -> None:
    reader, writer, bodies = cached(), cached(), dict[str, bytes]()
    for each in list(writer.list("db/")):
        writer.delete(each.key)
    for turn, (change, number) in enumerate(changes):
        match change:
            case "put":
                bodies[key(number)] = b"{%d}" % turn
                writer.put(key(number), bodies[key(number)])
            case "delete":
                bodies.pop(key(number), None)
                writer.delete(key(number))
            case "pack":
                writer.pack(TABLE)
            case "clear":
                caches["bodies"].clear()
            case "get":
                found = reader.get_many(key(other) for other in range(10))
                assert {name: stored.body for name, stored in found if stored is not None} == bodies
            case _:
                assert {name: stored.body for name, stored in reader.scan(PREFIX)} == bodies
