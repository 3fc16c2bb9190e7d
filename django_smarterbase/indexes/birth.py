"""The birth of a table's index at its first write: an empty table needs no rebuild to have a complete index."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import replace
from typing import Final

from ..tables import TableSchema
from .answers import ManifestEntry
from .client import IndexDamaged, RedisClient, RedisDown
from .encoding import definition
from .keys import etag_text, new_epoch
from .room import Room
from .scripts import Script

logger = logging.getLogger("django_smarterbase.indexes")

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

    def expects(self, schema: TableSchema) -> bool:
        """Whether a first index of the table is under construction: one GET.

        A write that did not wait for its registration would cut it short.
        """
        entry = self._room.manifest.fresh().entries.get(schema.table)
        return entry is not None and entry.epoch is None and entry.building is not None

    def _bear(self, schema: TableSchema, redis: RedisClient) -> None:
        """Redis is asked before the manifest says anything: without it the writer enters the table as suspect."""
        epoch, keys = new_epoch(), self._room.keys(schema)
        try:
            redis.run(Script.INSPECT, keys, self._room.deadline_ms)
            entry = self._claim(schema, epoch)
            if entry.building != epoch:
                return
            redis.run(Script.REGISTER, keys, epoch, definition(schema))
            if self._all_known(schema, redis, epoch) and self._publish(schema, entry, epoch):
                redis.run(Script.MARK, keys, epoch)
            else:
                self._abandon(schema, epoch)
                redis.run(Script.DROP, keys, epoch)
        except (RedisDown, IndexDamaged) as problem:
            logger.info("The index of table %r was not begun: %s", schema.table, problem)

    def _claim(self, schema: TableSchema, epoch: str) -> ManifestEntry:
        newborn = ManifestEntry(ready=False, epoch=None, building=epoch, version=1, definition="")
        return self._room.manifest.change(schema.table, lambda entry: newborn if entry is None else entry)

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

    def _publish(self, schema: TableSchema, claimed: ManifestEntry, epoch: str) -> bool:
        ready = replace(
            claimed,
            ready=True,
            epoch=epoch,
            building=None,
            version=claimed.version + 1,
            definition=definition(schema),
        )
        return self._room.manifest.change(schema.table, lambda now: ready if now == claimed else now) == ready

    def _abandon(self, schema: TableSchema, epoch: str) -> None:
        def orphaned(current: ManifestEntry | None) -> ManifestEntry | None:
            if current is None or current.building != epoch:
                return current
            return replace(current, building=None, version=current.version + 1)

        self._room.manifest.change(schema.table, orphaned)
