"""The stores of each adapter, and what a process makes of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core.files.storage import Storage

from django_smarterbase.conf import Options
from django_smarterbase.packs.documents import DocumentStore
from django_smarterbase.storage.keys import Keyspace
from django_smarterbase.storage.opening import open_store
from tests.integration.storage.conftest import bucket, endpoint, make_s3, make_storage

__all__ = ["bucket", "endpoint", "make_s3", "make_storage"]

KEYS = Keyspace("db")
TABLE = "articles"
PREFIX = KEYS.table_prefix(TABLE)
PACKS = KEYS.packs(TABLE)
#: Those whose listings tell ETags.
KINDS = ("memory", "files", "s3")


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """The adapter under test."""
    return request.param


@pytest.fixture
def storage(kind: str, make_storage: Callable[[str], Storage]) -> Storage:
    """An empty storage of each kind in turn."""
    return make_storage(kind)


@pytest.fixture
def process(storage: Storage) -> Callable[..., DocumentStore]:
    """Makes a store as a new process has it; arguments are options."""

    def make(**options: Any) -> DocumentStore:
        chosen = Options(**{"concurrency": 4, "fsync": False, **options})
        return DocumentStore(open_store(storage, chosen), KEYS, chosen, {"database": "default"})

    return make


def key(number: int) -> str:
    """The key of a document."""
    return KEYS.document(TABLE, f"{number:05}")


def fill(store: DocumentStore, count: int, size: int = 100) -> dict[str, bytes]:
    """So many documents: ``{key: body}``."""
    bodies = {key(number): (b"{%d}" % number).ljust(size) for number in range(count)}
    for name, body in bodies.items():
        store.put(name, body)
    return bodies


def scanned(store: DocumentStore) -> dict[str, bytes]:
    """What a scan gives: ``{key: body}``, with the ETags that the store has."""
    found = dict(store.scan(PREFIX))
    assert {name: stored.etag for name, stored in found.items()} == {each.key: each.etag for each in store.list(PREFIX)}
    return {name: stored.body for name, stored in found.items()}
