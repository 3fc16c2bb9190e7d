"""The table, the accepted reasons and the lost tests, as text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from tests.conformance.comparison import Comparison, Lost, compare, unknown_skips
from tests.conformance.outcomes import AppRun, Outcome
from tests.conformance.runs import Column

Results = Mapping[str, Mapping[Column, AppRun]]  # by app, in the order of the table

_WITH_REDIS = (Column.REDIS, Column.OUTAGES)
_FIGURES = ("plan", "pass", "fail", "err", "skip", "xfail")


def comparisons(results: Results) -> dict[tuple[str, Column], Comparison]:
    """Every engine column of every app, held against stock SQLite's."""
    return {
        (app, column): compare(runs[Column.STOCK], runs[column])
        for app, runs in results.items()
        for column in Column
        if column.engine and column in runs and Column.STOCK in runs
    }


def setup_losses(results: Results) -> dict[str, tuple[Lost, ...]]:
    """``{app: tests}`` that SQLite passes as it is and does not pass under the commit set-up."""
    return {
        app: compare(runs[Column.PLAIN], runs[Column.STOCK]).lost
        for app, runs in results.items()
        if Column.PLAIN in runs
    }


def table(results: Results, compared: Mapping[tuple[str, Column], Comparison]) -> str:
    """A line an app and a line of totals; each column has its figures, an engine's also its lost tests."""
    columns = [column for column in Column if any(column in runs for runs in results.values())]
    width = max(len(name) for name in (*results, "total"))
    heading = "  ".join(f"{column:^{_width(column)}}".rstrip().ljust(_width(column)) for column in columns)
    lines = [f"{'':{width}}  {heading}".rstrip(), f"{'app':{width}}  " + "  ".join(map(_names, columns))]
    totals = {column: Counter[str]() for column in columns}
    for app, runs in results.items():
        cells = {column: Counter[str]() for column in columns}
        for column, run in runs.items():
            cells[column] = _figures(run, compared.get((app, column)))
            totals[column].update(cells[column])
        lines.append(f"{app:{width}}  " + "  ".join(_cells(column, cells[column]) for column in columns))
    lines.append(f"{'total':{width}}  " + "  ".join(_cells(column, totals[column]) for column in columns))
    return "\n".join(lines)


def accepted(compared: Mapping[tuple[str, Column], Comparison]) -> str:
    """The accepted reasons, each with the number of its tests in every column."""
    reasons: dict[str, Counter[Column]] = {}
    for (_, column), comparison in compared.items():
        for reason, tests in comparison.accepted.items():
            reasons.setdefault(reason, Counter())[column] += len(tests)
    lines = ["Skips accepted beyond stock SQLite's:"]
    for reason, numbers in sorted(reasons.items()):
        where = ", ".join(f"{numbers[column]} ({column})" for column in Column if column in numbers)
        lines.append(f"  - {reason} {where}")
    return "\n".join(lines if reasons else [*lines, "  none"])


def lost_lines(compared: Mapping[tuple[str, Column], Comparison], limit: int | None = None) -> list[str]:
    """A line a lost test, at most ``limit``."""
    lines = [_lost_line(column, lost) for column, lost in _lost(compared)]
    return lines[:limit]


def beyond_lines(compared: Mapping[tuple[str, Column], Comparison]) -> list[str]:
    """A line for each test that fails on the engine where stock SQLite skips it."""
    return [_lost_line(column, test) for (_, column), comparison in compared.items() for test in comparison.beyond]


def log(compared: Mapping[tuple[str, Column], Comparison]) -> str:
    """Every lost test with its traceback."""
    return "".join(f"{_lost_line(column, lost)}\n{lost.traceback}\n" for column, lost in _lost(compared))


def broken_lines(results: Results) -> list[str]:
    """The runs that did not reach their end, and those and the columns that prove nothing."""
    lines = []
    for app, runs in results.items():
        for column, run in runs.items():
            if run.broken:
                lines.append(f"{app} on {column}: {run.broken}")
            elif not run.tests:
                lines.append(f"{app} on {column}: it planned no tests")
            elif column is Column.OUTAGES and run.statements.get("statements") and not run.outages:
                lines.append(f"{app} on {column}: it saw no outage")
    for column in _WITH_REDIS:
        figures = figures_of(results, column)
        if figures["statements"] and not figures["Redis round trips"]:
            lines.append(f"{column}: Redis took no part in it")
    return lines


def figures_of(results: Results, column: Column) -> Counter[str]:
    """What the profiles of a column's runs add up to, by the names of ``census``."""
    figures = Counter[str]()
    for runs in results.values():
        figures.update(runs[column].statements if column in runs else {})
    return figures


def unknown_lines(results: Results) -> list[str]:
    """A line for each skip of the engine's features that names no test of Django."""
    unknown = {
        test
        for runs in results.values()
        for column, run in runs.items()
        if column.engine and not run.broken and Column.STOCK in runs
        for test in unknown_skips(runs[Column.STOCK], run)
    }
    return sorted(unknown)


def statements(results: Results) -> str:
    """How the engine answered its statements, a line a column: what the profiles of all runs add up to."""
    lines = []
    for column in filter(lambda column: column.engine, Column):
        if figures := figures_of(results, column):
            counted = ", ".join(f"{number:,} {name}" for name, number in figures.items())
            lines.append(f"  {column}: {counted}")
    return "\n".join(["Statements of the engine:", *(lines or ["  none"])])


def summary(run: AppRun, comparison: Comparison | None) -> str:
    """A run in a few words, for the line of progress."""
    figures = _figures(run, comparison)
    words = f"{figures['pass']} of {figures['plan']} passed"
    if comparison is not None:
        words += f", {figures['lost']} lost"
    if run.outages:
        words += f", {run.outages} outages"
    return f"{words}, {run.seconds:.1f} s" + (f" ({run.broken})" if run.broken else "")


def _lost(compared: Mapping[tuple[str, Column], Comparison]) -> Iterable[tuple[Column, Lost]]:
    return ((column, lost) for (_, column), comparison in compared.items() for lost in comparison.lost)


def _lost_line(column: Column, lost: Lost) -> str:
    return f"[{column}] {lost.test}: {lost.outcome}: {lost.detail}"


def _figures(run: AppRun, comparison: Comparison | None) -> Counter[str]:
    counts = run.counts()
    figures = Counter(
        {
            "plan": len(run.tests),
            "pass": counts[Outcome.PASSED],
            "fail": counts[Outcome.FAILED] + counts[Outcome.UNEXPECTED_SUCCESS],
            "err": counts[Outcome.ERROR] + counts[Outcome.NOT_RUN] + len(run.strays),
            "skip": counts[Outcome.SKIPPED],
            "xfail": counts[Outcome.EXPECTED_FAILURE],
        }
    )
    figures["lost"] = len(comparison.lost) if comparison is not None else 0
    return figures


def _headings(column: Column) -> Sequence[str]:
    return (*_FIGURES, "lost") if column.engine else _FIGURES


def _names(column: Column) -> str:
    return " ".join(f"{name:>5}" for name in _headings(column))


def _cells(column: Column, figures: Mapping[str, int]) -> str:
    return " ".join(f"{figures[name]:>5}" for name in _headings(column))


def _width(column: Column) -> int:
    return len(_names(column))
