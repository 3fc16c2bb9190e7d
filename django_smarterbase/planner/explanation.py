"""What ``QuerySet.explain()`` says, for people (text) and programs (JSON): the plan, and what is known of it now."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django_smarterbase.outlook import Outlook
from django_smarterbase.planner.explain import describe, name_of, path_as_json
from django_smarterbase.planner.forecast import Estimate, Forecast, Precision, StepForecast, asks_index
from django_smarterbase.planner.plan import IndexLookup, QueryPlan, Scan


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


def explanation_text(explanation: Explanation) -> Iterator[str]:
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


def explanation_json(explanation: Explanation) -> dict[str, Any]:
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


def _step_line(step: StepForecast, explanation: Explanation) -> str:
    described = describe(step.step.path, show_values=explanation.show_values)
    if step.from_index and isinstance(step.step.path, Scan):
        described = f"Scan that redis:{step.step.table}-all answers"
    elif step.reason is not None:
        described += f" [FALLBACK: Scan of every document, {step.reason}]"
    elif step.chosen is not None:
        described += f" [{step.chosen.why}]"
    elif step.scans and asks_index(step.step.path):
        described += " [scan(): Scan of every document]"
    elif step.from_index and not explanation.forecast.index_only:
        described += " [rows from the index]"
    candidates = f"{_number(step.candidates)} candidate{_s(step.candidates)}"
    return f"{name_of(step.step)}: {described}, {step.complexity}, {candidates}"


def _step_as_json(step: StepForecast, explanation: Explanation) -> dict[str, Any]:
    return {
        "table": step.step.table,
        "alias": step.step.alias,
        "model": explanation.labels[step.step.table],
        "complexity": step.complexity,
        "scans": step.scans,
        "fallback_reason": step.reason,
        "scan_chosen": None if step.chosen is None else step.chosen.why,
        "from_index": step.from_index,
        "candidates": step.candidates.number,
        "candidates_precision": step.candidates.precision,
        "reads": step.reads.number,
        **path_as_json(step.step.path, show_values=explanation.show_values),
    }


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
