"""The history of one database: what this process adds to it, and what all processes have added."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from django_smarterbase.conf import Options
from django_smarterbase.exceptions import HistoryUnavailable
from django_smarterbase.history.page import HistoryPage, News
from django_smarterbase.history.ring import Kept, Ring
from django_smarterbase.history.sampling import weight_of
from django_smarterbase.history.stream import Stream
from django_smarterbase.indexes.breaker import Breaker
from django_smarterbase.indexes.client import IndexDamaged, RedisClient, RedisDown
from django_smarterbase.indexes.keys import IndexKeys, new_token
from django_smarterbase.profiling.profile import QueryProfile
from django_smarterbase.profiling.selection import EVERYTHING, Selection
from django_smarterbase.signals import profiles_dropped, send

logger = logging.getLogger("django_smarterbase.query")

#: How many profiles a process itself holds, at most.
RING: Final = 2000
#: How many it holds of a tenant, of which there may be many.
RING_OF_TENANT: Final = 200
_BATCH: Final = 200
_REST: Final = 5.0  # seconds for which Redis is left alone after a failure
_PATIENCE: Final = 1.0  # seconds for which a reader waits for a batch that is being sent
_OUTAGE: Final = "Profiles stay in this process until it answers."

#: What ends in the profiles' staying here.
_FAILURES: Final = (RedisDown, IndexDamaged)


@dataclass(frozen=True)
class _Own:
    """What this process has, and by which name Redis knows it; a history that was cleared begins with a new one."""

    ring: Ring
    sender: str = field(default_factory=new_token)
    sending: threading.Lock = field(default_factory=threading.Lock)


class ProfileHistory:
    """The profiles of one database, or of one tenant of it. Thread-safe. Read it from ``history_of()``.

    Reading and following never raise for a Redis that is down, and wait for it once in five seconds at most.
    """

    def __init__(self, alias: str, name: str, options: Options, tenant: str | None = None) -> None:
        self.alias = alias
        self.tenant = tenant
        self.options = options
        self._size = max(1, min(options.profile_history, RING if tenant is None else RING_OF_TENANT))
        self._own = self._nothing()
        self._problem: str | None = None
        self._unavailable_since: datetime | None = None
        self._stream: Stream | None = None
        if options.cache is not None:
            # One of its own: whether statements may ask Redis is not for a thread in the background to decide.
            breaker = Breaker(options.cache, failures=1, rest=_REST, outage=_OUTAGE, log=logger, announced=False)
            client = RedisClient(options.cache, breaker)
            self._stream = Stream(client, IndexKeys(name, tenant).history, options.profile_history)

    @property
    def is_on(self) -> bool:
        """Whether profiles are kept at all."""
        return self.options.profile_history > 0

    @property
    def unavailable_since(self) -> datetime | None:
        """Since when this process has not reached Redis, aware and in UTC; None when it has, or has not tried."""
        return self._unavailable_since

    @property
    def problem(self) -> str | None:
        """Why this process has not reached Redis, None when it has, or has not tried."""
        return self._problem

    def keep(self, profile: QueryProfile) -> float:
        """Keep a profile, or let it go when it is sampled away. No round trip.

        Returns how full the ring is (0 to 1) with profiles that wait to be sent.
        """
        weight = weight_of(profile, self.options) if self.is_on else None
        if weight is None:
            return 0.0
        waiting, overfull = self._own.ring.add(Kept(profile, weight))
        if overfull and self._stream is not None:
            send(profiles_dropped, ProfileHistory, number=1, error=None)
        return waiting / self._size if self._stream is not None else 0.0

    @property
    def waits(self) -> bool:
        """Whether profiles wait to be sent."""
        return self._stream is not None and bool(self._own.ring.waiting(1).kept)

    def flush(self, patience: float = -1) -> bool:
        """Send what waits; one round trip for 200 profiles. Returns whether nothing waits any more.

        ``patience`` is for how many seconds another thread that is sending is waited for; negative: until it is done.
        """
        own = self._own
        if self._stream is None or not own.sending.acquire(timeout=patience):
            return self._stream is None
        try:
            return self._send(own, self._stream)
        finally:
            own.sending.release()

    def read(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int | None = None,
        selection: Selection = EVERYTHING,
    ) -> HistoryPage:
        """The latest profiles of the selection, ``limit`` at most, that started in [``since``, ``until``).

        The times must be aware. What this process has not sent yet is sent first; what others have not comes a second
        later. One round trip for each 500 profiles read. Never raises for Redis.
        """

        def takes(kept: Kept) -> bool:
            started_at = kept.profile.started_at
            return (
                (since is None or started_at >= since)
                and (until is None or started_at < until)
                and selection.takes(kept.profile)
            )

        if self._stream is not None:
            self.flush(_PATIENCE)
            with suppress(*_FAILURES), self._watched():
                found, dropped = self._stream.newest(since, limit, takes)
                return HistoryPage.of(found, source="redis", dropped=dropped)
        found = sorted(filter(takes, self._own.ring.latest()), key=lambda kept: kept.profile.started_at, reverse=True)
        return HistoryPage.of(
            found[:limit],
            source="local",
            dropped=self._own.ring.dropped,
            unavailable_since=self._unavailable_since,
            problem=self._problem,
        )

    def news(self, position: str | int | None = None) -> News:
        """What came after ``position``, which an earlier call gave; None begins now. Never raises for Redis.

        Of all processes, one round trip; without a cache of this one. At most 500 profiles, the others next time.
        """
        if self._stream is None:
            latest, kept = self._own.ring.after(position if isinstance(position, int) else self._own.ring.added)
            return News(latest, _profiles(kept))
        with suppress(*_FAILURES), self._watched():
            last, kept = self._stream.news("$" if position is None else str(position))
            return News(last, _profiles(kept))
        return News(position, (), self._unavailable_since)

    def follow(self, *, selection: Selection = EVERYTHING, every: float = 0.5) -> Iterator[QueryProfile]:
        """New profiles of the selection as they come, oldest first, without an end; none while Redis is down.

        Looks again after ``every`` seconds.
        """
        news = self.news()
        while True:
            yield from filter(selection.takes, news.profiles)
            if not news.profiles:
                time.sleep(every)
            news = self.news(news.position)

    def clear(self) -> None:
        """Delete the history of all processes; what other processes have not sent yet comes afterwards.

        Raises HistoryUnavailable when Redis cannot be reached; nothing is deleted then.
        """
        own = self._own
        held = own.sending.acquire(timeout=_PATIENCE)  # lest what is on its way come after all
        try:
            self._clear()
        finally:
            if held:
                own.sending.release()

    def _clear(self) -> None:
        if self._stream is not None:
            try:
                with self._watched():
                    self._stream.clear()
            except _FAILURES as error:
                raise HistoryUnavailable(
                    f"The history of profiles of database {self.alias!r} was not cleared, since Redis (cache "
                    f"{self.options.cache!r}) cannot be used: {self._problem}. Try again when it can."
                ) from error
        self._own = self._nothing()

    def _send(self, own: _Own, stream: Stream) -> bool:
        while (batch := own.ring.waiting(_BATCH)).kept:
            try:
                with self._watched():
                    stream.append(own.sender, batch)
            except _FAILURES:
                return False
            own.ring.sent(batch)
        return True

    def _nothing(self) -> _Own:
        return _Own(Ring(self._size))

    @contextmanager
    def _watched(self) -> Iterator[None]:
        try:
            yield
        except _FAILURES as error:
            if self._unavailable_since is None:
                self._problem = (error.detail if isinstance(error, RedisDown) else str(error)).rstrip(".")
                self._unavailable_since = datetime.now(UTC)
            raise
        self._unavailable_since = self._problem = None


def _profiles(kept: Sequence[Kept]) -> tuple[QueryProfile, ...]:
    return tuple(each.profile for each in kept)
