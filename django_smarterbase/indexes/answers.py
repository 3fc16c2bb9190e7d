"""What the index room answers: frozen values, with no behaviour of their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from django_smarterbase.outlook import FallbackReason as FallbackReason
from django_smarterbase.tables import Row, Value

#: ``{column: value}`` of the columns that were asked for, as SQLite holds them.
Record = Mapping[str, Value]


class IndexUntrusted(Exception):  # not an error: the caller scans instead
    """The index may not answer this question; the documents must. Never leaves the package.

    ``expected`` when that is no outage: chosen so, or of this question only, or there was never an index to lose.
    """

    def __init__(self, reason: FallbackReason, detail: str = "", *, expected: bool = False) -> None:
        super().__init__(f"{reason}: {detail}" if detail else str(reason))
        self.reason = reason
        self.detail = detail
        self.expected = expected


@dataclass(frozen=True, slots=True)
class Reading:
    """The answer to an ``IndexCondition``.

    ``stems`` are the candidates in no particular order, those in doubt included: every committed document that
    meets the condition is among them. None when only the count was asked for, or there are more than were wanted.
    ``in_doubt`` are the candidates with a write under way (or left behind by a writer that died), and those whose
    booleans are odd (``entries``) in an index that was asked. A document that is no candidate does not meet the
    condition, whatever is under way.
    ``count`` is the number of candidates *not* in doubt: each of these meets the condition for certain. The exact
    count is ``count`` plus those documents of ``in_doubt`` that, when read, meet the condition. ``documents`` is how
    many the table has, those in doubt included. ``records`` is ``{stem: {column: value}}`` as ``IndexService.records``
    gives it; None when it was not asked for, or there are too many candidates.
    """

    stems: tuple[str, ...] | None
    count: int
    in_doubt: frozenset[str]
    documents: int
    records: Mapping[str, Record] | None = None

    @property
    def candidates(self) -> int:
        """How many there are, those in doubt included."""
        return self.count + len(self.in_doubt)


@dataclass(frozen=True, slots=True)
class Page:
    """The answer to a ``Walk``.

    ``etags`` is ``{stem: ETag}`` (as ``keys.etag_text`` has it) of the certain documents before and in the page, in
    its order, without the first ``left_out`` ones. ``in_doubt`` are all others that may stand before its end.
    ``ended`` says that nothing comes after it.
    """

    etags: Mapping[str, str]
    in_doubt: frozenset[str]
    left_out: int
    ended: bool


@dataclass(frozen=True, slots=True)
class Counts:
    """How many documents have each combination of values of an index.

    ``counts`` is ``{values in the order of the index's columns: documents}``, without the documents in doubt.
    ``in_doubt`` are all stems of the table with a write under way, or that are odd there; the caller reads these and
    adds them.
    """

    counts: Mapping[tuple[Value, ...], int]
    in_doubt: frozenset[str]


@dataclass(frozen=True, slots=True)
class Change:
    """One document's change. ``row`` None deletes it; ``existed`` tells whether there was a document before."""

    stem: str
    row: Row | None
    existed: bool


@dataclass(frozen=True, slots=True)
class ManifestEntry:
    """What the manifest object says of one table.

    ``epoch`` is the epoch trusted now (state ready) or last (state suspect); None: none was ever trusted.
    ``definition`` is the hash of the index definitions that ``epoch`` was built for. ``built_at`` is when that was
    complete (UTC, by its builder's clock; None for one of an earlier release).
    """

    ready: bool
    epoch: str | None
    building: str | None
    version: int
    definition: str
    built_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Marker:
    """What Redis says of one table: the complete epoch, and the run of the server that completed it."""

    epoch: str
    run_id: str


@dataclass(frozen=True, slots=True)
class IndexState:
    """The state of one table's index, for checks and commands. ``reason`` is None when the index is trusted.

    ``documents``, ``pending`` (notes of writes under way) and ``overdue`` (notes older than the write deadline)
    are None when Redis cannot tell. ``values`` is ``{index name: number of distinct values}`` of the complete epoch;
    ``rebuilding`` tells whether some process is rebuilding the index now.
    """

    table: str
    entry: ManifestEntry | None
    marker: Marker | None
    reason: FallbackReason | None
    detail: str
    documents: int | None = None
    pending: int | None = None
    overdue: int | None = None
    values: Mapping[str, int] = field(default_factory=dict)
    rebuilding: bool = False

    @property
    def trusted(self) -> bool:
        """Whether a query would be answered by the index now."""
        return self.reason is None


@dataclass(frozen=True, slots=True)
class RebuildReport:
    """What a rebuild did. ``documents`` are in the index; of these ``read`` were read and ``reused`` known by ETag.

    ``mended`` were changed meanwhile by writers that did not know of the new epoch; ``corrupt`` could not be read
    and are left out (only with ``on_corrupt = "skip"``).
    """

    table: str
    epoch: str
    documents: int
    read: int
    reused: int
    mended: int
    corrupt: int
    seconds: float
