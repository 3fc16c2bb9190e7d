"""The work of ``sb_reindex``: what is to be rebuilt and packed, and the doing of it in a few threads at a time.

A rebuild is a short burst of work and then the wait for ``write_deadline``, which many tables can share.
"""

from __future__ import annotations

import enum
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from queue import Empty, SimpleQueue
from typing import Final

from django.db import DatabaseError

from ..exceptions import SmarterBaseError
from ..indexes.breaker import breaker_of
from ..indexes.service import FallbackReason, IndexService, IndexState, RebuildReport
from ..packs.inspection import PackFindings
from ..packs.packing import PackReport
from ..packs.packing import Progress as PackProgress
from ..tables import TableSchema
from ..tenancy import following
from .tables import Models, connection_of, tables_of

WORKERS: Final = 16  # tables at a time
_TICK: Final = 0.2  # seconds between two looks at what the threads have done
_UNUSABLE: Final = frozenset((FallbackReason.NO_CACHE, FallbackReason.UNREACHABLE, FallbackReason.BREAKER_OPEN))


class Outcome(enum.StrEnum):
    """What became of a table. The values stand in the output of ``--json``."""

    REBUILT = "rebuilt"
    LEFT = "left as it is"
    FAILED = "failed"
    PACKED = "packed"
    INTERRUPTED = "interrupted"
    PLANNED = "would be rebuilt"
    PLANNED_LEFT = "would be left as it is"
    PLANNED_PACKED = "would be packed"


@dataclass(frozen=True, slots=True)
class Task:
    """One table. ``state`` is that of its index before; ``deadline`` is its database's ``write_deadline`` (s).

    ``pack`` packs its documents, if that is asked for; ``has_index`` is False where there is nothing else to do.
    ``packs`` are those that it has, if they were looked at; ``packed_by_itself`` tells whether the option ``pack`` is
    on.
    """

    database: str
    schema: TableSchema
    indexes: IndexService
    state: IndexState
    deadline: float
    pack: Callable[[PackProgress], PackReport] | None = None
    has_index: bool = True
    packs: PackFindings | None = None
    packed_by_itself: bool = False

    @property
    def is_fine(self) -> bool:
        """Whether there is nothing to rebuild: no documents, and an index that is known to hold none."""
        return self.state.trusted and self.state.documents == 0


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a table: ``report`` of a rebuild that went well, ``error`` of one that failed; the same of its
    packing."""

    task: Task
    outcome: Outcome
    report: RebuildReport | None = None
    error: str = ""
    packing: PackReport | None = None
    packing_error: str = ""

    @property
    def has_failed(self) -> bool:
        """Whether something of what was asked for was not done."""
        return self.outcome is Outcome.FAILED or bool(self.packing_error)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A database none of whose tables can be rebuilt, and why."""

    database: str
    error: str


@dataclass(frozen=True, slots=True)
class Survey:
    """What there is to do. A database stands in ``refusals`` or has its tables in ``tasks``."""

    tasks: tuple[Task, ...]
    refusals: tuple[Refusal, ...]


@dataclass(slots=True)
class Work:
    """A task under way. One thread works at it, another one looks.

    ``done`` documents are entered; ``total`` is None until all are, and then ``compared`` of them are compared again.
    ``packed`` is None until they are being packed.
    """

    task: Task
    began: float | None = None  # time.monotonic
    done: int = 0
    total: int | None = None
    compared: int = 0
    packed: int | None = None
    ended: bool = False


def survey(
    databases: Iterable[str], chosen: Models | None, *, pack: bool = False, inspect_packs: bool = False
) -> Survey:
    """Look at the index of every table: one GET and one round trip a database. A Redis that is down is asked once.

    With ``pack`` their documents are to be packed too, whatever there is to say of Redis. With ``inspect_packs`` the
    packs that they have are compared with them: a listing a table, and, where there are packs, a GET for each.
    """
    tasks: list[Task] = []
    refusals: list[Refusal] = []
    for alias in databases:
        cache = connection_of(alias).resources.options.cache
        if cache is not None:
            breaker_of(cache).reset()
        try:
            tasks += _tasks_of(alias, chosen, pack=pack, inspect_packs=inspect_packs)
        except _Unusable as unusable:
            refusals.append(Refusal(alias, str(unusable)))
        except (SmarterBaseError, DatabaseError, OSError) as error:
            refusals.append(Refusal(alias, f"The indexes of the database {alias!r} cannot be looked at: {error}"))
    return Survey(tuple(tasks), tuple(refusals))


class _Unusable(Exception):  # not an error: it becomes a Refusal
    """The Redis of a database cannot be asked."""


def _tasks_of(alias: str, chosen: Models | None, *, pack: bool, inspect_packs: bool) -> Iterator[Task]:
    resources = connection_of(alias).resources
    schemas = tables_of(alias, chosen)
    for schema, state in zip(schemas, resources.indexes.states(schemas), strict=True):
        if state.reason in _UNUSABLE and not pack:
            raise _Unusable(_why_unusable(alias, resources.options.cache, state))
        yield Task(
            database=alias,
            schema=schema,
            indexes=resources.indexes,
            state=state,
            deadline=resources.options.write_deadline,
            pack=partial(resources.store.pack, schema.table) if pack else None,
            has_index=state.reason is not FallbackReason.NO_CACHE,
            packs=resources.store.inspect_packs(schema.table) if inspect_packs else None,
            packed_by_itself=resources.options.pack,
        )


def _why_unusable(alias: str, cache: str | None, state: IndexState) -> str:
    if state.reason is FallbackReason.NO_CACHE:
        return (
            f"The database {alias!r} has no indexes: its option cache is None. To have some, name an alias of CACHES "
            "there; until then every query by anything but the primary key scans."
        )
    problem = (state.detail or str(state.reason)).rstrip(".")
    return (
        f"No index of the database {alias!r} can be rebuilt, since its Redis (cache {cache!r}) cannot be used: "
        f"{problem}. Queries scan meanwhile; run sb_reindex again when Redis answers."
    )


class Reindexer:
    """Rebuilds tables. ``works`` may be looked at from another thread meanwhile.

    ``stopping`` is called when the rebuilds are to end early, which takes as long as the requests under way.
    """

    def __init__(self, tasks: Sequence[Task], *, full: bool, stopping: Callable[[], object] = lambda: None) -> None:
        self.works = [Work(task) for task in tasks]
        self._full = full
        self._stopping = stopping
        self._stop = threading.Event()

    def run(self, tell: Callable[[Result], object], tick: Callable[[], object]) -> list[Result]:
        """Rebuild all tables and return their results in the order of the tasks.

        ``tell`` is called with each result as it comes, ``tick`` several times a second; both in this thread. When
        one of them raises, or Ctrl-C is pressed, the rebuilds under way end, their tables keep the index that they
        had, and it is raised again when all have ended: ``tell`` has then been called for these tables too.
        """
        results: dict[Future[Result], Result] = {}
        futures = self._begin()
        try:
            for future in _as_they_end(futures, tick):
                results[future] = future.result()
                tell(results[future])
        except BaseException:
            self._stop.set()
            self._stopping()
            for future in futures:
                if future not in results:
                    tell(future.result())
            raise
        return [results[future] for future in futures]

    def _begin(self) -> list[Future[Result]]:
        """Start the threads. They are daemons: a web server that is to end does not wait for a rebuild in its admin."""
        todo: SimpleQueue[tuple[Work, Future[Result]]] = SimpleQueue()
        futures = []
        for work in self.works:
            futures.append(Future[Result]())
            todo.put((work, futures[-1]))
        for _ in range(min(WORKERS, len(futures))):
            threading.Thread(target=following(self._work_off), args=(todo,), name="sb_reindex", daemon=True).start()
        return futures

    def _work_off(self, todo: SimpleQueue[tuple[Work, Future[Result]]]) -> None:
        with suppress(Empty):
            while True:
                work, future = todo.get_nowait()
                try:
                    future.set_result(self._do(work))
                except BaseException as error:  # noqa: BLE001 - it is raised in the thread that waits
                    future.set_exception(error)

    def _do(self, work: Work) -> Result:
        work.began = time.monotonic()
        try:
            result = self._rebuild(work)
            return result if result.outcome is Outcome.INTERRUPTED else self._pack(work, result)
        finally:
            work.ended = True

    def _pack(self, work: Work, result: Result) -> Result:
        def progress(documents: int) -> None:
            work.packed = documents
            self._go_on()

        if work.task.pack is None:
            return result
        try:
            return replace(result, packing=work.task.pack(progress))
        except _Stopped:
            return replace(result, packing_error="Interrupted.")
        except (SmarterBaseError, DatabaseError, OSError) as error:
            return replace(result, packing_error=str(error))

    def _rebuild(self, work: Work) -> Result:
        def progress(done: int, total: int | None) -> None:
            if total is None:
                work.done = done
            else:
                work.done, work.total, work.compared = total, total, done
            self._go_on()

        task = work.task
        try:
            self._go_on()
            if not task.has_index:
                return Result(task, Outcome.PACKED)
            if task.is_fine and not self._full:
                return Result(task, Outcome.LEFT)
            report = task.indexes.rebuild(task.schema, full=self._full, progress=progress)
            return Result(task, Outcome.REBUILT, report)
        except _Stopped:
            return Result(task, Outcome.INTERRUPTED)
        except (SmarterBaseError, DatabaseError, OSError) as error:
            return Result(task, Outcome.FAILED, error=str(error))

    def _go_on(self) -> None:
        if self._stop.is_set():
            raise _Stopped


class _Stopped(Exception):  # not an error: it ends a rebuild from within
    """The user does not want to go on."""


def _as_they_end(futures: Sequence[Future[Result]], tick: Callable[[], object]) -> Iterator[Future[Result]]:
    pending = set(futures)
    while pending:
        ended, pending = wait(pending, _TICK, FIRST_COMPLETED)
        yield from ended
        tick()
