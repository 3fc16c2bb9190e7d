"""What a plan would come to, from what is known of the indexes."""

from __future__ import annotations

from typing import Any

import pytest

from django_smarterbase.outlook import FallbackReason, Outlook
from django_smarterbase.planner.forecast import Estimate, Forecast, Precision, forecast
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
from django_smarterbase.tables import IndexCondition, IndexDefinition, IndexEntry, IndexSubquery

COLOR = IndexDefinition("things-by-color", ("color",))
SIZE = IndexDefinition("things-by-size", ("size",))
OWNER = IndexDefinition("things-by-owner", ("owner_id",))
RED, BLUE = IndexEntry(COLOR, ("red",)), IndexEntry(COLOR, ("blue",))
SMALL = IndexEntry(SIZE, (1,))
THINGS = Outlook(documents=100, sizes={RED: 30, BLUE: 5, SMALL: 10}, values={OWNER: 20})
LOST = FallbackReason.FLUSHED


def pages(documents: int) -> int:
    return documents // 40 + 1


def of(*paths: AccessPath | tuple[str, AccessPath], things: Outlook = THINGS, **wishes: Any) -> Forecast:
    """The forecast of steps on ``things``, unless they name another table."""
    named = [path if isinstance(path, tuple) else ("things", path) for path in paths]
    steps = tuple(Step(table, f"{table}{number}", path) for number, (table, path) in enumerate(named))
    outlooks = {"things": things, "owners": Outlook(documents=7)}
    return forecast(QueryPlan(steps), outlooks, pages, **wishes)


def lookup(*clauses: tuple[IndexEntry, ...]) -> IndexLookup:
    return IndexLookup(IndexCondition(clauses))


def last(found: Forecast) -> tuple[bool, int | None, str, int | None]:
    """Of the last step: whether it scans, its candidates, how well they are known, and its reads."""
    step = found.steps[-1]
    return step.scans, step.candidates.number, str(step.candidates.precision), step.reads.number


KEYS = KeyLookup(((1,), (2,)))
BY_KEY = JoinLookup("owners", "id", "id", None)
BY_OWNER = JoinLookup("owners", "id", "owner_id", OWNER)
OF_OWNERS = ("owners", KeyLookup(((1,), (2,), (3,))))


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        pytest.param([KEYS], (False, 2, "exact", 2), id="keys"),
        pytest.param([lookup((RED,))], (False, 30, "exact", 30), id="one set"),
        pytest.param([lookup((RED, BLUE))], (False, 35, "exact", 35), id="sets of one index are disjoint"),
        pytest.param([lookup((RED, SMALL))], (False, 40, "at most", 40), id="sets of two indexes may overlap"),
        pytest.param([lookup((RED,), (SMALL,))], (False, 10, "at most", 10), id="an intersection"),
        pytest.param([lookup((IndexEntry(COLOR, ("no",)),))], (False, 100, "at most", 100), id="a set nobody weighed"),
        pytest.param([Scan()], (True, 100, "exact", 100), id="scan"),
        pytest.param([OF_OWNERS, BY_KEY], (False, 3, "at most", 3), id="join by key"),
        pytest.param([OF_OWNERS, BY_OWNER], (False, 15, "about", 15), id="join by index: five for each of three"),
        pytest.param([BY_OWNER], (False, 100, "at most", 100), id="join from rows that nobody counted"),
        pytest.param([BY_KEY], (False, None, "unknown", None), id="join by key from rows that nobody counted"),
        pytest.param(
            [OF_OWNERS, JoinLookup("owners", "id", "owner_id", OWNER, IndexCondition(((SMALL,),)))],
            (False, 10, "at most", 10),
            id="join that a set narrows",
        ),
        pytest.param(
            [OF_OWNERS, JoinLookup("owners", "id", "owner_id", OWNER, IndexCondition(((RED,),)))],
            (False, 15, "about", 15),
            id="join that a set does not narrow",
        ),
        pytest.param(
            [SubqueryLookup(IndexSubquery("", (), "owner_id", OWNER))], (False, 100, "at most", 100), id="subquery"
        ),
        pytest.param(
            [SubqueryLookup(IndexSubquery("", (), "id", None))], (False, None, "unknown", None), id="subquery of keys"
        ),
        pytest.param(
            [OF_OWNERS, SubqueryLookup(IndexSubquery("", (), "owner_id", OWNER, "owners"))],
            (False, 15, "about", 15),
            id="subquery of a table: five for each of three",
        ),
        pytest.param(
            [OF_OWNERS, SubqueryLookup(IndexSubquery("", (), "id", None, "owners"))],
            (False, 3, "at most", 3),
            id="subquery of keys of a table",
        ),
    ],
)
def test_candidates_are_what_the_sets_say(paths: list[Any], expected: tuple[bool, int | None, str, int | None]) -> None:
    assert last(of(*paths)) == expected


def test_a_join_finds_nothing_in_an_empty_table() -> None:
    assert last(of(OF_OWNERS, BY_OWNER, things=Outlook(documents=0, values={OWNER: 0}))) == (False, 0, "at most", 0)


def test_requests_are_added_up_and_no_better_known_than_the_worst_of_them() -> None:
    found = of(OF_OWNERS, BY_OWNER)
    assert (found.reads, found.listings) == (Estimate(18, Precision.ABOUT), Estimate(0))
    found = of(Scan(), ("owners", Scan()))
    assert (found.reads, found.listings) == (Estimate(107), Estimate(3 + 1))
    assert of(Scan(), BY_KEY).reads == Estimate(None, Precision.UNKNOWN)


def test_an_index_that_is_not_trusted_is_a_scan_of_what_it_held() -> None:
    found = of(lookup((RED,)), things=Outlook(LOST, documents=100))
    assert last(found) == (True, 100, "about", 100)
    assert (found.complexity, found.fallback_reason, found.listings.number) == ("O(n)", LOST, 3)
    assert last(of(lookup((RED,)), things=Outlook(LOST))) == (True, None, "unknown", None)
    assert of(Scan(), things=Outlook(LOST)).fallback_reason is None


def test_a_table_whose_index_is_not_asked_once_is_scanned_by_every_later_step() -> None:
    things = Outlook(documents=100, sizes={SMALL: 10}, unaskable=frozenset({RED}))
    found = of(lookup((SMALL,)), lookup((RED,)), lookup((SMALL,)), things=things)
    assert [step.reason for step in found.steps] == [None, *[FallbackReason.NOT_INDEXED] * 2]
    assert [step.reads.number for step in found.steps] == [10, 100, 100]


def test_scan_that_is_asked_for_reads_each_table_once_and_asks_no_index() -> None:
    found = of(lookup((RED,)), lookup((SMALL,)), things=Outlook(LOST, documents=100), access="scan")
    assert [(step.scans, step.reason, step.reads.number) for step in found.steps] == [
        (True, None, 100),
        (True, None, 0),
    ]
    assert last(of(KEYS, access="scan")) == (False, 2, "exact", 2)


@pytest.mark.parametrize(("path", "members"), [(lookup((RED,)), 30), (Scan(), 100)])
def test_an_index_that_answers_alone_reads_nothing(path: AccessPath, members: int) -> None:
    found = of(path, index_only=True)
    assert (found.index_only, found.complexity) == (True, "O(1)")
    assert last(found) == (False, members, "exact", 0)


@pytest.mark.parametrize("path", [lookup((RED,)), Scan()])
def test_an_index_that_would_answer_alone_and_is_not_trusted_is_a_fallback(path: AccessPath) -> None:
    found = of(path, things=Outlook(LOST, documents=100), index_only=True)
    assert (found.index_only, found.complexity, found.fallback_reason) == (False, "O(n)", LOST)
    assert last(found) == (True, 100, "about", 100)


@pytest.mark.parametrize("path", [lookup((RED,)), Scan()])
def test_an_index_that_would_answer_alone_is_not_asked_against_the_callers_will(path: AccessPath) -> None:
    found = of(path, index_only=True, access="scan")
    assert (found.index_only, found.complexity, found.fallback_reason) == (False, "O(n)", None)
