"""What a check of an index finds: frozen values."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

from .answers import FallbackReason, IndexState

EXAMPLES: Final = 10  # stems and keys that a report names
ALL: Final = "all documents"  # the set of every table
RECORDS: Final = "records"  # what the index remembers of each document: its ETag and its entries


class AuditStage(enum.StrEnum):
    """What is compared once all documents have been: what the index holds, piece by piece."""

    RECORDS = "records"
    SETS = "index sets"
    COUNTS = "counts"


def of_order(index: str) -> str:
    """The name of an ordered index, beside the sets of the same index."""
    return f"{index} (order)"


@dataclass(frozen=True, slots=True)
class IndexFindings:
    """One index, by name, an ordered one as ``of_order`` calls it, or ``ALL`` or ``RECORDS``.

    ``entries`` are those that the documents looked at have in it; of these ``missing`` do not stand there. ``extra``
    stand there though no document justifies them.
    """

    name: str
    entries: int
    missing: int
    extra: int

    @property
    def drift(self) -> float:
        """Per cent of the entries looked at that are wrong."""
        return 100 * (self.missing + self.extra) / max(1, self.entries + self.extra)


@dataclass(frozen=True, slots=True)
class TableFindings:
    """One table. ``documents`` are those looked at; ``indexes`` is empty when there is no trusted index to look at.

    ``in_doubt`` are documents that writers were at each time they were looked at, which is no drift. ``corrupt`` are
    the keys of documents that cannot be read; what an index says of them is not judged. ``miscounts`` is the number of
    Redis keys whose size is not what the index remembers of it, ``miscounted`` the first ten of them. ``examples`` are
    the stems of up to ten documents with missing or extra entries.

    For a repair: ``amendable`` are stems whose records can be corrected one by one; ``needs_rebuild`` tells that this
    does not do, ``needs_full`` that the rebuild must not believe the records either.
    """

    state: IndexState
    documents: int
    in_doubt: int
    corrupt: tuple[str, ...]
    indexes: tuple[IndexFindings, ...]
    miscounts: int
    miscounted: tuple[str, ...]
    examples: tuple[str, ...]
    amendable: tuple[str, ...]
    needs_rebuild: bool
    needs_full: bool

    @property
    def is_untrusted(self) -> bool:
        """Whether the table's queries scan though it has a Redis, and documents to index."""
        reason = self.state.reason
        if reason is None or reason is FallbackReason.NO_CACHE:
            return False
        return reason is not FallbackReason.NOT_BUILT or self.documents > 0

    @property
    def has_drift(self) -> bool:
        """Whether a trusted index says something that the documents do not."""
        return self.miscounts > 0 or any(index.missing or index.extra for index in self.indexes)

    @property
    def drift(self) -> float:
        """Per cent of wrong entries in the worst of the indexes; 100 when none is trusted, or a size is wrong."""
        if self.is_untrusted or self.miscounts:
            return 100.0
        return max((index.drift for index in self.indexes), default=0.0)

    @property
    def is_sound(self) -> bool:
        """Whether there is nothing to mend."""
        return not (self.is_untrusted or self.has_drift or self.corrupt or self.state.overdue)
