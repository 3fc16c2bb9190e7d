"""Latency over time as columns of a chart, drawn by the template as SVG: no script, and no style in the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Final

from ..history.ring import Kept
from ..indexes.service import FallbackReason
from ..profiling.summary import percentile
from .filters import ProfileFilter
from .profiles import Found

COLUMNS: Final = 60
WIDTH: Final = 600.0  # of the drawing, in its own units
HEIGHT: Final = 100.0
_GAP: Final = 0.2  # of a column, between it and the next
_LEAST: Final = 0.8  # of the height, so that a short time can be seen
_OUTAGE: Final = frozenset((FallbackReason.UNREACHABLE, FallbackReason.BREAKER_OPEN))


@dataclass(frozen=True, slots=True)
class Column:
    """A stretch of time: how many statements, their latencies in ms, and how it is drawn.

    ``outages`` counts the statements that could not ask Redis, ``fallbacks`` all that could not use an index.
    """

    begin: datetime
    end: datetime
    count: int
    p50: float
    p95: float
    fallbacks: int
    outages: int
    x: float
    width: float
    p50_height: float
    p95_height: float

    @property
    def p50_y(self) -> float:
        """Where the bar of the median begins, from above."""
        return HEIGHT - self.p50_height

    @property
    def p95_y(self) -> float:
        """Where the bar of the 95th percentile begins, from above."""
        return HEIGHT - self.p95_height

    @property
    def band(self) -> str:
        """The name of the style of what is behind it, "" for nothing."""
        return "outage" if self.outages else "fallback" if self.fallbacks else ""


@dataclass(frozen=True, slots=True)
class Band:
    """What is drawn behind columns that follow each other. ``name`` is that of its style."""

    name: str
    x: float
    width: float


@dataclass(frozen=True, slots=True)
class Chart:
    """The columns from ``begin`` to ``end``, empty ones too. ``top`` is the latency at the upper edge, in ms."""

    columns: tuple[Column, ...]
    begin: datetime
    end: datetime
    top: float

    @property
    def middle(self) -> datetime:
        """The time in the middle."""
        return self.begin + (self.end - self.begin) / 2

    @property
    def half(self) -> float:
        """Half of ``top``."""
        return self.top / 2

    @property
    def filled(self) -> list[Column]:
        """The columns with statements."""
        return [column for column in self.columns if column.count]

    @property
    def bands(self) -> list[Band]:
        """Where Redis could not be reached or an index was not trusted: stretches of columns."""
        step, found = WIDTH / COLUMNS, list[Band]()
        position = 0
        for name, members in groupby(self.columns, key=lambda column: column.band):
            length = len(list(members))
            if name:
                found.append(Band(name, position * step, length * step))
            position += length
        return found

    @property
    def has_outage(self) -> bool:
        """Whether Redis could not be asked at some time."""
        return any(column.outages for column in self.columns)

    @property
    def has_fallback(self) -> bool:
        """Whether an index was not trusted at some time though Redis could be asked."""
        return any(column.band == "fallback" for column in self.columns)


def chart_of(found: Found, wanted: ProfileFilter) -> Chart | None:
    """The chart; None when there is nothing to draw."""
    if not found.kept:
        return None
    begin = wanted.since or found.kept[-1].profile.started_at
    end = max(wanted.until or datetime.now(UTC), begin + timedelta(seconds=COLUMNS))
    step = (end - begin) / COLUMNS
    members: list[list[Kept]] = [[] for _ in range(COLUMNS)]
    for each in found.kept:
        members[max(0, min(COLUMNS - 1, int((each.profile.started_at - begin) / step)))].append(each)
    figures = [_percentiles(each) for each in members]
    top = _round_up(max(p95 for _, p95 in figures))
    columns = [
        _column(position, (begin + position * step, begin + (position + 1) * step), each, figures[position], top)
        for position, each in enumerate(members)
    ]
    return Chart(tuple(columns), begin, end, top)


def _column(
    position: int,
    bounds: tuple[datetime, datetime],
    members: Sequence[Kept],
    figures: tuple[float, float],
    top: float,
) -> Column:
    step, (p50, p95) = WIDTH / COLUMNS, figures
    return Column(
        *bounds,
        count=round(sum(each.weight for each in members)),
        p50=p50,
        p95=p95,
        fallbacks=round(sum(each.weight for each in members if each.profile.fallback)),
        outages=round(sum(each.weight for each in members if each.profile.fallback_reason in _OUTAGE)),
        x=round(position * step + step * _GAP / 2, 2),
        width=round(step * (1 - _GAP), 2),
        p50_height=_height(p50, top),
        p95_height=_height(p95, top),
    )


def _percentiles(members: Sequence[Kept]) -> tuple[float, float]:
    ordered = sorted((each.profile.duration, each.weight) for each in members)
    durations, weights = [duration for duration, _ in ordered], [weight for _, weight in ordered]
    return percentile(durations, 50, weights), percentile(durations, 95, weights)


def _height(latency: float, top: float) -> float:
    return round(max(_LEAST, latency / top * HEIGHT), 2) if latency else 0.0


def _round_up(latency: float) -> float:
    """The next of 1, 2, 5, 10, 20, 50, ... ms, so that the scale can be read."""
    top = 1.0
    while True:
        for factor in (1, 2, 5):
            if latency <= top * factor:
                return top * factor
        top *= 10
