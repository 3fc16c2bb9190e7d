"""The unit of work: pending documents become stored objects, and the index follows.

For each batch of a table: take the claims to unique values, begin (index), conditional writes (storage), finish or
abort (index); at the end free the claims given up. When one write of the unit fails, those already applied are taken
back. A transaction of more than one document is kept whole by an intent even when the process dies in between.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby, islice
from typing import Final, NamedTuple, Protocol

from django_smarterbase.backend.claims import ClaimBook, ClaimTaken
from django_smarterbase.backend.resources import Resources
from django_smarterbase.exceptions import ConflictError, IndexUnavailable, PreconditionFailed, StorageUnavailable
from django_smarterbase.indexes.service import Change, OpenWrite
from django_smarterbase.steps import reach
from django_smarterbase.storage.base import Write, Written
from django_smarterbase.tables import Row, TableSchema

logger = logging.getLogger("django_smarterbase.documents")

_BATCH: Final = 200
_SLICE: Final = 32
_NAMED: Final = 10  # keys in a message


@dataclass(frozen=True, slots=True)
class DocumentWrite:
    """A document to be written (``body``) or deleted (None), and what it replaces.

    ``base_etag`` is the ETag of the document that was read, None when there must be none. ``row`` is
    ``{column: value}`` of the body; ``undo_body`` takes the write back, None when there was no document. ``takes`` and
    ``frees`` are the claims to unique values that the document takes, and those that it gives up.
    """

    schema: TableSchema | None
    stem: str
    key: str
    body: bytes | None
    base_etag: str | None
    row: Row | None
    undo_body: bytes | None = None
    undo_row: Row | None = None
    takes: tuple[str, ...] = ()
    frees: tuple[str, ...] = ()

    def as_write(self) -> Write:
        """The conditional request to the store."""
        return Write(self.key, self.body, if_match=self.base_etag, if_absent=self.base_etag is None)

    def as_change(self) -> Change:
        """The change to the index."""
        return Change(self.stem, self.row, existed=self.base_etag is not None)


class WriteFailed(Exception):  # carries the error; never leaves the backend
    """One write of a unit met ``error``; nothing of the unit is applied any more but what ``standing`` names.

    ``standing`` are the keys of documents that another writer changed before their write could be taken back: what it
    wrote is built on that write. ``in_doubt`` are those of documents that may have been written although the store
    said nothing or failed.
    """

    def __init__(self, write: DocumentWrite, error: Exception) -> None:
        super().__init__(str(error))
        self.write = write
        self.error = error
        self.standing: frozenset[str] = frozenset()
        self.in_doubt: frozenset[str] = frozenset() if self.is_conflict else frozenset((write.key,))

    @property
    def is_conflict(self) -> bool:
        """Whether another writer was faster, as opposed to a store that failed."""
        return isinstance(self.error, (PreconditionFailed, ClaimTaken))


class _Applied(NamedTuple):
    """A write that was applied, and the document's ETag since (None: it is deleted)."""

    write: DocumentWrite
    etag: str | None


class IntentLost(ConflictError):
    """Another process has taken the transaction over, and decides it."""


class IntentLog(Protocol):
    """What keeps a unit of many documents whole when its process dies (``backend.intents``)."""

    def renew(self) -> None:
        """Say that this process is still at it. Raises IntentLost."""


class _Undone(NamedTuple):
    """Keys of the documents that are not as they were: others built on them, or the store failed."""

    standing: frozenset[str]
    in_doubt: frozenset[str]


@dataclass
class _Outcome:
    """What became of a batch: the writes done, and those that failed."""

    done: list[_Applied] = field(default_factory=list)
    failures: list[WriteFailed] = field(default_factory=list)


class UnitOfWork:
    """Applies the writes of one statement or transaction.

    ``took_back`` tells of the last unit that failed whether every write of it was taken back for certain.
    """

    def __init__(self, resources: Resources) -> None:
        self.resources = resources
        self.took_back = False

    def commit(self, writes: Sequence[DocumentWrite], *, intent: IntentLog | None = None) -> None:
        """Apply all ``writes`` or none (but see ``WriteFailed``). Raises WriteFailed, and what store and index raise.

        ``intent`` is told of the progress, so that another process can go on when this one dies.
        """
        if not writes:
            return
        self.resources.store.verify_conditions()
        applied: list[_Applied] = []
        book = ClaimBook(self.resources, _schemas(writes), _releases(writes))
        try:
            for batch in _batches(writes):
                self._apply(batch, applied, book, intent)
        except IntentLost:
            raise
        except WriteFailed as failure:
            self._take_back(applied, book, failure)
            raise
        except Exception:
            self._take_back(applied, book)
            raise
        self._free(writes, book)

    def _apply(
        self, batch: list[DocumentWrite], applied: list[_Applied], book: ClaimBook, intent: IntentLog | None
    ) -> None:
        """Write one batch of one table; begin anew for what the write deadline leaves no time for."""
        while batch:
            if intent is not None:
                intent.renew()
            self._take_claims(batch, book)
            opened = self._begin(batch)
            reach("begun")
            outcome = self._write(batch, opened)
            applied.extend(outcome.done)
            if opened is not None:
                _settle(opened, batch, outcome)
            reach("finished")
            if outcome.failures:
                raise _first_of(outcome.failures)
            batch = batch[len(outcome.done) :]

    def _take_claims(self, batch: list[DocumentWrite], book: ClaimBook) -> None:
        for write in batch:
            if write.schema is None or not write.takes:
                continue
            try:
                book.take(write.schema.table, write.stem, write.takes)
            except ClaimTaken as taken:
                raise WriteFailed(write, taken) from taken

    def _free(self, writes: Sequence[DocumentWrite], book: ClaimBook) -> None:
        """Remove the claims given up. The unit is applied by now: an orphan that stays behind is only a nuisance."""
        for write in writes:
            if write.schema is not None and write.frees:
                try:
                    book.free(write.schema.table, write.stem, write.frees)
                except StorageUnavailable as error:
                    logger.warning("A claim that %r gave up stays behind as an orphan: %s", write.key, error)

    def _begin(self, batch: list[DocumentWrite]) -> OpenWrite | None:
        schema = batch[0].schema
        return None if schema is None else self.resources.indexes.begin(schema, [write.as_change() for write in batch])

    def _write(self, batch: list[DocumentWrite], opened: OpenWrite | None) -> _Outcome:
        outcome = _Outcome()
        pending = iter(batch)
        while not outcome.failures and (part := list(islice(pending, _SLICE))):
            for write, written in zip(part, self._outcomes(part), strict=True):
                if written.error is None:
                    outcome.done.append(_Applied(write, written.etag))
                else:
                    outcome.failures.append(WriteFailed(write, written.error))
            reach("put")
            if opened is not None and time.monotonic() > (opened.deadline + self._begun(opened)) / 2:
                break
        return outcome

    def _begun(self, opened: OpenWrite) -> float:
        return opened.deadline - self.resources.options.write_deadline

    def _outcomes(self, part: Iterable[DocumentWrite]) -> Iterator[Written]:
        return self.resources.store.write_many([write.as_write() for write in part])

    def _take_back(self, applied: list[_Applied], book: ClaimBook, failure: WriteFailed | None = None) -> None:
        """Undo what was applied, and give the claims back but those of documents that are, or may be, as the unit
        wanted them. ``failure`` is told of them. Raises WriteFailed when the store let a write stand."""
        self.took_back = False
        undone = self._undo(applied)
        doubtful = undone.in_doubt | (failure.in_doubt if failure is not None else frozenset())
        try:
            book.give_back(undone.standing | doubtful)
        except StorageUnavailable as error:
            logger.warning("Claims of writes that were taken back stay behind as orphans: %s", error)
        self.took_back = not undone.standing and not doubtful
        if failure is not None:
            failure.standing = undone.standing
            if undone.in_doubt:
                raise _let_stand(failure, undone.in_doubt) from failure

    def _undo(self, applied: list[_Applied]) -> _Undone:
        """Take applied writes back, last first."""
        reverse = [
            DocumentWrite(
                schema=write.schema,
                stem=write.stem,
                key=write.key,
                body=write.undo_body,
                base_etag=etag,
                row=write.undo_row,
            )
            for write, etag in reversed(applied)
            if not (write.undo_body is None and etag is None)
        ]
        standing: set[str] = set()
        in_doubt: set[str] = set()
        for write in reverse:
            for failure in self._undo_one(write):
                (standing if failure.is_conflict else in_doubt).add(write.key)
        return _Undone(frozenset(standing), frozenset(in_doubt))

    def _undo_one(self, write: DocumentWrite) -> list[WriteFailed]:
        try:
            opened = self._begin([write])
        except (IndexUnavailable, StorageUnavailable) as error:
            return [WriteFailed(write, error)]
        outcome = self._write([write], opened)
        if opened is not None:
            _settle(opened, [write], outcome)
        return outcome.failures


def _settle(opened: OpenWrite, batch: list[DocumentWrite], outcome: _Outcome) -> None:
    """Finish what was written and abort what certainly was not; what may have been written stays noted."""
    etags = {write.stem: etag for write, etag in outcome.done}
    doubtful = {failure.write.stem for failure in outcome.failures if not failure.is_conflict}
    opened.finish(etags)
    opened.abort([write.stem for write in batch if write.stem not in etags and write.stem not in doubtful])


def _first_of(failures: Sequence[WriteFailed]) -> WriteFailed:
    """The failure that stands for all. A store that failed goes before a conflict, as its writes are in doubt."""
    doubtful = [failure for failure in failures if not failure.is_conflict]
    if len(doubtful) < 2:
        return doubtful[0] if doubtful else failures[0]
    first, keys = doubtful[0], [failure.write.key for failure in doubtful]
    error = StorageUnavailable(f"{len(keys)} documents could not be written: {_named(keys)}. {first.error}")
    error.__cause__ = first.error
    failed = WriteFailed(first.write, error)
    failed.in_doubt = frozenset(keys)
    return failed


def _let_stand(failure: WriteFailed, keys: frozenset[str]) -> WriteFailed:
    """A unit that failed, and some of whose writes could not be taken back either: no conflict to try again over."""
    error = StorageUnavailable(
        f"{failure.error} {len(keys)} documents that had been written could not be taken back: {_named(sorted(keys))}. "
        "Read them before you repeat the statement."
    )
    error.__cause__ = failure.error
    stood = WriteFailed(failure.write, error)
    stood.standing, stood.in_doubt = failure.standing, failure.in_doubt | keys
    return stood


def _named(keys: Sequence[str]) -> str:
    more = f" and {len(keys) - _NAMED} more" if len(keys) > _NAMED else ""
    return ", ".join(map(repr, keys[:_NAMED])) + more


def _schemas(writes: Sequence[DocumentWrite]) -> Callable[[str], TableSchema | None]:
    schemas = {write.schema.table: write.schema for write in writes if write.schema is not None}
    return schemas.get


def _releases(writes: Sequence[DocumentWrite]) -> Callable[[str, str, str], bool]:
    """Tells whether a document of the unit gives up a claim: ``(table, stem, claim)``."""
    released = {
        (write.schema.table, write.stem, claim) for write in writes if write.schema is not None for claim in write.frees
    }
    return lambda table, stem, claim: (table, stem, claim) in released


def _batches(writes: Sequence[DocumentWrite]) -> Iterator[list[DocumentWrite]]:
    """Batches of one table each, in the order of the tables' first writes."""
    order = {
        write.schema.table if write.schema else "": position for position, write in reversed(list(enumerate(writes)))
    }
    by_table = sorted(writes, key=lambda write: order[write.schema.table if write.schema else ""])
    for _table, group in groupby(by_table, key=lambda write: write.schema.table if write.schema else ""):
        while batch := list(islice(group, _BATCH)):
            yield batch
