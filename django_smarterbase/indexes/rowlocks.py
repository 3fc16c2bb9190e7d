"""Locks on rows, for ``select_for_update()``: fields of a Redis hash, with a time to live.

A lock keeps other transactions from locking the row, and writers from changing it, as long as Redis can be asked. Who
has announced a write before is waited for, since it may land at any moment.

A lock is no more than that: what a transaction writes is conditional on the ETag that it read under the lock, and what
it has locked without writing is compared at COMMIT. So the ETags are the fence against a holder whose lock has run out.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Final, Literal

from ..exceptions import LockNotAvailable
from ..tables import TableSchema
from .answers import FallbackReason, IndexUntrusted
from .client import IndexDamaged, RedisClient, RedisDown
from .room import Room
from .scripts import Script

logger = logging.getLogger("django_smarterbase.index")

PIECE: Final = 1000  # rows for each script, lest Redis serve nobody else meanwhile
PATIENCE: Final = 2  # write deadlines for which a locked row is waited for

Wish = Literal["all", "some", "keep", "write"]
_ALL: Final = ("all", "write")
_AFTER_WRITERS: Final = ("all", "some")


class RowLocks:
    """The locks of one database. Thread-safe."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._told = False

    def lock(self, schema: TableSchema, token: str, stems: Sequence[str], wish: Wish) -> list[str]:
        """As ``IndexService.lock``."""
        redis, busy = self._room.redis, list[str]()
        if redis is None:
            return []
        try:
            for at in range(0, len(stems), PIECE):
                busy += self._lock(redis, schema, token, stems[at : at + PIECE], wish)
                if busy and wish in _ALL:
                    self.unlock(schema, token, stems[:at])
                    break
        except RedisDown as down:
            self._tell(down)
            raise IndexUntrusted(down.reason, down.detail) from down
        except IndexDamaged as damage:
            self._tell(damage)
            raise IndexUntrusted(FallbackReason.DRIFT, str(damage)) from damage
        self._told = False
        return busy

    def _lock(
        self, redis: RedisClient, schema: TableSchema, token: str, stems: Sequence[str], wish: Wish
    ) -> Iterable[str]:
        how = ("all" if wish in _ALL else "some", int(wish in _AFTER_WRITERS))
        busy: list[str] = redis.run(Script.LOCK, self._room.keys(schema), token, self._room.deadline_ms, *how, *stems)
        return busy

    def unlock(self, schema: TableSchema, token: str, stems: Sequence[str]) -> int:
        """As ``IndexService.unlock``."""
        redis, had = self._room.redis, 0
        if redis is None:
            return len(stems)
        try:
            for at in range(0, len(stems), PIECE):
                had += redis.run(Script.UNLOCK, self._room.keys(schema), token, *stems[at : at + PIECE])
        except (RedisDown, IndexDamaged):
            return had  # they run out by themselves
        return had

    def _tell(self, problem: Exception) -> None:
        """Once an outage."""
        if not self._told:
            self._told = True
            logger.warning(
                "Rows cannot be locked: %s. Conflicts are found when transactions commit.",
                problem,
                extra={"event": "locks_unavailable", **self._room.origin, "detail": str(problem)},
            )


def still_locked(schema: TableSchema, stem: str, seconds: float) -> LockNotAvailable:
    """The error of a wait that was too long."""
    return LockNotAvailable(
        f"The row {stem!r} of {schema.label} has been locked by other transactions for {seconds:g} s, {PATIENCE} times "
        "the write deadline. Make the transactions that call select_for_update() shorter, let them lock their rows in "
        "the same order, or use nowait=True or skip_locked=True."
    )
