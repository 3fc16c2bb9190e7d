"""The state of an index, for system checks and management commands."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import unquote

from ..exceptions import CorruptDocument
from ..outlook import Outlook
from ..tables import IndexDefinition, IndexLeaf, TableSchema
from .answers import FallbackReason, IndexState, IndexUntrusted, ManifestEntry, Marker
from .client import IndexDamaged, RedisDown
from .definitions import indexable
from .encoding import NotIndexable, sought_term
from .keys import part
from .room import Room
from .scripts import Script
from .sweep import Sweeper
from .trust import EVICTING, believed, snapshot_of


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

    def outlook(self, schema: TableSchema, terms: Iterable[IndexLeaf], indexes: Iterable[IndexDefinition]) -> Outlook:
        """As ``IndexService.outlook``."""
        question = _Question(schema, terms, indexes)
        try:
            entry = snapshot_of(self._room.manifest, fresh=False).entries.get(schema.table)
            if self._room.redis is None:
                return question.answer(FallbackReason.NO_CACHE)
            answer = self._room.redis.run(Script.WEIGH, self._room.keys(schema), *question.arguments())
            reason, detail = self._distrust_weighed(schema, entry, answer)
        except IndexUntrusted as untrusted:
            return question.answer(untrusted.reason, untrusted.detail)
        except RedisDown as down:
            return question.answer(down.reason, down.detail)
        except IndexDamaged:
            return question.answer(FallbackReason.DRIFT, "a key is of another type than the index gave it")
        return question.answer(reason, detail, answer)

    def _distrust_weighed(
        self, schema: TableSchema, entry: ManifestEntry | None, answer: list[Any]
    ) -> tuple[FallbackReason | None, str]:
        """As a reader judges: with the manifest read anew when another epoch turns out to be marked complete."""
        run_id, policy, epoch, marked_run, _, damaged, *_ = answer
        marker = Marker(epoch, marked_run) if epoch else None
        if marker is not None and entry is not None and entry.epoch != epoch:
            entry = snapshot_of(self._room.manifest, fresh=True).entries.get(schema.table)
        why = self._distrust(schema, entry, marker, run_id, policy)
        if why[0] is None and damaged:
            return FallbackReason.DRIFT, f"{unquote(damaged)!r} has lost or gained members"
        return why

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


class _Question:
    """What is to be weighed of a table, in the order of the script's answer."""

    def __init__(self, schema: TableSchema, terms: Iterable[IndexLeaf], indexes: Iterable[IndexDefinition]) -> None:
        self._names: dict[IndexLeaf, str] = {}
        self._unaskable: set[IndexLeaf] = set()
        for term in terms:
            try:
                self._names[term] = sought_term(schema, term)
            except NotIndexable:
                self._unaskable.add(term)
        self._indexes = [index for index in dict.fromkeys(indexes) if index in indexable(schema)]

    def arguments(self) -> list[str | int]:
        """The arguments of weigh.lua."""
        return [len(self._names), *self._names.values(), *(part(index.name) for index in self._indexes)]

    def answer(self, reason: FallbackReason | None, detail: str = "", answer: Sequence[Any] = ()) -> Outlook:
        """The outlook that weigh.lua's answer gives, or the lack of one."""
        unaskable = frozenset(self._unaskable)
        if not answer or answer[4] < 0:
            return Outlook(reason, detail, unaskable=unaskable)
        sizes = dict(zip(self._names, answer[6], strict=True))
        values = dict(zip(self._indexes, answer[7], strict=True))
        return Outlook(reason, detail, answer[4], sizes, values, unaskable)
