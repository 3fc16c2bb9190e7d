"""Transactions that are not decided yet: they are waited for, and decided where their processes have died.

An intent that has not changed for ``write_deadline`` has no process any more: a live one renews it. Whoever finds it
takes it over by a conditional write, so one process works at it at a time. Then each write is looked at: applied (the
stored body is the intent's), changed since (the document carries the transaction's id all the same), not applied (its
condition still holds), or in conflict (another writer changed the document first). Without a conflict the rest is
applied; with one, what was applied is taken back.

So that it can be taken back, no writer builds on a document of a transaction that is not decided: it waits until the
intent is gone. Only what changes documents by other means gets in between, and that is never overwritten.
"""

from __future__ import annotations

import enum
import logging
import math
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary, ref

import orjson

from django_smarterbase.backend.claims import ClaimBook
from django_smarterbase.backend.document_writes import DocumentWrite, WriteFailed
from django_smarterbase.backend.intents import Intent, read_intent
from django_smarterbase.backend.unit_of_work import IntentLost, UnitOfWork
from django_smarterbase.exceptions import ConflictError, CorruptDocument, SmarterBaseError
from django_smarterbase.signals import send, transaction_recovered
from django_smarterbase.storage.base import Stored
from django_smarterbase.storage.codec import TRANSACTION
from django_smarterbase.tables import TableSchema

if TYPE_CHECKING:
    from django_smarterbase.backend.resources import Resources

logger = logging.getLogger("django_smarterbase.storage")

SchemaOf = Callable[[str], TableSchema | None]
_ROUNDS: Final = 5
_REMEMBERED: Final = 10_000  # transactions that are known to be decided
_PATIENCE: Final = 4  # write deadlines for which another's transaction is waited for
_FIRST_PAUSE: Final = 0.005  # seconds
_LONGEST_PAUSE: Final = 0.2

_recoveries: WeakKeyDictionary[Resources, Recovery] = WeakKeyDictionary()


def recovery_of(resources: Resources) -> Recovery:
    """The one that the connections of a database share in this process."""
    return _recoveries.setdefault(resources, Recovery(resources))


class TransactionUndecided(ConflictError):
    """Another transaction has been waited for, for too long: to do so once more would not help."""


class _Fate(enum.Enum):
    APPLIED = enum.auto()
    CHANGED = enum.auto()
    OPEN = enum.auto()
    CONFLICT = enum.auto()


@dataclass(frozen=True, slots=True)
class _Found:
    write: DocumentWrite
    fate: _Fate
    stored: Stored | None

    def reversed(self) -> DocumentWrite:
        """The write that takes an applied one back."""
        return self.write.reversed(self.stored.etag if self.stored is not None else None)


class Recovery:
    """Looks after the intents of one database in a process. Thread-safe."""

    def __init__(self, resources: Resources) -> None:
        self._resources = ref(resources)
        self._lock = threading.Lock()
        self._seen: dict[str, tuple[str, float]] = {}
        self._next_look = 0.0
        self._decided: dict[str, float] = {}  # since when this process knows it (``time.monotonic``)

    @property
    def resources(self) -> Resources:
        """The database's resources; its connections keep them alive."""
        resources = self._resources()
        if resources is None:
            raise ReferenceError("The database of this recovery is closed.")
        return resources

    def consider(self, schema_of: SchemaOf) -> None:
        """Look when it is time to: once in ``write_deadline`` at most, and again when a seen intent comes of age.

        What keeps it from looking is logged: whatever becomes of others' transactions is no reason not to connect.
        """
        if time.monotonic() >= self._next_look and self._lock.acquire(blocking=False):
            try:
                self._next_look = time.monotonic() + self.resources.options.write_deadline
                self._look(schema_of)
            except SmarterBaseError as error:
                logger.warning(
                    "Abandoned transactions could not be looked for: %s",
                    error,
                    extra={"event": "recovery_postponed", **self.resources.origin, "detail": str(error)},
                )
            finally:
                self._lock.release()

    @property
    def waiting(self) -> bool:
        """Whether an intent was seen at the last look, which may prove to be abandoned."""
        return bool(self._seen)

    def await_decision(self, ids: Iterable[str], schema_of: SchemaOf, *, since: float = math.inf) -> set[str]:
        """Return when these transactions are decided; one whose process has died is decided here.

        One read for each of which this process did not know it. Returns those of which it did not know it ``since``
        then (``time.monotonic``; as a rule, until now): what was read of their documents may have been taken back.
        Raises TransactionUndecided when one takes too long.
        """
        news = {id for id in ids if self._decided.get(id, math.inf) >= since}
        for id in news - self._decided.keys():
            self._await_one(self.resources.keys.intent(id), schema_of)
            if len(self._decided) >= _REMEMBERED:
                self._decided.clear()
            self._decided[id] = time.monotonic()
        return news

    def await_all(self, schema_of: SchemaOf, *, but: str | None = None) -> None:
        """Return when all transactions that are under way now are decided, but for that of the intent ``but`` (its
        key). One listing, and more while it waits. Raises TransactionUndecided."""
        for key in self.unfinished():
            if key != but:
                self._await_one(key, schema_of)

    def _await_one(self, key: str, schema_of: SchemaOf) -> None:
        deadline, pause = self.resources.options.write_deadline, _FIRST_PAUSE
        began = time.monotonic()
        next_look = began
        while self.resources.store.get(key) is not None:
            now = time.monotonic()
            if now - began > _PATIENCE * deadline:
                raise TransactionUndecided(
                    "A document is being changed by a transaction that has not been decided for "
                    f"{_PATIENCE * deadline:g} s, {_PATIENCE} times the write deadline. Try again, and look at the "
                    f"unfinished transactions with manage.py sb_check: its intent is {key!r}."
                )
            if now >= next_look:
                next_look = now + deadline / 10
                with self._lock:
                    self._look(schema_of)
            time.sleep(pause)
            pause = min(_LONGEST_PAUSE, deadline / 10, pause * 2)

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
            etag = listed.etag or self._etag(listed.key)
            before, since = self._seen.get(listed.key, (etag, now))
            since = since if before == etag else now
            if now - since > self.resources.options.write_deadline:
                decided += self._decide(listed.key, schema_of)
            else:
                found[listed.key] = (etag, since)
        self._seen = found
        return decided

    def _etag(self, key: str) -> str:
        """The ETag of an intent in a store whose listings have none, without which a live one looks abandoned."""
        stored = self.resources.store.get(key)
        return stored.etag if stored is not None else ""

    def _decide(self, key: str, schema_of: SchemaOf) -> bool:
        stored = self.resources.store.get(key)
        if stored is None:
            return False
        try:
            intent = read_intent(self.resources, key, stored.body, schema_of)
            return intent.take_over(stored.etag) and self._carry_through(intent)
        except IntentLost:
            return False  # yet another process was faster, and decides it
        except CorruptDocument as error:
            logger.error(
                "%s The transaction %r stays as it is.", error, key, extra=self._log_fields("intent_unreadable", key)
            )
            return False

    def _carry_through(self, intent: Intent) -> bool:
        key = intent.key
        logger.warning(
            "A process died while it committed the transaction %s; it is decided now.",
            intent.id,
            extra=self._log_fields("transaction_taken_over", key),
        )
        for _ in range(_ROUNDS):
            completed = self._carry_out(intent)
            if completed is not None:
                intent.remove()
                send(
                    transaction_recovered,
                    Recovery,
                    database=self.resources.database,
                    transaction=intent.id,
                    documents=len(intent.writes),
                    completed=completed,
                )
                return True
        logger.error(
            "The transaction %s could not be decided: its documents keep changing.",
            intent.id,
            extra=self._log_fields("transaction_undecided", key),
        )
        return False

    def _log_fields(self, event: str, key: str) -> dict[str, str]:
        return {"event": event, **self.resources.origin, "key": key}

    def _carry_out(self, intent: Intent) -> bool | None:
        """Whether the transaction was completed or else taken back; None when its documents changed meanwhile."""
        found = self._found(intent)
        forward = all(each.fate is not _Fate.CONFLICT for each in found)
        wanted = _Fate.OPEN if forward else _Fate.APPLIED
        writes = [each.write if forward else each.reversed() for each in found if each.fate is wanted]
        if not forward:
            self._report_changed(intent, [each.write.key for each in found if each.fate is _Fate.CHANGED])
        try:
            UnitOfWork(self.resources).commit(writes, intent=intent)
        except WriteFailed as failure:
            if failure.is_conflict:
                return None
            raise failure.error from failure
        self._settle_claims(intent, forward=forward)
        return forward

    def _report_changed(self, intent: Intent, keys: list[str]) -> None:
        if keys:
            logger.error(
                "The transaction %s is taken back, but these of its documents were changed by other means since, and "
                "stay as they are: %s.",
                intent.id,
                ", ".join(keys),
                extra=self._log_fields("transaction_mixed", intent.key) | {"keys": ", ".join(keys)},
            )

    def _found(self, intent: Intent) -> list[_Found]:
        """What became of each write. There may be so many that this process has to say meanwhile that it is at it."""
        found, by_key = [], {write.key: write for write in intent.writes}
        for key, stored in self.resources.store.get_many(by_key):
            found.append(_Found(by_key[key], _fate(by_key[key], stored, intent.id), stored))
            intent.renew()
        return found

    def _settle_claims(self, intent: Intent, *, forward: bool) -> None:
        """Free what the documents gave up, or, when the transaction was taken back, undo what they had taken."""
        schemas = {write.schema.table: write.schema for write in intent.writes if write.schema is not None}
        book = ClaimBook(self.resources, schemas.get, sign_of_life=intent.renew)
        if forward:
            book.free(each for write in intent.writes for each in write.document_claims(write.frees))
            return
        heirs = _former_holders(intent.writes)
        for write in intent.writes:
            if write.schema is not None:
                book.hand_back(write.table, write.stem, write.takes, heirs[write.table])


def _fate(write: DocumentWrite, stored: Stored | None, id: str) -> _Fate:
    if stored is None:
        if write.body is None:
            return _Fate.APPLIED
        return _Fate.OPEN if write.base_etag is None else _Fate.CONFLICT
    if stored.etag == write.base_etag:
        return _Fate.OPEN
    if stored.body == write.body:
        return _Fate.APPLIED
    return _Fate.CHANGED if _carries(stored, id) else _Fate.CONFLICT


def _former_holders(writes: Iterable[DocumentWrite]) -> Mapping[str, Mapping[str, str]]:
    """``{table: {claim: stem}}`` of the documents that gave up claims, which others of the unit may have taken."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for write in writes:
        found[write.table].update(dict.fromkeys(write.frees, write.stem))
    return found


def _carries(stored: Stored, id: str) -> bool:
    try:
        document = orjson.loads(stored.body)
    except orjson.JSONDecodeError:
        return False
    return isinstance(document, dict) and document.get(TRANSACTION) == id
