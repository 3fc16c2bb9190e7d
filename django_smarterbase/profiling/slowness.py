"""From what duration on a statement is logged as slow."""

from __future__ import annotations

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from django_smarterbase.profiling.summary import SLOW_MS


def slow_ms() -> float:
    """The setting ``SMARTERBASE_SLOW_MS`` (ms), read at each call. Raises ImproperlyConfigured."""
    threshold = getattr(settings, "SMARTERBASE_SLOW_MS", SLOW_MS)
    if isinstance(threshold, bool) or not isinstance(threshold, (int, float)) or threshold < 0:
        raise ImproperlyConfigured(
            f"SMARTERBASE_SLOW_MS is {threshold!r}; it must be a number of milliseconds, 0 or more."
        )
    return float(threshold)


def is_slow(duration: float) -> bool:
    """Whether ``duration`` (ms) is to be logged as slow. Never raises: check E009 tells of a setting that is wrong."""
    try:
        return duration >= slow_ms()
    except ImproperlyConfigured:
        return duration >= SLOW_MS
