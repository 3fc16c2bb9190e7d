"""What a run of the fault tests did, so that an empty run is visible."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any


class Tally:
    """Counts under ``(test, what)``; printed at the end of the test run. Thread-safe."""

    def __init__(self) -> None:
        self._counts: dict[str, Counter[str]] = {}
        self._notes: dict[str, list[str]] = {}
        self._lock = threading.Lock()

    def count(self, test: str, what: str, times: int = 1) -> None:
        """``what`` was done so many times."""
        with self._lock:
            self._counts.setdefault(test, Counter())[what] += times

    def note(self, test: str, text: str) -> None:
        """A line of its own."""
        with self._lock:
            self._notes.setdefault(test, []).append(text)

    def of(self, test: str) -> Counter[str]:
        """What was counted for a test so far."""
        with self._lock:
            return Counter(self._counts.get(test, Counter()))

    def as_dict(self) -> dict[str, Any]:
        """What ``add`` understands, of types that go from process to process."""
        with self._lock:
            return {"counts": {test: dict(counts) for test, counts in self._counts.items()}, "notes": {**self._notes}}

    def add(self, other: dict[str, Any]) -> None:
        """Add what another process did."""
        for test, counts in other["counts"].items():
            for what, times in counts.items():
                self.count(test, what, times)
        for test, notes in other["notes"].items():
            for text in notes:
                self.note(test, text)

    def lines(self) -> list[str]:
        """The report."""
        lines = []
        for test in sorted({*self._counts, *self._notes}):
            lines.append(test)
            counts = sorted(self._counts.get(test, Counter()).items())
            lines += [f"    {count:>7,}  {what}" for what, count in counts]
            lines += [f"    {note}" for note in self._notes.get(test, [])]
        return lines


TALLY = Tally()
