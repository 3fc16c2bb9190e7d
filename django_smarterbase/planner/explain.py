"""A plan for people (text) and for programs (JSON): both are made from the object that is executed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from django_smarterbase.outlook import Outlook
from django_smarterbase.planner.forecast import Estimate, Forecast, Precision, StepForecast, asks_index
from django_smarterbase.planner.plan import (
    AccessPath,
    IndexLookup,
    JoinLookup,
    KeyLookup,
    QueryPlan,
    Step,
    SubqueryLookup,
)
from django_smarterbase.tables import IndexCondition, IndexDefinition, IndexEntry, Value

_SHOWN: Final = 10  # values that the text names of each list
_LONG: Final = 40  # characters of a value that the text shows


@dataclass(frozen=True, slots=True)
class Explanation:
    """A plan and what is known of it. ``labels`` and ``outlooks`` are by table; an index that nobody asks has none.

    ``cost_usd`` is None when the number of requests is not known. ``raises`` is what running the statement would raise.
    ``sqlite`` is SQLite's own plan over the candidates. Values of conditions are shown with ``show_values`` only.
    """

    plan: QueryPlan
    forecast: Forecast
    labels: Mapping[str, str]
    outlooks: Mapping[str, Outlook]
    advice: tuple[str, ...] = ()
    cost_usd: float | None = None
    raises: str | None = None
    sqlite: tuple[str, ...] = ()
    show_values: bool = False


def explain_text(explanation: Explanation) -> Iterator[str]:
    """One line a step, in the order of execution; then the indexes, the cost, what would help, and SQLite's plan."""
    forecast = explanation.forecast
    if not forecast.steps:
        yield "Nothing is read."
    for step in forecast.steps:
        yield _step_line(step, explanation)
    for table, outlook in explanation.outlooks.items():
        yield f"Index of {table}: {_trust(outlook)}"
    if forecast.index_only:
        yield "The index alone answers: no document is read, but those with a write under way."
    elif _is_exact(forecast):
        yield "Its count(), exists() and primary keys are answered by the index alone."
    if forecast.steps:
        yield f"Cost: {_cost(explanation)}"
    if explanation.raises is not None:
        yield f"Raises: {explanation.raises}"
    yield from _block("To make it O(1):", (f"- {text}" for text in explanation.advice))
    yield from _block("SQLite, over the candidates:", explanation.sqlite)


def _block(heading: str, lines: Iterable[str]) -> Iterator[str]:
    for position, line in enumerate(lines):
        if position == 0:
            yield heading
        yield f"  {line}"


def _is_exact(forecast: Forecast) -> bool:
    """Whether the index could tell more than candidates."""
    paths = [step.step.path for step in forecast.steps if not step.scans]
    return (
        len(forecast.steps) == 1 and all(isinstance(path, IndexLookup) and path.exact for path in paths) and bool(paths)
    )


def explain_json(explanation: Explanation) -> dict[str, Any]:
    """The same, of JSON types; see docs/reference/managers.md. A number that is not known is null."""
    forecast = explanation.forecast
    return {
        "complexity": forecast.complexity,
        "steps": [_step_as_json(step, explanation) for step in forecast.steps],
        "indexes": {
            table: {
                "trusted": outlook.reason is None,
                "reason": outlook.reason,
                "detail": outlook.detail,
                "documents": outlook.documents,
            }
            for table, outlook in explanation.outlooks.items()
        },
        "index_only": forecast.index_only,
        "filter_fields": list(explanation.plan.filter_fields),
        "fallback_reason": forecast.fallback_reason,
        "storage_ops": {
            "total": (forecast.reads + forecast.listings).number,
            "reads": forecast.reads.number,
            "lists": forecast.listings.number,
            "precision": (forecast.reads + forecast.listings).precision,
        },
        "cost_usd": explanation.cost_usd,
        "raises": explanation.raises,
        "advice": list(explanation.advice),
        "sqlite": list(explanation.sqlite),
    }


def _step_line(step: StepForecast, explanation: Explanation) -> str:
    table, alias = step.step.table, step.step.alias
    name = table if alias == table else f"{table} AS {alias}"
    described = _describe(step.step, explanation)
    if step.reason is not None:
        described += f" [FALLBACK: Scan of every document, {step.reason}]"
    elif step.scans and asks_index(step.step.path):
        described += " [scan(): Scan of every document]"
    return f"{name}: {described}, {step.complexity}, {_number(step.candidates)} candidate{_s(step.candidates)}"


def _describe(step: Step, explanation: Explanation) -> str:
    path, table = step.path, step.table
    if isinstance(path, KeyLookup):
        values = f": {_listed(pk[0] for pk in path.pks)}" if explanation.show_values and path.pks else ""
        return f"KeyLookup of {len(path.pks)} primary key(s){values}"
    if isinstance(path, IndexLookup):
        return f"IndexLookup {_conditions(path.condition, explanation)}"
    if isinstance(path, JoinLookup):
        further = f" AND {_conditions(path.narrowed_by, explanation)}" if path.narrowed_by is not None else ""
        source = f"{path.source_table}.{path.source_column}"
        return f"JoinLookup by the values of {source}, {_index_or_key(path.index)}{further}"
    if isinstance(path, SubqueryLookup):
        source = f" of {path.source_table}" if path.source_table is not None else ""
        return f"SubqueryLookup by the values that a subquery{source} selects, {_index_or_key(path.index)}"
    return f"Scan that redis:{table}-all answers" if explanation.forecast.index_only else "Scan of every document"


def _step_as_json(step: StepForecast, explanation: Explanation) -> dict[str, Any]:
    path = step.step.path
    return {
        "table": step.step.table,
        "alias": step.step.alias,
        "model": explanation.labels[step.step.table],
        "path": type(path).__name__,
        "complexity": step.complexity,
        "scans": step.scans,
        "fallback_reason": step.reason,
        "candidates": step.candidates.number,
        "candidates_precision": step.candidates.precision,
        "reads": step.reads.number,
        **_path_as_json(path, show_values=explanation.show_values),
    }


def _path_as_json(path: AccessPath, *, show_values: bool) -> dict[str, Any]:
    described: dict[str, Any] = {}
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
        described["indexes"] = [_index_or_key(path.index)]
    return described


def _values_as_json(condition: IndexCondition) -> list[list[dict[str, Any]]]:
    """Of each clause its entries."""
    return [
        [{"index": entry.index.name, "values": list(map(_as_json, entry.values))} for entry in clause]
        for clause in condition.clauses
    ]


def _as_json(value: Value) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    return repr(value) if isinstance(value, float) and not math.isfinite(value) else value


def _indexes(condition: IndexCondition) -> list[str]:
    return ["|".join(dict.fromkeys(f"redis:{entry.index.name}" for entry in clause)) for clause in condition.clauses]


def _conditions(condition: IndexCondition, explanation: Explanation) -> str:
    names = _indexes(condition)
    if explanation.show_values:
        names = [f"{name} ({_entries(clause)})" for name, clause in zip(names, condition.clauses, strict=True)]
    return " AND ".join(names)


def _entries(clause: tuple[IndexEntry, ...]) -> str:
    return _listed(entry.values[0] if len(entry.values) == 1 else entry.values for entry in clause)


def _listed(values: Iterable[Any]) -> str:
    texts = [repr(value) for value in values]
    shown = [text if len(text) <= _LONG else f"{text[:_LONG]}…" for text in texts[:_SHOWN]]
    more = f" and {len(texts) - _SHOWN:,} more" if len(texts) > _SHOWN else ""
    return f"{', '.join(shown)}{more}"


def _index_or_key(index: IndexDefinition | None) -> str:
    return "key" if index is None else f"redis:{index.name}"


def _trust(outlook: Outlook) -> str:
    if outlook.reason is not None:
        return f"not trusted now ({outlook.reason}{': ' if outlook.detail else ''}{outlook.detail})"
    documents = outlook.documents or 0
    return f"trusted, {documents:,} document{'' if documents == 1 else 's'}"


def _cost(explanation: Explanation) -> str:
    reads, listings = explanation.forecast.reads, explanation.forecast.listings
    if explanation.cost_usd is None:
        return "unknown"
    total = f"{_number(reads + listings)} storage operation{_s(reads + listings)}"
    parts = f"{reads.number:,} read{_s(reads)}, {listings.number:,} listing{_s(listings)}"
    dollars = f"{explanation.cost_usd:.10f}".rstrip("0").rstrip(".")
    return f"{total} ({parts}), ${dollars}"


def _number(estimate: Estimate) -> str:
    if estimate.number is None:
        return "an unknown number of"
    prefix = "" if estimate.precision is Precision.EXACT else f"{estimate.precision} "
    return f"{prefix}{estimate.number:,}"


def _s(estimate: Estimate) -> str:
    return "" if estimate.number == 1 else "s"
