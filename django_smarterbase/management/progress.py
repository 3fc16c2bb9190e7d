"""How far a reindex has come: a bar on a terminal, lines of text elsewhere."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Sequence
from typing import Final, Protocol, TextIO

from .reindex import Work

_BAR: Final = 24  # characters
_ALMOST: Final = 0.99


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


class Bar:
    """One line that is drawn again in its place."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._drawn = False

    def show(self, works: Sequence[Work]) -> None:
        """Draw the line, cut to the width of the terminal."""
        now, width = time.monotonic(), shutil.get_terminal_size().columns
        filled = round(_BAR * sum(part_done(work, now) for work in works) / max(1, len(works)))
        line = f"[{'#' * filled}{'-' * (_BAR - filled)}] {_sentence(works, now)}"
        self._stream.write(f"\r\x1b[K{line[: max(1, width - 1)]}")
        self._stream.flush()
        self._drawn = True

    def clear(self) -> None:
        """Wipe the line."""
        if self._drawn:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
            self._drawn = False


class Lines:
    """A line for each phase that a table enters."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._entering: dict[str, bool] = {}

    def show(self, works: Sequence[Work]) -> None:
        """Write what is new."""
        for work in works:
            name, entering = f"{work.task.schema.label} ({work.task.database})", work.total is None
            if work.began is None or work.ended or self._entering.get(name) is entering:
                continue
            self._entering[name] = entering
            waiting = f"documents entered: {work.done:,}; {_waiting([work], time.monotonic())}"
            self._stream.write(f"{name}: {'entering its documents' if entering else waiting}\n")
            self._stream.flush()

    def clear(self) -> None:
        """Nothing is in the way."""


def part_done(work: Work, now: float) -> float:
    """How much of a table's rebuild is done, from 0 to 1: what is known of the time and the documents that it takes.

    It takes at least the write deadline, and has to enter as many documents as the index held, if it held any.
    """
    if work.ended:
        return 1.0
    if work.began is None:
        return 0.0
    parts = [(now - work.began) / work.task.deadline, _ALMOST]
    expected = work.task.state.documents
    if work.total is None and expected:
        parts.append(work.done / expected)
    return max(0.0, min(parts))


def _sentence(works: Sequence[Work], now: float) -> str:
    ended = sum(work.ended for work in works)
    documents = sum(work.done for work in works)
    sentence = f"tables {ended}/{len(works)}, documents {documents:,}"
    current = [work for work in works if work.began is not None and not work.ended]
    reading = [work for work in current if work.total is None]
    if reading:
        return f"{sentence}; entering those of {reading[0].task.schema.label}"
    return f"{sentence}; {_waiting(current, now)}" if current else sentence


def _waiting(works: Sequence[Work], now: float) -> str:
    """The phase in which a rebuild lets the writers end that do not know of it, then mends what they changed."""
    left = max((work.began or now) + work.task.deadline - now for work in works)
    return f"waiting {math.ceil(left)} s for writers" if left > 0 else "comparing again"
