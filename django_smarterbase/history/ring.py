"""The latest profiles of this process, and which of them are still to be sent."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from django_smarterbase.profiling.profile import QueryProfile


@dataclass(frozen=True, slots=True)
class Kept:
    """A profile, and how many statements it stands for."""

    profile: QueryProfile
    weight: float


@dataclass(frozen=True, slots=True)
class Batch:
    """Profiles to be sent, oldest first; the number of the first, and how many had been dropped by then."""

    first: int
    kept: Sequence[Kept]
    dropped: int


class Ring:
    """At most ``size`` profiles. Thread-safe; nothing waits for more than a few lines of another thread.

    Profiles are numbered from 1 in the order of their coming. Some of the latest wait to be sent; one that must make
    room before it was is dropped.
    """

    def __init__(self, size: int) -> None:
        self._lock = threading.RLock()  # a stream that the garbage collector ends adds its profile at any moment
        self._kept: deque[Kept] = deque(maxlen=size)
        self._added = 0
        self._sent = 0  # the number of the last that waits no more
        self._dropped = 0

    @property
    def dropped(self) -> int:
        """How many profiles have been dropped."""
        return self._dropped

    @property
    def added(self) -> int:
        """The number of the latest profile."""
        return self._added

    def add(self, kept: Kept) -> tuple[int, bool]:
        """Add a profile; returns how many wait to be sent, and whether one of these had to make room for it."""
        with self._lock:
            self._kept.append(kept)
            self._added += 1
            overfull = self._added - self._sent > len(self._kept)
            if overfull:
                self._sent += 1
                self._dropped += 1
            return self._added - self._sent, overfull

    def waiting(self, limit: int) -> Batch:
        """The oldest that wait, ``limit`` at most."""
        with self._lock:
            skipped = len(self._kept) - (self._added - self._sent)
            return Batch(self._sent + 1, list(islice(self._kept, skipped, skipped + limit)), self._dropped)

    def sent(self, batch: Batch) -> None:
        """``batch`` has arrived: it waits no more, and what had to make room meanwhile was not dropped."""
        last = batch.first + len(batch.kept) - 1
        with self._lock:
            self._dropped -= max(0, min(self._sent, last) - batch.first + 1)
            self._sent = max(self._sent, last)

    def latest(self) -> list[Kept]:
        """All that are here, oldest first."""
        with self._lock:
            return list(self._kept)

    def after(self, number: int) -> tuple[int, list[Kept]]:
        """The number of the latest profile, and those with higher numbers than ``number``, oldest first.

        A number that has not been given yet is of an earlier ring: then all are new.
        """
        with self._lock:
            new = self._added - number if number <= self._added else self._added
            return self._added, list(islice(self._kept, max(0, len(self._kept) - new), None))
