"""The circuit breaker of one cache alias: a Redis that keeps failing is left alone for a while."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Final

logger = logging.getLogger("django_smarterbase.indexes")

FAILURES: Final = 5
REST: Final = 30.0  # seconds
_OUTAGE: Final = (
    "Queries scan the stored objects and writes take the slow path until it answers; afterwards sb_reindex may be "
    "needed."
)


class Breaker:
    """Opens after ``failures`` in a row; ``rest`` seconds later lets a single probe through. Thread-safe.

    It also logs an outage once: a WARNING at its first failure, which says what the ``outage`` means, and an INFO when
    Redis answers again.
    """

    def __init__(
        self,
        alias: str,
        clock: Callable[[], float] = time.monotonic,
        *,
        failures: int = FAILURES,
        rest: float = REST,
        outage: str = _OUTAGE,
        log: logging.Logger = logger,
    ) -> None:
        self.alias = alias
        self._clock = clock
        self._most = failures
        self._rest = rest
        self._outage = outage
        self._log = log
        self._lock = threading.Lock()
        self._failures = 0
        self._opened: float | None = None
        self._probing = False

    def admits(self) -> bool:
        """Whether Redis may be asked now. Who gets True must call ``succeeded``, ``failed`` or ``gave_up``."""
        with self._lock:
            if self._opened is None:
                return True
            if self._probing or self._clock() - self._opened < self._rest:
                return False
            self._probing = True
            return True

    def succeeded(self) -> None:
        """Redis answered: close."""
        with self._lock:
            failures, self._failures = self._failures, 0
            self._opened, self._probing = None, False
        if failures:
            self._log.info("Redis (cache %r) answers again after %d failed requests.", self.alias, failures)

    def failed(self, problem: str) -> None:
        """Redis did not answer: count, and open when that was once too often."""
        with self._lock:
            self._failures += 1
            first = self._failures == 1
            if self._failures >= self._most:
                self._opened = self._clock()
            self._probing = False
        if first:
            self._log.warning("Redis (cache %r) cannot be used: %s. %s", self.alias, problem, self._outage)

    def reset(self) -> None:
        """Let Redis be asked at once: somebody who looks after it says that it is worth trying."""
        with self._lock:
            self._opened, self._probing = None, False

    def gave_up(self) -> None:
        """The request ended without telling anything about Redis."""
        with self._lock:
            self._probing = False


_breakers: dict[str, Breaker] = {}
_guard = threading.Lock()


def breaker_of(alias: str) -> Breaker:
    """The process's breaker for a cache alias."""
    with _guard:
        return _breakers.setdefault(alias, Breaker(alias))
