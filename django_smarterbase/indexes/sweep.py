"""Settling what writers left behind: pending notes older than the write deadline."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable
from typing import Final, NamedTuple

from ..tables import TableSchema
from .client import IndexDamaged, RedisDown
from .room import Room
from .scripts import Script

logger = logging.getLogger("django_smarterbase.index")

_PIECE: Final = 100  # notes for each pair of scripts
_BY_THE_WAY: Final = 10  # notes that a query settles at most
_PAUSE: Final = 1.0  # seconds between two queries that do


class _Overdue(NamedTuple):
    """A note as ``overdue.lua`` gives it."""

    epoch: str
    stem: str
    token: str
    record: str
    notes: str


class Sweeper:
    """Replaces overdue notes by what the documents say. Thread-safe; two sweepers do no harm."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._lock = threading.Lock()
        self._lent: dict[str, float] = {}

    def sweep(self, schema: TableSchema, limit: int | None = None) -> int:
        """Settle overdue notes, oldest ticket first, ``limit`` at most; returns how many were settled.

        Two round trips and one read a document, for each hundred notes. Raises RedisDown, IndexDamaged.
        """
        settled = 0
        while limit is None or settled < limit:
            piece = _PIECE if limit is None else min(_PIECE, limit - settled)
            progress = self._sweep_piece(schema, piece)
            settled += progress
            if progress == 0:
                break
        return settled

    def lend_a_hand(self, schema: TableSchema) -> None:
        """Settle a few notes by the way of a query that met them, at most once a second a table. Never raises for
        Redis: the query has its answer."""
        with self._lock:
            now = time.monotonic()
            if now - self._lent.get(schema.table, -_PAUSE) < _PAUSE:
                return
            self._lent[schema.table] = now
        try:
            self.sweep(schema, _BY_THE_WAY)
        except (RedisDown, IndexDamaged) as problem:
            extra = self._room.log_fields("notes_left", schema, problem)
            logger.info("Old notes of table %r were left for later: %s", schema.table, problem, extra=extra)

    def _sweep_piece(self, schema: TableSchema, limit: int) -> int:
        redis, keys = self._room.redis, self._room.keys(schema)
        if redis is None:
            return 0
        flat = redis.run(Script.OVERDUE, keys, self._room.deadline_ms, limit)
        size = len(_Overdue._fields)
        notes = [_Overdue(*flat[i : i + size]) for i in range(0, len(flat), size)]
        if not notes:
            return 0
        settled: int = redis.run(Script.SETTLE, keys, *self._answers(schema, notes))
        return settled

    def _answers(self, schema: TableSchema, notes: Iterable[_Overdue]) -> Iterable[str]:
        room = self._room
        key_of = {note.stem: room.document_key(schema, note.stem) for note in notes}
        stored = dict(room.store.get_many(key_of.values()))
        for note in notes:
            key = key_of[note.stem]
            image = room.image_or_blank(schema, key, stored[key])
            yield from (*note, image.etag, image.entries)
