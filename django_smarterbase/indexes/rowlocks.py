"""Locks on rows, for ``select_for_update()``: fields of a Redis hash, with a time to live.

A lock keeps other transactions from locking the row, and writers from changing it, as long as Redis can be asked. It is
no more than that: what a transaction writes is conditional on the ETag that it read under the lock, and what it has
locked without writing is compared at COMMIT. So the ETags are the fence against a holder whose lock has run out.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final, Literal

from ..exceptions import LockNotAvailable
from ..tables import TableSchema
from .answers import FallbackReason, IndexUntrusted
from .client import IndexDamaged, RedisDown
from .room import Room
from .scripts import Script

logger = logging.getLogger("django_smarterbase.index")

PATIENCE: Final = 2  # write deadlines for which a locked row is waited for

Wish = Literal["all", "some", "none"]


class RowLocks:
    """The locks of one database. Thread-safe."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._told = False

    def lock(self, schema: TableSchema, token: str, stems: Sequence[str], wish: Wish) -> list[str]:
        """As ``IndexService.lock``."""
        redis = self._room.redis
        if redis is None or not stems:
            return []
        try:
            busy: list[str] = redis.run(
                Script.LOCK, self._room.keys(schema), token, self._room.deadline_ms, wish, *stems
            )
        except RedisDown as down:
            self._tell(down)
            raise IndexUntrusted(down.reason, down.detail) from down
        except IndexDamaged as damage:
            self._tell(damage)
            raise IndexUntrusted(FallbackReason.DRIFT, str(damage)) from damage
        self._told = False
        return busy

    def unlock(self, schema: TableSchema, token: str, stems: Sequence[str]) -> int:
        """As ``IndexService.unlock``."""
        redis = self._room.redis
        if redis is None or not stems:
            return len(stems)
        try:
            had: int = redis.run(Script.UNLOCK, self._room.keys(schema), token, *stems)
        except (RedisDown, IndexDamaged):
            return 0  # they run out by themselves
        return had

    def _tell(self, problem: Exception) -> None:
        """Once an outage."""
        if not self._told:
            self._told = True
            logger.warning(
                "Rows cannot be locked: %s. Conflicts are found when transactions commit.",
                problem,
                extra={"event": "locks_unavailable", "database": self._room.database, "detail": str(problem)},
            )


def still_locked(schema: TableSchema, stem: str, seconds: float) -> LockNotAvailable:
    """The error of a wait that was too long."""
    return LockNotAvailable(
        f"The row {stem!r} of {schema.label} has been locked by other transactions for {seconds:g} s, {PATIENCE} times "
        "the write deadline. Make the transactions that call select_for_update() shorter, let them lock their rows in "
        "the same order, or use nowait=True or skip_locked=True."
    )
