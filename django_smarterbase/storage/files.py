"""Reading and replacing single files so that no reader ever sees half of one."""

from __future__ import annotations

import errno
import os
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

from ..ops import StorageOps
from .base import Admits, Stored

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK  # non-blocking: a pipe must not hold a reader
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_NO_FILE = frozenset((errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EISDIR, errno.ENXIO))
_NO_CONTENT = frozenset((errno.EISDIR, errno.EAGAIN))  # of a folder, and of a pipe that is open elsewhere
_BLOCK = 1 << 16  # bytes, in which most documents have room
_PIECE = 1 << 20  # bytes
_CLOCK_STEPS = (0, 1_000, 1_000_000, 1_000_000_000, 2_000_000_000)  # ns: the grains of file systems' clocks
_numbers = count()


def etag_of(info: os.stat_result) -> str:
    """A file's ETag: ``<mtime in ns>-<inode>-<size in bytes>``."""
    return f"{info.st_mtime_ns}-{info.st_ino}-{info.st_size}"


def status(path: str, folder: int | None = None) -> os.stat_result | None:
    """The status of a regular file, whose ``path`` may begin in an open folder; None for anything else, a symbolic link
    too."""
    try:
        info = os.stat(path, dir_fd=folder, follow_symlinks=False)
    except OSError as error:
        if error.errno in _NO_FILE:
            return None
        raise
    return info if stat.S_ISREG(info.st_mode) else None


def read(path: str) -> Stored | None:
    """A regular file's content and ETag, of one moment; None for anything else, a symbolic link too."""
    try:
        descriptor = os.open(path, _READ)
    except OSError as error:
        _expect(error, _NO_FILE)
        return None
    try:
        info = os.fstat(descriptor)
        if not stat.S_ISREG(info.st_mode):
            return None
        body = os.read(descriptor, info.st_size)
        if len(body) != info.st_size:
            body += _rest(descriptor, info.st_size - len(body))
    finally:
        os.close(descriptor)
    return Stored(body, f"{info.st_mtime_ns}-{info.st_ino}-{info.st_size}")


@contextmanager
def opened_folder(path: str) -> Iterator[int | None]:
    """The descriptor of a folder, open within the block; None when there is none."""
    try:
        descriptor = os.open(path, _FOLDER)
    except OSError as error:
        _expect(error, _NO_FILE)
        yield None
        return
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def read_in(folder: int, name: str, key: str, admits: Admits | None, made: StorageOps) -> Stored | None:
    """As ``read``, of the file ``name`` in a folder; also None for what ``admits`` refuses. ``made`` counts the read.

    Most files of a scan are refused, and the asking for their status would take a tenth of its time.
    """
    try:
        descriptor = os.open(name, _READ, dir_fd=folder)
    except OSError as error:
        _expect(error, _NO_FILE)
        return None
    try:
        try:
            body = os.read(descriptor, _BLOCK)
        except OSError as error:
            _expect(error, _NO_CONTENT)
            return None
        if len(body) == _BLOCK:
            body += _rest(descriptor, sys.maxsize)
        elif not body and not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        made.reads += 1
        made.bytes_read += len(body)
        if admits is not None and not admits(key, body):
            return None
        info = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    if not stat.S_ISREG(info.st_mode):
        return None
    return Stored(body, f"{info.st_mtime_ns}-{info.st_ino}-{info.st_size}")


def create(folder: str, body: bytes, *, after: int | None, mode: int | None, fsync: bool) -> tuple[str, str]:
    """Write a new file of a unique name in ``folder``; gives its path and its ETag.

    Its mtime is later than ``after`` (ns) whatever the grain of the file system's clock, so that replacing a file
    always changes its ETag, even when size and inode number come back. Raises OSError and leaves nothing then.
    """
    path = f"{folder}/{os.getpid()}-{time.time_ns()}-{next(_numbers)}"
    descriptor = os.open(path, _CREATE, 0o666)
    try:
        try:
            _write(descriptor, body)
            if mode is not None:
                os.fchmod(descriptor, mode)
            info = _stamp(descriptor, after)
            if fsync:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except BaseException:
        os.unlink(path)
        raise
    return path, etag_of(info)


def make_folders(path: str, *, mode: int | None, fsync: bool) -> None:
    """Make ``path`` and what is missing above it; durable with ``fsync``. Whoever else makes it at once is welcome."""
    if os.path.isdir(path):
        return
    parent = os.path.dirname(path)
    make_folders(parent, mode=mode, fsync=fsync)
    try:
        os.mkdir(path)
    except FileExistsError:
        return
    if mode is not None:
        os.chmod(path, mode)
    if fsync:
        sync_folder(parent)


def sync_folder(path: str) -> None:
    """Make the entries of a folder durable."""
    descriptor = os.open(path, _FOLDER)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _expect(error: OSError, numbers: frozenset[int]) -> None:
    """Raise the error again unless it is one of ``numbers``."""
    if error.errno not in numbers:
        raise error


def _rest(descriptor: int, missing: int) -> bytes:
    chunks = []
    while missing > 0 and (chunk := os.read(descriptor, min(missing, _PIECE))):
        chunks.append(chunk)
        missing -= len(chunk)
    return b"".join(chunks)


def _write(descriptor: int, body: bytes) -> None:
    view = memoryview(body)
    while view:
        view = view[os.write(descriptor, view) :]


def _stamp(descriptor: int, after: int | None) -> os.stat_result:
    moment = time.time_ns() if after is None else max(time.time_ns(), after + 1)
    for step in _CLOCK_STEPS:
        os.utime(descriptor, ns=(moment + step, moment + step))
        info = os.fstat(descriptor)
        if after is None or info.st_mtime_ns > after:
            return info
    raise OSError(errno.EINVAL, "the file system does not keep the modification time that a file is given")
