"""What a plan would come to if it were run now: which indexes would answer, how many documents would be read.

Arithmetic over plan and outlooks. It follows the loader step by step: a table whose index cannot be trusted once is not
asked for again in the statement.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from django_smarterbase.hints import Access
from django_smarterbase.outlook import FallbackReason, Outlook
from django_smarterbase.planner.plan import (
    AccessPath,
    IndexLookup,
    JoinLookup,
    KeyLookup,
    QueryPlan,
    Scan,
    Step,
    SubqueryLookup,
)
from django_smarterbase.tables import IndexCondition, IndexDefinition, IndexEntry


class Precision(enum.StrEnum):
    """How well a number is known, the best first."""

    EXACT = "exact"
    AT_MOST = "at most"
    ABOUT = "about"
    UNKNOWN = "unknown"


_WORSE = tuple(Precision).index


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number that may not be known well; None is not known at all."""

    number: int | None
    precision: Precision = Precision.EXACT

    def __add__(self, other: Estimate) -> Estimate:
        if self.number is None or other.number is None:
            return UNKNOWN
        return Estimate(self.number + other.number, max(self.precision, other.precision, key=_WORSE))

    def no_better_than(self, precision: Precision) -> Estimate:
        """The same number, less well known."""
        return Estimate(self.number, max(self.precision, precision, key=_WORSE))


UNKNOWN = Estimate(None, Precision.UNKNOWN)
NONE = Estimate(0)


@dataclass(frozen=True, slots=True)
class StepForecast:
    """One step. ``scans`` tells that every document would be read; ``reason`` why, where the plan wants an index.

    ``candidates`` are the documents that its access path names, ``reads`` those that it reads in the store.
    """

    step: Step
    scans: bool
    reason: FallbackReason | None
    candidates: Estimate
    reads: Estimate
    listings: Estimate = NONE

    @property
    def complexity(self) -> str:
        """As in a profile."""
        return "O(n)" if self.scans else "O(1)"


@dataclass(frozen=True, slots=True)
class Forecast:
    """All steps. ``index_only`` tells that the index alone would answer: only documents in doubt would be read."""

    steps: tuple[StepForecast, ...]
    index_only: bool

    @property
    def complexity(self) -> str:
        """As in a profile."""
        return "O(n)" if any(step.scans for step in self.steps) else "O(1)"

    def at_most(self) -> Forecast:
        """The same of a statement that stops reading when it has its rows."""
        steps = (
            replace(
                step,
                candidates=step.candidates.no_better_than(Precision.AT_MOST),
                reads=step.reads.no_better_than(Precision.AT_MOST),
                listings=step.listings.no_better_than(Precision.AT_MOST),
            )
            for step in self.steps
        )
        return Forecast(tuple(steps), self.index_only)

    @property
    def fallback_reason(self) -> FallbackReason | None:
        """Why the first index is not asked that the plan wants, or None."""
        return next((step.reason for step in self.steps if step.reason is not None), None)

    @property
    def reads(self) -> Estimate:
        """Documents that would be read."""
        return sum((step.reads for step in self.steps), NONE)

    @property
    def listings(self) -> Estimate:
        """Requests for listings."""
        return sum((step.listings for step in self.steps), NONE)


def asks_index(path: AccessPath) -> bool:
    """Whether an index is asked when the path is followed."""
    return isinstance(path, IndexLookup) or (isinstance(path, (JoinLookup, SubqueryLookup)) and path.index is not None)


def entries_of(path: AccessPath) -> Iterator[IndexEntry]:
    """The entries of indexes that are known before the path is followed."""
    for clause in (_condition_of(path) or IndexCondition()).clauses:
        yield from clause


def indexes_of(path: AccessPath) -> Iterator[IndexDefinition]:
    """The indexes that are asked for values which are not known before the path is followed."""
    if isinstance(path, (JoinLookup, SubqueryLookup)) and path.index is not None:
        yield path.index


def forecast(
    plan: QueryPlan,
    outlooks: Mapping[str, Outlook],
    listings: Callable[[int], int],
    *,
    access: Access = "any",
    index_only: bool = False,
) -> Forecast:
    """The forecast of a plan.

    ``outlooks`` are those of tables whose index is asked or that are scanned; ``listings(documents)`` is how many
    requests a listing takes. ``index_only`` says that the index alone could answer if it is trusted.
    """
    if index_only and len(plan.steps) == 1 and access != "scan":
        step, outlook = plan.steps[0], outlooks.get(plan.steps[0].table, Outlook())
        reason = _reason(step.path, outlook)
        if reason is None:
            members = (
                _members(step.path.condition, outlook) if isinstance(step.path, IndexLookup) else _documents(outlook)
            )
            return Forecast((StepForecast(step, False, None, members, NONE),), index_only=True)
        if isinstance(step.path, Scan):
            documents = _documents(outlook)
            return Forecast((_scan(step, reason, documents, documents, listings),), index_only=False)
    forecaster = _Forecaster(outlooks, listings, access)
    return Forecast(tuple(forecaster.step(step) for step in plan.steps), index_only=False)


class _Forecaster:
    """Goes through the steps as the loader does. ``loaded`` are the rows of each table so far."""

    def __init__(self, outlooks: Mapping[str, Outlook], listings: Callable[[int], int], access: Access) -> None:
        self._outlooks = outlooks
        self._listings = listings
        self._access = access
        self._untrusted: dict[str, FallbackReason] = {}
        self._complete: set[str] = set()
        self._loaded: dict[str, Estimate] = {}

    def step(self, step: Step) -> StepForecast:
        """The next step of the plan."""
        found = self._follow(step)
        self._loaded[step.table] = self._loaded.get(step.table, NONE) + found.candidates
        return found

    def _follow(self, step: Step) -> StepForecast:
        path, outlook = step.path, self._outlooks.get(step.table, Outlook())
        documents = _documents(outlook)
        if isinstance(path, Scan) or (asks_index(path) and self._access == "scan"):
            if step.table in self._complete:
                return StepForecast(step, True, None, NONE, NONE)
            self._complete.add(step.table)
            return _scan(step, None, documents, documents, self._listings)
        if asks_index(path):
            reason = self._untrusted.get(step.table) or _reason(path, outlook)
            if reason is not None:
                self._untrusted[step.table] = reason
                # The documents that the index would not have named are read, and left out then.
                return _scan(step, reason, documents.no_better_than(Precision.AT_MOST), documents, self._listings)
        candidates = self._candidates(path, outlook)
        return StepForecast(step, False, None, candidates, candidates)

    def _candidates(self, path: AccessPath, outlook: Outlook) -> Estimate:
        if isinstance(path, KeyLookup):
            return Estimate(len(path.pks))
        if isinstance(path, IndexLookup):
            return _members(path.condition, outlook)
        if isinstance(path, (JoinLookup, SubqueryLookup)):
            rows = self._loaded.get(path.source_table or "", UNKNOWN)
            if path.index is None:
                return rows.no_better_than(Precision.AT_MOST)
            return _bounded(path, _joined(path.index, rows, outlook), outlook)
        return UNKNOWN


def _scan(
    step: Step,
    reason: FallbackReason | None,
    candidates: Estimate,
    documents: Estimate,
    listings: Callable[[int], int],
) -> StepForecast:
    number = documents.number
    pages = UNKNOWN if number is None else Estimate(listings(number), documents.precision)
    return StepForecast(step, True, reason, candidates, documents, pages)


def _reason(path: AccessPath, outlook: Outlook) -> FallbackReason | None:
    if outlook.unaskable.intersection(entries_of(path)):
        return FallbackReason.NOT_INDEXED
    return outlook.reason


def _documents(outlook: Outlook) -> Estimate:
    if outlook.documents is None:
        return UNKNOWN
    return Estimate(outlook.documents, Precision.EXACT if outlook.reason is None else Precision.ABOUT)


def _condition_of(path: AccessPath) -> IndexCondition | None:
    if isinstance(path, IndexLookup):
        return path.condition
    return path.narrowed_by if isinstance(path, JoinLookup) else None


def _members(condition: IndexCondition, outlook: Outlook) -> Estimate:
    """An intersection has no more members than the smallest of its sets."""
    clauses = [_union(clause, outlook) for clause in condition.clauses]
    smallest = min(clauses, key=_size, default=UNKNOWN)
    return smallest if len(clauses) == 1 else smallest.no_better_than(Precision.AT_MOST)


def _union(clause: tuple[IndexEntry, ...], outlook: Outlook) -> Estimate:
    sizes = [outlook.sizes.get(entry) for entry in clause]
    known = [size for size in sizes if size is not None]
    if len(known) < len(sizes):
        return UNKNOWN
    # A document has one value in an index, so the sets of one index have no member in common.
    precision = Precision.EXACT if len({entry.index for entry in clause}) <= 1 else Precision.AT_MOST
    return Estimate(min(sum(known), outlook.documents or 0), precision)


def _joined(index: IndexDefinition, rows: Estimate, outlook: Outlook) -> Estimate:
    """As many documents for each row as there are for a value of the index on average."""
    documents, values = outlook.documents, outlook.values.get(index, 0)
    if documents is None:
        return UNKNOWN
    if rows.number is None or not values:
        return Estimate(documents, Precision.AT_MOST)
    return Estimate(min(documents, math.ceil(rows.number * documents / values)), Precision.ABOUT)


def _bounded(path: AccessPath, estimate: Estimate, outlook: Outlook) -> Estimate:
    """No more than the conditions let pass that narrow a join further."""
    condition = _condition_of(path)
    if condition is None:
        return estimate
    bound = _members(condition, outlook).no_better_than(Precision.AT_MOST)
    return min((bound, estimate), key=_size)


def _size(estimate: Estimate) -> float:
    return math.inf if estimate.number is None else estimate.number
