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
    OrderedLookup,
    QueryPlan,
    Scan,
    Step,
    SubqueryLookup,
)
from django_smarterbase.tables import IndexCondition, IndexDefinition, IndexEntry, IndexRange, IndexTerm, Value, Walk

_SHOWN: Final = 10  # values that the text names of each list
_LONG: Final = 40  # characters of a value that the text shows


def explain_text(
    plan: QueryPlan, fallback_reason: str | None = None, *, alone: str | None = None, beyond: bool = False
) -> Iterator[str]:
    """The plan alone, for whoever records it: one line a step, in the order of execution. No value is in it.

    ``alone`` names what answered in place of a scan of the table, since it knew all that was asked. ``beyond`` tells
    that an ordered index did not find its page in time.
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
    if beyond:
        yield (
            "The order was not followed: of the index that has it, too few documents meet the other conditions. All "
            "that meet them were read."
        )
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
    if isinstance(path, OrderedLookup):
        return f"OrderedLookup {' and '.join(_page(walk, show_values=show_values) for walk in path.walks)}"
    if isinstance(path, SubqueryLookup):
        source = f" of {path.source_table}" if path.source_table is not None else ""
        return f"SubqueryLookup by the values that a subquery{source} selects, {_index_or_key(path.index)}"
    return "Scan of every document"


def _page(walk: Walk, *, show_values: bool) -> str:
    """A walk in words: ``rows 20 to 40 of redis:b from its end``."""
    prefix = f" ({_listed(walk.prefix)})" if walk.prefix and show_values else ""
    bounds = f" ({_bounds(walk.within)})" if walk.within is not None and show_values else ""
    conditions = f" that meet {_conditions(walk.condition, show_values=show_values)}" if walk.condition.clauses else ""
    rows = f"the first {walk.stop:,}" if not walk.start else f"{walk.start:,} to {walk.stop:,}"
    if walk.alike is not None:
        rows = "one for each value" if not walk.alike else "one for each period"
    direction = "from the end of " if walk.backwards else "of "
    return f"{rows} {direction}redis:{walk.index.name}{prefix}{bounds}{conditions}"


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
    if isinstance(path, OrderedLookup):
        described |= {"indexes": [f"redis:{name}" for name in path.index_names]}
        described["pages"] = [_page_as_json(walk, show_values=show_values) for walk in path.walks]
    if isinstance(path, SubqueryLookup):
        described["indexes"] = [_index_or_key(path.index)]
    return described


def _page_as_json(walk: Walk, *, show_values: bool) -> dict[str, Any]:
    described: dict[str, Any] = {
        "index": f"redis:{walk.index.name}",
        "backwards": walk.backwards,
        "start": walk.start,
        "stop": walk.stop,
        "conditions": _indexes(walk.condition),
        "grouped": walk.alike is not None,
    }
    if show_values:
        described["prefix"] = list(map(_as_json, walk.prefix))
        described["within"] = None if walk.within is None else _term_as_json(walk.within)
        described["values"] = _values_as_json(walk.condition)
    return described


def _values_as_json(condition: IndexCondition) -> list[list[dict[str, Any]]]:
    """Of each clause its terms."""
    return [[_term_as_json(term) for term in clause] for clause in condition.clauses]


def _term_as_json(term: IndexTerm) -> dict[str, Any]:
    if isinstance(term, IndexEntry):
        return {"index": term.index.name, "values": list(map(_as_json, term.values))}
    return {
        "index": term.index.name,
        "values": list(map(_as_json, term.prefix)),
        "lower": _as_json(term.lower),
        "lower_inclusive": term.lower_inclusive,
        "upper": _as_json(term.upper),
        "upper_inclusive": term.upper_inclusive,
    }


def _as_json(value: Value) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    return repr(value) if isinstance(value, float) and not math.isfinite(value) else value


def _indexes(condition: IndexCondition) -> list[str]:
    return ["|".join(dict.fromkeys(f"redis:{term.index.name}" for term in clause)) for clause in condition.clauses]


def _conditions(condition: IndexCondition, *, show_values: bool) -> str:
    names = _indexes(condition)
    named = [
        f"range of {name}" if any(isinstance(term, IndexRange) for term in clause) else name
        for name, clause in zip(names, condition.clauses, strict=True)
    ]
    if show_values:
        named = [f"{name} ({_terms(clause)})" for name, clause in zip(named, condition.clauses, strict=True)]
    return " AND ".join(named)


def _terms(clause: tuple[IndexTerm, ...]) -> str:
    entries = [term for term in clause if isinstance(term, IndexEntry)]
    ranges = [_bounds(term) for term in clause if isinstance(term, IndexRange)]
    values = _listed(entry.values[0] if len(entry.values) == 1 else entry.values for entry in entries)
    return ", ".join(filter(None, [values, *ranges]))


def _bounds(term: IndexRange) -> str:
    """As in mathematics: ``[1, 5)``, with a bracket where the bound is taken in."""
    lower = f"{'[' if term.lower_inclusive else '('}{_short(term.lower)}" if term.lower is not None else "(-∞"
    upper = f"{_short(term.upper)}{']' if term.upper_inclusive else ')'}" if term.upper is not None else "∞)"
    prefix = f"{', '.join(map(_short, term.prefix))}: " if term.prefix else ""
    return f"{prefix}{lower}, {upper}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _LONG else f"{text[:_LONG]}…"


def _listed(values: Iterable[Any]) -> str:
    texts = list(values)
    shown = map(_short, texts[:_SHOWN])
    more = f" and {len(texts) - _SHOWN:,} more" if len(texts) > _SHOWN else ""
    return f"{', '.join(shown)}{more}"


def _index_or_key(index: IndexDefinition | None) -> str:
    return "key" if index is None else f"redis:{index.name}"
