"""A plan in words, without anything that is known only when it is run."""

from __future__ import annotations

from django_smarterbase.planner.explain import explain_text
from django_smarterbase.planner.plan import (
    IndexLookup,
    JoinLookup,
    KeyLookup,
    OrderedLookup,
    QueryPlan,
    Scan,
    Step,
    SubqueryLookup,
)
from django_smarterbase.tables import IndexCondition, IndexDefinition, IndexEntry, IndexSubquery, Walk

COLOR, OWNER = IndexDefinition("by-color", ("color",)), IndexDefinition("by-owner", ("owner_id",))
SECRET = IndexCondition(((IndexEntry(COLOR, ("secret",)),),))

PLAN = QueryPlan(
    (
        Step("owners", "owners", KeyLookup((("secret",), (2,)))),
        Step("things", "things", IndexLookup(SECRET, exact=True)),
        Step("things", "T2", IndexLookup(SECRET)),
        Step("things", "T3", JoinLookup("owners", "id", "owner_id", OWNER, SECRET)),
        Step("owners", "T4", JoinLookup("things", "owner_id", "id", None)),
        Step("things", "T5", SubqueryLookup(IndexSubquery("", ("secret",), "owner_id", OWNER))),
        Step("owners", "T6", SubqueryLookup(IndexSubquery("", ("secret",), "id", None, "things"))),
        Step(
            "things", "T7", OrderedLookup((Walk(COLOR, backwards=True, start=20, stop=40, condition=SECRET),), Scan())
        ),
        Step("things", "T8", OrderedLookup((Walk(COLOR), Walk(OWNER, alike=0)), Scan())),
        Step("notes", "notes", Scan()),
    )
)


def test_plan_has_a_line_for_each_step_and_names_no_value() -> None:
    assert list(explain_text(PLAN.steps)) == [
        "owners: KeyLookup of 2 primary keys, O(1)",
        "things: IndexLookup redis:by-color, O(1), answers count(), exists() and primary keys alone",
        "things AS T2: IndexLookup redis:by-color, O(1)",
        "things AS T3: JoinLookup by the values of owners.id, redis:by-owner AND redis:by-color, O(1)",
        "owners AS T4: JoinLookup by the values of things.owner_id, key, O(1)",
        "things AS T5: SubqueryLookup by the values that a subquery selects, redis:by-owner, O(1)",
        "owners AS T6: SubqueryLookup by the values that a subquery of things selects, key, O(1)",
        "things AS T7: OrderedLookup 20 to 40 from the end of redis:by-color that meet redis:by-color, O(1)",
        "things AS T8: OrderedLookup the first 1 of redis:by-color and one for each value of redis:by-owner, O(1)",
        "notes: Scan of every document, O(n)",
    ]


def test_plan_says_why_its_indexes_were_not_asked() -> None:
    assert list(explain_text((), "Redis unreachable")) == [
        "Nothing is read.",
        "FALLBACK: the index is not trusted now (Redis unreachable); its steps are full scans, O(n).",
    ]
