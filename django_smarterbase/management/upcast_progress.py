"""How far an upcast has come, how fast it goes, and how long it will take."""

from __future__ import annotations

import time
from typing import Final

from ..backend.upcasting import Progress
from .plurals import counted, part_of
from .progress import Expected
from .upcast import Task
from .view import Canvas, Pace, Row, View, time_for

_TICK: Final = 0.2  # seconds between two pictures


class UpcastDisplay:
    """Shows one table after another on a canvas. ``expected`` counts the documents of a table."""

    def __init__(self, canvas: Canvas, tables: int, expected: Expected) -> None:
        self._canvas = canvas
        self._tables = tables
        self._expected = expected
        self._began = time.monotonic()
        self._next = 0.0
        self._ready = 0
        self._written = 0
        self._pace = Pace()

    def show(self, task: Task, name: str, progress: Progress) -> None:
        """Draw how far the table is, if it is time to."""
        now = time.monotonic()
        if now >= self._next:
            self._next = now + _TICK
            self._canvas.draw(self._view(task, name, progress, now))

    def ended(self, progress: Progress) -> None:
        """Go on to the next table."""
        self._ready += 1
        self._written += progress.written
        self._pace = Pace()

    def _view(self, task: Task, name: str, progress: Progress, now: float) -> View:
        expected, seen = self._expected(task.database, task.schema.table), progress.documents
        rate = self._pace.note(seen, now)
        counts, part, left = f"{seen:,}", None, None
        if expected:
            counts, part = f"{seen:,}/{max(expected, seen):,}", min(1.0, seen / expected)
            left = time_for(expected - seen, rate)
        written = self._written + progress.written
        summary = f"{part_of(self._ready, self._tables, 'table')} ready, {counted(written, 'document')} written back"
        return View((Row(name, "documents", counts, part, rate, left),), summary, now - self._began)
