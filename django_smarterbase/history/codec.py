"""A profile as it stands in the history: JSON of what is not as by default, and the profile's weight."""

from __future__ import annotations

from dataclasses import MISSING, fields
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from django_smarterbase.history.ring import Kept
from django_smarterbase.profiling.profile import QueryProfile

_WEIGHT: Final = "weight"
_REQUIRED: Final = frozenset(
    each.name for each in fields(QueryProfile) if each.default is MISSING and each.default_factory is MISSING
)


def _blank() -> dict[str, Any]:
    """What ``as_dict`` says of a profile of which nothing is known, without what must be known of each."""
    profile = QueryProfile(
        method="",
        model=None,
        database="",
        operation="raw",
        complexity="O(1)",
        index_used="",
        started_at=datetime.min.replace(tzinfo=UTC),
        duration=0.0,
    )
    return {name: value for name, value in profile.as_dict().items() if name not in _REQUIRED}


_BLANK: Final = _blank()
_STORED: Final = tuple(each.name for each in fields(QueryProfile))


def encode(kept: Kept) -> bytes:
    """The profile for Redis."""
    facts = kept.profile.as_dict()
    stored = {name: facts[name] for name in _STORED if name in _REQUIRED or facts[name] != _BLANK[name]}
    for name in ("storage_ops", "redis_ops"):
        if name in stored:
            stored[name] = {counter: count for counter, count in stored[name].items() if count}
    return orjson.dumps({**stored, _WEIGHT: kept.weight})


def decode(text: str) -> Kept | None:
    """What ``encode`` has made, by this version or another; None for what is no profile."""
    try:
        facts = orjson.loads(text)
        return Kept(QueryProfile.from_dict(facts), float(facts.get(_WEIGHT, 1.0)))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
