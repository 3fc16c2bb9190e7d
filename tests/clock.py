"""A clock that stands still, for modules that wait or look at the time."""

from __future__ import annotations


class Clock:
    """Stands for the module ``time``: it goes on only while somebody sleeps, or when a test moves it."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        """Seconds."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Go on at once."""
        self.now += seconds
