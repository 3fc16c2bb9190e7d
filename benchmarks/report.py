"""The figures as tables for people, or as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks import bulk_reads, bulk_writes
from benchmarks.bulk_reads import Reading
from benchmarks.bulk_writes import Rate
from benchmarks.costs import Cost, as_table
from benchmarks.engines import OBJECTS, SQLITE, TITLES
from benchmarks.flat import Growth
from benchmarks.kept import SizeResults
from benchmarks.memory import GROWTH, Footprint
from benchmarks.operations import OPERATIONS, Operation
from benchmarks.requests import Requests
from benchmarks.restart import Restart
from benchmarks.rounds import Timing
from benchmarks.targets import Verdict, of_growth, of_sizes
from benchmarks.text import multiple, table, time_of


@dataclass
class Results:
    """Everything that one run has found."""

    sizes: list[SizeResults] = field(default_factory=list)
    growths: list[Growth] = field(default_factory=list)
    footprints: list[Footprint] = field(default_factory=list)
    restarts: list[Restart] = field(default_factory=list)
    costs: list[Cost] = field(default_factory=list)
    requests: list[Requests] = field(default_factory=list)
    readings: list[Reading] = field(default_factory=list)
    rates: list[Rate] = field(default_factory=list)
    facts: dict[str, str] = field(default_factory=dict)

    @property
    def verdicts(self) -> list[Verdict]:
        """Whether the targets of what was measured are met."""
        read_again = "documents read again after a restart of Redis"
        restarts = (Verdict(read_again, each.again.read, 0) for each in self.restarts)
        found = [*of_sizes(self.sizes), *of_growth(self.growths), *self._footprint_growths(), *restarts]
        return [*found, *_bulk_verdicts(self.readings, self.rates)]

    def _footprint_growths(self) -> Iterator[Verdict]:
        small = {each.task: each for each in reversed(self.footprints)}
        for large in self.footprints[len(small) :]:
            name = (
                f"{large.task}, MiB that {large.documents:,} documents take more than {small[large.task].documents:,}"
            )
            yield Verdict(name, large.peak - small[large.task].peak, GROWTH)


def as_json(results: Results) -> str:
    """One JSON object; times in milliseconds, memory in MiB, costs in US dollars for a million."""
    found = {
        "facts": results.facts,
        "sizes": [_size_as_json(size) for size in results.sizes],
        "memory": [asdict(each) for each in results.footprints],
        "growth_ms": {each.key: each.medians for each in results.growths},
        "restarts": [asdict(each) for each in results.restarts],
        "costs": [asdict(each) for each in results.costs],
        "requests": [asdict(each) for each in results.requests],
        "bulk_reads": [asdict(each) for each in results.readings],
        "bulk_writes": [{**asdict(each), "ratio": each.ratio} for each in results.rates],
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
    measured = [size for size in results.sizes if size.timings]
    if measured:
        parts += [_timing_table(measured), _memory_in_redis(measured), _count_table(measured[-1])]
    parts += [f"Left out of {size.documents:,} documents: {reason}" for size in measured for reason in size.left_out]
    if results.footprints:
        parts.append(_memory_table(results.footprints))
    if results.restarts:
        parts.append(_restart_table(results.restarts))
    if results.costs:
        parts.append(as_table(results.costs))
    if results.requests:
        parts.append(_request_table(results.requests))
    if results.readings:
        parts.append(_reading_table(results.readings))
    if results.rates:
        parts.append(_rate_table(results.rates))
    if results.verdicts:
        parts.append("\n".join(["Targets", *(f"  {verdict}" for verdict in results.verdicts)]))
    return "\n\n".join(parts)


def _timing_table(sizes: Sequence[SizeResults]) -> str:
    rows = [["Medians by articles of 1 KiB", "", *(f"{size.documents:,}" for size in sizes)]]
    for operation, alias in timed(sizes):
        name = operation.title if alias == OBJECTS else ""
        rows.append([name, TITLES[alias], *(_cell(size.timings.get(operation.key, {}), alias) for size in sizes)])
    explained = "In brackets the multiple of SQLite's time and, of more samples than one, the quartiles in ms."
    return f"{table(rows)}\n{explained}"


def timed(sizes: Sequence[SizeResults]) -> list[tuple[Operation, str]]:
    """The operations that were measured over any of the sizes, each with each of its engines, in the order of both."""
    return [
        (operation, alias)
        for operation in OPERATIONS
        for alias in TITLES
        if any(alias in size.timings.get(operation.key, {}) for size in sizes)
    ]


def _cell(timings: dict[str, Timing], alias: str) -> str:
    timing = timings.get(alias)
    if timing is None:
        return ""
    said = [multiple(timing.median / timings[SQLITE].median)] if SQLITE in timings and alias != SQLITE else []
    if len(timing.samples) > 1:
        said.append(" to ".join(f"{each:.3g}" for each in timing.spread))
    return f"{time_of(timing.median)} ({', '.join(said)})" if said else time_of(timing.median)


def _memory_in_redis(sizes: Sequence[SizeResults]) -> str:
    rows = [["In Redis, and the first reindex", *(f"{size.documents:,}" for size in sizes)]]
    rows.append(["the index of smarterbase", *(f"{size.reindex['mib']:.1f} MiB" for size in sizes)])
    rows.append(["everything", *(f"{size.everything:.1f} MiB" if size.everything else "" for size in sizes)])
    rows.append(["the first reindex", *(f"{size.reindex['seconds']:.1f} s" for size in sizes)])
    return table(rows)


def _count_table(size: SizeResults) -> str:
    rows = [
        [f"Requests of {size.documents:,} documents", "reads", "writes", "listings", "system", "Redis round trips", ""]
    ]
    for operation in OPERATIONS:
        if operation.key in size.counts:
            found = size.counts[operation.key]
            numbers = (found.reads, found.writes, found.lists, found.system, found.round_trips)
            rows.append([operation.title, *map(str, numbers), found.complexity])
    return table(rows)


def _memory_table(footprints: list[Footprint]) -> str:
    rows = [["In a process of its own", "documents", "seconds", "MiB before", "MiB at peak", "MiB in Redis"]]
    for each in footprints:
        figures = (each.seconds, each.before, each.peak, each.redis)
        rows.append([each.task, str(each.documents), *(f"{figure:.1f}" for figure in figures)])
    return table(rows)


def _restart_table(restarts: list[Restart]) -> str:
    rows = [["Reindex, and again after a restart of Redis", "documents", "read", "reused", "listings", "seconds"]]
    for each in restarts:
        for name, made in (("the first", each.first), (f"again (Redis loaded in {each.loading:.1f} s)", each.again)):
            figures = (made.documents, made.read, made.reused, made.listings)
            rows.append([name, *map(str, figures), f"{made.seconds:.1f}"])
    return table(rows)


def _request_table(requests: list[Requests]) -> str:
    rows = [["Requests on S3", "reads", "of packs", "listings", "Redis round trips", "from packs", "rows"]]
    for each in requests:
        numbers = (each.reads, each.packs, each.listings, each.round_trips, each.packed, each.rows)
        rows.append([each.query, *(f"{number:,}" for number in numbers)])
    return table(rows)


def _reading_table(readings: list[Reading]) -> str:
    rows = [["Documents of S3 read, by rclone", "a CPU second", "from", "to", "a second"]]
    for each in readings:
        figures = (each.per_cpu_second, *each.spread, each.per_second)
        rows.append([each.way, *(f"{figure:.0f}" for figure in figures)])
    return table(rows)


def _rate_table(rates: list[Rate]) -> str:
    rows = [["Documents of S3 written a second", "a request takes", "singly", "in bulk", "from", "to", "times"]]
    for each in rates:
        figures = (each.single, each.bulk, *each.spread)
        latency = f"{each.latency:.0f} ms more"
        rows.append([each.operation, latency, *(f"{figure:.0f}" for figure in figures), f"{each.ratio:.1f}"])
    return table(rows)


def _bulk_verdicts(readings: list[Reading], rates: list[Rate]) -> Iterator[Verdict]:
    by_way = {each.way: each.per_cpu_second for each in readings}
    if by_way:
        ratio = by_way[bulk_reads.FAST] / by_way[bulk_reads.POOL]
        name = "documents a CPU second by obstore, times a pool of boto3"
        yield Verdict(name, ratio, bulk_reads.TARGET, at_least=True)
    for each in rates:
        if each.latency:
            name = f"{each.operation} in bulk, times singly, {each.latency:.0f} ms a request"
            yield Verdict(name, each.ratio, bulk_writes.TARGET, at_least=True)
