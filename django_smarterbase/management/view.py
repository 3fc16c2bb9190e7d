"""What a person sees of a long command: how far each table has come, how fast it goes, and how long it will take."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Protocol

_WINDOW: Final = 10.0  # seconds over which a rate is measured
_SHORTEST: Final = 0.5  # seconds before a rate is told


@dataclass(frozen=True, slots=True)
class Row:
    """One table that is worked on. ``stage`` is what is done to it, ``counts`` how far that has come.

    ``part`` is from 0 to 1, None when nobody knows; ``rate`` is documents a second, ``left`` seconds until the table is
    done, both None when they are not known (yet).
    """

    name: str
    stage: str
    counts: str = ""
    part: float | None = None
    rate: float | None = None
    left: float | None = None


@dataclass(frozen=True, slots=True)
class View:
    """The command as a whole. ``left`` and ``elapsed`` are seconds; ``left`` is None when nobody knows."""

    rows: tuple[Row, ...]
    summary: str
    elapsed: float
    left: float | None = None

    @property
    def sentence(self) -> str:
        """The time left, or else the time taken, and the summary."""
        time = f"{clock(self.elapsed)} so far" if self.left is None else f"about {clock(self.left)} left"
        return f"{time}: {self.summary}"


class Canvas(Protocol):
    """Something to show views on."""

    def draw(self, view: View) -> None:
        """Show how far it is now; called often."""

    def clear(self) -> None:
        """Make room for other output."""


class NoCanvas:
    """Shows nothing."""

    def draw(self, view: View) -> None:
        """Nothing."""

    def clear(self) -> None:
        """Nothing is in the way."""


class Pace:
    """How fast a count grows, over the last ten seconds. A count that falls begins anew."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int]] = deque()

    def note(self, count: int, now: float) -> float | None:
        """Take a count at a time (seconds, any clock); the rate a second, None when it cannot be told yet."""
        samples = self._samples
        if samples and count < samples[-1][1]:
            samples.clear()
        samples.append((now, count))
        while len(samples) > 2 and now - samples[1][0] >= _WINDOW:
            samples.popleft()
        began, first = samples[0]
        return (count - first) / (now - began) if now - began >= _SHORTEST else None


def clock(seconds: float) -> str:
    """Seconds as m:ss, or h:mm:ss from an hour on, rounded up."""
    whole = max(0, math.ceil(seconds))
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def time_for(count: int, rate: float | None) -> float | None:
    """Seconds that the rest of a count takes at this rate; None when that cannot be told."""
    if count <= 0:
        return 0.0
    return count / rate if rate else None


def latest(times: Iterable[float | None]) -> float | None:
    """The longest of the times; None when one of them is not known."""
    longest = 0.0
    for time in times:
        if time is None:
            return None
        longest = max(longest, time)
    return longest
