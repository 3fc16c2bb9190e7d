"""A profile as it stands in the history: JSON of what is not as by default, and the profile's weight."""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import Any, Final

import orjson

from django_smarterbase.history.ring import Kept
from django_smarterbase.profiling.profile import QueryProfile

_WEIGHT: Final = "weight"


def _defaults() -> dict[str, Any]:
    """``{field: its default}``; of a field that must be given, what equals no value of it."""
    return {
        each.name: each.default_factory() if each.default_factory is not MISSING else each.default
        for each in fields(QueryProfile)
    }


_DEFAULTS: Final = _defaults()


def encode(kept: Kept) -> bytes:
    """The profile for Redis: as ``as_dict`` has it, without what is as by default or can be derived.

    One that JSON cannot hold, for half a character in a name, becomes ``null``: it must not keep others from arriving.
    """
    facts = {name: value for name, default in _DEFAULTS.items() if (value := getattr(kept.profile, name)) != default}
    try:
        return orjson.dumps({**facts, _WEIGHT: kept.weight})
    except TypeError:
        return b"null"


def decode(text: str) -> Kept | None:
    """What ``encode`` has made, by this version or another; None for what is no profile."""
    try:
        facts = orjson.loads(text)
        return Kept(QueryProfile.from_dict(facts), float(facts.get(_WEIGHT, 1.0)))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
