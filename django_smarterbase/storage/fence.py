"""Listings that miss nothing while files are replaced.

Renaming a file over another may move the name within the folder: on ext4 and XFS it stays where it is, on tmpfs and
btrfs it goes where a listing under way has already been or will not come to, and is missed. So those who replace
tell those who list. Each folder has two lock files:

- *listing*: who lists holds it shared to the end. Its content is the log of names replaced meanwhile, one a line.
- *writers*: who replaces holds it shared, from noting the name to the rename.

Who replaces takes *writers* (shared) and tries *listing* (exclusive). If that succeeds nobody lists, and the log may be
emptied; otherwise the name is appended to the log. Then it renames. Who lists takes *listing* (shared), then for a
moment *writers* (exclusive), so that every rename noted so far is done; it remembers the length of the log, lists, and
at last gives the names that were appended since.

Writers that come one upon the other hold *writers* without a gap, and would keep out for ever who lists. So who waits
to list touches a third file, *waiting*; who is about to replace gives way for a moment while that has just been
touched. It decides on nothing but who comes first.

A rename within the listing is thus in the log before its end, one before it has left the name in its final place, and
one after it no longer matters. The price: a file that is replaced during a listing may be listed twice.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fcntl import LOCK_EX, LOCK_SH
from typing import NamedTuple

from .keys import fence_file
from .locks import attempted, locked

_CHUNK = 1 << 20  # bytes
_FRESH = 0.1  # seconds for which a touch says that somebody waits: 20 times the pause between two touches
_PAUSE = 0.002  # seconds
_WAY = 4  # who replaces gives way for a quarter of its own wait at most


class Fence(NamedTuple):
    """The fence around the folder of ``prefix`` (a key's start, up to and with its last slash) under ``location``."""

    location: str
    prefix: str
    wait: float

    @contextmanager
    def replacing(self, name: str) -> Iterator[None]:
        """Within it the file ``name`` may be renamed over. Raises StorageUnavailable."""
        listing, begun = self._file("listing"), time.monotonic()
        self._give_way(begun + self.wait / _WAY)
        left = self.wait - (time.monotonic() - begun)
        with locked(self._file("writers"), LOCK_SH, left), attempted(listing, LOCK_EX) as alone:
            if alone is None:
                _note(listing, name)
            elif os.fstat(alone).st_size:
                os.ftruncate(alone, 0)
            yield

    @contextmanager
    def listing(self) -> Iterator[Log]:
        """Within it the folder may be listed; the log then tells what else to list. Raises StorageUnavailable."""
        touched = False

        def touch() -> None:
            nonlocal touched
            touched = True
            _touch(self._file("waiting"))

        with locked(self._file("listing"), LOCK_SH, self.wait, touch) as descriptor:
            with locked(self._file("writers"), LOCK_EX, self.wait, touch):
                start = os.fstat(descriptor).st_size
            if touched:
                _touch(self._file("waiting"), long_ago=True)
            yield Log(descriptor, start)

    def _give_way(self, until: float) -> None:
        """Wait while somebody else waits to list, but no longer than ``until`` by the monotonic clock."""
        path = self._file("waiting")
        while _is_fresh(path) and time.monotonic() < until:
            time.sleep(_PAUSE)

    def _file(self, role: str) -> str:
        return f"{self.location}/{fence_file(self.prefix, role)}"


class Log(NamedTuple):
    """What was replaced since a listing began."""

    descriptor: int
    start: int

    def names(self) -> frozenset[str]:
        """The names replaced so far. Grows with the writes during the listing, not with the folder."""
        content = bytearray()
        while chunk := os.pread(self.descriptor, _CHUNK, self.start + len(content)):
            content += chunk
        return frozenset(content.decode().splitlines())


def _note(path: str, name: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        os.write(descriptor, f"{name}\n".encode())
    finally:
        os.close(descriptor)


def _touch(path: str, *, long_ago: bool = False) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
    try:
        os.utime(descriptor, (0, 0) if long_ago else None)
    finally:
        os.close(descriptor)


def _is_fresh(path: str) -> bool:
    with suppress(FileNotFoundError):
        return 0 <= time.time() - os.stat(path).st_mtime < _FRESH
    return False
