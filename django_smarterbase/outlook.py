"""What is known of a table's index before it is asked: why it may not be believed, and how much stands in it."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from django_smarterbase.tables import IndexDefinition, IndexLeaf


class FallbackReason(enum.StrEnum):
    """Why an index was not asked, or its answer not used. The values stand in profiles and log messages."""

    NO_CACHE = "no cache configured"
    UNREACHABLE = "Redis unreachable"
    BREAKER_OPEN = "Redis left alone after repeated failures"
    NOT_BUILT = "index not built"
    SUSPECT = "writes were made without the index"
    DEFINITIONS_CHANGED = "index definitions changed"
    RESTARTED = "Redis restarted"
    FLUSHED = "Redis lost the index"
    DRIFT = "index damaged"
    EVICTING = "maxmemory-policy may evict"
    NOT_INDEXED = "no index"
    CHANGED = "documents changed while the index was read"


@dataclass(frozen=True, slots=True)
class Outlook:
    """One look at a table's index, without asking it anything.

    ``reason`` is why it would not be believed, None when it would be; ``detail`` says more and quotes no value of a
    document. ``documents`` is how many the index holds, None when nobody can tell; when it is not believed the number
    may be an old one. ``sizes`` are the documents of each term that was looked up, those in doubt included;
    ``values`` how many different values an index holds. ``unaskable`` are the terms that no index can be asked for.
    """

    reason: FallbackReason | None = None
    detail: str = ""
    documents: int | None = None
    sizes: Mapping[IndexLeaf, int] = field(default_factory=dict)
    values: Mapping[IndexDefinition, int] = field(default_factory=dict)
    unaskable: frozenset[IndexLeaf] = frozenset()
