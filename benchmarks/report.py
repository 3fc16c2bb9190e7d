"""The figures as tables for people, or as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.costs import Cost, as_table
from benchmarks.engines import OBJECTS, SQLITE, TITLES
from benchmarks.kept import SizeResults
from benchmarks.memory import Footprint
from benchmarks.operations import OPERATIONS
from benchmarks.restart import Restart
from benchmarks.rounds import Timing
from benchmarks.targets import Verdict, of_sizes
from benchmarks.text import multiple, table, time_of

_GROWTH = 1.15  # what a peak may differ by without having grown: allocators round


@dataclass
class Results:
    """Everything that one run has found."""

    sizes: list[SizeResults] = field(default_factory=list)
    footprints: list[Footprint] = field(default_factory=list)
    restarts: list[Restart] = field(default_factory=list)
    costs: list[Cost] = field(default_factory=list)
    facts: dict[str, str] = field(default_factory=dict)

    @property
    def verdicts(self) -> list[Verdict]:
        """Whether the targets of what was measured are met."""
        found = of_sizes(self.sizes)
        if len(self.footprints) > 1:
            small, large = self.footprints[0], self.footprints[-1]
            name = "reindex, peak of the large table to the small one's"
            found.append(Verdict(name, large.peak / small.peak, _GROWTH))
        read_again = "documents read again after a restart of Redis"
        return [*found, *(Verdict(read_again, each.again.read, 0) for each in self.restarts)]


def as_json(results: Results) -> str:
    """One JSON object; times in milliseconds, memory in MiB, costs in US dollars for a million."""
    found = {
        "facts": results.facts,
        "sizes": [_size_as_json(size) for size in results.sizes],
        "reindex_memory": [asdict(each) for each in results.footprints],
        "restarts": [asdict(each) for each in results.restarts],
        "costs": [asdict(each) for each in results.costs],
        "targets": [{**asdict(each), "met": each.is_met} for each in results.verdicts],
    }
    return json.dumps(found, indent=2)


def _size_as_json(size: SizeResults) -> dict[str, Any]:
    timings = {
        key: {
            alias: {
                "median": each.median,
                "quartiles": each.spread,
                "p95": each.p95,
                "fastest": each.fastest,
                "samples": len(each.samples),
            }
            for alias, each in engines.items()
        }
        for key, engines in size.timings.items()
    }
    return {
        "documents": size.documents,
        "facts": size.facts,
        "timings_ms": timings,
        "counts": {key: asdict(counts) for key, counts in size.counts.items()},
        "first_reindex": size.reindex,
        "everything_mib": size.everything,
        "left_out": size.left_out,
    }


def as_text(results: Results) -> str:
    """The tables."""
    parts = ["\n".join(f"{name + ':':<17}{value}" for name, value in results.facts.items())]
    for size in results.sizes:
        parts += _of_size(size)
    if len(results.sizes) > 1:
        parts.append(_scaling_table(results.sizes))
    if results.footprints:
        parts.append(_memory_table(results.footprints))
    if results.restarts:
        parts.append(_restart_table(results.restarts))
    if results.costs:
        parts.append(as_table(results.costs))
    if results.verdicts:
        parts.append("\n".join(["Targets", *(f"  {verdict}" for verdict in results.verdicts)]))
    return "\n\n".join(parts)


def _of_size(size: SizeResults) -> list[str]:
    parts = [
        f"Medians over {size.documents:,} articles of 1 KiB; in brackets the multiple of SQLite's time and, where there "
        "are more samples than one, the quartiles."
    ]
    for engines in dict.fromkeys(tuple(timings) for timings in size.timings.values()):
        parts.append(_timing_table(size, engines))
    if size.reindex:
        taken = f"In Redis: the index {size.reindex['mib']:.1f} MiB"
        everything = f", all in Redis {size.everything:.1f} MiB" if size.everything is not None else ""
        parts.append(f"{taken}{everything}. The first reindex took {size.reindex['seconds']:.1f} s.")
    if size.counts:
        parts.append(_count_table(size))
    return [*parts, *(f"Left out: {reason}" for reason in size.left_out)]


def _scaling_table(sizes: Sequence[SizeResults]) -> str:
    rows = [["Medians of smarterbase by documents", *(f"{size.documents:,}" for size in sizes)]]
    for operation in OPERATIONS:
        found = [size.timings.get(operation.key, {}).get(OBJECTS) for size in sizes]
        if any(found):
            rows.append([operation.title, *(time_of(timing.median) if timing else "" for timing in found)])
    return table(rows)


def _timing_table(size: SizeResults, engines: tuple[str, ...]) -> str:
    rows = [["", *(TITLES[alias] for alias in engines)]]
    for operation in OPERATIONS:
        timings = size.timings.get(operation.key)
        if timings is None or tuple(timings) != engines:
            continue
        base = timings[SQLITE].median if SQLITE in timings else None
        rows.append([operation.title, *(_cell(timings[alias], base) for alias in engines)])
    return table(rows)


def _cell(timing: Timing, base: float | None) -> str:
    times = [multiple(timing.median / base)] if base is not None else []
    if len(timing.samples) > 1:
        times.append("–".join(f"{each:.3g}" for each in timing.spread))
    return f"{time_of(timing.median)} ({', '.join(times)})" if times else time_of(timing.median)


def _count_table(size: SizeResults) -> str:
    rows = [["Requests on files and Redis", "reads", "writes", "listings", "system", "Redis round trips", ""]]
    for operation in OPERATIONS:
        if operation.key in size.counts:
            found = size.counts[operation.key]
            numbers = (found.reads, found.writes, found.lists, found.system, found.round_trips)
            rows.append([operation.title, *map(str, numbers), found.complexity])
    return table(rows)


def _memory_table(footprints: list[Footprint]) -> str:
    rows = [["Reindex in a process of its own", "seconds", "MiB before", "MiB at peak", "MiB in Redis"]]
    for each in footprints:
        figures = (each.seconds, each.before, each.peak, each.redis)
        rows.append([f"{each.documents} documents", *(f"{figure:.1f}" for figure in figures)])
    return table(rows)


def _restart_table(restarts: list[Restart]) -> str:
    rows = [["Reindex, and again after a restart of Redis", "documents", "read", "reused", "listings", "seconds"]]
    for each in restarts:
        for name, made in (("the first", each.first), (f"again (Redis loaded in {each.loading:.1f} s)", each.again)):
            figures = (made.documents, made.read, made.reused, made.listings)
            rows.append([name, *map(str, figures), f"{made.seconds:.1f}"])
    return table(rows)
