"""Objects in any Django storage, through its public methods alone.

Such a storage offers neither ETags nor conditional writes. An ETag is a hash of the content, conditions are checked
by reading first, under a lock of this process: between processes the last writer wins.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial

from django.core.files.base import ContentFile
from django.core.files.storage import Storage

from ..conf import Options
from ..exceptions import SmarterBaseError, StorageUnavailable
from ..signals import send, storage_request_failed
from .base import Admits, Listed, ObjectStore, Stored, Write, Written
from .conditions import apply, demand, in_time
from .counters import count_delete, count_list, count_read, count_write
from .pool import WorkerPool

_ATTEMPTS = 5


class GenericStore(ObjectStore):
    """Calls of the storage are what is counted; how many requests it makes of each, only it knows.

    A listing knows no ETags and sizes: they are ``""`` and -1.
    """

    conditional = False
    lists_etags = False

    def __init__(self, storage: Storage, options: Options) -> None:
        self._storage = storage
        self._alias = options.storage
        self._pool = WorkerPool(options.concurrency)
        self._lock = threading.RLock()
        self._version = 0  # odd while an object of this process is being replaced, and so may be missing or half there

    def get(self, key: str) -> Stored | None:
        version = self._version
        stored = self._read(key)
        if version % 2 or version != self._version:
            with self._lock:
                return self._read(key)
        return stored

    def get_many(self, keys: Iterable[str]) -> Iterator[tuple[str, Stored | None]]:
        return self._pool.map(self._keyed, keys)

    def list(self, prefix: str, start_after: str | None = None) -> Iterator[Listed]:
        folders = [prefix[: prefix.rfind("/") + 1]]
        while folders:
            folder = folders.pop()
            inner, names = self._listdir(folder)
            for name in names:
                key = folder + name
                if key.startswith(prefix) and (start_after is None or key > start_after):
                    yield Listed(key, "", -1)
            folders += [f"{folder}{name}/" for name in inner if f"{folder}{name}/".startswith(prefix)]

    def folders(self, prefix: str) -> Iterator[str]:
        for name in self._listdir(prefix)[0]:
            if next(self.list(f"{prefix}{name}/"), None) is not None:  # some storages keep empty folders
                yield name

    def scan(self, prefix: str, admits: Admits | None = None) -> Iterator[tuple[str, Stored]]:
        for key, stored in self.get_many(listed.key for listed in self.list(prefix)):
            if stored is not None and (admits is None or admits(key, stored.body)):
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
        with self._lock:
            self._demand(key, if_match, if_absent)
            in_time(key, deadline)
            self._version += 1
            try:
                with self._translated(key):
                    self._overwrite(key, body)
            finally:
                self._version += 1
        return _etag(body)

    def delete(self, key: str, *, if_match: str | None = None, deadline: float | None = None) -> None:
        with self._lock:
            self._demand(key, if_match, if_absent=False)
            in_time(key, deadline)
            with self._translated(key):
                self._remove(key)

    def write_many(self, writes: Iterable[Write]) -> Iterator[Written]:
        return self._pool.map(partial(apply, self), writes)

    def verify_conditions(self) -> bool:
        """False: the public methods of a storage offer no conditions."""
        return False

    def _read(self, key: str) -> Stored | None:
        with self._translated(key):
            try:
                with self._storage.open(key, "rb") as file:
                    body = bytes(file.read())
            except FileNotFoundError:
                count_read(key)
                return None
        count_read(key, len(body))
        return Stored(body, _etag(body))

    def _keyed(self, key: str) -> tuple[str, Stored | None]:
        return key, self.get(key)

    def _demand(self, key: str, if_match: str | None, if_absent: bool) -> None:
        if if_match is not None or if_absent:
            stored = self.get(key)
            demand(key, stored.etag if stored is not None else None, if_match, if_absent)

    def _overwrite(self, key: str, body: bytes) -> None:
        """Save under exactly this name. The old object goes only when the storage would pick another name."""
        for _ in range(_ATTEMPTS):
            if self._storage.get_available_name(key) != key:
                self._remove(key)
            count_write(key, len(body))
            saved = self._storage.save(key, ContentFile(body))
            if saved == key:
                return
            self._remove(saved)  # another process was quicker to take the name
        raise StorageUnavailable(
            f"{self._label()} saved {key!r} under another name {_ATTEMPTS} times: other processes write the same "
            "object, or the storage never keeps a name. Use one that overwrites, S3 or the file system."
        )

    def _remove(self, key: str) -> None:
        count_delete(key)
        self._storage.delete(key)

    def _listdir(self, folder: str) -> tuple[Iterable[str], Iterable[str]]:
        count_list(folder)
        with self._translated(folder):
            try:
                folders, names = self._storage.listdir(folder)
            except FileNotFoundError:
                return (), ()
            return folders, names

    @contextmanager
    def _translated(self, key: str) -> Iterator[None]:
        try:
            yield
        except SmarterBaseError as error:
            self._tell(key, error)
            raise
        except Exception as error:  # a storage may raise whatever its client library does
            self._tell(key, error)
            raise StorageUnavailable(
                f"{self._label()} failed for {key!r}: {error!r}. Check its settings and that its service is reachable."
            ) from error

    def _tell(self, key: str, error: Exception) -> None:
        send(storage_request_failed, GenericStore, storage=self._alias, key=key, error=error)

    def _label(self) -> str:
        kind = type(self._storage)
        return f"The storage {kind.__module__}.{kind.__qualname__}"


def _etag(body: bytes) -> str:
    return hashlib.blake2b(body, digest_size=16).hexdigest()
