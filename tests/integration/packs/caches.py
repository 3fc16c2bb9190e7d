"""Caches that fail, and caches that lie."""

from __future__ import annotations

from typing import Any

from django.core.cache.backends.locmem import LocMemCache


class Down(LocMemCache):
    """Its service does not answer. ``asked`` counts how often it was tried."""

    asked = 0

    def get_many(self, *args: Any, **kwargs: Any) -> Any:
        Down.asked += 1
        raise ConnectionError("nobody answers")

    set_many = get_many


class Lying(LocMemCache):
    """Gives ``lie`` of what it has, whatever was asked for; or something that is no mapping, when it is None."""

    lie: Any = None

    def get_many(self, *args: Any, **kwargs: Any) -> Any:
        found = super().get_many(*args, **kwargs)
        return None if Lying.lie is None else {name: Lying.lie(entry) for name, entry in found.items()}
