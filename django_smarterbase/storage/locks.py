"""Locks between processes, by flock(2) on files under the location.

An flock belongs to an open file description, so opening the file anew for each lock makes it hold between the threads
of a process too. It ends with the process, whatever end that has.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ..exceptions import StorageUnavailable
from .files import make_folders

_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
_FIRST_PAUSE = 0.0002  # seconds
_LONGEST_PAUSE = 0.005
_descriptors: set[int] = set()


@contextmanager
def locked(path: str, operation: int, wait: float, waiting: Callable[[], None] = lambda: None) -> Iterator[int]:
    """Hold the lock file ``path`` (made when missing) by LOCK_SH or LOCK_EX; gives its descriptor.

    ``waiting`` is called each time that it is not to be had, every 5 ms at least. Raises StorageUnavailable after
    ``wait`` seconds: a writer that waits for ever could write after its deadline.
    """
    deadline = time.monotonic() + wait
    pause = _FIRST_PAUSE
    while True:
        with attempted(path, operation) as descriptor:
            if descriptor is not None:
                yield descriptor
                return
        if time.monotonic() >= deadline:
            raise StorageUnavailable(
                f"Another process has held the lock file {path!r} for more than {wait:g} seconds. Look for a stopped "
                "process that has it open, and end it."
            )
        waiting()
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)


@contextmanager
def attempted(path: str, operation: int) -> Iterator[int | None]:
    """Like ``locked``, without waiting: gives None when somebody else holds the lock."""
    descriptor, process = _opened(path), os.getpid()
    _descriptors.add(descriptor)
    try:
        yield descriptor if _taken(descriptor, path, operation) else None
    finally:
        # In a forked child, in which a listing may be given up that is under way in the parent, it is closed already.
        if os.getpid() == process:
            fcntl.flock(descriptor, fcntl.LOCK_UN)  # at once, though a child that was forked just now has it open too
            _descriptors.discard(descriptor)
            os.close(descriptor)


def _opened(path: str) -> int:
    try:
        return os.open(path, _FLAGS, 0o666)
    except FileNotFoundError:
        make_folders(os.path.dirname(path), mode=None, fsync=False)
        return os.open(path, _FLAGS, 0o666)


def _taken(descriptor: int, path: str, operation: int) -> bool:
    try:
        fcntl.flock(descriptor, operation | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    # A file that was removed meanwhile guards nothing: the next comer makes another of the same name.
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def _forked() -> None:
    """A child has the descriptors of its parent's locks too, which would not end before it does."""
    for descriptor in _descriptors:
        os.close(descriptor)
    _descriptors.clear()


os.register_at_fork(after_in_child=_forked)
