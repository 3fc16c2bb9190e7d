"""Objects in the memory of this process, for tests.

They are kept beside the files of the ``InMemoryStorage`` instance, not among them: its nodes take some 30 us a file
where a dictionary takes one, and Django's test suite runs thousands of times through here. So the storage itself does
not show them. All stores on one instance share its objects, which go with it.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial

from django.core.files.storage import InMemoryStorage

from ..conf import Options
from .base import Admits, Listed, ObjectStore, Stored, Write, Written
from .conditions import apply, demand, in_time
from .counters import count_delete, count_list, count_read, count_write


@dataclass(slots=True)
class _Objects:
    """``{folder: {key: object}}`` and the number of writes so far, of which the ETags are made."""

    folders: dict[str, dict[str, Stored]] = field(default_factory=dict)
    writes: int = 0
    lock: threading.RLock = field(default_factory=threading.RLock)


class MemoryStore(ObjectStore):
    """An ETag is the number of the write; a listing is a snapshot, unordered. ``options`` change nothing here."""

    conditional = True

    def __init__(self, storage: InMemoryStorage, options: Options) -> None:
        with _guard:
            self._objects = _of_storage.setdefault(storage, _Objects())

    def get(self, key: str) -> Stored | None:
        stored = self._objects.folders.get(_folder(key), {}).get(key)
        count_read(key, len(stored.body) if stored is not None else 0)
        return stored

    def get_many(self, keys: Iterable[str]) -> Iterator[tuple[str, Stored | None]]:
        for key in keys:
            yield key, self.get(key)

    def list(self, prefix: str, start_after: str | None = None) -> Iterator[Listed]:
        for key, stored in self._snapshot(prefix):
            if start_after is None or key > start_after:
                yield Listed(key, stored.etag, len(stored.body))

    def scan(self, prefix: str, admits: Admits | None = None) -> Iterator[tuple[str, Stored]]:
        for key, stored in self._snapshot(prefix):
            count_read(key, len(stored.body))
            if admits is None or admits(key, stored.body):
                yield key, stored

    def put(
        self,
        key: str,
        body: bytes,
        *,
        if_match: str | None = None,
        if_absent: bool = False,
        deadline: float | None = None,
    ) -> str:
        count_write(key, len(body))
        objects = self._objects
        with objects.lock:
            folder = objects.folders.setdefault(_folder(key), {})
            in_time(key, deadline)
            demand(key, _etag(folder.get(key)), if_match, if_absent)
            objects.writes += 1
            folder[key] = Stored(bytes(body), str(objects.writes))
            return folder[key].etag

    def delete(self, key: str, *, if_match: str | None = None, deadline: float | None = None) -> None:
        count_delete(key)
        objects = self._objects
        with objects.lock:
            folder = objects.folders.get(_folder(key), {})
            in_time(key, deadline)
            demand(key, _etag(folder.get(key)), if_match, if_absent=False)
            if folder.pop(key, None) is not None and not folder:
                del objects.folders[_folder(key)]

    def write_many(self, writes: Iterable[Write]) -> Iterator[Written]:
        return map(partial(apply, self), writes)

    def verify_conditions(self) -> bool:
        """True: the objects belong to this process alone."""
        return True

    def _snapshot(self, prefix: str) -> Iterator[tuple[str, Stored]]:
        count_list(prefix)
        with self._objects.lock:
            found = [
                (key, stored)
                for name, folder in self._objects.folders.items()
                if name.startswith(prefix) or prefix.startswith(name)
                for key, stored in folder.items()
                if key.startswith(prefix)
            ]
        return iter(found)


_guard = threading.Lock()
_of_storage: weakref.WeakKeyDictionary[InMemoryStorage, _Objects] = weakref.WeakKeyDictionary()


def _folder(key: str) -> str:
    return key[: key.rfind("/") + 1]


def _etag(stored: Stored | None) -> str | None:
    return stored.etag if stored is not None else None


def _forked() -> None:
    """A child has a copy of the objects, and locks that no thread of its parent holds."""
    global _guard
    _guard = threading.Lock()
    for objects in _of_storage.values():
        objects.lock = threading.RLock()


os.register_at_fork(after_in_child=_forked)
