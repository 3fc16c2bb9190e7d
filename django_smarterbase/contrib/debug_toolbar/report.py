"""What the panel shows of a request, made from nothing but the profiles of its statements."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django_smarterbase.profiling import QueryProfile


@dataclass(frozen=True, slots=True)
class Figures:
    """Sums over profiles, ``results`` over those that know theirs.

    ``duration`` is ms, bytes are those of documents, ``cost_usd`` is US dollars.
    """

    queries: int
    candidates: int
    results: int
    duration: float
    storage_ops: int
    redis_round_trips: int
    bytes_read: int
    bytes_written: int
    cost_usd: float
    fallbacks: int
    full_scans: int
    errors: int


@dataclass(frozen=True, slots=True)
class Group:
    """The executions of one statement: same SQL, same parameters, in the order in which they ended. Never empty.

    A COMMIT, and whatever else has no fingerprint, is alone in its group.
    """

    profiles: tuple[QueryProfile, ...]

    @property
    def first(self) -> QueryProfile:
        """The execution that ended first."""
        return self.profiles[0]

    @property
    def count(self) -> int:
        """How often the statement was executed; more than 1 is a duplicate."""
        return len(self.profiles)

    @property
    def figures(self) -> Figures:
        """Sums over the executions."""
        return figures_of(self.profiles)

    @property
    def indexes(self) -> tuple[str, ...]:
        """What the executions were narrowed by, as ``index_used`` says it, each once."""
        return _distinct(profile.index_used for profile in self.profiles)

    @property
    def fallback_reasons(self) -> tuple[str, ...]:
        """Why executions could not rely on an index, each reason once."""
        return _distinct(profile.fallback_reason for profile in self.profiles)

    @property
    def errors(self) -> tuple[str, ...]:
        """The exceptions by which executions ended, each class once."""
        return _distinct(profile.error for profile in self.profiles)

    @property
    def headline(self) -> str:
        """The line of the first plan that says most: why the index was of no use, else how the first table is read."""
        plan = self.first.plan
        return (plan[-1] if self.first.fallback else plan[0]) if plan else ""

    @property
    def plans(self) -> tuple[tuple[str, ...], ...]:
        """The plans that were executed, each once: more than one when Redis came or went in between."""
        return tuple(dict.fromkeys(profile.plan for profile in self.profiles if profile.plan))


@dataclass(frozen=True, slots=True)
class Report:
    """The statements of one request. ``groups`` stand in the order in which the first of each ended."""

    figures: Figures
    groups: tuple[Group, ...]

    @property
    def duplicates(self) -> int:
        """How many executions repeated an earlier one."""
        return self.figures.queries - len(self.groups)


def report_on(profiles: Sequence[QueryProfile]) -> Report:
    """The report on the statements of one request."""
    executions: dict[tuple[str, ...], list[QueryProfile]] = {}
    for position, profile in enumerate(profiles):
        same = (profile.database, profile.fingerprint) if profile.fingerprint else (str(position),)
        executions.setdefault(same, []).append(profile)
    return Report(figures_of(profiles), tuple(Group(tuple(each)) for each in executions.values()))


def figures_of(profiles: Sequence[QueryProfile]) -> Figures:
    """Sums over ``profiles``."""
    return Figures(
        queries=len(profiles),
        candidates=sum(profile.candidates for profile in profiles),
        results=sum(profile.result_count or 0 for profile in profiles),
        duration=sum(profile.duration for profile in profiles),
        storage_ops=sum(profile.storage_ops.total for profile in profiles),
        redis_round_trips=sum(profile.redis_ops.round_trips for profile in profiles),
        bytes_read=sum(profile.bytes_read for profile in profiles),
        bytes_written=sum(profile.storage_ops.bytes_written for profile in profiles),
        cost_usd=sum(profile.cost_usd for profile in profiles),
        fallbacks=sum(profile.fallback for profile in profiles),
        full_scans=sum(profile.full_scan for profile in profiles),
        errors=sum(profile.error is not None for profile in profiles),
    )


def _distinct(texts: Iterable[str | None]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text for text in texts if text is not None))
