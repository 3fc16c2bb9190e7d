"""What each operation asks of the object store and of Redis: counted where the requests are made."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from benchmarks.dataset import pick
from benchmarks.engines import OBJECTS
from benchmarks.operations import Operation, articles
from django_smarterbase.profiling import profile_queries


@dataclass(frozen=True)
class Counts:
    """The requests of one operation: a fact, not an estimate."""

    reads: int
    writes: int
    lists: int
    system: int
    round_trips: int
    complexity: str


def count(operations: Iterable[Operation], documents: int) -> dict[str, Counts]:
    """``{operation key: Counts}`` on files with Redis; the manifest and the history were read before."""
    found = {}
    for operation in operations:
        if operation.key == "reindex":
            continue
        articles(OBJECTS).exists()
        with profile_queries() as queries:
            operation.runner(OBJECTS)(OBJECTS, pick(documents, 0))
        profiles = queries.profiles
        found[operation.key] = Counts(
            reads=sum(profile.storage_ops.reads for profile in profiles),
            writes=sum(profile.storage_ops.writes for profile in profiles),
            lists=sum(profile.storage_ops.lists for profile in profiles),
            system=sum(profile.storage_ops.system for profile in profiles),
            round_trips=sum(profile.redis_ops.round_trips for profile in profiles),
            complexity=max(profile.complexity for profile in profiles),
        )
    return found
