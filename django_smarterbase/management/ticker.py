"""What a long command is doing right now: one line on a terminal, nothing elsewhere."""

from __future__ import annotations

import enum
import shutil
import time
from dataclasses import dataclass
from typing import Final, Protocol, TextIO

_EVERY: Final = 0.1  # seconds


class Stage(enum.StrEnum):
    """What a check is at."""

    DOCUMENTS = "documents"
    CLAIMS = "claims"
    TRANSACTIONS = "transactions"
    WAITING = "waiting"


@dataclass(frozen=True, slots=True)
class Activity:
    """``subject`` is a model's label or a database's alias; ``number`` counts documents or claims, or is seconds."""

    stage: Stage
    subject: str = ""
    number: int = 0

    def __str__(self) -> str:
        if self.stage is Stage.WAITING:
            return f"waiting {self.number} s to see whether what looks abandoned is"
        number = f" {self.number:,}" if self.number else ""
        return f"{self.subject}: {self.stage}{number}"


class Ticker(Protocol):
    """Is told again and again what goes on."""

    def say(self, activity: Activity) -> None:
        """This goes on now. Called many times a second."""

    def clear(self) -> None:
        """Make room for other output."""


class LineTicker:
    """A line that is drawn again in its place, ten times a second at most. ``stream`` None draws nothing."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self._next = 0.0
        self._drawn = False

    def say(self, activity: Activity) -> None:
        """Show it, cut to the width of the terminal."""
        if self._stream is None or time.monotonic() < self._next:
            return
        self._next = time.monotonic() + _EVERY
        width = shutil.get_terminal_size().columns
        self._stream.write(f"\r\x1b[K{str(activity)[: max(1, width - 1)]}")
        self._stream.flush()
        self._drawn = True

    def clear(self) -> None:
        """Wipe the line."""
        if self._stream is not None and self._drawn:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
            self._drawn = False
