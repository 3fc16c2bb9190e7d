"""Figures over many profiles."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from django_smarterbase.profiling.profile import Complexity, QueryProfile

#: From how many ms on a statement counts as slow, unless the caller says otherwise.
SLOW_MS = 100.0


@dataclass(frozen=True, slots=True)
class GroupSummary:
    """Figures over the profiles that have one thing in common. Times are ms, ``cost_usd`` US dollars.

    ``index_used`` is what most of them used, and ``complexity`` goes with it. ``recorded`` counts the profiles
    themselves; all other figures are of the statements that these stand for, see ``summarize``.
    """

    count: int
    recorded: int
    total_ms: float
    average_ms: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    slowest_ms: float
    complexity: Complexity
    index_used: str
    full_scans: int
    fallbacks: int
    failed: int
    storage_ops: int
    redis_round_trips: int
    bytes_read: int
    cost_usd: float


@dataclass(frozen=True, slots=True)
class Summary:
    """Figures over a list of profiles. ``average`` and the percentiles are ms, 0.0 when there are no profiles.

    A percentile is taken by nearest rank: the p-th is the smallest duration that at least p per cent of all do not
    exceed, so it is always one that was measured. ``slow`` counts durations of ``slow_ms`` or more. ``recorded`` counts
    the profiles, ``total`` the statements that they stand for. The groups
    ``{method or complexity: GroupSummary}`` stand in falling order of their total time.
    """

    total: int
    recorded: int
    slow: int
    slow_ms: float
    full_scans: int
    fallbacks: int
    failed: int
    average: float
    p50: float
    p95: float
    p99: float
    cost_usd: float
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


def summarize(
    profiles: Iterable[QueryProfile], slow_ms: float = SLOW_MS, weights: Iterable[float] | None = None
) -> Summary:
    """The summary of ``profiles``.

    ``weights`` says of each how many statements it stands for (by default itself alone): counts, sums, averages and
    percentiles are then estimates for all statements, counts rounded to whole ones.
    """
    seen = list(profiles)
    weighted = [_Weighted(*pair) for pair in zip(seen, [1.0] * len(seen) if weights is None else weights, strict=True)]
    whole = _Sums(weighted)
    return Summary(
        total=whole.count,
        recorded=len(seen),
        slow=whole.number_of(lambda profile: profile.duration >= slow_ms),
        slow_ms=slow_ms,
        full_scans=whole.number_of(lambda profile: profile.full_scan),
        fallbacks=whole.number_of(lambda profile: profile.fallback),
        failed=whole.number_of(lambda profile: profile.error is not None),
        average=whole.average_ms,
        p50=whole.percentile(50),
        p95=whole.percentile(95),
        p99=whole.percentile(99),
        cost_usd=whole.of(lambda profile: profile.cost_usd),
        by_method=_groups(weighted, lambda profile: profile.method),
        by_complexity=_groups(weighted, lambda profile: profile.complexity),
    )


def percentile(ordered: Sequence[float], per_cent: int, weights: Sequence[float] | None = None) -> float:
    """The value at the nearest rank, ceil(per_cent / 100 * n), of a rising sequence; 0.0 for an empty one.

    With ``weights`` each value stands for so many, and n is their sum.
    """
    if not ordered:
        return 0.0
    weights = [1.0] * len(ordered) if weights is None else weights
    enough, reached = per_cent * sum(weights), 0.0
    for value, weight in zip(ordered, weights, strict=True):
        reached += 100 * weight
        if reached >= enough:
            return value
    return ordered[-1]  # the sum of fractions may fall short of itself by the last digit


class _Weighted(NamedTuple):
    profile: QueryProfile
    weight: float


class _Sums:
    """Sums over profiles, each of which counts as its weight says."""

    def __init__(self, weighted: Sequence[_Weighted]) -> None:
        self._weighted = sorted(weighted, key=lambda each: each.profile.duration)
        self._durations = [each.profile.duration for each in self._weighted]
        self._weights = [each.weight for each in self._weighted]
        self.total_ms = self.of(lambda profile: profile.duration)

    @property
    def count(self) -> int:
        return round(sum(self._weights))

    @property
    def average_ms(self) -> float:
        return self.total_ms / sum(self._weights) if self._weights else 0.0

    @property
    def slowest_ms(self) -> float:
        return self._durations[-1] if self._durations else 0.0

    def of(self, amount: Callable[[QueryProfile], float]) -> float:
        return sum(amount(each.profile) * each.weight for each in self._weighted)

    def number_of(self, applies: Callable[[QueryProfile], bool]) -> int:
        return round(sum(each.weight for each in self._weighted if applies(each.profile)))

    def percentile(self, per_cent: int) -> float:
        return percentile(self._durations, per_cent, self._weights)

    def most_frequent(self) -> tuple[str, Complexity]:
        """``index_used`` of most statements, and its complexity."""
        found: defaultdict[tuple[str, Complexity], float] = defaultdict(float)
        for profile, weight in self._weighted:
            found[profile.index_used, profile.complexity] += weight
        return max(found, key=lambda each: found[each])


def _groups(weighted: Sequence[_Weighted], key: Callable[[QueryProfile], str]) -> dict[str, GroupSummary]:
    members: dict[str, list[_Weighted]] = {}
    for each in weighted:
        members.setdefault(key(each.profile), []).append(each)
    groups = {name: _group(_Sums(group), len(group)) for name, group in members.items()}
    return dict(sorted(groups.items(), key=lambda item: item[1].total_ms, reverse=True))


def _group(sums: _Sums, recorded: int) -> GroupSummary:
    index_used, complexity = sums.most_frequent()
    return GroupSummary(
        count=sums.count,
        recorded=recorded,
        total_ms=sums.total_ms,
        average_ms=sums.average_ms,
        p50_ms=sums.percentile(50),
        p95_ms=sums.percentile(95),
        p99_ms=sums.percentile(99),
        slowest_ms=sums.slowest_ms,
        complexity=complexity,
        index_used=index_used,
        full_scans=sums.number_of(lambda profile: profile.full_scan),
        fallbacks=sums.number_of(lambda profile: profile.fallback),
        failed=sums.number_of(lambda profile: profile.error is not None),
        storage_ops=round(sums.of(lambda profile: profile.storage_ops.total)),
        redis_round_trips=round(sums.of(lambda profile: profile.redis_ops.round_trips)),
        bytes_read=round(sums.of(lambda profile: profile.bytes_read)),
        cost_usd=sums.of(lambda profile: profile.cost_usd),
    )


def _table(title: str, groups: Mapping[str, GroupSummary]) -> str:
    width = max(len(title), *(len(name) for name in groups))
    lines = [f"{title:<{width}}  {'Count':>7}  {'Total ms':>10}  {'Average ms':>10}  {'Storage ops':>11}"]
    for name, group in groups.items():
        times = f"{group.total_ms:>10.1f}  {group.average_ms:>10.1f}"
        lines.append(f"{name:<{width}}  {group.count:>7}  {times}  {group.storage_ops:>11}")
    return "\n".join(lines)
