"""Objects as files under a ``FileSystemStorage``'s location, with conditional writes and durable by default.

Django's own ``save`` truncates in place or renames, so none of it is used. Reads open, read and close. A write makes
a new file under ``_sb/temp``, syncs it and renames it into place, under a lock that all processes of the machine share.
The location must be a local file system, or a network one whose flock and rename hold between its clients.
"""

from __future__ import annotations

import builtins
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from fcntl import LOCK_EX
from functools import partial
from itertools import islice
from typing import TypeVar

from django.core.files.storage import FileSystemStorage

from ..conf import Options
from ..exceptions import StorageUnavailable
from ..ops import StorageOps, storage_ops
from ..signals import send, storage_request_failed
from . import files
from .base import Admits, Listed, ObjectStore, Stored, Unchanged, Write, Written
from .conditions import apply, demand, in_time
from .counters import count_delete, count_list, count_read, count_write
from .fence import Fence
from .keys import LOCKS, TEMPORARY, is_object_key, is_system_key, lock_file
from .locks import locked
from .pool import WorkerPool

Result = TypeVar("Result")

_OWN_FOLDERS = frozenset((f"{LOCKS}/", f"{TEMPORARY}/"))
_BATCH = 100  # files of a folder that are listed at once: of more, the first have left the CPU's cache again
_LOCK_SHARE = 3  # a lock is waited for a third of the write deadline at most


class FileSystemStore(ObjectStore):
    """An ETag is ``<mtime in ns>-<inode>-<size>``; listings are unordered. Only regular files are objects."""

    conditional = True

    def __init__(self, storage: FileSystemStorage, options: Options) -> None:
        self._storage = storage
        self._alias = options.storage
        self._fsync = options.fsync
        self._wait = options.write_deadline / _LOCK_SHARE
        self._pool = WorkerPool(options.concurrency)

    def get(self, key: str) -> Stored | None:
        path = self._path(key)
        try:
            stored = files.read(path)
        except OSError as error:
            raise self._unavailable(key, error) from error
        count_read(key, len(stored.body) if stored is not None else 0)
        return stored

    def get_many(self, keys: Iterable[str]) -> Iterator[tuple[str, Stored | None]]:
        # One after the other: threads made reading from the page cache slower, not faster.
        for key in keys:
            yield key, self.get(key)

    def revalidate(self, known: Iterable[tuple[str, str | None]]) -> Iterator[tuple[str, Stored | Unchanged | None]]:
        for key, etag in known:
            yield key, self._revalidated(key, etag)

    def _revalidated(self, key: str, etag: str | None) -> Stored | Unchanged | None:
        if etag is None:
            return self.get(key)
        with self._translated(key):
            unchanged = _etag(files.status(self._path(key))) == etag
        if not unchanged:
            return self.get(key)
        count_read(key)
        return Unchanged()

    def place(self) -> str:
        return self._location

    def list(self, prefix: str, start_after: str | None = None) -> Iterator[Listed]:
        for folder, place, names in self._batches(prefix):
            for name in names:
                key = folder + name
                if start_after is None or key > start_after:
                    try:
                        info = files.status(name, place)
                    except OSError as error:
                        raise self._unavailable(key, error) from error
                    if info is not None:
                        yield Listed(key, files.etag_of(info), info.st_size)

    def folders(self, prefix: str) -> Iterator[str]:
        count_list(prefix)
        inner: builtins.list[str] = []
        for _place, _names in self._names(prefix, inner):
            pass
        for folder in inner:
            if any(names for _folder, _place, names in self._batches(folder)):  # folders stay when their last file goes
                yield folder.removeprefix(prefix).removesuffix("/")

    def scan(self, prefix: str, admits: Admits | None = None) -> Iterator[tuple[str, Stored]]:
        for folder, place, names in self._batches(prefix):
            yield from self._read_batch(place, folder, names, admits)

    def _read_batch(
        self, place: int, folder: str, names: Iterable[str], admits: Admits | None
    ) -> Iterator[tuple[str, Stored]]:
        ops, of_system = storage_ops(), is_system_key(folder)
        made = StorageOps() if of_system else ops
        try:
            for name in names:
                key = folder + name
                try:
                    stored = files.read_in(place, name, key, admits, made)
                except OSError as error:
                    raise self._unavailable(key, error) from error
                if stored is not None:
                    yield key, stored
        finally:
            if of_system:
                ops.system += made.reads

    def put(
        self,
        key: str,
        body: bytes,
        *,
        if_match: str | None = None,
        if_absent: bool = False,
        deadline: float | None = None,
    ) -> str:
        path = self._path(key)
        count_write(key, len(body))
        with self._translated(key):
            with self._lock(key):
                current = files.status(path)
                demand(key, _etag(current), if_match, if_absent)
                etag = self._replace(key, path, body, current, deadline)
            self._sync(path)
        return etag

    def delete(self, key: str, *, if_match: str | None = None, deadline: float | None = None) -> None:
        path = self._path(key)
        count_delete(key)
        with self._translated(key):
            with self._lock(key):
                current = files.status(path)
                demand(key, _etag(current), if_match, if_absent=False)
                if current is None:
                    return
                in_time(key, deadline)
                os.unlink(path)
            self._sync(path)

    def write_many(self, writes: Iterable[Write]) -> Iterator[Written]:
        # Only waiting for the disk gains by threads.
        if self._fsync:
            return self._pool.map(partial(apply, self), writes)
        return map(partial(apply, self), writes)

    def verify_conditions(self) -> bool:
        """True: the locks are the machine's own."""
        return True

    def _replace(self, key: str, path: str, body: bytes, current: os.stat_result | None, deadline: float | None) -> str:
        mode = self._storage.file_permissions_mode
        after = current.st_mtime_ns if current is not None else None

        def create() -> tuple[str, str]:
            return files.create(self._path(TEMPORARY), body, after=after, mode=mode, fsync=self._fsync)

        temporary, etag = self._with_folder(self._path(TEMPORARY), create)
        folder, slash, name = key.rpartition("/")
        fence = Fence(self._location, folder + slash, self._wait)
        try:
            with fence.replacing(name) if current is not None else nullcontext():
                in_time(key, deadline)  # to sync a body may take long, to rename it does not
                self._with_folder(os.path.dirname(path), lambda: os.replace(temporary, path))
        except BaseException:
            os.unlink(temporary)
            raise
        return etag

    def _with_folder(self, folder: str, act: Callable[[], Result]) -> Result:
        try:
            return act()
        except FileNotFoundError:
            files.make_folders(folder, mode=self._storage.directory_permissions_mode, fsync=self._fsync)
            return act()

    def _batches(self, prefix: str) -> Iterator[tuple[str, int, builtins.list[str]]]:
        """The files under ``prefix`` as (folder, its descriptor, names): a hundred names at most, which may be none. At
        the end of a folder those come again that were replaced meanwhile."""
        count_list(prefix)
        folders = [prefix[: prefix.rfind("/") + 1]]
        while folders:
            folder = folders.pop()
            start = prefix[len(folder) :]
            inner: builtins.list[str] = []
            for place, names in self._names(folder, inner):
                yield folder, place, [name for name in names if name.startswith(start)] if start else names
            folders += [found for found in inner if found.startswith(prefix) and found not in _OWN_FOLDERS]

    def _names(self, folder: str, inner: builtins.list[str]) -> Iterator[tuple[int, builtins.list[str]]]:
        """The files of one folder as (its descriptor, names), in batches; the prefixes of its folders are added to
        ``inner``."""
        path = self._path_of(folder)
        with self._translated(folder), files.opened_folder(path) as place:
            if place is None:
                return
            # By its path: who closes a listing by descriptor, in a forked child too, rewinds it for the parent.
            with Fence(self._location, folder, self._wait).listing() as log, os.scandir(path) as entries:
                while batch := [*islice(entries, _BATCH)]:
                    names = [entry.name for entry in batch if entry.is_file(follow_symlinks=False)]
                    yield place, names
                    if len(names) < len(batch):
                        inner += [f"{folder}{entry.name}/" for entry in batch if entry.is_dir(follow_symlinks=False)]
                yield place, [*log.names()]

    def _path_of(self, folder: str) -> str:
        """The path of a folder, given by the start of its keys; "" is the location itself."""
        return self._path(folder.rstrip("/")) if folder else self._location

    @property
    def _location(self) -> str:
        return os.fspath(self._storage.location)  # read anew: settings may be overridden in tests

    def _path(self, key: str) -> str:
        if not is_object_key(key):
            raise ValueError(f"{key!r} is not the key of an object: it could name a place outside of the location.")
        return f"{self._location}/{key}"

    def _lock(self, key: str) -> AbstractContextManager[int]:
        return locked(self._path(lock_file(key)), LOCK_EX, self._wait)

    def _sync(self, path: str) -> None:
        if self._fsync:
            files.sync_folder(os.path.dirname(path))

    @contextmanager
    def _translated(self, key: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise self._unavailable(key, error) from error
        except StorageUnavailable as error:  # a lock that was not to be had
            self._tell(key, error)
            raise

    def _tell(self, key: str, error: Exception) -> None:
        send(storage_request_failed, FileSystemStore, storage=self._alias, key=key, error=error)

    def _unavailable(self, key: str, error: OSError) -> StorageUnavailable:
        self._tell(key, error)
        return StorageUnavailable(
            f"The file storage at {self._location!r} failed for {key!r}: {error}. Check that its file system "
            "is mounted and has room, and that this process may read and write there."
        )


def _etag(info: os.stat_result | None) -> str | None:
    return files.etag_of(info) if info is not None else None
