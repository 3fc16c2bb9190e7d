"""Counters of requests to the object store and to Redis, raised where the requests are made.

Storage adapters and the Redis client call ``storage_ops()`` and ``redis_ops()`` in the thread of the statement that
they serve (never in a pool thread) and raise the counters there. ``counting()`` gives a statement its own pair.
"""

from __future__ import annotations

from contextvars import ContextVar, Token
from dataclasses import dataclass, field
from types import TracebackType


@dataclass(slots=True)
class StorageOps:
    """Requests to the object store. ``system`` counts requests for objects under ``_sb/`` and is not in ``total``.

    What packs and the document cache did: ``packs`` of the ``reads`` were packs, from which ``packed`` documents were
    taken; ``pack_failures`` packs could not be used. The cache had ``cache_hits`` documents whose ``bytes_saved`` were
    not read, did not have ``cache_misses``, and failed ``cache_failures`` times.
    """

    reads: int = 0
    writes: int = 0
    deletes: int = 0
    lists: int = 0
    system: int = 0
    bytes_read: int = 0
    bytes_written: int = 0
    packs: int = 0
    packed: int = 0
    pack_failures: int = 0
    cache_hits: int = 0
    cache_misses: int = 0
    cache_failures: int = 0
    bytes_saved: int = 0

    @property
    def total(self) -> int:
        """Requests for documents: reads, writes, deletes and listings (a listing of many pages is many)."""
        return self.reads + self.writes + self.deletes + self.lists


@dataclass(slots=True)
class RedisOps:
    """Traffic with Redis: commands sent, and the round trips that they took."""

    commands: int = 0
    round_trips: int = 0


@dataclass(slots=True)
class Ops:
    """The counters of one statement."""

    storage: StorageOps = field(default_factory=StorageOps)
    redis: RedisOps = field(default_factory=RedisOps)


_current: ContextVar[Ops | None] = ContextVar("smarterbase_ops", default=None)


def storage_ops() -> StorageOps:
    """The storage counters of the statement that runs; a throw-away pair outside of any."""
    current = _current.get()
    return current.storage if current is not None else StorageOps()


def redis_ops() -> RedisOps:
    """The Redis counters of the statement that runs; a throw-away pair outside of any."""
    current = _current.get()
    return current.redis if current is not None else RedisOps()


class counting:  # noqa: N801 - it reads as a verb at its place of use, like contextlib.suppress
    """Count the requests made inside the block, apart from those of any surrounding block.

    With ``ops`` they are added to what a statement has made before: one that hands out its rows bit by bit.
    """

    __slots__ = ("_outer", "ops")

    def __init__(self, ops: Ops | None = None) -> None:
        self.ops = Ops() if ops is None else ops

    def __enter__(self) -> Ops:
        self._outer: Token[Ops | None] = _current.set(self.ops)
        return self.ops

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        _current.reset(self._outer)
