"""How long the runs that are still to come will take."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Mapping


class Pace:
    """Reckons from how long each run took the last time, and how long it takes now.

    ``expected`` are the former, in seconds; None for a run that was never made, which is taken to be as long as the
    average of those known.
    """

    def __init__(self, expected: Mapping[Hashable, float | None], clock: Callable[[], float] = time.monotonic) -> None:
        known = [seconds for seconds in expected.values() if seconds is not None]
        average = sum(known) / len(known) if known else 1.0
        self._left = {run: average if seconds is None else seconds for run, seconds in expected.items()}
        self._done = 0.0
        self._clock = clock
        self._began = clock()

    def ended(self, run: Hashable) -> None:
        """This run is over."""
        self._done += self._left.pop(run)

    @property
    def left(self) -> float:
        """Seconds until the last run is over, if the others go on at the speed of those that are over."""
        if not self._done:
            return sum(self._left.values())
        return sum(self._left.values()) * (self._clock() - self._began) / self._done

    def __str__(self) -> str:
        minutes, seconds = divmod(round(self.left), 60)
        return f"{minutes} min left" if minutes else f"{seconds} s left"
