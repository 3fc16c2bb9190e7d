"""What a unit of work is made of: the write of one document, and the failure of one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from django_smarterbase.backend.claims import ClaimTaken, DocumentClaim
from django_smarterbase.exceptions import PreconditionFailed, StorageUnavailable
from django_smarterbase.indexes.service import Change
from django_smarterbase.storage.base import Write
from django_smarterbase.tables import Row, TableSchema

_NAMED: Final = 10  # keys in a message


@dataclass(frozen=True, slots=True)
class DocumentWrite:
    """A document to be written (``body``) or deleted (None), and what it replaces.

    ``base_etag`` is the ETag of the document that was read, None when there must be none. ``row`` is
    ``{column: value}`` of the body; ``undo_body`` takes the write back, None when there was no document. ``takes`` and
    ``frees`` are the claims to unique values that the document takes, and those that it gives up. ``built_on`` is the
    transaction of several documents that made what is replaced, if one did.
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
    built_on: str | None = None

    @property
    def table(self) -> str:
        """The table's name; "" of a system object."""
        return self.schema.table if self.schema is not None else ""

    def as_write(self, deadline: float | None) -> Write:
        """The conditional request to the store, not to be begun too late for ``deadline`` (``time.monotonic``)."""
        absent = self.base_etag is None
        return Write(self.key, self.body, if_match=self.base_etag, if_absent=absent, deadline=deadline)

    def document_claims(self, claims: Sequence[str]) -> list[DocumentClaim]:
        """Claims that the document is to take or to give up; a system object has none."""
        return [DocumentClaim(self.table, self.stem, claim) for claim in claims] if self.schema is not None else []

    def as_change(self) -> Change:
        """The change to the index."""
        return Change(self.stem, self.row, existed=self.base_etag is not None)

    def reversed(self, etag: str | None) -> DocumentWrite:
        """The write that takes this one back, after which the document has ``etag`` (None: it is deleted).

        It can be taken back itself: a unit that takes others back may fail too.
        """
        return DocumentWrite(self.schema, self.stem, self.key, self.undo_body, etag, self.undo_row, self.body, self.row)


def moves_values(writes: Sequence[DocumentWrite]) -> bool:
    """Whether one document takes a unique value that another gives up."""
    given_up = {(write.table, claim) for write in writes for claim in write.frees}
    return any((write.table, claim) in given_up for write in writes for claim in write.takes)


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


def first_of(failures: Sequence[WriteFailed]) -> WriteFailed:
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


def let_stand(failure: WriteFailed, keys: frozenset[str]) -> WriteFailed:
    """A unit that failed, and some of whose writes could not be taken back either: no conflict to try again over."""
    error = StorageUnavailable(
        f"{failure.error} {len(keys)} document{'' if len(keys) == 1 else 's'} that had been written could not be taken "
        f"back: {_named(sorted(keys))}. Read {'it' if len(keys) == 1 else 'them'} before you repeat the statement."
    )
    error.__cause__ = failure.error
    stood = WriteFailed(failure.write, error)
    stood.standing, stood.in_doubt = failure.standing, failure.in_doubt | keys
    return stood


def never_begun(write: DocumentWrite, write_deadline: float) -> WriteFailed:
    """A write for which the time ran out before it could be sent, again and again. Nothing of it is in doubt."""
    error = StorageUnavailable(
        f"The object {write.key!r} was not written: announcing it took so long, several times over, that too little "
        f"was left of the write deadline of {write_deadline:g} s. Look at the load of Redis and the store, or raise "
        "the option write_deadline."
    )
    failed = WriteFailed(write, error)
    failed.in_doubt = frozenset()
    return failed


def _named(keys: Sequence[str]) -> str:
    more = f" and {len(keys) - _NAMED} more" if len(keys) > _NAMED else ""
    return ", ".join(map(repr, keys[:_NAMED])) + more
