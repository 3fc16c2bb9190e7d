"""The unit of work: pending documents become stored objects, and the index follows.

For each batch of a table: begin (index), conditional writes (storage), finish or abort (index). When one write of the
unit fails, those already applied are taken back, so that a unit is applied whole or not at all unless the process dies
in between.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby, islice
from typing import Final

from django_smarterbase.backend.resources import Resources
from django_smarterbase.exceptions import PreconditionFailed
from django_smarterbase.indexes.service import Change, OpenWrite
from django_smarterbase.storage.base import Write, Written
from django_smarterbase.tables import Row, TableSchema

_BATCH: Final = 200
_SLICE: Final = 32


@dataclass(frozen=True, slots=True)
class DocumentWrite:
    """A document to be written (``body``) or deleted (None), and what it replaces.

    ``base_etag`` is the ETag of the document that was read, None when there must be none. ``row`` is
    ``{column: value}`` of the body; ``undo_body`` takes the write back, None when there was no document.
    """

    schema: TableSchema | None
    stem: str
    key: str
    body: bytes | None
    base_etag: str | None
    row: Row | None
    undo_body: bytes | None = None
    undo_row: Row | None = None

    def as_write(self) -> Write:
        """The conditional request to the store."""
        return Write(self.key, self.body, if_match=self.base_etag, if_absent=self.base_etag is None)

    def as_change(self) -> Change:
        """The change to the index."""
        return Change(self.stem, self.row, existed=self.base_etag is not None)


class WriteFailed(Exception):  # carries the error; never leaves the backend
    """One write of a unit met ``error``; nothing of the unit is applied any more."""

    def __init__(self, write: DocumentWrite, error: Exception) -> None:
        super().__init__(str(error))
        self.write = write
        self.error = error

    @property
    def is_conflict(self) -> bool:
        """Whether another writer was faster, as opposed to a store that failed."""
        return isinstance(self.error, PreconditionFailed)


@dataclass
class _Outcome:
    """What became of a batch: the writes done, each with its new ETag, and those that failed."""

    done: list[tuple[DocumentWrite, str | None]] = field(default_factory=list)
    failures: list[WriteFailed] = field(default_factory=list)


class UnitOfWork:
    """Applies the writes of one statement or transaction."""

    def __init__(self, resources: Resources) -> None:
        self.resources = resources

    def commit(self, writes: Sequence[DocumentWrite]) -> None:
        """Apply all ``writes`` or none. Raises WriteFailed."""
        applied: list[tuple[DocumentWrite, str | None]] = []
        if writes:
            self.resources.store.verify_conditions()
        try:
            for batch in _batches(writes):
                self._apply(batch, applied)
        except WriteFailed:
            self._undo(applied)
            raise

    def _apply(self, batch: list[DocumentWrite], applied: list[tuple[DocumentWrite, str | None]]) -> None:
        """Write one batch of one table; begin anew for what the write deadline leaves no time for."""
        while batch:
            opened = self._begin(batch)
            outcome = self._write(batch, opened)
            applied.extend(outcome.done)
            if opened is not None:
                _settle(opened, batch, outcome)
            if outcome.failures:
                raise outcome.failures[0]
            batch = batch[len(outcome.done) :]

    def _begin(self, batch: list[DocumentWrite]) -> OpenWrite | None:
        schema = batch[0].schema
        return None if schema is None else self.resources.indexes.begin(schema, [write.as_change() for write in batch])

    def _write(self, batch: list[DocumentWrite], opened: OpenWrite | None) -> _Outcome:
        outcome = _Outcome()
        pending = iter(batch)
        while not outcome.failures and (part := list(islice(pending, _SLICE))):
            for write, written in zip(part, self._outcomes(part), strict=True):
                if written.error is None:
                    outcome.done.append((write, written.etag))
                else:
                    outcome.failures.append(WriteFailed(write, written.error))
            if opened is not None and time.monotonic() > (opened.deadline + self._begun(opened)) / 2:
                break
        return outcome

    def _begun(self, opened: OpenWrite) -> float:
        return opened.deadline - self.resources.options.write_deadline

    def _outcomes(self, part: Iterable[DocumentWrite]) -> Iterator[Written]:
        return self.resources.store.write_many([write.as_write() for write in part])

    def _undo(self, applied: list[tuple[DocumentWrite, str | None]]) -> None:
        """Take applied writes back, last first. What another process has changed since is its own business."""
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
        for write in reverse:
            opened = self._begin([write])
            outcome = self._write([write], opened)
            if opened is not None:
                _settle(opened, [write], outcome)


def _settle(opened: OpenWrite, batch: list[DocumentWrite], outcome: _Outcome) -> None:
    """Finish what was written and abort what certainly was not; what may have been written stays noted."""
    etags = {write.stem: etag for write, etag in outcome.done}
    doubtful = {failure.write.stem for failure in outcome.failures if not failure.is_conflict}
    opened.finish(etags)
    opened.abort([write.stem for write in batch if write.stem not in etags and write.stem not in doubtful])


def _batches(writes: Sequence[DocumentWrite]) -> Iterator[list[DocumentWrite]]:
    """Batches of one table each, in the order of the tables' first writes."""
    order = {
        write.schema.table if write.schema else "": position for position, write in reversed(list(enumerate(writes)))
    }
    by_table = sorted(writes, key=lambda write: order[write.schema.table if write.schema else ""])
    for _table, group in groupby(by_table, key=lambda write: write.schema.table if write.schema else ""):
        while batch := list(islice(group, _BATCH)):
            yield batch
