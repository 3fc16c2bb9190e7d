"""The figures as tables for people, or as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from benchmarks import bulk_reads, bulk_writes
from benchmarks.bulk_reads import Reading
from benchmarks.bulk_writes import Rate
from benchmarks.counts import Counts
from benchmarks.engines import OBJECTS, SQLITE, TITLES
from benchmarks.memory import Footprint
from benchmarks.operations import Operation
from benchmarks.restart import Restart
from benchmarks.rounds import Timings

_GROWTH = 1.15  # what a peak may differ by without having grown: allocators round


@dataclass
class Results:
    """Everything that one run has found."""

    facts: dict[str, str]
    documents: int
    rounds: int
    operations: tuple[Operation, ...]
    timings: Timings = field(default_factory=dict)
    counts: dict[str, Counts] = field(default_factory=dict)
    footprints: list[Footprint] = field(default_factory=list)
    restarts: list[Restart] = field(default_factory=list)
    readings: list[Reading] = field(default_factory=list)
    rates: list[Rate] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def as_json(results: Results) -> str:
    """One JSON object; times in milliseconds, memory in MiB."""
    timings = {
        key: {
            alias: {"median": each.median, "p95": each.p95, "fastest": each.fastest, "samples": len(each.samples)}
            for alias, each in engines.items()
        }
        for key, engines in results.timings.items()
    }
    found = {
        "facts": results.facts,
        "documents": results.documents,
        "rounds": results.rounds,
        "timings_ms": timings,
        "counts": {key: asdict(counts) for key, counts in results.counts.items()},
        "reindex_memory": [asdict(each) for each in results.footprints],
        "restarts": [asdict(each) for each in results.restarts],
        "bulk_reads": [asdict(each) for each in results.readings],
        "bulk_writes": [{**asdict(each), "ratio": each.ratio} for each in results.rates],
        "left_out": results.left_out,
    }
    return json.dumps(found, indent=2)


def as_text(results: Results) -> str:
    """The tables."""
    parts = ["\n".join(f"{name + ':':<17}{value}" for name, value in results.facts.items())]
    parts += [f"Left out: {reason}" for reason in results.left_out]
    if results.timings:
        parts.append(
            f"Medians over {results.documents} articles of 1 KiB, files and embedded Redis; in brackets the multiple "
            "of SQLite's time."
        )
        for engines in dict.fromkeys(tuple(timings) for timings in results.timings.values()):
            parts.append(_timing_table(results, engines))
    if results.counts:
        parts.append(_count_table(results))
    if results.footprints:
        parts.append(_memory_table(results.footprints))
    if results.restarts:
        parts.append(_restart_table(results.restarts))
    if results.readings:
        parts.append(_reading_table(results.readings))
    if results.rates:
        parts.append(_rate_table(results.rates))
    verdicts = _verdicts(results)
    if verdicts:
        parts.append("\n".join(["Targets", *verdicts]))
    return "\n\n".join(parts)


def _timing_table(results: Results, engines: tuple[str, ...]) -> str:
    rows = [["", *(TITLES[alias] for alias in engines)]]
    for operation in results.operations:
        timings = results.timings.get(operation.key)
        if timings is None or tuple(timings) != engines:
            continue
        base = timings[SQLITE].median if SQLITE in timings else None
        rows.append([operation.title, *(_cell(timings[alias].median, base) for alias in engines)])
    return _table(rows)


def _count_table(results: Results) -> str:
    rows = [["Requests on files and Redis", "reads", "writes", "listings", "system", "Redis round trips", ""]]
    for operation in results.operations:
        if operation.key in results.counts:
            found = results.counts[operation.key]
            numbers = (found.reads, found.writes, found.lists, found.system, found.round_trips)
            rows.append([operation.title, *map(str, numbers), found.complexity])
    return _table(rows)


def _memory_table(footprints: list[Footprint]) -> str:
    rows = [["Reindex in a process of its own", "seconds", "MiB before", "MiB at peak", "MiB in Redis"]]
    for each in footprints:
        figures = (each.seconds, each.before, each.peak, each.redis)
        rows.append([f"{each.documents} documents", *(f"{figure:.1f}" for figure in figures)])
    return _table(rows)


def _restart_table(restarts: list[Restart]) -> str:
    rows = [["Reindex, and again after a restart of Redis", "documents", "read", "reused", "listings", "seconds"]]
    for each in restarts:
        for name, made in (("the first", each.first), (f"again (Redis loaded in {each.loading:.1f} s)", each.again)):
            figures = (made.documents, made.read, made.reused, made.listings)
            rows.append([name, *map(str, figures), f"{made.seconds:.1f}"])
    return _table(rows)


def _reading_table(readings: list[Reading]) -> str:
    rows = [["Documents of S3 read, by rclone", "a CPU second", "from", "to", "a second"]]
    for each in readings:
        figures = (each.per_cpu_second, *each.spread, each.per_second)
        rows.append([each.way, *(f"{figure:.0f}" for figure in figures)])
    return _table(rows)


def _rate_table(rates: list[Rate]) -> str:
    rows = [["Documents of S3 written a second", "a request takes", "singly", "in bulk", "from", "to", "times"]]
    for each in rates:
        figures = (each.single, each.bulk, *each.spread)
        latency = f"{each.latency:.0f} ms more"
        rows.append([each.operation, latency, *(f"{figure:.0f}" for figure in figures), f"{each.ratio:.1f}"])
    return _table(rows)


def _bulk_verdicts(results: Results) -> list[str]:
    found = []
    by_way = {each.way: each.per_cpu_second for each in results.readings}
    if by_way:
        ratio = by_way[bulk_reads.FAST] / by_way[bulk_reads.POOL]
        found.append(_at_least("documents a CPU second by obstore, times a pool of boto3", ratio, bulk_reads.TARGET))
    for each in results.rates:
        if each.latency:
            name = f"{each.operation} in bulk, times singly, {each.latency:.0f} ms a request"
            found.append(_at_least(name, each.ratio, bulk_writes.TARGET))
    return found


def _at_least(name: str, ratio: float, target: float) -> str:
    return f"  {'met   ' if ratio >= target else 'MISSED'}  {name}: {ratio:.2f} (at least {target:g})"


def _verdicts(results: Results) -> list[str]:
    found = []
    for operation in results.operations:
        timings = results.timings.get(operation.key, {})
        if operation.target is not None and {OBJECTS, operation.against} <= timings.keys():
            ratio = timings[OBJECTS].median / timings[operation.against].median
            name = f"{operation.title}, times {TITLES[operation.against]}"
            found.append(_verdict(name, ratio, operation.target))
    if len(results.footprints) > 1:
        small, large = results.footprints[0], results.footprints[-1]
        found.append(_verdict("reindex, peak of the large table to the small one's", large.peak / small.peak, _GROWTH))
    found += [
        _verdict("documents read again after a restart of Redis", each.again.read, 0) for each in results.restarts
    ]
    return found + _bulk_verdicts(results)


def _verdict(name: str, ratio: float, target: float) -> str:
    return f"  {'met   ' if ratio <= target else 'MISSED'}  {name}: {ratio:.2f} (at most {target:g})"


def _cell(median: float, base: float | None) -> str:
    if base is None:
        return _milliseconds(median)
    return f"{_milliseconds(median)} ({_multiple(median / base)})"


def _milliseconds(value: float) -> str:
    return f"{value:.2f} ms" if value < 10 else f"{value:.0f} ms"


def _multiple(ratio: float) -> str:
    return f"x{ratio:.2f}" if ratio < 10 else f"x{ratio:.0f}"


def _table(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in rows
    ]
    lines.insert(1, "-" * len(lines[0]))
    return "\n".join(line.rstrip() for line in lines)
