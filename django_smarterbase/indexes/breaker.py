"""The circuit breaker of one cache alias: a Redis that keeps failing is left alone for a while."""

from __future__ import annotations

import enum
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from ..signals import breaker_changed, send

logger = logging.getLogger("django_smarterbase.index")

FAILURES: Final = 5
REST: Final = 30.0  # seconds
_OUTAGE: Final = (
    "Queries scan the stored objects and writes take the slow path until it answers; afterwards sb_reindex may be "
    "needed."
)


@dataclass(frozen=True, slots=True)
class Service:
    """What stands behind a cache alias: its name in messages, and the events of the log when it fails and when it works
    again."""

    name: str
    unreachable: Mapping[str, str]
    answers: Mapping[str, str]


REDIS: Final = Service("Redis", {"event": "redis_unreachable"}, {"event": "redis_answers"})


class BreakerState(enum.StrEnum):
    """The values stand in signals and log messages."""

    CLOSED = "closed"
    HALF_OPEN = "half-open"
    OPEN = "open"


class Breaker:
    """Opens after ``failures`` in a row (FAILURES); ``rest`` seconds later (REST) lets a single probe through.

    Thread-safe.

    It also logs an outage once: a WARNING at its first failure, which says what the ``outage`` means, and an INFO when
    Redis answers again. Each change of its state is told by a signal, unless it is not ``announced``. ``service``
    is what stands behind the alias, if it is not Redis.
    """

    def __init__(
        self,
        alias: str,
        clock: Callable[[], float] = time.monotonic,
        *,
        failures: int | None = None,
        rest: float | None = None,
        outage: str = _OUTAGE,
        log: logging.Logger = logger,
        announced: bool = True,
        service: Service = REDIS,
    ) -> None:
        self.alias = alias
        self._clock = clock
        self._limit = failures
        self._pause = rest
        self._outage = outage
        self._log = log
        self._announced = announced
        self._service = service
        self._lock = threading.Lock()
        self._failures = 0
        self._opened: float | None = None
        self._probing = False
        self._failing_since: datetime | None = None
        self._answering_since: datetime | None = None

    @property
    def failing_since(self) -> datetime | None:
        """Since when Redis has not answered this process (UTC): its first failure in a row. None when it did last."""
        return self._failing_since

    @property
    def answering_since(self) -> datetime | None:
        """Since when Redis has answered this process (UTC): its first answer in a row. None when it did not last."""
        return self._answering_since

    @property
    def state(self) -> BreakerState:
        """Open while Redis is left alone, half-open while a probe is under way."""
        if self._opened is None:
            return BreakerState.CLOSED
        return BreakerState.HALF_OPEN if self._probing else BreakerState.OPEN

    def admits(self) -> bool:
        """Whether Redis may be asked now. Who gets True must call ``succeeded``, ``failed`` or ``gave_up``."""
        if self.state is BreakerState.CLOSED:
            return True
        with self._lock:
            if self._opened is None:
                return True
            if self._probing or self._clock() - self._opened < (REST if self._pause is None else self._pause):
                return False
            self._probing = True
        self._tell(BreakerState.OPEN, BreakerState.HALF_OPEN)
        return True

    def succeeded(self) -> None:
        """Redis answered: close."""
        if self._opened is None and not self._failures and self._answering_since is not None:
            return  # as ever: nothing to note
        with self._lock:
            before = self.state
            failures, self._failures = self._failures, 0
            self._opened, self._probing, self._failing_since = None, False, None
            self._answering_since = self._answering_since or datetime.now(UTC)
        if failures:
            self._log.info(
                "%s (cache %r) answers again after %d failed requests.",
                self._service.name,
                self.alias,
                failures,
                extra={**self._service.answers, "cache": self.alias, "failures": failures},
            )
        self._tell(before, BreakerState.CLOSED)

    def failed(self, problem: str) -> None:
        """Redis did not answer: count, and open when that was once too often."""
        with self._lock:
            before = self.state
            self._failures += 1
            first = self._failures == 1
            if first:
                self._failing_since, self._answering_since = datetime.now(UTC), None
            if self._failures >= (FAILURES if self._limit is None else self._limit):
                self._opened = self._clock()
            self._probing = False
            after = self.state
        if first:
            self._log.warning(
                "%s (cache %r) cannot be used: %s. %s",
                self._service.name,
                self.alias,
                problem.rstrip("."),
                self._outage,
                extra={**self._service.unreachable, "cache": self.alias, "detail": problem},
            )
        self._tell(before, after)

    def reset(self) -> None:
        """Let Redis be asked at once: somebody who looks after it says that it is worth trying."""
        with self._lock:
            before = self.state
            self._opened, self._probing = None, False
        self._tell(before, BreakerState.CLOSED)

    def gave_up(self) -> None:
        """The request ended without telling anything about Redis."""
        with self._lock:
            before = self.state
            self._probing = False
            after = self.state
        self._tell(before, after)

    def _tell(self, before: BreakerState, after: BreakerState) -> None:
        """Send a change of the state. Not under the lock: a receiver may take its time."""
        if self._announced and after is not before:
            send(breaker_changed, Breaker, cache=self.alias, state=after.value)


_breakers: dict[str, Breaker] = {}
_guard = threading.Lock()


def breaker_of(alias: str) -> Breaker:
    """The process's breaker for a cache alias."""
    with _guard:
        return _breakers.setdefault(alias, Breaker(alias))


def _forked() -> None:
    """A child makes its own experience: of a probe that is under way in its parent it would never hear."""
    global _guard, _breakers
    _guard, _breakers = threading.Lock(), {}


os.register_at_fork(after_in_child=_forked)
