"""What a plan would come to if it were run now: which indexes would answer, how many documents would be read.

Arithmetic over plan and outlooks. It follows the loader step by step: a table whose index cannot be trusted once is not
asked for again in the statement.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace

from django_smarterbase.hints import Access
from django_smarterbase.outlook import FallbackReason, Outlook
from django_smarterbase.planner.cost import ScanChosen, best_order, chosen_scan
from django_smarterbase.planner.plan import (
    AccessPath,
    IndexLookup,
    JoinLookup,
    KeyLookup,
    OrderedLookup,
    QueryPlan,
    Scan,
    Step,
    SubqueryLookup,
)
from django_smarterbase.tables import (
    IndexComplement,
    IndexCondition,
    IndexDefinition,
    IndexEntry,
    IndexKeys,
    IndexLeaf,
    IndexSubquery,
    IndexTerm,
)


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
    """One step. ``scans`` tells that every document would be read; ``reason`` why, where the plan wants an index, or
    ``chosen`` that it costs less than what the index names.

    ``candidates`` are the documents that its access path names, ``reads`` those that it reads in the store; none when
    their rows are made of what the index knows (``from_index``), but for those with a write under way. ``leads_on``
    tells that all rows are made so, and that documents of other tables are read beside them.
    """

    step: Step
    scans: bool
    reason: FallbackReason | None
    candidates: Estimate
    reads: Estimate
    listings: Estimate = NONE
    chosen: ScanChosen | None = None
    from_index: bool = False
    leads_on: bool = False

    @property
    def complexity(self) -> str:
        """As in a profile."""
        return "O(n)" if self.scans or self.leads_on else "O(1)"


@dataclass(frozen=True, slots=True)
class Forecast:
    """All steps. ``index_only`` tells that the index alone would answer: only documents in doubt would be read."""

    steps: tuple[StepForecast, ...]
    index_only: bool

    @property
    def complexity(self) -> str:
        """As in a profile."""
        return "O(n)" if any(step.complexity == "O(n)" for step in self.steps) else "O(1)"

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
    return isinstance(path, (IndexLookup, OrderedLookup)) or next(indexes_of(path), None) is not None


def terms_of(path: AccessPath) -> Iterator[IndexLeaf]:
    """What is asked of indexes, as far as it is known before the path is followed."""
    for term in (_condition_of(path) or IndexCondition()).leaves:
        if isinstance(term, IndexLeaf):
            yield term


def indexes_of(path: AccessPath) -> Iterator[IndexDefinition]:
    """The indexes that are asked for values which are not known before the path is followed."""
    if isinstance(path, JoinLookup) and path.index is not None:
        yield path.index
    if isinstance(path, SubqueryLookup) and path.subquery.index is not None:
        yield path.subquery.index
    for term in (_condition_of(path) or IndexCondition()).leaves:
        if isinstance(term, IndexSubquery) and term.index is not None:
            yield term.index


def forecast(
    plan: QueryPlan,
    outlooks: Mapping[str, Outlook],
    listings: Callable[[int], int],
    *,
    access: Access = "any",
    index_only: bool = False,
    index_rows: Collection[str] = (),
    scan_requests: Callable[[str], int | None] = lambda _table: None,
) -> Forecast:
    """The forecast of a plan.

    ``outlooks`` are those of tables whose index is asked or that are scanned; ``listings(documents)`` is how many
    requests a listing takes. ``index_only`` says that the index alone could answer if it is trusted; of the tables
    ``index_rows`` it knows all that is read. ``scan_requests(table)`` is how many requests a scan is known to take.
    """
    if index_only and len(plan.steps) == 1 and access != "scan":
        step, outlook = plan.steps[0], outlooks.get(plan.steps[0].table, Outlook())
        reason = _reason(step.path, outlook)
        if reason is None:
            path = step.path.otherwise if isinstance(step.path, OrderedLookup) else step.path
            members = _Sets(outlook, {}).members(_condition_of(path) or IndexCondition())
            return Forecast((StepForecast(step, False, None, members, NONE, from_index=True),), index_only=True)
        if isinstance(step.path, Scan):
            documents = _documents(outlook)
            return Forecast((_scan(step, reason, documents, documents, listings),), index_only=False)
    forecaster = _Forecaster(outlooks, listings, access, index_rows, scan_requests)
    order = plan.steps if access == "scan" else best_order(plan, lambda step: _beginning(step, outlooks))
    steps = tuple(forecaster.step(step) for step in order)
    alone = bool(steps) and all(step.from_index for step in steps)
    if not alone:
        steps = tuple(replace(step, leads_on=step.from_index and isinstance(step.step.path, Scan)) for step in steps)
    return Forecast(steps, index_only=alone)


def _beginning(step: Step, outlooks: Mapping[str, Outlook]) -> int | None:
    outlook = outlooks.get(step.table, Outlook())
    condition = _condition_of(step.path)
    return None if condition is None or _reason(step.path, outlook) else _Sets(outlook, {}).members(condition).number


class _Forecaster:
    """Goes through the steps as the loader does. ``loaded`` are the rows of each table so far."""

    def __init__(
        self,
        outlooks: Mapping[str, Outlook],
        listings: Callable[[int], int],
        access: Access,
        index_rows: Collection[str],
        scan_requests: Callable[[str], int | None],
    ) -> None:
        self._outlooks = outlooks
        self._listings = listings
        self._access = access
        self._index_rows = index_rows
        self._scan_requests = scan_requests
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
        from_index = step.table in self._index_rows and self._access != "scan"
        if isinstance(path, Scan) and from_index and step.table not in self._untrusted:
            if outlook.reason is None:
                return StepForecast(step, False, None, documents, NONE, from_index=True)
            self._untrusted[step.table] = outlook.reason
            return _scan(step, outlook.reason, documents, documents, self._listings)
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
        if from_index and not isinstance(path, (KeyLookup, OrderedLookup)) and self._is_trusted(step.table):
            return StepForecast(step, False, None, candidates, NONE, from_index=True)
        if not asks_index(path) or isinstance(path, OrderedLookup):
            return StepForecast(step, False, None, candidates, candidates)
        return self._chosen(step, candidates, documents) or StepForecast(step, False, None, candidates, candidates)

    def _is_trusted(self, table: str) -> bool:
        return table not in self._untrusted and table in self._outlooks and self._outlooks[table].reason is None

    def _chosen(self, step: Step, candidates: Estimate, documents: Estimate) -> StepForecast | None:
        """The scan of the table where that is the cheaper way."""
        if self._access != "any" or candidates.number is None or documents.number is None:
            return None
        chosen = chosen_scan(step.table, candidates.number, documents.number, self._scan_requests(step.table))
        if chosen is None:
            return None
        return StepForecast(step, True, None, candidates, Estimate(chosen.requests, Precision.ABOUT), chosen=chosen)

    def _candidates(self, path: AccessPath, outlook: Outlook) -> Estimate:
        if isinstance(path, KeyLookup):
            return Estimate(len(path.pks))
        sets = _Sets(outlook, self._loaded)
        if isinstance(path, IndexLookup):
            return sets.members(path.condition)
        if isinstance(path, OrderedLookup):
            return _pages(path, outlook)
        if isinstance(path, SubqueryLookup):
            return sets.of_subquery(path.subquery)
        if isinstance(path, JoinLookup):
            return sets.of_join(path)
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
    if outlook.unaskable.intersection(terms_of(path)):
        return FallbackReason.NOT_INDEXED
    return outlook.reason


def _pages(path: OrderedLookup, outlook: Outlook) -> Estimate:
    """As many documents as the pages have rows, and those before them that are not left out; ties come on top."""
    documents = outlook.documents
    if any(walk.alike is not None for walk in path.walks):
        return _documents(outlook).no_better_than(Precision.AT_MOST)
    rows = sum(walk.stop - (walk.start if path.skips else 0) for walk in path.walks)
    known = Estimate(rows if documents is None else min(rows, documents), Precision.AT_MOST)
    return known.no_better_than(Precision.ABOUT) if any(walk.ties for walk in path.walks) else known


def _documents(outlook: Outlook) -> Estimate:
    if outlook.documents is None:
        return UNKNOWN
    return Estimate(outlook.documents, Precision.EXACT if outlook.reason is None else Precision.ABOUT)


def _condition_of(path: AccessPath) -> IndexCondition | None:
    if isinstance(path, OrderedLookup):
        path = path.otherwise
    if isinstance(path, IndexLookup):
        return path.condition
    return path.narrowed_by if isinstance(path, JoinLookup) else None


class _Sets:
    """How many members the sets of a table's index have. ``loaded`` are the rows of each table so far."""

    def __init__(self, outlook: Outlook, loaded: Mapping[str, Estimate]) -> None:
        self._outlook = outlook
        self._loaded = loaded

    def members(self, condition: IndexCondition) -> Estimate:
        """An intersection has no more members than the smallest of its sets."""
        documents = _documents(self._outlook)
        clauses = [self._union(clause) for clause in condition.clauses]
        smallest = min(clauses, key=_size, default=documents)
        if smallest.number is None:
            return documents.no_better_than(Precision.AT_MOST)
        return smallest if len(clauses) <= 1 else smallest.no_better_than(Precision.AT_MOST)

    def of_join(self, path: JoinLookup) -> Estimate:
        """As many as the values lead to, and no more than the conditions let pass that narrow the join further."""
        found = self._of_values(path.index, path.source_table)
        if path.index is None or path.narrowed_by is None:
            return found
        return min((self.members(path.narrowed_by).no_better_than(Precision.AT_MOST), found), key=_size)

    def of_subquery(self, subquery: IndexSubquery) -> Estimate:
        """As many as its values lead to, or all but these."""
        if subquery.negated:
            return _documents(self._outlook).no_better_than(Precision.AT_MOST)
        return self._of_values(subquery.index, subquery.source_table)

    def _of_values(self, index: IndexDefinition | None, source_table: str | None) -> Estimate:
        """As many documents for each row as there are for a value of the index on average."""
        rows, documents = self._loaded.get(source_table or "", UNKNOWN), self._outlook.documents
        if index is None:
            return rows.no_better_than(Precision.AT_MOST)
        if documents is None:
            return UNKNOWN
        values = self._outlook.values.get(index, 0)
        if rows.number is None or not values:
            return Estimate(documents, Precision.AT_MOST)
        return Estimate(min(documents, math.ceil(rows.number * documents / values)), Precision.ABOUT)

    def _union(self, clause: tuple[IndexTerm, ...]) -> Estimate:
        found = sum((self._of_term(term) for term in clause), NONE)
        if found.number is None:
            return UNKNOWN
        found = Estimate(min(found.number, self._outlook.documents or 0), found.precision)
        return found if len(clause) == 1 or _one_index(clause) else found.no_better_than(Precision.AT_MOST)

    def _of_term(self, term: IndexTerm) -> Estimate:
        if isinstance(term, IndexLeaf):
            size = self._outlook.sizes.get(term)
            return UNKNOWN if size is None else Estimate(size)
        if isinstance(term, IndexKeys):
            return Estimate(len(term.pks), Precision.AT_MOST)
        if isinstance(term, IndexComplement):
            return self._outside(term)
        return self.of_subquery(term) if isinstance(term, IndexSubquery) else self.members(term)

    def _outside(self, term: IndexComplement) -> Estimate:
        documents, inside = _documents(self._outlook), self._union(term.terms)
        if documents.number is None or inside.number is None or not _one_index(term.terms):
            return documents.no_better_than(Precision.AT_MOST)
        return Estimate(documents.number - inside.number, documents.precision)


def _one_index(terms: tuple[IndexTerm, ...]) -> bool:
    """Whether they are sets of one index, which have no member in common: a document has one value in it."""
    indexes = {term.index if isinstance(term, IndexEntry) else None for term in terms}
    return len(indexes) == 1 and None not in indexes


def _size(estimate: Estimate) -> float:
    return math.inf if estimate.number is None else estimate.number
