"""``docs/CONFORMANCE.md``: what Django's tests came to, a section for each storage that they were run on.

A run replaces the section of its own storage, and leaves the other sections and the text around them as they are.
"""

from __future__ import annotations

import re
import sqlite3
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import django

from tests.conformance.comparison import Comparison
from tests.conformance.outcomes import FAILURES, AppRun, Outcome
from tests.conformance.report import Results, beyond_lines, comparisons, lost_lines, statements
from tests.conformance.runs import Column, Storage
from tests.conformance.source import ROOT

DOCUMENT = ROOT / "docs" / "CONFORMANCE.md"

_COLUMNS = (Column.STOCK, Column.REDIS, Column.NO_CACHE, Column.OUTAGES)
_NAMES = {
    Column.STOCK: "stock SQLite",
    Column.REDIS: "Redis",
    Column.NO_CACHE: "no cache",
    Column.OUTAGES: "outages",
}
#: The storages that have a section.
SECTIONS = (Storage.MEMORY, Storage.S3)
_NOT_RUN = "not run"
_EARLIER = " †"

Compared = Mapping[tuple[str, Column], Comparison]


@dataclass(frozen=True)
class Facts:
    """What is told about the runs of a section: how they were started, and from which code."""

    storage: Storage
    command: str
    state: str
    day: date


def write(results: Results, facts: Facts, document: Path = DOCUMENT) -> None:
    """Put the section of these results in its place. Raises ValueError when the document has no place for it."""
    begin, end = (f"<!-- {word} {facts.storage} -->" for word in ("begin", "end"))
    text = document.read_text(encoding="utf-8")
    before, found, rest = text.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"{document} has no section between {begin} and {end}.")
    document.write_text(f"{before}{begin}\n\n{section(results, facts)}\n\n{end}{after}", encoding="utf-8")


def section(results: Results, facts: Facts) -> str:
    """The section as Markdown."""
    compared = comparisons(results)
    parts = [
        _facts(results, facts),
        _totals(results, compared),
        _statements(results),
        "### Skips beyond stock SQLite's",
        _accepted(compared),
        "### Lost tests",
        _listed(lost_lines(compared)),
        "### Failing where stock SQLite skips",
        _listed(beyond_lines(compared)),
        "### App by app",
        "Passed / failed / skipped, and in bold what is lost. Tests that are expected to fail are in none of them.",
        _table(results, compared),
    ]
    return "\n\n".join(parts)


def _facts(results: Results, facts: Facts) -> str:
    seconds = sum(run.seconds for runs in results.values() for column, run in runs.items() if column in _COLUMNS)
    python = ".".join(map(str, sys.version_info[:3]))
    lines = [
        f"- `{facts.command}`, {facts.day:%Y-%m-%d}",
        f"- Django {django.__version__}, Python {python}, SQLite {sqlite3.sqlite_version}, {len(results)} apps",
        f"- state of the code `{facts.state}`",
        f"- the processes took {_duration(seconds)} in all, one after the other",
    ]
    if earlier := sum(run.earlier for runs in results.values() for run in runs.values()):
        lines.append(f"- of an earlier state of the code, marked{_EARLIER}: {earlier} results")
    return "\n".join(lines)


def _duration(seconds: float) -> str:
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def _totals(results: Results, compared: Compared) -> str:
    rows = []
    for column in _columns(results):
        runs = [each[column] for each in results.values() if column in each]
        figures = sum((_figures(run) for run in runs), Counter[str]())
        lost = sum(len(compared[app, column].lost) for app in results if (app, column) in compared)
        outages = sum(run.outages for run in runs)
        numbers = [figures[name] for name in ("planned", "passed", "failed", "skipped", "expected")]
        cells = [_NAMES[column], f"**{lost:,}**" if column.engine else "", str(len(runs))]
        cells += [*(f"{number:,}" for number in numbers), f"{outages:,}" if outages else ""]
        rows.append(cells)
    heading = ["", "lost", "apps", "planned", "passed", "failed", "skipped", "expected failures", "Redis killed"]
    return _markdown(heading, rows)


def _statements(results: Results) -> str:
    lines = statements(results).splitlines()
    return "\n".join([lines[0], "", *(f"- {line.strip()}" for line in lines[1:])])


def _table(results: Results, compared: Compared) -> str:
    rows = []
    for app, runs in results.items():
        planned = max(len(run.tests) for run in runs.values()) if runs else 0
        cells = [_cell(runs.get(column), compared.get((app, column))) for column in _columns(results)]
        outages = runs[Column.OUTAGES].outages if Column.OUTAGES in runs else ""
        rows.append([f"`{app}`", str(planned), *cells, str(outages)])
    return _markdown(["app", "planned", *(_NAMES[column] for column in _columns(results)), "Redis killed"], rows)


def _columns(results: Results) -> list[Column]:
    """The columns in which at least one app was run."""
    return [column for column in _COLUMNS if any(column in runs for runs in results.values())]


def _cell(run: AppRun | None, comparison: Comparison | None) -> str:
    if run is None:
        return _NOT_RUN
    figures = _figures(run)
    cell = f"{figures['passed']} / {figures['failed']} / {figures['skipped']}"
    lost = len(comparison.lost) if comparison is not None else 0
    cell += _EARLIER if run.earlier else ""
    return cell + (f" **{lost} lost**" if lost else "") + (" (broken off)" if run.broken else "")


def _figures(run: AppRun) -> Counter[str]:
    counts = run.counts()
    failed = sum(counts[outcome] for outcome in (*FAILURES, Outcome.NOT_RUN)) + len(run.strays)
    return Counter(
        planned=len(run.tests),
        passed=counts[Outcome.PASSED],
        failed=failed,
        skipped=counts[Outcome.SKIPPED],
        expected=counts[Outcome.EXPECTED_FAILURE],
    )


def _accepted(compared: Compared) -> str:
    reasons: dict[str, dict[str, list[Column]]] = {}
    for (_, column), comparison in compared.items():
        for reason, tests in comparison.accepted.items():
            for test in tests:
                reasons.setdefault(reason, {}).setdefault(test, []).append(column)
    return "\n".join(_reasons(reasons)) or "None."


def _reasons(reasons: Mapping[str, Mapping[str, Sequence[Column]]]) -> Iterator[str]:
    for reason, tests in sorted(reasons.items()):
        yield f"- {reason}"
        yield from (f"    - `{test}`" for test in sorted(tests))


def _listed(lines: Iterable[str]) -> str:
    return "\n".join(f"- {_harmless(line)}" for line in lines) or "None."


def _harmless(line: str) -> str:
    """As Markdown takes it literally: messages hold brackets, stars and tags."""
    return re.sub(r"([\\`*_\[\]<>|{}])", r"\\\1", line)


def _markdown(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
