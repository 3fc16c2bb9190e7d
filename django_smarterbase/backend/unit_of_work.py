"""The unit of work: pending documents become stored objects, and the index follows.

For each batch of a table: take the claims to unique values, begin (index), conditional writes (storage), finish or
abort (index); at the end free the claims given up. When one write of the unit fails, those already applied are taken
back. A transaction of more than one document is kept whole by an intent even when the process dies in between.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby, islice
from typing import Final, NamedTuple, Protocol

from django_smarterbase.backend.claims import ClaimBook, ClaimTaken
from django_smarterbase.backend.document_writes import DocumentWrite, WriteFailed, first_of, let_stand, never_begun
from django_smarterbase.backend.resources import Resources
from django_smarterbase.exceptions import (
    ConflictError,
    DeadlinePassed,
    IndexUnavailable,
    LockNotAvailable,
    StorageUnavailable,
)
from django_smarterbase.indexes.service import OpenWrite
from django_smarterbase.steps import reach
from django_smarterbase.storage.base import Write
from django_smarterbase.tables import TableSchema

logger = logging.getLogger("django_smarterbase.storage")

_BATCH: Final = 200
_STRETCH: Final = 32  # writes that are begun whatever becomes of them
_ROUNDS: Final = 3  # in which nothing of a batch can be begun in time
_FEWER: Final = 8  # the part of a batch that is tried after such a round


class _Applied(NamedTuple):
    """A write that was applied, and the document's ETag since (None: it is deleted)."""

    write: DocumentWrite
    etag: str | None


class IntentLost(ConflictError):
    """Another process has taken the transaction over, and decides it."""


class IntentLog(Protocol):
    """What keeps a unit of many documents whole when its process dies (``backend.intents``)."""

    @property
    def key(self) -> str:
        """The key of the intent's object."""

    @property
    def writes(self) -> Sequence[DocumentWrite]:
        """All that the transaction writes; a unit of work may be what is left of it."""

    @property
    def deadline(self) -> float:
        """Until when nobody else takes the transaction over (``time.monotonic``)."""

    def renew(self, *, at_once: bool = False) -> None:
        """Say that this process is still at it, when it is time to or ``at_once``. Raises IntentLost."""


class _Undone(NamedTuple):
    """Keys of the documents that are not as they were: others built on them, or the store failed."""

    standing: frozenset[str]
    in_doubt: frozenset[str]


@dataclass
class _Outcome:
    """What became of a batch: the writes done, and those that failed. Those in neither were not begun."""

    done: list[_Applied] = field(default_factory=list)
    failures: list[WriteFailed] = field(default_factory=list)


class UnitOfWork:
    """Applies the writes of one statement or transaction.

    ``took_back`` tells of the last unit that failed whether every write of it was taken back for certain. ``keep`` is
    called before each batch is written, to keep what must last until the end. ``await_transactions``
    returns when those that are under way now are decided, but for that of the given intent.
    """

    def __init__(
        self,
        resources: Resources,
        keep: Callable[[], object] = lambda: None,
        await_transactions: Callable[[IntentLog | None], None] = lambda _own: None,
    ) -> None:
        self.resources = resources
        self._keep = keep
        self._await_transactions = await_transactions
        self.took_back = False

    def commit(
        self, writes: Sequence[DocumentWrite], *, intent: IntentLog | None = None, owner: str | None = None
    ) -> None:
        """Apply all ``writes`` or none (but see ``WriteFailed``). Raises WriteFailed, and what store and index raise.

        ``intent`` is told of the progress, so that another process can go on when this one dies. As
        long as nothing is applied, documents that other transactions than ``owner`` ("": than any) have locked are
        waited for, unless that is None.
        """
        self.took_back = False
        if not writes:
            return
        self.resources.store.verify_conditions()
        applied: list[_Applied] = []
        releases = _releases(writes if intent is None else intent.writes)
        book = ClaimBook(
            self.resources,
            _schemas(writes),
            releases,
            await_transactions=partial(self._await_transactions, intent),
            sign_of_life=partial(self._give_sign_of_life, intent),
        )
        try:
            for batch in _batches(writes):
                self._apply(batch, applied, book, intent, owner)
        except IntentLost:
            raise
        except WriteFailed as failure:
            self._take_back(applied, book, intent, owner, failure)
            raise
        except Exception:
            self._take_back(applied, book, intent, owner)
            raise
        self._free(writes, book)

    def _apply(
        self,
        batch: list[DocumentWrite],
        applied: list[_Applied],
        book: ClaimBook,
        intent: IntentLog | None,
        owner: str | None,
    ) -> None:
        """Write one batch of one table; begin anew for what the deadlines leave no time for."""
        idle, size = 0, len(batch)
        while batch:
            some = batch[:size]
            claimed_until = self._take_claims(some, book)
            outcome = self._round(some, claimed_until, intent, None if applied else owner)
            applied.extend(outcome.done)
            if outcome.failures:
                raise first_of(outcome.failures)
            if outcome.done:
                idle = 0
            else:  # to take their claims took too long for all of them
                idle, size = idle + 1, max(1, size // _FEWER)
            if idle == _ROUNDS:
                raise never_begun(batch[0], self.resources.options.write_deadline)
            done = {write.key for write, _etag in outcome.done}
            batch = [write for write in batch if write.key not in done]

    def _take_claims(self, batch: list[DocumentWrite], book: ClaimBook) -> float:
        """Take the claims of a batch; returns until when none of them looks like an orphan (``time.monotonic``).

        Two units that want the same values may have one each. Who waits for a claim keeps none that comes after it by
        name, lest they wait for each other until both are taken for dead.
        """
        if not any(write.takes for write in batch):
            return math.inf
        until = time.monotonic() + self.resources.options.write_deadline
        wanted = {each: write for write in batch for each in write.document_claims(write.takes)}
        missing = list(wanted)
        while missing:
            contested = book.take_free(missing)
            contested = book.take_own(contested) if contested else contested
            missing = []
            for each in sorted(contested, key=lambda each: each.claim):
                later = [other for other in wanted if other.claim > each.claim]
                try:
                    missing += book.take(each, contested=True, later=later)
                except ClaimTaken as taken:
                    raise WriteFailed(wanted[each], taken) from taken
        return until

    def _free(self, writes: Sequence[DocumentWrite], book: ClaimBook) -> None:
        """Remove the claims given up. The unit is applied by now: an orphan that stays behind is only a nuisance."""
        try:
            book.free(each for write in writes for each in write.document_claims(write.frees))
        except StorageUnavailable as error:
            extra = {"event": "claims_left", **self.resources.origin, "detail": str(error)}
            logger.warning("Claims that were given up stay behind: %s", error, extra=extra)
        except IntentLost:
            return  # who has taken the transaction over finds it applied, and frees the rest

    def _round(
        self, batch: list[DocumentWrite], until: float, intent: IntentLog | None, owner: str | None = None
    ) -> _Outcome:
        """Announce a batch, write what can be written by ``until`` (``time.monotonic``), and settle it."""
        opened = self._begin(batch, owner)
        reach("begun")
        self._give_sign_of_life(intent)
        if intent is not None:
            until = min(until, intent.deadline)
        if opened is not None:
            until = min(until, opened.deadline)
        outcome = self._write(batch, until)
        if opened is not None:
            _settle(opened, batch, outcome)
        reach("finished")
        return outcome

    def _give_sign_of_life(self, intent: IntentLog | None) -> None:
        self._keep()
        if intent is not None:
            intent.renew()

    def _begin(self, batch: list[DocumentWrite], owner: str | None) -> OpenWrite | None:
        schema = batch[0].schema
        if schema is None:
            return None
        changes = [write.as_change() for write in batch]
        return self.resources.indexes.begin(schema, changes, owner=owner)

    def _write(self, batch: list[DocumentWrite], until: float) -> _Outcome:
        """Write, from stretch to stretch, as long as half of the time to ``until`` is left, and nothing fails."""
        outcome, half = _Outcome(), (time.monotonic() + until) / 2

        def due() -> Iterator[Write]:
            for number, write in enumerate(batch):
                if number and number % _STRETCH == 0 and (outcome.failures or time.monotonic() > half):
                    return
                yield write.as_write(until)

        for number, (write, each) in enumerate(zip(batch, self.resources.store.write_many(due()), strict=False), 1):
            if each.error is None:
                outcome.done.append(_Applied(write, each.etag))
            elif not isinstance(each.error, DeadlinePassed):
                outcome.failures.append(WriteFailed(write, each.error))
            if number % _STRETCH == 0:
                reach("put")
        reach("put")
        return outcome

    def _take_back(
        self,
        applied: list[_Applied],
        book: ClaimBook,
        intent: IntentLog | None,
        owner: str | None,
        failure: WriteFailed | None = None,
    ) -> None:
        """Undo what was applied, and give the claims back but those of documents that are, or may be, as the unit
        wanted them. ``failure`` is told of them. Raises WriteFailed when the store let a write stand, and IntentLost
        when another process decides the transaction: then nothing is undone here."""
        if intent is not None:
            intent.renew(at_once=True)
        undone = self._undo(applied, intent, owner)
        doubtful = undone.in_doubt | (failure.in_doubt if failure is not None else frozenset())
        book.abandon(undone.standing | doubtful)
        self.took_back = not undone.standing and not doubtful
        if failure is not None:
            failure.standing = undone.standing
            if undone.in_doubt:
                raise let_stand(failure, undone.in_doubt) from failure

    def _undo(self, applied: list[_Applied], intent: IntentLog | None, owner: str | None) -> _Undone:
        """Take applied writes back, last first. Who has locked one of the rows since has read it, and goes before."""
        standing: set[str] = set()
        in_doubt: set[str] = set()
        for write, etag in reversed(applied):
            if write.undo_body is None and etag is None:
                continue
            failure = self._undo_one(write.reversed(etag), intent, owner)
            if failure is not None:
                (standing if failure.is_conflict else in_doubt).add(write.key)
        return _Undone(frozenset(standing), frozenset(in_doubt))

    def _undo_one(self, write: DocumentWrite, intent: IntentLog | None, owner: str | None) -> WriteFailed | None:
        for _ in range(_ROUNDS):
            try:
                outcome = self._round([write], math.inf, intent, owner)
            except LockNotAvailable:
                owner = None
                continue
            except (IndexUnavailable, StorageUnavailable) as error:
                return WriteFailed(write, error)
            if outcome.failures:
                return outcome.failures[0]
            if outcome.done:
                return None
        return never_begun(write, self.resources.options.write_deadline)


def _settle(opened: OpenWrite, batch: list[DocumentWrite], outcome: _Outcome) -> None:
    """Finish what was written and abort what certainly was not; what may have been written stays noted."""
    etags = {write.stem: etag for write, etag in outcome.done}
    doubtful = {failure.write.stem for failure in outcome.failures if not failure.is_conflict}
    opened.finish(etags)
    opened.abort([write.stem for write in batch if write.stem not in etags and write.stem not in doubtful])


def _schemas(writes: Sequence[DocumentWrite]) -> Callable[[str], TableSchema | None]:
    schemas = {write.schema.table: write.schema for write in writes if write.schema is not None}
    return schemas.get


def _releases(writes: Sequence[DocumentWrite]) -> Callable[[str, str, str], bool]:
    """Tells whether a document of the unit gives up a claim: ``(table, stem, claim)``."""
    released = {(write.table, write.stem, claim) for write in writes for claim in write.frees}
    return lambda table, stem, claim: (table, stem, claim) in released


def is_announced_first(writes: Sequence[DocumentWrite]) -> bool:
    """Whether all writes are announced together, before any of them is applied and before any claim is taken. Then a
    lock that is waited for at that moment keeps nobody else waiting."""
    return len(list(islice(_batches(writes), 2))) < 2 and not any(write.takes for write in writes)


def _batches(writes: Sequence[DocumentWrite]) -> Iterator[list[DocumentWrite]]:
    """Batches of one table each, in the order of the tables' first writes; deletions in a second pass.

    A deleted document bears no trace of its transaction, so others can build on its absence. The later it goes, the
    less there is to take back afterwards.
    """
    order = {write.table: position for position, write in reversed(list(enumerate(writes)))}
    for deletions in (False, True):
        chosen = [write for write in writes if (write.body is None) is deletions]
        by_table = sorted(chosen, key=lambda write: order[write.table])
        for _table, group in groupby(by_table, key=lambda write: write.table):
            while batch := list(islice(group, _BATCH)):
                yield batch
