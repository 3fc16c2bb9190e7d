"""The manifest: leases, compare-and-swap, and waiting a lease out."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime

import orjson
import pytest
from django.core.files.storage import InMemoryStorage

from django_smarterbase.conf import Options
from django_smarterbase.exceptions import CorruptDocument
from django_smarterbase.indexes import manifest as manifest_module
from django_smarterbase.indexes.answers import ManifestEntry
from django_smarterbase.indexes.manifest import Manifest, suspected
from django_smarterbase.ops import counting
from django_smarterbase.storage.memory import MemoryStore
from tests.clock import Clock

BUILT_AT = datetime(2026, 11, 25, 12, 30, 1, 250_000, tzinfo=UTC)
READY = ManifestEntry(ready=True, epoch="e1", building=None, version=3, definition="d", built_at=BUILT_AT)
KEY = "n/_sb/manifest.json"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of all manifests."""
    clock = Clock()
    monkeypatch.setattr(manifest_module, "time", clock)
    return clock


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(InMemoryStorage(), Options())


def test_manifest_gives_back_what_was_changed(store: MemoryStore) -> None:
    Manifest(store, KEY, 1).change("t", lambda entry: READY)
    Manifest(store, KEY, 1).change("u", suspected)
    entries = Manifest(store, KEY, 1).fresh().entries
    assert entries == {"t": READY, "u": suspected(None)}


def test_manifest_of_an_earlier_release_says_not_when_an_index_was_built(store: MemoryStore) -> None:
    entry = b'{"state": "ready", "epoch": "e1", "building": null, "version": 3, "definition": "d"}'
    store.put(KEY, b'{"tables": {"t": ' + entry + b"}}")
    assert Manifest(store, KEY, 1).fresh().entries == {"t": replace(READY, built_at=None)}


def test_lease_saves_requests_until_it_has_run_out(store: MemoryStore, clock: Clock) -> None:
    manifest = Manifest(store, KEY, 2)
    with counting() as ops:
        manifest.leased()
        manifest.leased()
    assert ops.storage.system == 1
    Manifest(store, KEY, 1).change("t", lambda entry: READY)
    clock.now += 1.5
    assert "t" not in manifest.leased().entries
    clock.now += 0.5
    assert manifest.leased().entries["t"] == READY


def test_change_loses_nothing_when_many_change_at_once(store: MemoryStore) -> None:
    def count_up() -> None:
        manifest = Manifest(store, KEY, 1)
        for _ in range(10):
            manifest.change(
                "t", lambda entry: replace(entry or suspected(None), version=entry.version + 1 if entry else 1)
            )

    threads = [threading.Thread(target=count_up) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Manifest(store, KEY, 1).fresh().entries["t"].version == 40


def test_change_writes_nothing_when_nothing_changes(store: MemoryStore) -> None:
    manifest = Manifest(store, KEY, 1)
    manifest.change("t", suspected)
    before = store.get(KEY)
    assert manifest.change("t", suspected) == suspected(None)
    assert store.get(KEY) == before


def test_suspected_stops_a_rebuild_and_is_stable() -> None:
    building = replace(READY, ready=False, building="e2")
    assert suspected(READY) == replace(READY, ready=False, version=4)
    assert suspected(building) == replace(building, building=None, version=4)
    assert suspected(suspected(READY)) == suspected(READY)


def test_wait_out_waits_a_lease_once_a_version(store: MemoryStore, clock: Clock) -> None:
    manifest, waited = Manifest(store, KEY, 2), []
    for suspect in (suspected(READY), suspected(READY), replace(suspected(READY), version=9)):
        began = clock.now
        manifest.wait_out("t", suspect)
        waited.append(clock.now - began)
    assert waited == [2, 0, 2]


def test_wait_out_does_not_wait_when_nothing_was_ever_trusted(store: MemoryStore, clock: Clock) -> None:
    began = clock.now
    Manifest(store, KEY, 30).wait_out("t", suspected(None))
    assert clock.now == began


def entry(**changes: object) -> bytes:
    """A manifest whose only entry is sound but for the changes."""
    sound = {"state": "ready", "epoch": "e1", "building": None, "version": 3, "definition": "d"}
    return orjson.dumps({"tables": {"t": {**sound, **changes}}})


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"[]", b'{"tables": {"t": {}}}', b'{"tables": {"t": {"state": "good"}}}', b"\xff"),
        *(entry(epoch=epoch) for epoch in (5, ["e1"], True)),
        *(entry(building=building) for building in (5, {}, False)),
        *(entry(version=version) for version in ("3", 3.0, True, None, -1, 2**62, 2**64 - 1)),
        *(entry(definition=definition) for definition in (None, 5, [])),
        *(entry(built_at=time) for time in ("2026-11-25T12:30:01", "now", 5)),
        entry().replace(b"3", b"1180591620717411303424"),
    ],
)
def test_manifest_names_its_key_when_it_cannot_be_read(store: MemoryStore, body: bytes) -> None:
    store.put(KEY, body)
    with pytest.raises(CorruptDocument, match=KEY):
        Manifest(store, KEY, 1).fresh()
