"""Work that nobody waits for, in daemon threads that the end of the interpreter asks to give up first.

Daemons, so that a web server that is to end need not wait for them; but what is cut off in its middle keeps others out
until a lease runs out, so each is told, and has a moment to give it back.
"""

from __future__ import annotations

import atexit
import threading
import time
from collections.abc import Callable
from typing import Final

_FAREWELL: Final = 2.0  # seconds that the end of the interpreter waits for work to give up
_ending = threading.Event()
_threads: set[threading.Thread] = set()


class ProcessEnds(Exception):  # not an error: the work gives up
    """The interpreter is about to end."""


def start(name: str, work: Callable[[], object]) -> None:
    """Do ``work`` in a thread of this name. It must not raise, and call ``go_on`` now and then."""
    thread = threading.Thread(target=_do, args=(work,), name=name, daemon=True)
    _threads.add(thread)
    thread.start()


def go_on() -> None:
    """Raise ProcessEnds when it is time to give up."""
    if _ending.is_set():
        raise ProcessEnds


def _do(work: Callable[[], object]) -> None:
    try:
        work()
    finally:
        _threads.discard(threading.current_thread())


def _end() -> None:
    _ending.set()
    until = time.monotonic() + _FAREWELL
    for thread in list(_threads):
        thread.join(max(0.0, until - time.monotonic()))


atexit.register(_end)
