"""A storage of which only the public methods are known."""

from __future__ import annotations

import pytest
from django.core.files.storage import InMemoryStorage

from django_smarterbase.conf import Options
from django_smarterbase.exceptions import StorageUnavailable
from django_smarterbase.ops import StorageOps, counting
from django_smarterbase.storage.generic import GenericStore

from .conftest import PlainStorage

KEY = "db/t/1.json"


class Overwriting(PlainStorage):
    """A storage that keeps the name it is given, as many object stores do."""

    def get_available_name(self, name: str, max_length: int | None = None) -> str:
        return name

    def _save(self, name, content):
        self.inner.delete(name)
        return self.inner.save(name, content)


class Renaming(PlainStorage):
    """A storage that always picks a name of its own."""

    def _save(self, name, content):
        return self.inner.save(f"{name}.new", content)


class Broken(PlainStorage):
    """A storage whose client raises errors of its own."""

    class ClientError(Exception):
        """An error that this package does not know."""

    def _open(self, name, mode="rb"):
        raise self.ClientError("no route")

    listdir = delete = exists = _save = _open


def test_replacing_deletes_first_because_save_would_rename(tmp_path):
    store = GenericStore(PlainStorage(tmp_path), Options())
    store.put(KEY, b"old")
    with counting() as ops:
        store.put(KEY, b"new")
    assert store.get(KEY).body == b"new"
    assert [found.key for found in store.list("")] == [KEY]
    assert ops.storage == StorageOps(deletes=1, writes=1, bytes_written=3)


def test_replacing_deletes_nothing_when_the_storage_overwrites(tmp_path):
    store = GenericStore(Overwriting(tmp_path), Options())
    store.put(KEY, b"old")
    with counting() as ops:
        store.put(KEY, b"new")
    assert store.get(KEY).body == b"new"
    assert ops.storage == StorageOps(writes=1, bytes_written=3)


def test_put_fails_and_leaves_nothing_when_the_storage_never_keeps_a_name(tmp_path):
    store = GenericStore(Renaming(tmp_path), Options())
    with pytest.raises(StorageUnavailable, match="under another name 5 times"):
        store.put(KEY, b"x")
    assert list(store.list("")) == []


def test_errors_of_the_storage_become_storage_unavailable(tmp_path):
    store = GenericStore(Broken(tmp_path), Options())
    for call in (
        lambda: store.get(KEY),
        lambda: store.put(KEY, b"x"),
        lambda: store.delete(KEY),
        lambda: list(store.list("db/")),
        lambda: list(store.scan("db/")),
        lambda: list(store.get_many([KEY, "db/t/2.json"])),
    ):
        with pytest.raises(StorageUnavailable, match=r"Broken failed for 'db/.*no route"):
            call()


def test_etag_tells_contents_apart(tmp_path):
    store = GenericStore(PlainStorage(tmp_path), Options())
    assert store.put(KEY, b"a") == store.put("db/t/2.json", b"a") != store.put(KEY, b"b")


def test_listing_knows_neither_etag_nor_size(tmp_path):
    store = GenericStore(PlainStorage(tmp_path), Options())
    store.put(KEY, b"a")
    assert [(found.etag, found.size) for found in store.list("db/")] == [("", -1)]


def test_files_of_django_are_readable_as_objects():
    storage = InMemoryStorage()
    store = GenericStore(storage, Options())
    store.put(KEY, b"a")
    with storage.open(KEY) as file:
        assert file.read() == b"a"
