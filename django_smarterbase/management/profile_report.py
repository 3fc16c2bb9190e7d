"""What ``sb_profile`` shows of a history on a terminal, and in a file or pipe."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Generic, Literal, TextIO, TypeVar

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from ..history import HistoryPage
from ..profiling import GroupSummary, QueryProfile, Summary
from .profile_wording import dollars, milliseconds, moment, printable, provenance, remarks, results, span, subject

#: How many single statements are shown below the table by method, unless all are asked for.
LISTED: Final = 20
_NARROWEST: Final = 14  # characters of a column of text that is folded
_UNLIMITED: Final = 10_000  # characters of a line that no terminal has to hold
_STYLES: Final = {"O(n)": "red", "FALLBACK": "yellow", "failed": "red"}

Row = TypeVar("Row")


def console_of(stream: TextIO, *, color: bool | None) -> Console:
    """A console on ``stream``. ``color`` None: as the terminal and the environment (NO_COLOR) say; False: no styles."""
    return Console(
        file=stream,
        width=None if stream.isatty() else _UNLIMITED,
        color_system=None if color is False else "auto",
        force_terminal=True if color else None,
        highlight=False,
        markup=False,
        emoji=False,
    )


def show(console: Console, database: str, page: HistoryPage, *, slow_ms: float, listed: int | None) -> None:
    """Figures over a page, a table by method, and the latest statements, as many as ``listed`` says (None: all)."""
    console.print(Text(provenance(database, page), style="bold"), soft_wrap=True)
    if page.dropped:
        console.print(f"Dropped before they could be sent: {page.dropped:,}", style="yellow", soft_wrap=True)
    if not page.profiles:
        console.print("No profiles.")
        return
    summary = page.summary(slow_ms)
    for line in _figures(page, summary):
        console.print(line, soft_wrap=True)
    console.print(_fitting(console, _by_method(), list(summary.by_method.items())))
    if listed == 0:
        return
    latest = page.profiles[:listed]
    console.print(f"The latest {len(latest):,} of {len(page.profiles):,} recorded", style="bold")
    day = latest[0].started_at - latest[-1].started_at >= timedelta(days=1)
    console.print(_fitting(console, _statements(day=day), latest))


def show_blocks(console: Console, profiles: Iterable[QueryProfile]) -> None:
    """Each profile with all that is known of it, the plan included."""
    for profile in profiles:
        lines = [f"{moment(profile.started_at)}  {subject(profile)}", profile.render(indent=2)]
        lines += [f"    - Plan: {line}" for line in profile.plan]
        lines += [f"    - Value: {value}" for value in profile.filter_values or ()]
        for line in "\n".join(lines).split("\n"):
            console.print(Text(printable(line)), soft_wrap=True)


def line_of(profile: QueryProfile) -> Text:
    """A statement in one line, as ``--follow`` shows it."""
    head = f"{moment(profile.started_at, day=False)} {milliseconds(profile.duration):>9} ms  {profile.method}: "
    found = f", {profile.complexity} by {profile.index_used}"
    counts = f", {profile.storage_ops.total:,} storage ops, results: {results(profile)}"
    notes = "".join(f"  [{remark}]" for remark in remarks(profile))
    return _styled(f"{head}{subject(profile)}{found}{counts}{notes}")


def _figures(page: HistoryPage, summary: Summary) -> list[Text]:
    sampled = f" (estimated from {summary.recorded:,} recorded)" if summary.recorded != summary.total else ""
    return [
        Text(f"Statements: {summary.total:,}{sampled}, from {span(page)}"),
        Text(
            f"Slow ({summary.slow_ms:g} ms or more): {summary.slow:,}, full scans: {summary.full_scans:,}, "
            f"fallbacks: {summary.fallbacks:,}, failed: {summary.failed:,}"
        ),
        Text(
            f"Duration: average {milliseconds(summary.average)} ms, p50 {milliseconds(summary.p50)} ms, "
            f"p95 {milliseconds(summary.p95)} ms, p99 {milliseconds(summary.p99)} ms. "
            f"Cost: {dollars(summary.cost_usd)}"
        ),
    ]


@dataclass(frozen=True, slots=True)
class _Column(Generic[Row]):
    """A column of a table. On a narrow terminal the columns of the highest ``rank`` give way first.

    ``folds`` says that a long text may go on in the next line.
    """

    title: str
    cell: Callable[[Row], str]
    rank: int
    justify: Literal["left", "right"] = "right"
    folds: bool = False


_Group = tuple[str, GroupSummary]


def _by_method() -> list[_Column[_Group]]:
    return [
        _Column("Method", lambda row: row[0], 0, "left", folds=True),
        _Column("Count", lambda row: f"{row[1].count:,}", 2),
        _Column("Average ms", lambda row: milliseconds(row[1].average_ms), 3),
        _Column("p95 ms", lambda row: milliseconds(row[1].p95_ms), 1),
        _Column("Complexity", lambda row: row[1].complexity, 5, "left"),
        _Column("Index used", lambda row: row[1].index_used, 4, "left", folds=True),
        _Column("Storage ops", lambda row: f"{row[1].storage_ops:,}", 6),
        _Column("Cost", lambda row: dollars(row[1].cost_usd), 7),
    ]


def _statements(*, day: bool) -> list[_Column[QueryProfile]]:
    return [
        _Column("Started", lambda profile: moment(profile.started_at, day=day), 3, "left"),
        _Column("ms", lambda profile: milliseconds(profile.duration), 1),
        _Column("Method", lambda profile: profile.method, 0, "left", folds=True),
        _Column("Statement", subject, 5, "left", folds=True),
        _Column("Index used", lambda profile: profile.index_used, 4, "left", folds=True),
        _Column("Storage ops", lambda profile: f"{profile.storage_ops.total:,}", 6),
        _Column("Results", results, 7),
        _Column("Remarks", lambda profile: "; ".join(remarks(profile)), 2, "left", folds=True),
    ]


def _fitting(console: Console, columns: Sequence[_Column[Row]], rows: Sequence[Row]) -> Table:
    """A table with as many of the columns as fit in the console's width."""
    while True:
        table = _table(columns, rows)
        needed = Measurement.get(console, console.options.update(width=_UNLIMITED), table).minimum
        if needed <= console.width or len(columns) == 1:
            return table
        last = max(column.rank for column in columns)
        columns = [column for column in columns if column.rank != last]


def _table(columns: Sequence[_Column[Row]], rows: Sequence[Row]) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold")
    cells = [[column.cell(row) for row in rows] for column in columns]
    for column, texts in zip(columns, cells, strict=True):
        longest = max(map(cell_len, [column.title, *texts]))
        table.add_column(
            column.title,
            justify=column.justify,
            no_wrap=not column.folds,
            overflow="fold",
            min_width=min(longest, _NARROWEST) if column.folds else longest,
        )
    for line in zip(*cells, strict=True):
        table.add_row(*map(_styled, line))
    return table


def _styled(words: str) -> Text:
    text = Text(printable(words))
    for word, style in _STYLES.items():
        text.highlight_words([word], style)
    return text
