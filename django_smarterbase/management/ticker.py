"""What a long command is doing right now: one line on a terminal, nothing elsewhere."""

from __future__ import annotations

import shutil
import time
from typing import Final, TextIO

_EVERY: Final = 0.1  # seconds


class Ticker:
    """A line that is drawn again in its place, ten times a second at most. ``stream`` None draws nothing."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self._next = 0.0
        self._drawn = False

    def say(self, text: str) -> None:
        """Show ``text``, cut to the width of the terminal."""
        if self._stream is None or time.monotonic() < self._next:
            return
        self._next = time.monotonic() + _EVERY
        width = shutil.get_terminal_size().columns
        self._stream.write(f"\r\x1b[K{text[: max(1, width - 1)]}")
        self._stream.flush()
        self._drawn = True

    def clear(self) -> None:
        """Wipe the line."""
        if self._stream is not None and self._drawn:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
            self._drawn = False
