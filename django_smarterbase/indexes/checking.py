"""Checks of a table's index, and the correction of single records."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final

from ..signals import index_checked, send
from ..tables import TableSchema
from .answers import FallbackReason, IndexState, IndexUntrusted
from .audit import Audit
from .client import IndexDamaged, RedisClient, RedisDown
from .filling import pieces
from .findings import EXAMPLES, AuditStage, TableFindings
from .inspection import Inspector
from .room import Room
from .scripts import Script

PIECE: Final = 100  # documents for each script
_TRIES: Final = 3


class Auditor:
    """Compares the indexes of one database with its documents."""

    def __init__(self, room: Room, inspector: Inspector) -> None:
        self._room = room
        self._inspector = inspector

    def audit(
        self,
        schema: TableSchema,
        sample: int | None,
        advance: Callable[[int], object],
        afterwards: Callable[[AuditStage, int], object],
    ) -> TableFindings:
        """As ``IndexService.audit``."""
        findings = self._audit(schema, sample, advance, afterwards)
        send(
            index_checked,
            Auditor,
            database=self._room.database,
            table=schema.table,
            documents=findings.documents,
            drift=findings.drift,
            reason=findings.state.reason.value if findings.state.reason is not None else None,
        )
        return findings

    def _audit(
        self,
        schema: TableSchema,
        sample: int | None,
        advance: Callable[[int], object],
        afterwards: Callable[[AuditStage, int], object],
    ) -> TableFindings:
        for attempt in range(1, _TRIES + 1):
            before = self._inspector.state(schema)
            epoch = before.marker.epoch if before.trusted and before.marker is not None else None
            audit = Audit(self._room, schema, epoch, sample, advance, afterwards)
            try:
                audit.run()
            except IndexUntrusted as lost:
                if attempt < _TRIES:
                    continue
                return _findings(audit, replace(before, reason=lost.reason, detail=lost.detail))
            except RedisDown as down:
                return _findings(audit, replace(before, reason=down.reason, detail=down.detail))
            except IndexDamaged as damage:
                return _findings(audit, replace(before, reason=FallbackReason.DRIFT, detail=str(damage)))
            break
        return _findings(audit, self._inspector.state(schema))

    def amend(self, schema: TableSchema, stems: Iterable[str]) -> int:
        """As ``IndexService.amend``."""
        redis = self._room.redis
        epoch = self._inspector.state(schema).marker
        if redis is None or epoch is None:
            return 0
        try:
            return sum(self._amend(redis, schema, epoch.epoch, piece) for piece in pieces(stems, PIECE))
        except RedisDown as down:
            raise IndexUntrusted(down.reason, down.detail) from down
        except IndexDamaged as damage:
            raise IndexUntrusted(FallbackReason.DRIFT, str(damage)) from damage

    def _amend(self, redis: RedisClient, schema: TableSchema, epoch: str, stems: list[str]) -> int:
        keys = self._room.keys(schema)
        flat = redis.run(Script.LOOK, keys, epoch, 0, *stems) or []
        records = dict(zip(flat[::2], flat[1::2], strict=True))
        key_of = {stem: self._room.document_key(schema, stem) for stem in records}
        stored = dict(self._room.store.get_many(key_of.values()))
        arguments: list[str] = []
        for stem, record in records.items():
            image = self._room.image_or_blank(schema, key_of[stem], stored[key_of[stem]])
            arguments += [stem, record, image.etag, image.entries]
        amended: int = redis.run(Script.AMEND, keys, epoch, *arguments)
        return amended


def _findings(audit: Audit, state: IndexState) -> TableFindings:
    return TableFindings(
        state=state,
        documents=audit.documents,
        in_doubt=audit.in_doubt,
        corrupt=tuple(audit.corrupt),
        indexes=audit.indexes,
        miscounts=len(audit.miscounts),
        miscounted=tuple(audit.miscounts)[:EXAMPLES],
        examples=tuple(audit.examples),
        amendable=tuple(audit.amendable),
        needs_rebuild=audit.needs_rebuild,
        needs_full=audit.needs_full,
    )
