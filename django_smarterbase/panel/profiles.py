"""The profiles that a page is about, and their figures: in all, and method by method."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from ..history import HistoryPage, ProfileHistory, histories
from ..history.ring import Kept
from ..profiling.profile import QueryProfile
from ..profiling.summary import GroupSummary, Summary, summarize
from .filters import RAW, ProfileFilter

#: How many profiles of a database a page reads at most: 500 in each round trip.
LIMIT: Final = 5000


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the profiles of a database are from.

    ``is_shared`` unless they are of this process alone, which has not reached Redis ``since`` then (UTC; None: there is
    no cache). ``dropped`` counts lost profiles. ``is_cut`` when there may be more in the period than the ``limit``.
    """

    database: str
    is_shared: bool
    since: datetime | None
    dropped: int
    is_cut: bool
    limit: int


@dataclass(frozen=True, slots=True)
class Found:
    """Profiles of one or several databases, newest first, each with the number of statements that it stands for.

    ``models`` are the labels (``RAW`` for none) that the period has, whatever else is filtered. By database:
    ``slow_ms`` is from how many ms on a statement is slow, ``show_values`` whether values may be shown.
    """

    kept: tuple[Kept, ...]
    origins: tuple[Origin, ...]
    models: frozenset[str]
    slow_ms: Mapping[str, float]
    show_values: Mapping[str, bool]

    @property
    def slow(self) -> int:
        """How many statements were slow."""
        return round(sum(each.weight for each in self.kept if self.is_slow(each.profile)))

    @property
    def failed(self) -> int:
        """How many statements ended in an error."""
        return round(sum(each.weight for each in self.kept if each.profile.error is not None))

    def is_slow(self, profile: QueryProfile) -> bool:
        """Whether its database calls it slow."""
        return profile.duration >= self.slow_ms[profile.database]

    def summary(self) -> Summary:
        """Figures over all of them."""
        return summarize([each.profile for each in self.kept], weights=[each.weight for each in self.kept])

    def of_method(self, method: str) -> Found:
        """Those of one method."""
        return replace(self, kept=tuple(each for each in self.kept if each.profile.method == method))


def find(wanted: ProfileFilter) -> Found:
    """Read the profiles. One round trip for each 500 of them; never raises for Redis."""
    chosen = [each for each in histories() if wanted.database in {"", each.alias}]
    pages = [(each, each.read(since=wanted.since, until=wanted.until, limit=LIMIT)) for each in chosen]
    kept = [
        Kept(profile, weight)
        for history, page in pages
        for profile, weight in zip(page.profiles, page.weights, strict=True)
        if wanted.takes(profile, history.options.slow_ms)
    ]
    kept.sort(key=lambda each: each.profile.started_at, reverse=True)
    return Found(
        kept=tuple(kept),
        origins=tuple(_origin(*each) for each in pages),
        models=frozenset(profile.model or RAW for _, page in pages for profile in page.profiles),
        slow_ms={each.alias: each.options.slow_ms for each in chosen},
        show_values={each.alias: each.options.show_values for each in chosen},
    )


def _origin(history: ProfileHistory, page: HistoryPage) -> Origin:
    is_cut = len(page.profiles) == LIMIT
    return Origin(history.alias, page.source == "redis", page.unavailable_since, page.dropped, is_cut, LIMIT)


@dataclass(frozen=True, slots=True)
class MethodRow:
    """One method: its figures, and the models that its statements were about."""

    method: str
    models: tuple[str, ...]
    figures: GroupSummary
    slow: int


SORTS: Final[Mapping[str, Callable[[MethodRow], Any]]] = {
    "method": lambda row: row.method.lower(),
    "count": lambda row: row.figures.count,
    "average": lambda row: row.figures.average_ms,
    "p95": lambda row: row.figures.p95_ms,
    "total": lambda row: row.figures.total_ms,
    "complexity": lambda row: (row.figures.complexity, row.figures.full_scans),
    "index": lambda row: row.figures.index_used,
    "ops": lambda row: row.figures.storage_ops,
    "cost": lambda row: row.figures.cost_usd,
}
DEFAULT_SORT: Final = "-total"


def method_rows(found: Found, summary: Summary, sort: str) -> list[MethodRow]:
    """The methods, sorted by a name of ``SORTS``, falling with a minus before it; by ``DEFAULT_SORT`` for any other."""
    models: dict[str, set[str]] = {}
    slow: dict[str, float] = {}
    for each in found.kept:
        method, model = each.profile.method, each.profile.model
        models.setdefault(method, set()).update([model] if model else [])
        slow[method] = slow.get(method, 0.0) + (each.weight if found.is_slow(each.profile) else 0.0)
    rows = [
        MethodRow(method, tuple(sorted(models[method])), figures, round(slow[method]))
        for method, figures in summary.by_method.items()
    ]
    name = known_sort(sort)
    rows.sort(key=SORTS["method"])
    rows.sort(key=SORTS[name.removeprefix("-")], reverse=name.startswith("-"))
    return rows


def known_sort(sort: str) -> str:
    """``sort`` if it is one, else the default."""
    return sort if sort.removeprefix("-") in SORTS else DEFAULT_SORT


@dataclass(frozen=True, slots=True)
class PlanRow:
    """A plan by which statements of a method were carried out, the latest of them at ``last_at``."""

    number: int
    lines: tuple[str, ...]
    count: int
    average_ms: float
    last_at: datetime


def plans_of(found: Found) -> list[PlanRow]:
    """The different plans, the one of most statements first."""
    groups: dict[tuple[str, ...], list[Kept]] = {}
    for each in found.kept:
        groups.setdefault(each.profile.plan, []).append(each)
    ordered = sorted(groups.items(), key=lambda group: _weight(group[1]), reverse=True)
    return [_plan(number, lines, members) for number, (lines, members) in enumerate(ordered, 1)]


def _plan(number: int, lines: tuple[str, ...], members: Sequence[Kept]) -> PlanRow:
    total = sum(each.profile.duration * each.weight for each in members)
    last_at = max(each.profile.started_at for each in members)
    return PlanRow(number, lines, round(_weight(members)), total / _weight(members), last_at)


def _weight(members: Sequence[Kept]) -> float:
    return sum(each.weight for each in members)
