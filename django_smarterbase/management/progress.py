"""How far a reindex has come, how fast it goes, and how long it will take."""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from .plurals import counted, part_of
from .reindex import WORKERS, Work
from .view import Canvas, Pace, Row, View, latest, time_for

_ALMOST: Final = 0.99
_WAITING: Final = "waiting for writers"

Expected = Callable[[str, str], int | None]  # the number of documents of a table of a database


def unknown(_database: str, _table: str) -> int | None:
    """Nobody counts them."""
    return None


class Display(Protocol):
    """Shows the works of a reindex, time and again."""

    def show(self, works: Sequence[Work]) -> None:
        """Show how far they are now."""

    def clear(self) -> None:
        """Make room for other output."""


class NoDisplay:
    """Shows nothing."""

    def show(self, works: Sequence[Work]) -> None:
        """Nothing."""

    def clear(self) -> None:
        """Nothing."""


class ReindexDisplay:
    """Shows them on a canvas. ``expected`` counts the documents of tables that no index counts."""

    def __init__(self, canvas: Canvas, expected: Expected = unknown) -> None:
        self._canvas = canvas
        self._expected = expected
        self._began: float | None = None
        self._paces: dict[tuple[str, str], _Paces] = {}

    def show(self, works: Sequence[Work]) -> None:
        """Draw them."""
        self._canvas.draw(self.view(works, time.monotonic()))

    def clear(self) -> None:
        """Make room for other output; what is shown next begins anew."""
        self._canvas.clear()
        self._began = None
        self._paces.clear()

    def view(self, works: Sequence[Work], now: float) -> View:
        """What there is to see of them at this time (``time.monotonic``)."""
        self._began = now if self._began is None else self._began
        several = len({work.task.database for work in works}) > 1
        current = [work for work in works if work.began is not None and not work.ended]
        rows = [self._row(work, now, several=several) for work in current]
        queued = [work.task.deadline for work in works if work.began is None]
        ready, documents = sum(work.ended for work in works), sum(work.done for work in works)
        doing = _WAITING if rows and all(row.stage == _WAITING for row in rows) else counted(documents, "document")
        return View(
            rows=tuple(rows),
            summary=f"{part_of(ready, len(works), 'table')} ready, {doing}",
            elapsed=now - self._began,
            left=_left_of_all([row.left for row in rows], queued),
        )

    def _row(self, work: Work, now: float, *, several: bool) -> Row:
        schema, database = work.task.schema, work.task.database
        name = f"{schema.label} ({database})" if several else schema.label
        paces = self._paces.setdefault((database, schema.table), _Paces())
        if work.packed is not None:
            rate = paces.packing.note(work.packed, now)
            return Row(name, "packed", f"{work.packed:,}", None, rate, None)
        if work.total is None:
            return self._entering(work, name, now, paces.entering.note(work.done, now))
        if work.compared == 0:
            left = _until_deadline(work, now)
            return Row(name, _WAITING, part=part_done(work, now), left=left or None)
        rate = paces.comparing.note(work.compared, now)
        counts = f"{min(work.compared, work.total):,}/{work.total:,}"
        comparison = time_for(work.total - work.compared, rate)
        return Row(name, "compared", counts, part_done(work, now), rate, comparison)

    def _entering(self, work: Work, name: str, now: float, rate: float | None) -> Row:
        expected = work.task.state.documents
        if expected is None:
            expected = self._expected(work.task.database, work.task.schema.table)
        if expected is None:
            return Row(name, "documents", f"{work.done:,}", None, rate, None)
        expected = max(expected, work.done)
        left = latest([time_for(expected - work.done, rate), _until_deadline(work, now)])
        return Row(name, "documents", f"{work.done:,}/{expected:,}", part_done(work, now, expected), rate, left)


@dataclass(slots=True)
class _Paces:
    entering: Pace = field(default_factory=Pace)
    comparing: Pace = field(default_factory=Pace)
    packing: Pace = field(default_factory=Pace)


def part_done(work: Work, now: float, expected: int | None = None) -> float:
    """How much of a table's rebuild is done, from 0 to 1: what is known of the time and the documents that it takes.

    It takes at least the write deadline, and has to enter as many documents as the index held, if it held any, or as
    are ``expected``.
    """
    if work.ended:
        return 1.0
    if work.began is None:
        return 0.0
    parts = [(now - work.began) / work.task.deadline, _ALMOST]
    expected = work.task.state.documents if expected is None else expected
    if work.total is None and expected:
        parts.append(work.done / expected)
    return max(0.0, min(parts))


def _until_deadline(work: Work, now: float) -> float:
    """Seconds for which a rebuild waits at least, so that writers that do not know of it have ended."""
    return max(0.0, (work.began or now) + work.task.deadline - now)


def _left_of_all(current: Sequence[float | None], queued: Sequence[float]) -> float | None:
    """When the last table is ready, if each that is free takes the next of the queue, which takes its deadline."""
    if latest(current) is None:
        return None
    ends = [0.0] * (WORKERS - len(current)) + [left for left in current if left is not None]
    heapq.heapify(ends)
    for seconds in queued:
        heapq.heapreplace(ends, ends[0] + seconds)
    return max(ends)
