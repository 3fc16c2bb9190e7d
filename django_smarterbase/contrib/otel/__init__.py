"""Spans for OpenTelemetry: after ``instrument()`` each statement on a smarterbase database is one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django_smarterbase.profiling.recorder import Listener, add_sink, remove_sink

if TYPE_CHECKING:
    from opentelemetry.trace import TracerProvider

__all__ = ["instrument", "uninstrument"]

_sink: Listener | None = None


def instrument(tracer_provider: TracerProvider | None = None) -> None:
    """Make a span of every statement of this process, by ``tracer_provider`` or the global one.

    The global provider may be set later. Calling it again replaces the provider. Raises ImproperlyConfigured when
    ``opentelemetry-api`` is not installed.
    """
    global _sink
    from .spans import SpanMaker

    uninstrument()
    _sink = SpanMaker(tracer_provider)
    add_sink(_sink)


def uninstrument() -> None:
    """Make no more spans. Without ``instrument()`` before, it does nothing."""
    global _sink
    if _sink is not None:
        remove_sink(_sink)
        _sink = None
