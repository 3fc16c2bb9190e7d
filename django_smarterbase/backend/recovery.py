"""Completes, or takes back, the transactions whose processes have died between their first document and their last.

An intent that has not changed for ``write_deadline`` has no process any more: a live one renews it. Whoever finds it
takes it over by a conditional write, so one process works at it at a time. Then each write is looked at: applied (the
stored body is the intent's, or the document carries the transaction's id), not applied (its condition still holds), or
in conflict (another writer changed the document first). Without a conflict the rest is applied; with one, what was
applied is taken back.
"""

from __future__ import annotations

import enum
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary, ref

import orjson

from django_smarterbase.backend.claims import ClaimBook
from django_smarterbase.backend.intents import Intent, read_intent
from django_smarterbase.backend.unit_of_work import DocumentWrite, UnitOfWork, WriteFailed
from django_smarterbase.exceptions import CorruptDocument
from django_smarterbase.storage.base import Stored
from django_smarterbase.storage.codec import TRANSACTION
from django_smarterbase.tables import TableSchema

if TYPE_CHECKING:
    from django_smarterbase.backend.resources import Resources

logger = logging.getLogger("django_smarterbase.transactions")

SchemaOf = Callable[[str], TableSchema | None]
_ROUNDS: Final = 5


_recoveries: WeakKeyDictionary[Resources, Recovery] = WeakKeyDictionary()


def recovery_of(resources: Resources) -> Recovery:
    """The one that the connections of a database share in this process."""
    return _recoveries.setdefault(resources, Recovery(resources))


class _Fate(enum.Enum):
    APPLIED = enum.auto()
    OPEN = enum.auto()
    CONFLICT = enum.auto()


@dataclass(frozen=True, slots=True)
class _Found:
    write: DocumentWrite
    fate: _Fate
    stored: Stored | None


class Recovery:
    """Looks after the intents of one database in a process. Thread-safe."""

    def __init__(self, resources: Resources) -> None:
        self._resources = ref(resources)
        self._lock = threading.Lock()
        self._seen: dict[str, tuple[str, float]] = {}
        self._next_look = 0.0

    @property
    def resources(self) -> Resources:
        """The database's resources; its connections keep them alive."""
        resources = self._resources()
        if resources is None:
            raise ReferenceError("The database of this recovery is closed.")
        return resources

    def consider(self, schema_of: SchemaOf) -> None:
        """Look when it is time to: once in ``write_deadline`` at most, and again when a seen intent comes of age."""
        if time.monotonic() >= self._next_look and self._lock.acquire(blocking=False):
            try:
                self._next_look = time.monotonic() + self.resources.options.write_deadline
                self._look(schema_of)
            finally:
                self._lock.release()

    @property
    def waiting(self) -> bool:
        """Whether an intent was seen at the last look, which may prove to be abandoned."""
        return bool(self._seen)

    def recover(self, schema_of: SchemaOf) -> int:
        """Decide every abandoned intent, waiting until the live ones are gone or prove abandoned; returns how many.

        Those that are written while it waits are not waited for: on a busy database there is always one.
        """
        with self._lock:
            decided = self._look(schema_of)
            awaited = set(self._seen)
            while awaited & self._seen.keys():
                time.sleep(min(0.2, self.resources.options.write_deadline / 10))
                decided += self._look(schema_of)
            return decided

    def unfinished(self) -> list[str]:
        """The keys of all intents, abandoned or not. One listing."""
        return [listed.key for listed in self.resources.store.list(self.resources.keys.intent_prefix())]

    def _look(self, schema_of: SchemaOf) -> int:
        now, found, decided = time.monotonic(), {}, 0
        for listed in list(self.resources.store.list(self.resources.keys.intent_prefix())):
            etag, since = self._seen.get(listed.key, ("", now))
            since = since if etag == listed.etag else now
            if now - since > self.resources.options.write_deadline:
                decided += self._decide(listed.key, schema_of)
            else:
                found[listed.key] = (listed.etag, since)
        self._seen = found
        return decided

    def _decide(self, key: str, schema_of: SchemaOf) -> bool:
        stored = self.resources.store.get(key)
        if stored is None:
            return False
        try:
            intent = read_intent(self.resources, key, stored.body, schema_of)
        except CorruptDocument as error:
            logger.error("%s The transaction stays as it is.", error)
            return False
        if not intent.take_over(stored.etag):
            return False
        logger.warning("A process died while it committed the transaction %s; it is decided now.", intent.id)
        for _ in range(_ROUNDS):
            if self._carry_out(intent):
                intent.remove()
                return True
        logger.error("The transaction %s could not be decided: its documents keep changing.", intent.id)
        return False

    def _carry_out(self, intent: Intent) -> bool:
        found = [self._find(write, intent.id) for write in intent.writes]
        forward = all(each.fate is not _Fate.CONFLICT for each in found)
        wanted = _Fate.OPEN if forward else _Fate.APPLIED
        writes = [each.write if forward else _reverse(each) for each in found if each.fate is wanted]
        try:
            UnitOfWork(self.resources).commit(writes, intent=intent)
        except WriteFailed as failure:
            if failure.is_conflict:
                return False
            raise failure.error from failure
        self._settle_claims(intent, forward=forward)
        return True

    def _find(self, write: DocumentWrite, id: str) -> _Found:
        stored = self.resources.store.get(write.key)
        return _Found(write, _fate(write, stored, id), stored)

    def _settle_claims(self, intent: Intent, *, forward: bool) -> None:
        """Free what the documents gave up, or, when the transaction was taken back, what they had taken."""
        schemas = {write.schema.table: write.schema for write in intent.writes if write.schema is not None}
        book = ClaimBook(self.resources, schemas.get)
        for write in intent.writes:
            if write.schema is not None:
                book.free(write.schema.table, write.stem, write.frees if forward else write.takes)


def _fate(write: DocumentWrite, stored: Stored | None, id: str) -> _Fate:
    if stored is None:
        if write.body is None:
            return _Fate.APPLIED
        return _Fate.OPEN if write.base_etag is None else _Fate.CONFLICT
    if stored.etag == write.base_etag:
        return _Fate.OPEN
    return _Fate.APPLIED if stored.body == write.body or _carries(stored, id) else _Fate.CONFLICT


def _carries(stored: Stored, id: str) -> bool:
    try:
        document = orjson.loads(stored.body)
    except orjson.JSONDecodeError:
        return False
    return isinstance(document, dict) and document.get(TRANSACTION) == id


def _reverse(found: _Found) -> DocumentWrite:
    """The write that takes an applied one back."""
    return replace(
        found.write,
        body=found.write.undo_body,
        base_etag=found.stored.etag if found.stored is not None else None,
        row=found.write.undo_row,
        takes=(),
        frees=(),
    )
