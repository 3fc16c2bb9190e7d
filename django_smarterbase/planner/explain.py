"""A plan in words, and its access paths for programs: made from the object that is executed, and nothing else."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any, Final

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
from django_smarterbase.tables import (
    IndexComplement,
    IndexCondition,
    IndexDefinition,
    IndexEntry,
    IndexKeys,
    IndexSubquery,
    IndexTerm,
    Value,
)

_SHOWN: Final = 10  # values that the text names of each list
_LONG: Final = 40  # characters of a value that the text shows


def explain_text(plan: QueryPlan, fallback_reason: str | None = None, *, alone: str | None = None) -> Iterator[str]:
    """The plan alone, for whoever records it: one line a step, in the order of execution. No value is in it.

    ``alone`` names what answered in place of a scan of the table, since it knew all that was asked.
    """
    if not plan.steps:
        yield "Nothing is read."
    for step in plan.steps:
        if alone is not None and isinstance(step.path, Scan):
            yield f"{name_of(step)}: {alone} alone, O(1)"
            continue
        complexity = "O(n)" if isinstance(step.path, Scan) else "O(1)"
        exact = isinstance(step.path, IndexLookup) and step.path.exact
        suffices = ", answers count(), exists() and primary keys alone" if exact else ""
        yield f"{name_of(step)}: {describe(step.path)}, {complexity}{suffices}"
    if fallback_reason is not None:
        yield f"FALLBACK: the index is not trusted now ({fallback_reason}); its steps are full scans, O(n)."


def name_of(step: Step) -> str:
    """The table, and its alias when it has another one."""
    return step.table if step.alias == step.table else f"{step.table} AS {step.alias}"


def describe(path: AccessPath, *, show_values: bool = False) -> str:
    """The access path in words."""
    if isinstance(path, KeyLookup):
        values = f": {_listed(pk[0] for pk in path.pks)}" if show_values and path.pks else ""
        return f"KeyLookup of {len(path.pks)} primary key(s){values}"
    if isinstance(path, IndexLookup):
        return f"IndexLookup {_conditions(path.condition, show_values=show_values)}"
    if isinstance(path, JoinLookup):
        further = path.narrowed_by
        narrowed = f" AND {_conditions(further, show_values=show_values)}" if further is not None else ""
        source = f"{path.source_table}.{path.source_column}"
        return f"JoinLookup by the values of {source}, {_index_or_key(path.index)}{narrowed}"
    if isinstance(path, SubqueryLookup):
        return (
            f"SubqueryLookup by the values that {_source(path.subquery)} selects, {_index_or_key(path.subquery.index)}"
        )
    return "Scan of every document"


def path_as_json(path: AccessPath, *, show_values: bool) -> dict[str, Any]:
    """The access path of JSON types: its name, its indexes as profiles name them, and values if they may be shown."""
    described: dict[str, Any] = {"path": type(path).__name__}
    if isinstance(path, KeyLookup):
        described["keys"] = len(path.pks)
        if show_values:
            described["values"] = [[_as_json(value) for value in pk] for pk in path.pks]
    if isinstance(path, IndexLookup):
        described |= {"indexes": _indexes(path.condition), "exact": path.exact}
        if show_values:
            described["values"] = _values_as_json(path.condition)
    if isinstance(path, JoinLookup):
        further = path.narrowed_by or IndexCondition()
        described["source"] = f"{path.source_table}.{path.source_column}"
        described["indexes"] = [_index_or_key(path.index), *_indexes(further)]
        if show_values:
            described["values"] = _values_as_json(further)
    if isinstance(path, SubqueryLookup):
        described["indexes"] = [_index_or_key(path.subquery.index)]
    return described


def _values_as_json(condition: IndexCondition) -> list[list[dict[str, Any]]]:
    """Of each clause its entries and keys, at whatever depth they stand; a subquery's values are not known yet."""
    return [
        [
            {"index": leaf.index.name, "values": list(map(_as_json, leaf.values))}
            if isinstance(leaf, IndexEntry)
            else {"index": None, "values": list(map(_as_json, leaf.pks))}
            for leaf in IndexCondition((clause,)).leaves
            if not isinstance(leaf, IndexSubquery)
        ]
        for clause in condition.clauses
    ]


def _as_json(value: Value) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    return repr(value) if isinstance(value, float) and not math.isfinite(value) else value


def _indexes(condition: IndexCondition) -> list[str]:
    """Each clause by its indexes."""
    return [_terms(clause, show_values=False) for clause in condition.clauses]


def _conditions(condition: IndexCondition, *, show_values: bool) -> str:
    return " AND ".join(_terms(clause, show_values=show_values) for clause in condition.clauses)


def _terms(terms: tuple[IndexTerm, ...], *, show_values: bool) -> str:
    """A union: each index once, then what is no plain entry of one."""
    entries: dict[str, list[IndexEntry]] = {}
    for term in terms:
        if isinstance(term, IndexEntry):
            entries.setdefault(f"redis:{term.index.name}", []).append(term)
    of_indexes = "|".join(entries)
    if show_values and entries:
        of_indexes += f" ({_listed(_value(term) for found in entries.values() for term in found)})"
    others = (_term(term, show_values=show_values) for term in terms if not isinstance(term, IndexEntry))
    return "|".join(filter(None, (of_indexes, *others)))


def _value(entry: IndexEntry) -> Any:
    return entry.values[0] if len(entry.values) == 1 else entry.values


def _term(term: IndexTerm, *, show_values: bool) -> str:
    if isinstance(term, IndexKeys):
        return f"key ({_listed(term.pks)})" if show_values else "key"
    if isinstance(term, IndexComplement):
        return f"NOT {_terms(term.terms, show_values=show_values)}"
    if isinstance(term, IndexSubquery):
        return f"{'NOT ' if term.negated else ''}{_index_or_key(term.index)} by {_source(term)}"
    return f"({_conditions(term, show_values=show_values)})" if isinstance(term, IndexCondition) else ""


def _source(subquery: IndexSubquery) -> str:
    return "a subquery" if subquery.source_table is None else f"a subquery of {subquery.source_table}"


def _listed(values: Iterable[Any]) -> str:
    texts = [repr(value) for value in values]
    shown = [text if len(text) <= _LONG else f"{text[:_LONG]}…" for text in texts[:_SHOWN]]
    more = f" and {len(texts) - _SHOWN:,} more" if len(texts) > _SHOWN else ""
    return f"{', '.join(shown)}{more}"


def _index_or_key(index: IndexDefinition | None) -> str:
    return "key" if index is None else f"redis:{index.name}"
