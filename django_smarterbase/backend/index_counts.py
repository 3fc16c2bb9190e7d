"""``index_counts()``: how many documents have each value of an indexed field, from the index alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.core.exceptions import FieldError
from django.db.models import Field, Model
from django.utils.dateparse import parse_date, parse_datetime, parse_time

from django_smarterbase.backend.loader import Loader
from django_smarterbase.backend.modeltables import column_name
from django_smarterbase.backend.requests import Execution, Request
from django_smarterbase.backend.workspace import quote
from django_smarterbase.hints import hints_of
from django_smarterbase.indexes.service import IndexUntrusted
from django_smarterbase.planner.plan import QueryPlan, Scan, Step
from django_smarterbase.tables import IndexDefinition, Kind, TableSchema, Value

if TYPE_CHECKING:
    from django_smarterbase.backend.base import DatabaseWrapper

#: What sqlite3 makes of a declared type before Django's own converters see the value.
_DECLARED: Final[Mapping[Kind, Callable[[Any], Any]]] = {
    Kind.BOOL: bool,
    Kind.DATE: parse_date,
    Kind.TIME: parse_time,
    Kind.DATETIME: parse_datetime,
}


def index_counts(wrapper: DatabaseWrapper, model: type[Model], field: Field[Any, Any]) -> dict[Any, int]:
    """``{value: documents}`` with values as the model has them. One round trip to Redis, 0 documents read; documents
    with a write under way are read. Reads every document when the index is not trusted. Raises FieldError for a field
    that has no index.
    """
    schema = wrapper.schema_of_model(model)
    index = next((index for index in schema.indexes if index.columns == (field.column,)), None)
    if index is None:
        indexed = sorted(schema.field_names[each.columns[0]] for each in schema.indexes if len(each.columns) == 1)
        raise FieldError(
            f"index_counts({field.name!r}): {schema.label} has no index on this field. The indexed ones are: "
            f"{', '.join(indexed) or 'none'}. Give the field db_index=True and run manage.py sb_reindex {schema.label}."
        )
    rows = _run(wrapper, schema, index, field)
    convert = _converter(wrapper, schema, field)
    counts: Counter[Any] = Counter()
    for value, count in rows:
        counts[convert(value)] += count  # a boolean field has many values that are true
    return dict(counts)


def _run(
    wrapper: DatabaseWrapper, schema: TableSchema, index: IndexDefinition, field: Field[Any, Any]
) -> list[tuple[Value, int]]:
    table, column = quote(schema.table), quote(column_name(field))
    wrapper.request = Request(
        plan=QueryPlan((Step(schema.table, schema.table, Scan()),), (schema.table,), (field.name,)),
        operation="select",
        hints=hints_of(None),
        model=schema.label,
        shortcut=_CountsShortcut(schema, index),
    )
    try:
        with wrapper.cursor() as cursor:
            cursor.execute(f"SELECT +{column}, COUNT(*) FROM {table} GROUP BY {column}")
            rows: list[tuple[Value, int]] = cursor.fetchall()
            return rows
    finally:
        wrapper.request = None


@dataclass(frozen=True)
class _CountsShortcut:
    schema: TableSchema
    index: IndexDefinition

    def answer(self, loader: Loader, execution: Execution) -> bool:
        """The counts of the certain documents, and SQLite's of those in doubt."""
        if loader.has_pending(self.schema):
            return False
        try:
            counts = loader.resources.indexes.counts(self.schema, self.index)
        except IndexUntrusted as untrusted:
            loader.account.fallback_reason = untrusted.reason
            return False
        if counts.in_doubt and loader.has_loaded(self.schema):
            return False
        loader.account.indexes.append(self.index.name)
        totals: Counter[Value] = Counter({values[0]: count for values, count in counts.counts.items()})
        if counts.in_doubt:
            loader.fetch(self.schema, counts.in_doubt)
            execution.execute()
            for value, count in execution.rows or []:
                totals[value] += count
        execution.rows = [(value, count) for value, count in totals.items() if count]
        return True


def _converter(wrapper: DatabaseWrapper, schema: TableSchema, field: Field[Any, Any]) -> Callable[[Value], Any]:
    column = field.get_col(schema.table)
    converters = [*wrapper.ops.get_db_converters(column), *field.get_db_converters(wrapper)]
    declared = _DECLARED.get(schema.by_name[column_name(field)].kind)

    def convert(value: Any) -> Any:
        if value is not None and declared is not None:
            value = declared(value)
        for converter in converters:
            value = converter(value, column, wrapper)
        return value

    return convert
