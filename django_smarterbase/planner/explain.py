"""A plan in words, and its access paths for programs: made from the object that is executed, and nothing else."""

from __future__ import annotations

import enum
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from django_smarterbase.planner.plan import (
    AccessPath,
    IndexLookup,
    JoinLookup,
    KeyLookup,
    OrderedLookup,
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
    IndexRange,
    IndexSubquery,
    IndexTerm,
    Value,
    Walk,
)

_SHOWN: Final = 10  # values that the text names of each list
_LONG: Final = 40  # characters of a value that the text shows


class _Detail(enum.IntEnum):
    """How much is said of a condition's terms: the indexes, which of them are asked for ranges, or the values too."""

    INDEXES = 0
    RANGES = 1
    VALUES = 2


def explain_text(
    steps: Sequence[Step], fallback_reason: str | None = None, *, alone: str | None = None, beyond: bool = False
) -> Iterator[str]:
    """The steps of a plan alone, for whoever records it: one line a step, in the order of execution. No value is in it.

    ``alone`` names what answered in place of a scan of the table, since it knew all that was asked. ``beyond`` tells
    that an ordered index did not find its page in time.
    """
    if not steps:
        yield "Nothing is read."
    for step in steps:
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
    detail = _Detail.VALUES if show_values else _Detail.RANGES
    if isinstance(path, KeyLookup):
        values = f": {_listed(pk[0] for pk in path.pks)}" if show_values and path.pks else ""
        return f"KeyLookup of {len(path.pks)} primary key{'' if len(path.pks) == 1 else 's'}{values}"
    if isinstance(path, IndexLookup):
        return f"IndexLookup {_conditions(path.condition, detail)}"
    if isinstance(path, JoinLookup):
        further = path.narrowed_by
        narrowed = f" AND {_conditions(further, detail)}" if further is not None else ""
        source = f"{path.source_table}.{path.source_column}"
        return f"JoinLookup by the values of {source}, {_index_or_key(path.index)}{narrowed}"
    if isinstance(path, OrderedLookup):
        return f"OrderedLookup {' and '.join(_page(walk, detail) for walk in path.walks)}"
    if isinstance(path, SubqueryLookup):
        return (
            f"SubqueryLookup by the values that {_source(path.subquery)} selects, {_index_or_key(path.subquery.index)}"
        )
    return "Scan of every document"


def _page(walk: Walk, detail: _Detail) -> str:
    """A walk in words: ``rows 20 to 40 of redis:b from its end``."""
    shown = detail is _Detail.VALUES
    prefix = f" ({_listed(walk.prefix)})" if walk.prefix and shown else ""
    bounds = f" ({_bounds(walk.within)})" if walk.within is not None and shown else ""
    conditions = f" that meet {_conditions(walk.condition, detail)}" if walk.condition.clauses else ""
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
        described["indexes"] = [_index_or_key(path.subquery.index)]
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
        described["within"] = None if walk.within is None else _leaf_as_json(walk.within)
        described["values"] = _values_as_json(walk.condition)
    return described


def _values_as_json(condition: IndexCondition) -> list[list[dict[str, Any]]]:
    """Of each clause its values, at whatever depth they stand; a subquery's are not known yet."""
    return [
        [_leaf_as_json(leaf) for leaf in IndexCondition((clause,)).leaves if not isinstance(leaf, IndexSubquery)]
        for clause in condition.clauses
    ]


def _leaf_as_json(leaf: IndexLeaf | IndexKeys) -> dict[str, Any]:
    if isinstance(leaf, IndexKeys):
        return {"index": None, "values": list(map(_as_json, leaf.pks))}
    if isinstance(leaf, IndexEntry):
        return {"index": leaf.index.name, "values": list(map(_as_json, leaf.values))}
    return {
        "index": leaf.index.name,
        "values": list(map(_as_json, leaf.prefix)),
        "lower": _as_json(leaf.lower),
        "lower_inclusive": leaf.lower_inclusive,
        "upper": _as_json(leaf.upper),
        "upper_inclusive": leaf.upper_inclusive,
    }


def _as_json(value: Value) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    return repr(value) if isinstance(value, float) and not math.isfinite(value) else value


def _indexes(condition: IndexCondition) -> list[str]:
    """Each clause by its indexes."""
    return [_terms(clause, _Detail.INDEXES) for clause in condition.clauses]


def _conditions(condition: IndexCondition, detail: _Detail) -> str:
    return " AND ".join(_terms(clause, detail) for clause in condition.clauses)


def _terms(terms: tuple[IndexTerm, ...], detail: _Detail) -> str:
    """A union: each index once, then what is no plain part of one."""
    of_indexes = {f"redis:{term.index.name}": None for term in terms if isinstance(term, IndexLeaf)}
    named = "|".join(of_indexes)
    if detail >= _Detail.RANGES and any(isinstance(term, IndexRange) for term in terms):
        named = f"range of {named}"
    if detail is _Detail.VALUES and of_indexes:
        named += f" ({_values(terms)})"
    others = (_term(term, detail) for term in terms if not isinstance(term, IndexLeaf))
    return "|".join(filter(None, (named, *others)))


def _values(terms: tuple[IndexTerm, ...]) -> str:
    entries = [term for term in terms if isinstance(term, IndexEntry)]
    values = _listed(entry.values[0] if len(entry.values) == 1 else entry.values for entry in entries)
    return ", ".join(filter(None, [values, *(_bounds(term) for term in terms if isinstance(term, IndexRange))]))


def _bounds(term: IndexRange) -> str:
    """As in mathematics: ``[1, 5)``, with a bracket where the bound is taken in."""
    lower = f"{'[' if term.lower_inclusive else '('}{_short(term.lower)}" if term.lower is not None else "(-∞"
    upper = f"{_short(term.upper)}{']' if term.upper_inclusive else ')'}" if term.upper is not None else "∞)"
    prefix = f"{', '.join(map(_short, term.prefix))}: " if term.prefix else ""
    return f"{prefix}{lower}, {upper}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _LONG else f"{text[:_LONG]}…"


def _term(term: IndexTerm, detail: _Detail) -> str:
    if isinstance(term, IndexKeys):
        return f"key ({_listed(term.pks)})" if detail is _Detail.VALUES else "key"
    if isinstance(term, IndexComplement):
        return f"NOT {_terms(term.terms, detail)}"
    if isinstance(term, IndexSubquery):
        return f"{'NOT ' if term.negated else ''}{_index_or_key(term.index)} by {_source(term)}"
    return f"({_conditions(term, detail)})" if isinstance(term, IndexCondition) else ""


def _source(subquery: IndexSubquery) -> str:
    return "a subquery" if subquery.source_table is None else f"a subquery of {subquery.source_table}"


def _listed(values: Iterable[Any]) -> str:
    found = list(values)
    more = f" and {len(found) - _SHOWN:,} more" if len(found) > _SHOWN else ""
    return f"{', '.join(map(_short, found[:_SHOWN]))}{more}"


def _index_or_key(index: IndexDefinition | None) -> str:
    return "key" if index is None else f"redis:{index.name}"
