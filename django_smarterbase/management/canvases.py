"""Where views are shown: drawn again and again on a terminal, as lines now and then elsewhere."""

from __future__ import annotations

import time
from typing import Final, TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from .view import Canvas, NoCanvas, Row, View, clock

#: Seconds between two lines where there is no terminal, by verbosity.
EVERY: Final = {1: 30.0, 2: 10.0, 3: 10.0}
_WIDE: Final = 72  # characters of a terminal on which everything has room
_MIDDLE: Final = 50  # ... on which a bar has
_PER_SECOND: Final = 5
_SHORTEST_BAR: Final = 8
_LONGEST_BAR: Final = 40
_SHORTEST_NAME: Final = 6
_LESS: Final = 3  # lines of a terminal that are left for other things
_ROOM: Final = 6  # characters beside the last line: the spinner, and "^C", which must not begin another line


def canvas_on(stream: TextIO, *, verbosity: int, no_color: bool, quiet: bool = False) -> Canvas:
    """The canvas for a stream. NO_COLOR in the environment is heeded. ``quiet``: nothing where there is no terminal,
    unless verbosity asks for more than usual.
    """
    if verbosity < 1:
        return NoCanvas()
    console = Console(file=stream, no_color=True if no_color else None, highlight=False, markup=False, emoji=False)
    if stream.isatty() and not console.is_dumb_terminal:
        return Screen(console)
    return NoCanvas() if quiet and verbosity < 2 else Lines(stream, EVERY[verbosity], phases=verbosity > 1)


class Screen:
    """A few lines of a terminal that are drawn again in their place, and wiped when there is room to be made."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Live | None = None
        self._view: View | None = None
        self._spinner = Spinner("line")

    def draw(self, view: View) -> None:
        """Show this from now on."""
        self._view = view
        if self._live is None:
            self._live = Live(
                console=self._console,
                get_renderable=self._picture,
                refresh_per_second=_PER_SECOND,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._live.start(refresh=True)

    def clear(self) -> None:
        """Wipe it; the next view is drawn anew."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _picture(self) -> RenderableType:
        if self._view is None:
            return ""
        rows = sorted(self._view.rows, key=_urgency)
        most = max(1, self._console.height - _LESS)
        more = [Text(f"and {len(rows) - most} more tables")] if len(rows) > most else []
        width = self._console.width
        self._spinner.text = _cut(self._view.sentence, width - _ROOM)
        return Group(_table(rows[:most], width), *more, self._spinner)


class Lines:
    """A line every so often; with ``phases`` one more whenever a table enters another stage."""

    def __init__(self, stream: TextIO, every: float, *, phases: bool) -> None:
        self._stream = stream
        self._every = every
        self._phases = phases
        self._next = time.monotonic() + every
        self._stages: dict[str, str] = {}

    def draw(self, view: View) -> None:
        """Write what is due."""
        for row in view.rows:
            if self._phases and self._stages.get(row.name) != row.stage:
                self._stages[row.name] = row.stage
                self._write(f"{row.name}: {_in_words(row)}")
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + self._every
        slowest = min(view.rows, key=_urgency, default=None)
        self._write(f"{view.sentence}{f'; {slowest.name}: {_in_words(slowest)}' if slowest is not None else ''}")

    def clear(self) -> None:
        """Nothing is in the way."""

    def _write(self, line: str) -> None:
        self._stream.write(f"{line}\n")
        self._stream.flush()


def _urgency(row: Row) -> tuple[int, float]:
    """First the tables of which nobody knows how long they take, then those that take longest."""
    return (0, 0.0) if row.left is None else (1, -row.left)


def _in_words(row: Row) -> str:
    parts = [f"{row.stage} {row.counts}".strip()]
    if row.rate is not None:
        parts.append(_rate(row))
    if row.left is not None:
        parts.append(f"{clock(row.left)} left")
    return ", ".join(parts)


def _rate(row: Row) -> str:
    return "" if row.rate is None else f"{row.rate:,.0f}/s"


def _table(rows: list[Row], width: int) -> Table:
    """A line for each row, with as much as has room: the time left first of all, the name cut last but one."""
    texts = [_texts(row, width) for row in rows]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)] or [0]
    bar = width >= _MIDDLE
    free = width - 1 - sum(widths) - len(widths) - (bar and _SHORTEST_BAR + 1)
    widths[0] = max(_SHORTEST_NAME, widths[0] + min(0, free))
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True, overflow="ellipsis", width=widths[0])
    if bar:
        table.add_column(width=min(_LONGEST_BAR, _SHORTEST_BAR + max(0, free)))
    for number in range(1, len(widths)):
        table.add_column(no_wrap=True, justify="left" if number < len(widths) - 2 else "right", width=widths[number])
    for row, (name, *others) in zip(rows, texts, strict=True):
        drawn = ProgressBar(total=None if row.part is None else 1.0, completed=row.part or 0.0)
        table.add_row(name, *([drawn] if bar else []), *others)
    return table


def _texts(row: Row, width: int) -> list[str]:
    left = "" if row.left is None else clock(row.left)
    if width >= _WIDE:
        return [row.name, f"{row.stage} {row.counts}".strip(), _rate(row), left]
    part = "" if row.part is None else f"{row.part:.0%}"
    return [row.name, left or row.counts] if width >= _MIDDLE else [row.name, part or row.counts, left]


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: max(0, width - 1)]}…"
