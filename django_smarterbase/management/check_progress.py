"""How far a check has come: the table that is looked at, how fast, and how long it will take."""

from __future__ import annotations

import time
from typing import Final

from .progress import Expected
from .ticker import Activity, Stage
from .view import Canvas, Pace, Row, View, time_for

_EVERY: Final = 0.1  # seconds between two views of the same thing


class CheckDisplay:
    """The Ticker of a check, shown on a canvas.

    ``expected`` counts the documents of tables, ``sample`` is how many of each are looked at at most. ``several`` tells
    that there are several databases, so that tables are to be told apart.
    """

    def __init__(self, canvas: Canvas, expected: Expected, *, sample: int | None, several: bool) -> None:
        self._canvas = canvas
        self._expected = expected
        self._sample = sample
        self._several = several
        self._began: float | None = None
        self._next = 0.0
        self._shown: tuple[Stage, str, str] | None = None
        self._pace = Pace()

    def say(self, activity: Activity) -> None:
        """Draw it, ten times a second at most."""
        now, shown = time.monotonic(), (activity.stage, activity.database, activity.subject)
        if shown != self._shown:
            self._shown, self._pace = shown, Pace()
        elif now < self._next:
            return
        self._next = now + _EVERY
        self._canvas.draw(self.view(activity, now))

    def clear(self) -> None:
        """Make room for other output; what is shown next begins anew."""
        self._canvas.clear()
        self._began = self._shown = None

    def view(self, activity: Activity, now: float) -> View:
        """What there is to see at this time (``time.monotonic``)."""
        self._began = now if self._began is None else self._began
        elapsed = now - self._began
        if activity.stage is Stage.WAITING:
            return View((), "waiting to see whether what looks abandoned is", elapsed, activity.number)
        if not activity.tables:
            return View((), str(activity), elapsed)
        summary = f"table {activity.position} of {activity.tables}"
        return View((self._row(activity, now),), summary, elapsed)

    def _row(self, activity: Activity, now: float) -> Row:
        name = f"{activity.subject} ({activity.database})" if self._several else activity.subject
        number, rate = activity.number, self._pace.note(activity.number, now)
        expected = self._documents(activity) if activity.stage is Stage.DOCUMENTS else None
        if expected is None:
            return Row(name, activity.stage, f"{number:,}" if number else "", None, rate or None)
        expected = max(expected, number)
        part = number / expected if expected else None
        return Row(name, activity.stage, f"{number:,}/{expected:,}", part, rate, time_for(expected - number, rate))

    def _documents(self, activity: Activity) -> int | None:
        if self._sample is not None:
            return self._sample
        return self._expected(activity.database, activity.table)
