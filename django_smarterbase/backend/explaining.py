"""``QuerySet.explain()``: the request that would be run, and what indexes and prices say of it. Reads no document."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from django.apps import apps
from django.db import connections
from django.db.models import Model

from django_smarterbase.backend.requests import Request
from django_smarterbase.ops import StorageOps, counting
from django_smarterbase.outlook import Outlook
from django_smarterbase.planner.advice import advice_for_forecast, advice_for_profile
from django_smarterbase.planner.explanation import Explanation
from django_smarterbase.planner.forecast import (
    Estimate,
    Forecast,
    Precision,
    StepForecast,
    asks_index,
    entries_of,
    forecast,
    indexes_of,
)
from django_smarterbase.planner.obstacles import Obstacle
from django_smarterbase.planner.plan import Scan, Step
from django_smarterbase.profiling.prices import prices
from django_smarterbase.profiling.profile import QueryProfile
from django_smarterbase.tables import TableSchema

if TYPE_CHECKING:
    from django_smarterbase.backend.base import DatabaseWrapper
    from django_smarterbase.backend.resources import Resources


def explain(connection: DatabaseWrapper, request: Request, sql: str, sqlite: Sequence[str]) -> Explanation:
    """Explain what has just been compiled to ``sql``; ``sqlite`` is SQLite's own plan.

    One round trip to Redis for each table that has an index to ask or is scanned, a GET of the manifest when the lease
    on it has run out. Raises StorageUnavailable, never anything for Redis.
    """
    plan, access, resources = request.plan, request.hints.access, connection.resources
    tables = {step.table: connection.table_schema(step.table) for step in plan.steps}
    with counting():  # by its counters a Redis that was waited for in vain is known
        outlooks = _outlooks(connection, plan.steps)
    workspace = connection.session.workspace
    index_only = request.shortcut is not None and not any(map(workspace.has_pending, plan.tables))
    found = forecast(plan, outlooks, resources.store.listings, access=access, index_only=index_only)
    packed = replace(found, steps=tuple(_packed(resources, step) for step in found.steps))
    return Explanation(
        plan=plan,
        forecast=packed,
        labels={table: schema.label for table, schema in tables.items()},
        outlooks=outlooks,
        advice=tuple(advice_for_forecast(found, _obstacles(connection, found, sql), tables, access)),
        cost_usd=_cost(packed),
        raises=_error(connection, request, found),
        sqlite=tuple(sqlite),
        show_values=resources.options.show_values,
    )


def _packed(resources: Resources, step: StepForecast) -> StepForecast:
    """A scan as the packs make it that this process knows of; of what has changed since, nobody knows unasked."""
    table, documents = step.step.table, step.reads.number
    if not step.scans or not documents or resources.store.packs(table) is None:
        return step
    return replace(step, reads=Estimate(resources.store.scan_reads(table, documents), Precision.ABOUT))


def advice_of(profile: QueryProfile) -> list[str]:
    """What would make statements like a recorded one O(1), by the models as they are now. Makes no request."""
    return advice_for_profile(
        model=profile.model,
        filter_fields=profile.filter_fields,
        complexity=profile.complexity,
        index_used=profile.index_used,
        fallback_reason=profile.fallback_reason,
        schema=_schema_of(profile),
    )


def _schema_of(profile: QueryProfile) -> TableSchema | None:
    """The table of the profile's model; None for raw SQL, and for a model or database that is another one since."""
    if profile.model is None or profile.database not in connections:
        return None
    try:
        model = apps.get_model(profile.model)
    except LookupError:
        return None
    schema_of_model: Callable[[type[Model]], TableSchema] | None
    schema_of_model = getattr(connections[profile.database], "schema_of_model", None)
    return schema_of_model(model) if schema_of_model is not None else None


def _outlooks(connection: DatabaseWrapper, steps: Sequence[Step]) -> dict[str, Outlook]:
    asked: dict[str, list[Step]] = {}
    for step in steps:
        if asks_index(step.path) or isinstance(step.path, Scan):
            asked.setdefault(step.table, []).append(step)
    return {
        table: connection.resources.indexes.outlook(
            connection.table_schema(table),
            [entry for step in found for entry in entries_of(step.path)],
            [index for step in found for index in indexes_of(step.path)],
        )
        for table, found in asked.items()
    }


def _obstacles(connection: DatabaseWrapper, found: Forecast, sql: str) -> tuple[Obstacle, ...]:
    if not any(step.scans and isinstance(step.step.path, Scan) and step.reason is None for step in found.steps):
        return ()
    return connection.obstacles(sql)


def _cost(found: Forecast) -> float | None:
    reads, lists = found.reads.number, found.listings.number
    if reads is None or lists is None:
        return None
    return round(prices().cost(StorageOps(reads=reads, lists=lists)), 12)


def _error(connection: DatabaseWrapper, request: Request, found: Forecast) -> str | None:
    limit = connection.resources.options.max_scan_objects
    if request.hints.access == "index" and found.complexity == "O(n)":
        return "FullScanRefused, as require_index() was asked for"
    if limit is not None and any(step.scans and (step.reads.number or 0) > limit for step in found.steps):
        return f"ScanBudgetExceeded, as the option max_scan_objects is {limit:,}"
    return None
