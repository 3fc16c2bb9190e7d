"""The birth of a table's index at its first write: an empty table needs no rebuild to have a complete index."""

from __future__ import annotations

import logging
import threading
import time
from typing import Final

from ..steps import reach
from ..tables import TableSchema
from .claim import Claim
from .client import IndexDamaged, RedisClient, RedisDown
from .definitions import definition
from .keys import etag_text, new_epoch
from .room import Room
from .scripts import Script

logger = logging.getLogger("django_smarterbase.index")

_LOOKS: Final = 20  # at the table's listing, while others write its first documents
_PAUSE: Final = 0.05  # seconds between them
_FEW: Final = 100  # documents; a table that has more was there before its index


class Midwife:
    """Gives tables their first index. Thread-safe."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._lock = threading.Lock()
        self._known: set[str] = set()

    def attend(self, schema: TableSchema) -> None:
        """See to it that the manifest has an entry of the table, if Redis answers. Usually no request at all.

        The first write of a process to a table costs a GET, and the first of all the birth: three GETs, two PUTs,
        one listing and two round trips. No write precedes the entry, so no deadline needs to be waited out.
        """
        redis, table = self._room.redis, schema.table
        if redis is None or table in self._known:
            return
        with self._lock:
            entry = self._room.manifest.leased().entries.get(table) or self._room.manifest.fresh().entries.get(table)
            if entry is None:
                self._bear(schema, redis)
            self._known.add(table)

    def _bear(self, schema: TableSchema, redis: RedisClient) -> None:
        """Redis is asked before the manifest says anything: without it the writer enters the table as suspect."""
        claim, keys = Claim(self._room, schema, new_epoch()), self._room.keys(schema)
        try:
            redis.run(Script.INSPECT, keys, self._room.deadline_ms)
            if not claim.make_first():
                return
            reach("birth-claimed")
            redis.run(Script.REGISTER, keys, claim.epoch, definition(schema))
            reach("birth-registered")
            if self._all_known(schema, redis, claim.epoch) and claim.publish():
                reach("birth-published")
                redis.run(Script.MARK, keys, claim.epoch)
            else:
                claim.give_up()
                redis.run(Script.DROP, keys, claim.epoch)
        except (RedisDown, IndexDamaged) as problem:
            extra = self._room.log_fields("birth_failed", schema, problem)
            logger.info("The index of table %r was not begun: %s", schema.table, problem, extra=extra)

    def _all_known(self, schema: TableSchema, redis: RedisClient, epoch: str) -> bool:
        """Whether all documents were written by writers who fed the epoch: usually there are none at all."""
        room = self._room
        for _ in range(_LOOKS):
            pairs: list[str] = []
            for listed in room.store.list(room.objects.table_prefix(schema.table)):
                stem = room.objects.stem_of_key(schema.table, listed.key)
                pairs += [stem, etag_text(listed.etag)] if stem is not None else []
                if len(pairs) > 2 * _FEW:
                    return False
            if not pairs:
                return True
            if redis.run(Script.COMPARE, room.keys(schema), epoch, *pairs) == []:
                return True
            time.sleep(_PAUSE)
        return False
