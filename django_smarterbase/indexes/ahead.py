"""One call at a time in a thread of its own, while its caller prepares the next one."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from types import TracebackType
from typing import Any


class Ahead:
    """A context: ``run`` returns at once, after the call before it has ended. All have ended when the block has.

    What a call raises is raised by the next ``run``, or at the end of a block that raises nothing itself. Calls see the
    context variables as they are when they are given.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="smarterbase-ahead")
        self._under_way: Future[Any] | None = None

    def run(self, call: Callable[[], Any]) -> None:
        """Wait for the call before, and begin this one."""
        self._wait()
        self._under_way = self._thread.submit(copy_context().run, call)

    def _wait(self) -> None:
        if self._under_way is not None:
            ending, self._under_way = self._under_way, None
            ending.result()

    def __enter__(self) -> Ahead:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.shutdown()
        if error is None:
            self._wait()
