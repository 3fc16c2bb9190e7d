"""The thread by which a process sends its profiles, so that no statement waits for Redis."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from typing import Final

from django_smarterbase.history.history import RING, ProfileHistory

logger = logging.getLogger("django_smarterbase.history")

#: For how many seconds profiles are gathered before they are sent.
GATHERING: Final = 1.0
#: How many profiles are too many to go on gathering.
PLENTY: Final = RING // 4


class Sender:
    """Sends what the histories of a process have gathered. Thread-safe. The thread begins with the first profile."""

    def __init__(self, histories: Callable[[], Iterable[ProfileHistory]]) -> None:
        self._histories = histories
        self._lock = threading.Lock()
        self._work = threading.Event()
        self._hurry = threading.Event()
        self._thread: threading.Thread | None = None
        self._ended = False

    def notice(self, waiting: int) -> None:
        """So many profiles of a history wait: see to them soon. Returns at once."""
        if self._ended or not waiting:
            return
        if not self._work.is_set():
            self._work.set()
        if waiting == PLENTY:
            self._hurry.set()
        if self._thread is None:
            self._begin()

    def end(self, bound: float) -> None:
        """Send what waits and end the thread; gives up after ``bound`` seconds."""
        with self._lock:
            self._ended, thread = True, self._thread
        self._hurry.set()
        self._work.set()
        if thread is not None:
            thread.join(bound)

    def _begin(self) -> None:
        with self._lock:
            if self._thread is None and not self._ended:
                self._thread = threading.Thread(target=self._run, name="smarterbase-history", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while not self._ended:
            self._work.wait()
            self._hurry.wait(GATHERING)
            self._work.clear()
            self._hurry.clear()
            for history in self._histories():
                if not _sent(history):
                    self._work.set()


def _sent(history: ProfileHistory) -> bool:
    try:
        return history.flush()
    except Exception:
        # A thread has no caller to tell, and the profiles that come after these may be sent again.
        logger.exception("The profiles of database %r could not be sent.", history.alias)
        return False
