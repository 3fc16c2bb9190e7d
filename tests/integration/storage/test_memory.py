"""The objects of an InMemoryStorage."""

from __future__ import annotations

import gc
import weakref

from django.core.files.storage import InMemoryStorage

from django_smarterbase.conf import Options
from django_smarterbase.storage.memory import MemoryStore


def test_stores_on_one_storage_see_the_same_objects_and_others_do_not():
    storage = InMemoryStorage()
    etag = MemoryStore(storage, Options()).put("db/t/1.json", b"x")
    assert MemoryStore(storage, Options(concurrency=1)).get("db/t/1.json").etag == etag
    assert MemoryStore(InMemoryStorage(), Options()).get("db/t/1.json") is None


def test_objects_go_with_their_storage():
    store = MemoryStore(InMemoryStorage(), Options())
    gone = weakref.ref(store._objects.folders.setdefault("f/", _Folder()))
    del store
    gc.collect()
    assert gone() is None


class _Folder(dict):
    """A dict that can be referred to weakly."""


def test_etag_is_never_used_again_after_a_delete():
    store = MemoryStore(InMemoryStorage(), Options())
    first = store.put("db/t/1.json", b"x")
    store.delete("db/t/1.json")
    assert store.put("db/t/1.json", b"x") != first


def test_listing_is_of_the_moment_it_began():
    store = MemoryStore(InMemoryStorage(), Options())
    for number in range(3):
        store.put(f"db/t/{number}.json", b"x")
    listing = store.list("db/t/")
    first = next(listing)
    for number in range(3):
        store.delete(f"db/t/{number}.json")
    assert {first.key, *(found.key for found in listing)} == {f"db/t/{number}.json" for number in range(3)}
