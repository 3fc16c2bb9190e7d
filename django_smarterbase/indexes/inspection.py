"""The state of an index, for system checks and management commands."""

from __future__ import annotations

from ..exceptions import CorruptDocument
from ..tables import TableSchema
from .answers import FallbackReason, IndexState, IndexUntrusted, ManifestEntry, Marker
from .client import IndexDamaged, RedisClient, RedisDown
from .room import Room
from .scripts import Script
from .sweep import Sweeper
from .trust import EVICTING, believed


class Inspector:
    """Looks at the indexes of one database without changing them."""

    def __init__(self, room: Room) -> None:
        self._room = room

    def state(self, schema: TableSchema) -> IndexState:
        """As ``IndexService.state``."""
        table = schema.table
        try:
            entry = self._room.manifest.fresh().entries.get(table)
        except CorruptDocument as error:
            return IndexState(table, None, None, FallbackReason.NOT_BUILT, str(error))
        if self._room.redis is None:
            return IndexState(table, entry, None, FallbackReason.NO_CACHE, "")
        try:
            return self._ask(self._room.redis, schema, entry)
        except RedisDown as down:
            return IndexState(table, entry, None, down.reason, down.detail)
        except IndexDamaged as damage:
            return IndexState(table, entry, None, FallbackReason.DRIFT, str(damage))

    def sweep(self, schema: TableSchema, sweeper: Sweeper, limit: int | None) -> int:
        """As ``IndexService.sweep``."""
        try:
            return sweeper.sweep(schema, limit)
        except RedisDown as down:
            raise IndexUntrusted(down.reason, down.detail) from down
        except IndexDamaged as damage:
            raise IndexUntrusted(FallbackReason.DRIFT, str(damage)) from damage

    def _ask(self, redis: RedisClient, schema: TableSchema, entry: ManifestEntry | None) -> IndexState:
        run_id, policy, epoch, marked_run, documents, pending, overdue = redis.run(
            Script.INSPECT, self._room.keys(schema), self._room.deadline_ms
        )
        marker = Marker(epoch, marked_run) if epoch else None
        why = self._distrust(schema, entry, marker, run_id, policy)
        if marker is None:
            return IndexState(schema.table, entry, None, *why)
        return IndexState(schema.table, entry, marker, *why, documents, pending, overdue)

    def _distrust(
        self, schema: TableSchema, entry: ManifestEntry | None, marker: Marker | None, run_id: str, policy: str
    ) -> tuple[FallbackReason | None, str]:
        try:
            epoch = believed(schema, entry)
        except IndexUntrusted as untrusted:
            return untrusted.reason, untrusted.detail
        if marker is None or marker.epoch != epoch:
            return FallbackReason.FLUSHED, ""
        if marker.run_id != run_id:
            return FallbackReason.RESTARTED, ""
        if policy.startswith(EVICTING) and not self._room.options.allow_eviction:
            return FallbackReason.EVICTING, policy
        return None, ""
