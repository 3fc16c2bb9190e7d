"""The state of an index, for system checks and management commands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote

from ..exceptions import CorruptDocument
from ..tables import TableSchema
from .answers import FallbackReason, IndexState, IndexUntrusted, ManifestEntry, Marker
from .client import IndexDamaged, RedisDown
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
        return self.states([schema])[0]

    def states(self, schemas: Sequence[TableSchema]) -> list[IndexState]:
        """As ``IndexService.states``."""
        redis = self._room.redis
        try:
            entries = self._room.manifest.fresh().entries
        except CorruptDocument as error:
            return [IndexState(each.table, None, None, FallbackReason.NOT_BUILT, str(error)) for each in schemas]
        found = [(schema, entries.get(schema.table)) for schema in schemas]
        if redis is None:
            return [IndexState(schema.table, entry, None, FallbackReason.NO_CACHE, "") for schema, entry in found]
        try:
            answers = redis.run_each(
                Script.INSPECT, [self._room.keys(each) for each in schemas], self._room.deadline_ms
            )
        except RedisDown as down:
            return [IndexState(schema.table, entry, None, down.reason, down.detail) for schema, entry in found]
        return [self._state(*each, answer) for each, answer in zip(found, answers, strict=True)]

    def sweep(self, schema: TableSchema, sweeper: Sweeper, limit: int | None) -> int:
        """As ``IndexService.sweep``."""
        try:
            return sweeper.sweep(schema, limit)
        except RedisDown as down:
            raise IndexUntrusted(down.reason, down.detail) from down
        except IndexDamaged as damage:
            raise IndexUntrusted(FallbackReason.DRIFT, str(damage)) from damage

    def _state(self, schema: TableSchema, entry: ManifestEntry | None, answer: Any) -> IndexState:
        if isinstance(answer, IndexDamaged):
            return IndexState(schema.table, entry, None, FallbackReason.DRIFT, str(answer))
        run_id, policy, epoch, marked_run, documents, pending, overdue, rebuilding, values = answer
        marker = Marker(epoch, marked_run) if epoch else None
        why = self._distrust(schema, entry, marker, run_id, policy)
        if marker is None:
            return IndexState(schema.table, entry, None, *why, rebuilding=bool(rebuilding))
        names = (unquote(index) for index in values[::2])
        sizes = dict(zip(names, values[1::2], strict=True))
        return IndexState(
            schema.table, entry, marker, *why, documents, pending, overdue, values=sizes, rebuilding=bool(rebuilding)
        )

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
