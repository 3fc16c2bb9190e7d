"""The plan of a statement that has been run, as lines for its profile. No value stands in them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django_smarterbase.planner.plan import (
    AccessPath,
    IndexLookup,
    JoinLookup,
    KeyLookup,
    QueryPlan,
    SubqueryLookup,
)
from django_smarterbase.tables import IndexCondition


def plan_lines(plan: QueryPlan, fallback_reason: str | None = None) -> Iterator[str]:
    """One line a step, in the order of execution."""
    if not plan.steps:
        yield "Nothing is read."
    for step in plan.steps:
        name = step.table if step.alias == step.table else f"{step.table} AS {step.alias}"
        yield f"{name}: {_describe(step.path)}"
    if fallback_reason is not None:
        yield f"FALLBACK: the index is not trusted now ({fallback_reason}); its steps are full scans, O(n)."


def _describe(path: AccessPath) -> str:
    if isinstance(path, KeyLookup):
        return f"KeyLookup of {len(path.pks)} primary key(s), O(1)"
    if isinstance(path, IndexLookup):
        exact = ", answers count(), exists() and primary keys alone" if path.exact else ""
        return f"IndexLookup {' AND '.join(_indexes(path.condition))}, O(1){exact}"
    if isinstance(path, JoinLookup):
        further = f" AND {' AND '.join(_indexes(path.narrowed_by))}" if path.narrowed_by is not None else ""
        source = f"{path.source_table}.{path.source_column}"
        return f"JoinLookup by the values of {source}, {_index_or_key(path.index)}{further}, O(1)"
    if isinstance(path, SubqueryLookup):
        return f"SubqueryLookup by the values that a subquery selects, {_index_or_key(path.index)}, O(1)"
    return "Scan of every document, O(n)"


def _indexes(condition: IndexCondition) -> list[str]:
    return ["|".join(dict.fromkeys(f"redis:{entry.index.name}" for entry in clause)) for clause in condition.clauses]


def _index_or_key(index: Any) -> str:
    return "key" if index is None else f"redis:{index.name}"
