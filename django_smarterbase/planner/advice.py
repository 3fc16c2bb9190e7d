"""What would make a query O(1), in sentences for people.

Pure functions: of a forecast and the obstacles of its statement, for ``explain()``; of what a profile has recorded, for
whoever shows profiles. A sentence names a model and its fields, never a value.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from django_smarterbase.hints import Access
from django_smarterbase.outlook import FallbackReason
from django_smarterbase.planner.covering import MAX_ENTRIES
from django_smarterbase.planner.forecast import Forecast, asks_index
from django_smarterbase.planner.obstacles import Hindrance, Obstacle
from django_smarterbase.tables import TableSchema

REMEDIES: Final = {
    FallbackReason.NO_CACHE: gettext_noop(
        "Name a cache of django-redis in the option cache of the database: without one, every query but by primary key "
        "scans."
    ),
    FallbackReason.UNREACHABLE: gettext_noop(
        "Bring Redis back. If queries go on scanning then, run manage.py sb_reindex {label}."
    ),
    FallbackReason.BREAKER_OPEN: gettext_noop(
        "Bring Redis back; within 30 seconds it is asked again. If queries go on scanning then, run manage.py "
        "sb_reindex {label}."
    ),
    FallbackReason.NOT_BUILT: gettext_noop(
        "Run manage.py sb_reindex {label}: no index of it has been built yet. (A table without documents gets its own "
        "with the first one.)"
    ),
    FallbackReason.SUSPECT: gettext_noop("Run manage.py sb_reindex {label}: documents were written without its index."),
    FallbackReason.DEFINITIONS_CHANGED: gettext_noop(
        "When no process runs other code any more, run manage.py sb_reindex {label}: its index was built for other "
        "definitions."
    ),
    FallbackReason.RESTARTED: gettext_noop("Run manage.py sb_reindex {label}: Redis was restarted."),
    FallbackReason.FLUSHED: gettext_noop("Run manage.py sb_reindex {label}: Redis has lost its index."),
    FallbackReason.DRIFT: gettext_noop(
        "Run manage.py sb_reindex {label}, and find out who else writes to that Redis: its index is damaged."
    ),
    FallbackReason.EVICTING: gettext_noop(
        "Set the maxmemory-policy of Redis to noeviction: as it is, parts of an index may vanish."
    ),
    FallbackReason.NOT_INDEXED: gettext_noop(
        "Ask for values that an index can hold: one of these is an integer beyond 64 bits, or no Unicode text."
    ),
    FallbackReason.CHANGED: gettext_noop(
        "Nothing needs to be done: documents changed while this query read the index."
    ),
}

_OF_FIELDS: Final = {
    Hindrance.UNINDEXABLE: gettext_noop(
        "Add a condition by exact, in or a range on an indexed field{indexed}: {fields} cannot have an index, as only "
        "SQLite knows how its values compare."
    ),
    Hindrance.LOOKUP: gettext_noop(
        "Add a condition by exact, in or a range on an indexed field{indexed}: no index answers {terms}."
    ),
    Hindrance.EXCLUSIVE: gettext_noop(
        "Say which values of {fields} are wanted, by & and | and ~: conditions joined by ^ are not narrowed."
    ),
    Hindrance.TRANSFORM: gettext_noop(
        "Keep what {terms} computes in a field of its own with db_index=True, and filter by that: a transform is not "
        "narrowed."
    ),
    Hindrance.EXPRESSION: gettext_noop(
        "Compare {fields} with a value: what it is compared with is known only when the rows are read."
    ),
    Hindrance.SUBQUERY: gettext_noop(
        "Run the subquery that {fields} is compared with first, and pass its values: this one cannot be run by itself, "
        "or not twice with the same result."
    ),
    Hindrance.TOO_MANY: gettext_noop(
        "Ask for {fields} in several queries: more than {max} values are not looked up in an index at once."
    ),
    Hindrance.JOIN_NOT_INDEXED: gettext_noop(
        "Add db_index=True to {fields}, by which it is joined. Then run makemigrations, migrate and sb_reindex {label}."
    ),
    Hindrance.JOIN_TYPES: gettext_noop(
        "Give {fields} the type of the field with which it is joined: SQLite converts one of them to compare them, so "
        "no index finds them."
    ),
    Hindrance.JOIN_COMPOSITE: gettext_noop("Join {model} by a single field: a join by {fields} is not narrowed."),
}


def remedy(reason: FallbackReason, label: str) -> str:
    """What brings the index of the model ``label`` back."""
    return _(REMEDIES[reason]).format(label=label)


def advice_for_forecast(
    forecast: Forecast, obstacles: Iterable[Obstacle], schemas: dict[str, TableSchema], access: Access
) -> list[str]:
    """What would make the statement O(1), each sentence once; nothing when it is. ``schemas`` are by table."""
    advice: list[str] = []
    for step in forecast.steps:
        if step.reason is not None:
            advice.append(remedy(step.reason, schemas[step.step.table].label))
        elif step.scans and access == "scan" and asks_index(step.step.path):
            label = schemas[step.step.table].label
            advice.append(_("Leave out scan(): the index of {label} is not asked because of it.").format(label=label))
    advice += (text for obstacle in obstacles for text in _sentences(obstacle))
    return list(dict.fromkeys(advice))


def advice_for_profile(
    *,
    model: str | None,
    filter_fields: Sequence[str],
    complexity: str,
    index_used: str,
    fallback_reason: str | None = None,
    schema: TableSchema | None = None,
) -> list[str]:
    """What would make statements like this one O(1), from what their profile says; nothing when they are.

    ``schema`` is the model's table as it is now; without it nothing is known of the fields that have an index. A
    profile does not say by which lookups a field was compared, so this knows less than ``explain()``.
    """
    if fallback_reason is not None:
        known = fallback_reason in set(FallbackReason)
        return [remedy(FallbackReason(fallback_reason), model or "")] if known else []
    if complexity == "O(1)" and not index_used.startswith("none:"):
        return []
    if model is None:
        return list(_sentences(Obstacle(Hindrance.RAW)))
    if not filter_fields:
        return [_no_condition(model, _in_brackets(schema))]
    return list(_of_filter_fields(model, filter_fields, schema))


def _of_filter_fields(model: str, filter_fields: Sequence[str], schema: TableSchema | None) -> Iterator[str]:
    own = [] if schema is None else list(schema.field_names.values())
    indexed = [] if schema is None else [*_indexed_fields(schema), *_pk_fields(schema)]
    lacking = [name for name in filter_fields if schema is None or (name in own and name not in indexed)]
    if lacking:
        yield _add_index(model, lacking)
    if found := [name for name in filter_fields if name in indexed]:
        yield _(
            "Filter or exclude {fields} by exact, in, isnull or a range, or filter by startswith, in every branch of "
            "an OR: other lookups and expressions do not use an index."
        ).format(fields=_fields(model, found))
    if schema is not None and (others := [name for name in filter_fields if name not in own]):
        yield _("Give the related models an index on {fields}, or filter {label} by a field of its own.").format(
            fields=", ".join(others), label=model
        )


def _sentences(obstacle: Obstacle) -> Iterator[str]:
    schema, hindrance = obstacle.schema, obstacle.hindrance
    if hindrance is Hindrance.DISJUNCTION:
        yield from _of_branches(obstacle)
    elif hindrance is Hindrance.NO_CONDITION and schema is not None:
        yield _no_condition(schema.label, _in_brackets(schema))
    elif hindrance is Hindrance.NOT_INDEXED and schema is not None:
        yield _add_index(schema.label, obstacle.fields)
    elif schema is None or not obstacle.fields:
        yield _(
            "Ask by the ORM, by conditions that compare a field with a value: SQL text, functions and EXISTS are not "
            "narrowed."
        )
    else:
        yield _(_OF_FIELDS[hindrance]).format(
            label=schema.label,
            model=_model(schema.label),
            fields=_fields(schema.label, obstacle.fields),
            terms=_fields(schema.label, obstacle.fields, obstacle.lookup),
            indexed=_in_brackets(schema),
            max=f"{MAX_ENTRIES:,}",
        )


def _of_branches(obstacle: Obstacle) -> Iterator[str]:
    each = [text for branch in obstacle.branches for part in branch for text in _sentences(part)]
    if not all(obstacle.branches):
        each.append(_("Ask in several queries, or join them by union(): a branch is about another table."))
    yield _("An OR narrows only when each of its branches does. {each}").format(each=" ".join(dict.fromkeys(each)))


def _add_index(label: str, fields: Sequence[str]) -> str:
    values = {"label": label, "model": _model(label), "field": fields[0], "fields": ", ".join(map(repr, fields))}
    if len(fields) == 1:
        what = _("Add db_index=True to {model}.{field}.")
    else:
        what = _("Add models.Index(fields=[{fields}]) to the indexes of {model}.Meta, or db_index=True to one of them.")
    # Apart from the f-string, in which makemessages finds nothing.
    afterwards = _("Then run makemigrations, migrate and sb_reindex {label}.")
    return f"{what} {afterwards}".format(**values)


def _no_condition(label: str, indexed: str) -> str:
    return _("Filter {label} by the primary key or an indexed field{indexed}: nothing narrows it.").format(
        label=label, indexed=indexed
    )


def _indexed_fields(schema: TableSchema) -> list[str]:
    columns = [each.columns[0] for each in schema.indexes if len(each.columns) == 1]
    return [schema.field_names.get(column, column) for column in columns]


def _pk_fields(schema: TableSchema) -> list[str]:
    return [schema.field_names.get(column, column) for column in schema.pk if len(schema.pk) == 1]


def _in_brackets(schema: TableSchema | None) -> str:
    """The indexed fields as a remark, or nothing when there are none or they are not known."""
    fields = [] if schema is None else _indexed_fields(schema)
    return f" ({', '.join(fields)})" if fields else ""


def _model(label: str) -> str:
    return label.rpartition(".")[2]


def _fields(label: str, fields: Sequence[str], lookup: str = "") -> str:
    return ", ".join(f"{_model(label)}.{name}{'__' if lookup else ''}{lookup}" for name in fields)
