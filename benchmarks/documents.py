"""Writes what was measured into the documents, between marks, so that no figure in them is copied by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks import costs, plot
from benchmarks.engines import OBJECTS, SQLITE, TITLES
from benchmarks.kept import ROOT, SizeResults
from benchmarks.report import Results, timed
from benchmarks.text import markdown, multiple, time_of

PERFORMANCE: Final = ROOT / "docs" / "PERFORMANCE.md"
COSTS: Final = ROOT / "docs" / "explanation" / "costs.md"
PLOT: Final = ROOT / "docs" / "images" / "scaling.svg"


def write(results: Results) -> list[Path]:
    """Replace the parts that this run has measured; returns the files that were written."""
    written = []
    sizes = [size for size in results.sizes if size.timings]
    if sizes:
        replace_part(PERFORMANCE, "peers", _peers(results, sizes))
        replace_part(PERFORMANCE, "targets", _targets(results))
        written.append(PERFORMANCE)
    if len(sizes) > 1:
        PLOT.write_text(plot.drawn(sizes))
        written.append(PLOT)
    if results.costs:
        replace_part(COSTS, "costs", costs.as_markdown(results.costs))
        written.append(COSTS)
    return written


def part_of(file: Path, name: str) -> str:
    """The text between the marks of a part. Raises ValueError when the file does not have them."""
    start, end = _marks(name)
    return file.read_text().split(start, 1)[1].split(end, 1)[0].strip("\n")


def replace_part(file: Path, name: str, text: str) -> None:
    """Put ``text`` between the marks of a part. Raises ValueError when the file does not have them."""
    start, end = _marks(name)
    before, marked, rest = file.read_text().partition(start)
    _, ended, after = rest.partition(end)
    if not marked or not ended:
        raise ValueError(f"{file.name} has no part {name!r}: it would stand between {start} and {end}.")
    file.write_text(f"{before}{start}\n\n{text}\n\n{end}{after}")


def _marks(name: str) -> tuple[str, str]:
    return f"<!-- measured: {name} -->", f"<!-- end of {name} -->"


def _peers(results: Results, sizes: Sequence[SizeResults]) -> str:
    rows = [["", "", *(f"{size.documents:,}" for size in sizes)]]
    for operation, alias in timed(sizes):
        cells = (_cell(size, operation.key, alias) for size in sizes)
        rows.append([operation.title if alias == OBJECTS else "", TITLES[alias], *cells])
    facts = "; ".join(f"{name}: {value}" for name, value in results.facts.items())
    return f"{markdown(rows)}\n\n{facts}."


def _cell(size: SizeResults, key: str, alias: str) -> str:
    timings = size.timings.get(key, {})
    if alias not in timings:
        return ""
    median = timings[alias].median
    if alias == SQLITE or SQLITE not in timings:
        return time_of(median)
    return f"{time_of(median)} ({multiple(median / timings[SQLITE].median).removeprefix('x')})"


def _targets(results: Results) -> str:
    rows = [["target", "measured", "at most", ""]]
    for each in results.verdicts:
        rows.append([each.name, f"{each.figure:.2f}", f"{each.limit:.3g}", "met" if each.is_met else "**missed**"])
    return markdown(rows)
