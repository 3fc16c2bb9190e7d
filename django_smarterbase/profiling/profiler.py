"""``profile_queries()``: the profiles of the statements that run inside a block or a function."""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Callable
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar, cast

from django_smarterbase.profiling import recorder
from django_smarterbase.profiling.profile import QueryProfile
from django_smarterbase.profiling.summary import SLOW_MS, Summary, summarize

P = ParamSpec("P")
R = TypeVar("R")
Report = Callable[["profile_queries"], object]

logger = logging.getLogger("django_smarterbase.query")


class profile_queries:  # noqa: N801 - it reads as a verb at its place of use, like contextlib.suppress
    """Collect a QueryProfile for every statement on a smarterbase database.

    As a context manager it holds the profiles of its block in ``profiles``, in the order in which the statements
    ended::

        with profile_queries() as queries:
            list(Article.objects.filter(author=author))
        print(queries.summary().render())

    A block also sees the statements of the blocks inside it, and of the tasks and ``sync_to_async`` calls started in
    it, as long as it is open. It does not see those of other threads: not even of ``threading.Thread`` objects
    started in it, which begin with an empty context.

    As a decorator of a function or coroutine function it opens a block for each call, apart from those of other
    calls; when the call ends, ``report`` gets that block (by default its summary is logged at INFO), and
    ``profiles`` of the decorator itself become those of this call.
    """

    def __init__(self, report: Report | None = None) -> None:
        self.profiles: list[QueryProfile] = []
        self._report = report
        self._open = False

    def __enter__(self) -> Self:
        if self._open:
            raise RuntimeError("This profile_queries() block is open already; use a new one for each block.")
        self.profiles = []
        self._open = True
        recorder.open_block(self._add)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        recorder.close_block(self._add)
        self._open = False
        if self._report is not None:
            self._report(self)

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Wrap ``function``. Raises TypeError for a generator function, whose body runs after the call has ended."""
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError(
                f"profile_queries() cannot decorate the generator function {function.__qualname__}(): its body runs "
                "after the call. Use a with block inside it."
            )
        if inspect.iscoroutinefunction(function):
            return cast("Callable[P, R]", self._around_coroutine(function))

        @functools.wraps(function)
        def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
            with self._block_of_call(function):
                return function(*args, **kwargs)

        return wrapper

    def slow(self, threshold_ms: float = SLOW_MS) -> list[QueryProfile]:
        """The profiles of ``threshold_ms`` or more."""
        return [profile for profile in self.profiles if profile.duration >= threshold_ms]

    def fallbacks(self) -> list[QueryProfile]:
        """The profiles whose index was not trusted."""
        return [profile for profile in self.profiles if profile.fallback]

    def full_scans(self) -> list[QueryProfile]:
        """The profiles that read a whole table."""
        return [profile for profile in self.profiles if profile.full_scan]

    def summary(self, slow_ms: float = SLOW_MS) -> Summary:
        """Figures over all profiles."""
        return summarize(self.profiles, slow_ms)

    def _add(self, profile: QueryProfile) -> None:
        # A task started inside may outlive the block; its context still names it.
        if self._open:
            self.profiles.append(profile)

    def _around_coroutine(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        async def wrapper(*args: Any, **kwargs: Any) -> Any:
            with self._block_of_call(function):
                return await function(*args, **kwargs)

        return wrapper

    def _block_of_call(self, function: Callable[..., Any]) -> profile_queries:
        def end_of_call(block: profile_queries) -> None:
            self.profiles = block.profiles
            if self._report is not None:
                self._report(block)
            elif logger.isEnabledFor(logging.INFO):
                _log(function.__qualname__, block.summary())

        return profile_queries(end_of_call)


def _log(function: str, summary: Summary) -> None:
    logger.info(
        "%s(): %s",
        function,
        summary.render(),
        extra={
            "event": "summary",
            "function": function,
            "queries": summary.total,
            "slow_queries": summary.slow,
            "full_scans": summary.full_scans,
            "fallbacks": summary.fallbacks,
            "average_ms": round(summary.average, 3),
            "p50_ms": round(summary.p50, 3),
            "p95_ms": round(summary.p95, 3),
            "p99_ms": round(summary.p99, 3),
        },
    )
