"""From a profile to a span, by the semantic conventions for database clients.

https://opentelemetry.io/docs/specs/semconv/db/database-spans/, stable since 1.33.0. A profile is complete when its
statement has ended; so the span is made then, with the times of the profile, as a child of the span in whose context
the statement ran. It ends before anything could become a child of it.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.db import connections

from django_smarterbase import __version__
from django_smarterbase.profiling.fields import flat_fields
from django_smarterbase.profiling.profile import QueryProfile

try:
    from opentelemetry.trace import SpanKind, StatusCode, TracerProvider, get_tracer
except ModuleNotFoundError as error:
    raise ImproperlyConfigured(
        "django_smarterbase.contrib.otel needs opentelemetry-api, which is not installed. Install it by "
        "pip install 'django-smarterbase[otel]', or do not call instrument()."
    ) from error

SYSTEM: Final = "smarterbase"  # the value of db.system.name
PREFIX: Final = "smarterbase."  # of the attributes that no convention names
_SCHEMA: Final = "https://opentelemetry.io/schemas/1.33.0"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
#: What the span itself tells, or an attribute of the conventions.
_TOLD: Final = frozenset(("started_at", "duration_ms", "error"))

Attribute = str | int | float | bool


class SpanMaker:
    """A sink for profiles. ``provider`` None is the global one."""

    def __init__(self, provider: TracerProvider | None) -> None:
        self._tracer = get_tracer("django_smarterbase", __version__, provider, _SCHEMA)

    def __call__(self, profile: QueryProfile) -> None:
        """Make and end the span of one statement."""
        started = (profile.started_at - _EPOCH) // timedelta(microseconds=1) * 1000  # ns, with no float in between
        attributes = attributes_of(profile)
        span = self._tracer.start_span(
            name_of(attributes), kind=SpanKind.CLIENT, attributes=attributes, start_time=started
        )
        if profile.error is not None:
            span.set_status(StatusCode.ERROR)
        span.end(started + round(profile.duration * 1_000_000))


def attributes_of(profile: QueryProfile) -> dict[str, Attribute]:
    """The attributes of the conventions, and our own; those without a value are left out."""
    operation = profile.operation.upper() if profile.operation != "raw" else None
    table = _table(profile.model)
    named: dict[str, Attribute | None] = {
        "db.system.name": SYSTEM,
        "db.namespace": _namespace(profile.database),
        "db.collection.name": table,
        "db.operation.name": operation,
        "db.query.summary": f"{operation} {table}" if operation and table else None,
        "error.type": profile.error,
        **{PREFIX + name: value for name, value in flat_fields(profile).items() if name not in _TOLD},
    }
    return {name: value for name, value in named.items() if value is not None and value != ""}


def name_of(attributes: dict[str, Attribute]) -> str:
    """The span's name: the summary; else the operation and the database; else the database."""
    summary = attributes.get("db.query.summary")
    if summary is not None:
        return str(summary)
    parts = (attributes.get("db.operation.name"), attributes.get("db.namespace"))
    return " ".join(str(part) for part in parts if part) or SYSTEM


def _namespace(database: str) -> str | None:
    """The NAME behind an alias."""
    name: str | None = connections.settings.get(database, {}).get("NAME")
    return name


def _table(label: str | None) -> str | None:
    """The table of a model; None for raw SQL, and for a model that exists only in a migration."""
    if label is None:
        return None
    try:
        table: str = apps.get_model(label)._meta.db_table
    except LookupError:
        return None
    return table
