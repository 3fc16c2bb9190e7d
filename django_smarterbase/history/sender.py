"""The thread by which a process sends its profiles, so that no statement waits for Redis."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from typing import Final
from weakref import WeakSet

from django_smarterbase.history.history import ProfileHistory
from django_smarterbase.tenancy import origin

logger = logging.getLogger("django_smarterbase.query")

#: For how many seconds profiles are gathered before they are sent.
GATHERING: Final = 1.0
#: How full a ring may be with profiles that wait before they are sent at once.
PLENTY: Final = 0.25


class Sender:
    """Sends what the histories of a process have gathered. Thread-safe. The thread begins with the first profile."""

    def __init__(self, histories: Callable[[], Iterable[ProfileHistory]]) -> None:
        self._histories = histories
        self._lock = threading.Lock()
        self._work = threading.Event()
        self._hurry = threading.Event()
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None
        self._troubled: WeakSet[ProfileHistory] = WeakSet()

    def notice(self, fill: float) -> None:
        """A ring is so full (0 to 1) with profiles that wait: see to them soon. Returns at once."""
        if not fill or self._ending.is_set():
            return
        if not self._work.is_set():
            self._work.set()
        if fill >= PLENTY and not self._hurry.is_set():
            self._hurry.set()
        if self._thread is None:
            self._begin()

    def end(self, bound: float) -> None:
        """Send what waits and end the thread; gives up after ``bound`` seconds."""
        with self._lock:
            self._ending.set()
        self._hurry.set()
        self._work.set()
        if self._thread is not None:
            self._thread.join(bound)

    def _begin(self) -> None:
        with self._lock:
            if self._thread is None and not self._ending.is_set():
                self._thread = threading.Thread(target=self._run, name="smarterbase-history", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        # Nobody hurries it to a Redis that is down.
        pause = self._hurry
        while True:
            self._work.wait()
            pause.wait(GATHERING)
            ending = self._ending.is_set()
            self._work.clear()
            self._hurry.clear()
            all_sent = self._send_all()
            if ending:
                return
            if not all_sent:
                self._work.set()
            pause = self._hurry if all_sent else self._ending

    def _send_all(self) -> bool:
        outcomes = [self._sent(history) for history in self._histories()]
        return all(outcomes)

    def _sent(self, history: ProfileHistory) -> bool:
        try:
            sent = history.flush()
        except Exception:
            # A thread has no caller to tell. It tries again every second, and says so once.
            if history not in self._troubled:
                logger.exception(
                    "The profiles of database %r cannot be sent.",
                    history.alias,
                    extra={"event": "profiles_unsent", **origin(history.alias, history.tenant)},
                )
                self._troubled.add(history)
            return False
        self._troubled.discard(history)
        return sent
