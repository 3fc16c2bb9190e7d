"""The threads that an adapter reads and writes with."""

from __future__ import annotations

import os
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain, islice
from typing import Generic, NamedTuple, TypeVar

from ..ops import StorageOps, counting
from . import counters

Item = TypeVar("Item")
Result = TypeVar("Result")


class _Done(NamedTuple, Generic[Result]):
    result: Result | None
    error: Exception | None
    made: StorageOps


class WorkerPool:
    """At most ``size`` calls at a time. Threads start when first needed; a forked child starts threads of its own.

    The interpreter joins the threads at exit, after the calls under way.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._lock = threading.Lock()
        self._executor: ThreadPoolExecutor | None = None
        _pools.add(self)

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """``function`` of each item, in their order; twice ``size`` items are taken ahead of the consumer at most.

        Requests that ``function`` counts are added to the calling thread's counters. An error is raised where its
        result would stand. A single item is dealt with in the calling thread.
        """
        source = iter(items)
        first = list(islice(source, 2))
        if len(first) < 2 or self._size == 1:
            yield from map(function, chain(first, source))
            return
        yield from self._map_in_threads(function, chain(first, source))

    def _map_in_threads(self, function: Callable[[Item], Result], source: Iterator[Item]) -> Iterator[Result]:
        executor, process = self._threads(), os.getpid()
        window: deque[Future[_Done[Result]]] = deque()
        try:
            for item in source:
                window.append(executor.submit(_call, function, item))
                if len(window) >= 2 * self._size:
                    yield _result(window.popleft())
            while window:
                yield _result(window.popleft())
        finally:
            # A child that was forked in between has none of the threads, and would wait for ever.
            for future in window if os.getpid() == process else ():
                if not future.cancel():
                    counters.add(future.result().made)

    def _threads(self) -> ThreadPoolExecutor:
        with self._lock:
            if self._executor is None:
                self._executor = ThreadPoolExecutor(self._size, thread_name_prefix="smarterbase-storage")
            return self._executor

    def forget(self) -> None:
        """Drop threads and lock without touching them: a forked child has neither."""
        self._lock = threading.Lock()
        self._executor = None


def _call(function: Callable[[Item], Result], item: Item) -> _Done[Result]:
    with counting() as ops:
        try:
            return _Done(function(item), None, ops.storage)
        except Exception as error:  # noqa: BLE001 - it is raised again in the calling thread, by _result
            return _Done(None, error, ops.storage)


def _result(future: Future[_Done[Result]]) -> Result:
    done = future.result()
    counters.add(done.made)
    if done.error is not None:
        raise done.error
    return done.result  # type: ignore[return-value]  # None only where Result has it


_pools: weakref.WeakSet[WorkerPool] = weakref.WeakSet()


def _forget_all() -> None:
    for pool in _pools:
        pool.forget()


os.register_at_fork(after_in_child=_forget_all)
