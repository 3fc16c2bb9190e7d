"""Figures over many profiles."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from django_smarterbase.profiling.profile import QueryProfile

#: From how many ms on a statement counts as slow, unless the caller says otherwise.
SLOW_MS = 100.0


@dataclass(frozen=True, slots=True)
class GroupSummary:
    """Figures over the profiles that have one thing in common. Times are ms, ``cost_usd`` US dollars."""

    count: int
    total_ms: float
    average_ms: float
    slowest_ms: float
    full_scans: int
    fallbacks: int
    storage_ops: int
    redis_round_trips: int
    bytes_read: int
    cost_usd: float


@dataclass(frozen=True, slots=True)
class Summary:
    """Figures over a list of profiles. ``average`` and the percentiles are ms, 0.0 when there are no profiles.

    A percentile is taken by nearest rank: the p-th is the smallest duration that at least p per cent of all do not
    exceed, so it is always one that was measured. ``slow`` counts durations of ``slow_ms`` or more. The groups
    ``{method or complexity: GroupSummary}`` stand in falling order of their total time.
    """

    total: int
    slow: int
    slow_ms: float
    full_scans: int
    fallbacks: int
    average: float
    p50: float
    p95: float
    p99: float
    by_method: Mapping[str, GroupSummary]
    by_complexity: Mapping[str, GroupSummary]

    def as_dict(self) -> dict[str, Any]:
        """The same figures, of JSON types only."""
        return asdict(self)

    def render(self) -> str:
        """Tables for a terminal, without a final newline."""
        heading = (
            f"Queries: {self.total} (slow: {self.slow}, full scans: {self.full_scans}, fallbacks: {self.fallbacks})\n"
            f"Duration: average {self.average:.1f} ms, p50 {self.p50:.1f} ms, p95 {self.p95:.1f} ms, "
            f"p99 {self.p99:.1f} ms"
        )
        tables = [_table("Method", self.by_method), _table("Complexity", self.by_complexity)] if self.total else []
        return "\n\n".join([heading, *tables])


def summarize(profiles: Iterable[QueryProfile], slow_ms: float = SLOW_MS) -> Summary:
    """The summary of ``profiles``."""
    seen = list(profiles)
    durations = sorted(profile.duration for profile in seen)
    return Summary(
        total=len(seen),
        slow=sum(duration >= slow_ms for duration in durations),
        slow_ms=slow_ms,
        full_scans=sum(profile.full_scan for profile in seen),
        fallbacks=sum(profile.fallback for profile in seen),
        average=sum(durations) / len(durations) if durations else 0.0,
        p50=percentile(durations, 50),
        p95=percentile(durations, 95),
        p99=percentile(durations, 99),
        by_method=_groups(seen, lambda profile: profile.method),
        by_complexity=_groups(seen, lambda profile: profile.complexity),
    )


def percentile(ordered: Sequence[float], per_cent: int) -> float:
    """The value at the nearest rank, ceil(per_cent / 100 * n), of a rising sequence; 0.0 for an empty one."""
    if not ordered:
        return 0.0
    rank = -(-per_cent * len(ordered) // 100)  # rounded up, in whole numbers
    return ordered[max(rank, 1) - 1]


def _groups(profiles: Sequence[QueryProfile], key: Callable[[QueryProfile], str]) -> dict[str, GroupSummary]:
    members: dict[str, list[QueryProfile]] = {}
    for profile in profiles:
        members.setdefault(key(profile), []).append(profile)
    groups = {name: _group(group) for name, group in members.items()}
    return dict(sorted(groups.items(), key=lambda item: item[1].total_ms, reverse=True))


def _group(profiles: Sequence[QueryProfile]) -> GroupSummary:
    total_ms = sum(profile.duration for profile in profiles)
    return GroupSummary(
        count=len(profiles),
        total_ms=total_ms,
        average_ms=total_ms / len(profiles),
        slowest_ms=max(profile.duration for profile in profiles),
        full_scans=sum(profile.full_scan for profile in profiles),
        fallbacks=sum(profile.fallback for profile in profiles),
        storage_ops=sum(profile.storage_ops.total for profile in profiles),
        redis_round_trips=sum(profile.redis_ops.round_trips for profile in profiles),
        bytes_read=sum(profile.bytes_read for profile in profiles),
        cost_usd=sum(profile.cost_usd for profile in profiles),
    )


def _table(title: str, groups: Mapping[str, GroupSummary]) -> str:
    width = max(len(title), *(len(name) for name in groups))
    lines = [f"{title:<{width}}  {'Count':>7}  {'Total ms':>10}  {'Average ms':>10}  {'Storage ops':>11}"]
    for name, group in groups.items():
        times = f"{group.total_ms:>10.1f}  {group.average_ms:>10.1f}"
        lines.append(f"{name:<{width}}  {group.count:>7}  {times}  {group.storage_ops:>11}")
    return "\n".join(lines)
