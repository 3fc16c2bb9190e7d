"""Which of two ways is the cheaper one: arithmetic over sizes that an index has told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from django_smarterbase.planner.plan import QueryPlan, Step

#: How many documents of a scan take as long to decode and pass over as one request to an object store takes.
DOCUMENTS_A_REQUEST: Final = 200


@dataclass(frozen=True, slots=True)
class ScanChosen:
    """A scan in place of an index that named ``candidates`` of the ``documents``, as it takes ``requests`` only."""

    table: str
    candidates: int
    documents: int
    requests: int

    @property
    def why(self) -> str:
        """The choice in words, without the table."""
        return (
            f"Scan chosen: the index names {self.candidates:,} of {self.documents:,} documents, a scan takes about "
            f"{self.requests:,} request{'' if self.requests == 1 else 's'}"
        )


def scan_is_cheaper(candidates: int, documents: int, scan_requests: int) -> bool:
    """Whether a scan, which takes ``scan_requests`` requests and decodes all ``documents``, is cheaper than a request
    for each of the ``candidates`` that an index names.

    A scan that reads each document by a request of its own never is, since no index names more documents than there
    are. One that finds many of them in one object is, from a share of the table on that its own requests decide.
    """
    return candidates > scan_requests + documents / DOCUMENTS_A_REQUEST


def chosen_scan(table: str, candidates: int, documents: int, requests: int | None) -> ScanChosen | None:
    """The choice of a scan where it is the cheaper way; ``requests`` is None when it takes one for each document."""
    if requests is None or not scan_is_cheaper(candidates, documents, requests):
        return None
    return ScanChosen(table, candidates, documents, requests)


def best_order(plan: QueryPlan, size: Callable[[Step], int | None]) -> tuple[Step, ...]:
    """The steps of the plan, or an alternative that begins with fewer documents.

    ``size`` tells how many documents an index names for a step, None when it does not answer: then the plan's own order
    is as good as any. It is not asked where there is no choice.
    """
    orders = (plan.steps, *plan.alternatives)
    if len(orders) == 1:
        return plan.steps
    # All orders have the inner FROM clauses in common, and differ from the step on with which the joins begin.
    start = next((number for number, steps in enumerate(zip(*orders, strict=False)) if len(set(steps)) > 1), None)
    if start is None:
        return plan.steps
    sizes = [size(steps[start]) for steps in orders]
    known = [number for number in sizes if number is not None]
    return orders[sizes.index(min(known))] if len(known) == len(sizes) else plan.steps
