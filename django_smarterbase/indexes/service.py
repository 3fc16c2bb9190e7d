"""The index room's front door: one ``IndexService`` for each smarterbase database of a process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import ParamSpec, TypeVar

from ..conf import Options
from ..exceptions import IndexUnavailable
from ..outlook import Outlook
from ..storage.base import ObjectStore
from ..storage.keys import Keyspace
from ..tables import IndexCondition, IndexDefinition, IndexLeaf, TableSchema, Walk
from .answers import (
    Change,
    Counts,
    FallbackReason,
    IndexState,
    IndexUntrusted,
    ManifestEntry,
    Marker,
    Page,
    Reading,
    RebuildReport,
    Record,
)
from .auto import AutoRepair
from .checking import Auditor
from .client import IndexDamaged, RedisClient, RedisDown
from .findings import AuditStage, TableFindings
from .health import TrustLog
from .inspection import Inspector
from .keys import IndexKeys
from .manifest import Manifest
from .rebuild import Progress, Rebuilder
from .room import Decode, Room
from .rowlocks import RowLocks, Wish
from .sets import SetReader
from .sweep import Sweeper
from .writes import OpenWrite, Writer

__all__ = [
    "AuditStage",
    "Change",
    "Counts",
    "Decode",
    "FallbackReason",
    "IndexService",
    "IndexState",
    "IndexUntrusted",
    "ManifestEntry",
    "Marker",
    "OpenWrite",
    "Page",
    "Progress",
    "Reading",
    "RebuildReport",
    "Record",
    "TableFindings",
]

Question = ParamSpec("Question")
Answer = TypeVar("Answer")


class IndexService:
    """Reads, writes and rebuilds the index sets of one database. Thread-safe.

    ``alias`` names the cache that holds the sets, or is None; ``name`` is the database's NAME, ``database`` its alias;
    ``tenant`` is whose sets they are, if they are a tenant's.
    ``decode`` turns an object into a row and may raise CorruptDocument. Making one costs no request.
    """

    def __init__(
        self,
        *,
        store: ObjectStore,
        keys: Keyspace,
        name: str,
        database: str,
        tenant: str | None = None,
        alias: str | None,
        options: Options,
        decode: Decode,
    ) -> None:
        room = Room(
            database=database,
            tenant=tenant,
            store=store,
            objects=keys,
            names=IndexKeys(name, tenant),
            redis=RedisClient(alias) if alias is not None else None,
            manifest=Manifest(store, keys.manifest(), options.trust_seconds),
            options=options,
            decode=decode,
            trust_log=TrustLog(database, tenant),
        )
        self._room = room
        self._sweeper = Sweeper(room)
        self._reader = SetReader(room, self._sweeper)
        self._writer = Writer(room, self._sweeper)
        self._rebuilder = Rebuilder(room, self._sweeper)
        self._locks = RowLocks(room)
        self._inspector = Inspector(room)
        self._auditor = Auditor(room, self._inspector)
        self._auto = AutoRepair(room, self._inspector, self._rebuilder)

    def read(
        self,
        schema: TableSchema,
        condition: IndexCondition,
        *,
        members: bool = True,
        at_most: int | None = None,
        told: Sequence[IndexDefinition] | None = None,
    ) -> Reading:
        """The candidates for ``condition``, or with ``members=False`` only their number and those in doubt; so too when
        there are more than ``at_most``. With ``told`` also what ``records`` says of them, if they are 1,000 or less.

        One round trip; a GET of the manifest when the lease on it has run out. Raises IndexUntrusted.
        """
        return self._trusting(schema, self._reader.read, schema, condition, members=members, at_most=at_most, told=told)

    def walk(self, schema: TableSchema, walk: Walk, *, skip: bool = False) -> Page | None:
        """The documents of a page of an ordered index and those before it; with ``skip`` as few of these as can be.

        None when the script would have to look at too many documents to find them. One round trip, whose work is
        proportional to the page and, with a condition, to how many documents of the index do not meet it. Raises
        IndexUntrusted.
        """
        return self._trusting(schema, self._reader.walk, schema, walk, skip=skip)

    def groups(self, schema: TableSchema, walk: Walk) -> Page | None:
        """Documents of each group of ``walk``, and all documents in doubt that may be in one.

        None for more than 1,000 groups, or values of which the index does not know enough to tell groups apart. One
        round trip. Raises IndexUntrusted.
        """
        return self._trusting(schema, self._reader.groups, schema, walk)

    def counts(self, schema: TableSchema, index: IndexDefinition) -> Counts:
        """The number of documents for each combination of values of ``index``.

        One round trip whose work is proportional to the number of combinations; values that are too long for a key
        or folded by a collation cost one read each. Raises IndexUntrusted.
        """
        return self._trusting(schema, self._reader.counts, schema, index)

    def records(
        self, schema: TableSchema, indexes: Sequence[IndexDefinition], stems: Sequence[str]
    ) -> dict[str, Record]:
        """``{stem: {column: value}}`` of the columns of ``indexes``, as SQLite holds them, without reading documents.

        Left out are documents in doubt, those of which the index knows nothing, and those with a value that its code
        does not tell (long, or folded by a collation). One round trip for 1,000 stems. Raises IndexUntrusted.
        """
        return self._trusting(schema, self._reader.records, schema, indexes, stems)

    def _trusting(
        self, schema: TableSchema, ask: Callable[Question, Answer], *question: Question.args, **details: Question.kwargs
    ) -> Answer:
        """The answer to a question about the table; note whether the index has given one."""
        try:
            answer = ask(*question, **details)
        except IndexUntrusted as untrusted:
            self._room.trust_log.lost(schema.table, untrusted)
            self._auto.consider(schema, untrusted.reason)
            raise
        self._room.trust_log.kept(schema.table)
        self._auto.served(schema)
        return answer

    def attend(self, schema: TableSchema) -> None:
        """Give a new, empty table its index before its first write. Does nothing while Redis does not answer."""
        self._writer.attend(schema)

    def begin(self, schema: TableSchema, changes: Sequence[Change], *, owner: str | None = None) -> OpenWrite:
        """Announce ``changes``, each of another document of the table, before they are written.

        Each is then to be written on the condition of the ETag that was read *before* begin (or of absence), within
        the write's deadline, and ended by ``finish`` or ``abort``. One round trip for 200 documents; the first write
        of a process to a table also sees to the table's index. Where the index cannot take the write, the manifest
        is made to say so (one GET, at most one PUT) and the first such write waits ``trust_seconds``. Raises
        IndexUnavailable with ``on_index_outage = "refuse"``, StorageUnavailable, CorruptDocument (the manifest), and
        ConflictError when a store without conditional writes has the document under another writer for too long.
        It waits for documents that other transactions than ``owner`` ("": than any) have locked, unless that is None;
        then it may raise LockNotAvailable.
        """
        return self._writer.begin(schema, changes, owner=owner)

    def erase(self) -> None:
        """Delete every Redis key of the database, or of the tenant, its history included. Its objects must be gone.

        A SCAN of all keys that Redis holds. Raises IndexUnavailable.
        """
        redis = self._room.redis
        if redis is None:
            return
        try:
            for pattern in self._room.names.patterns:
                redis.forget(pattern)
        except (RedisDown, IndexDamaged) as error:
            raise IndexUnavailable(
                f"The index sets of {self._room.objects.prefix()!r} were not deleted: {error}. Its objects are gone, "
                "so nobody trusts the sets; do it again when Redis answers, to free their memory."
            ) from error

    def lock(self, schema: TableSchema, token: str, stems: Sequence[str], wish: Wish) -> list[str]:
        """Lock rows for the transaction ``token`` for ``write_deadline``; locks that it has are made to last again.

        "all" or no one of them, or "some" that can be had: not those that others have locked, or have announced to
        write. "keep" those that it has, and "write" all or no one, for rows that it is about to write itself: then
        writers are no obstacle, as ETags decide among them. Returns stems that could not be had; of more than 1,000
        perhaps not all. One round trip for so many; without a cache nothing is locked. Raises IndexUntrusted when
        Redis cannot take it.
        """
        return self._locks.lock(schema, token, stems, wish)

    def unlock(self, schema: TableSchema, token: str, stems: Sequence[str]) -> int:
        """Give locks back; returns how many the transaction still had. One round trip for 1,000 rows. Never raises
        for Redis."""
        return self._locks.unlock(schema, token, stems)

    def sweep(self, schema: TableSchema, limit: int | None = None) -> int:
        """Settle the notes of writers that died, ``limit`` at most; returns how many. Raises IndexUntrusted."""
        return self._inspector.sweep(schema, self._sweeper, limit)

    def rebuild(self, schema: TableSchema, *, full: bool = False, progress: Progress | None = None) -> RebuildReport:
        """Build the table's index anew while queries and writes go on; takes at least ``write_deadline``.

        Documents whose ETag Redis still knows from the last index are not read again, unless ``full``. Memory does
        not grow with the table. ``progress(done, total)`` is called at least every second. ``total`` is None while
        documents are entered, ``done`` of them by then; after that it is their number, the write deadline is waited
        for, ``done`` of them are compared again, and what writers changed is mended. What ``progress`` raises ends the
        rebuild and leaves the index as it was. Raises IndexUnavailable (no cache, Redis down or emptied, another
        rebuild under way, a write around the index), CorruptDocument unless ``on_corrupt`` is "skip". May be
        interrupted and run again.
        """
        return self._rebuilder.rebuild(schema, full=full, progress=progress)

    def state(self, schema: TableSchema) -> IndexState:
        """What manifest and Redis say of the table's index: one GET, one round trip. Never raises for Redis."""
        return self._inspector.state(schema)

    def states(self, schemas: Sequence[TableSchema]) -> list[IndexState]:
        """As ``state``, for several tables, in their order: one GET and one round trip for all of them."""
        return self._inspector.states(schemas)

    def outlook(
        self, schema: TableSchema, terms: Iterable[IndexLeaf] = (), indexes: Iterable[IndexDefinition] = ()
    ) -> Outlook:
        """Whether a query would believe the index now, and how much ``terms`` name and ``indexes`` hold.

        One round trip; a GET of the manifest when the lease on it has run out. Nothing is asked of the index, changed
        or logged. Never raises for Redis; raises StorageUnavailable.
        """
        return self._inspector.outlook(schema, terms, indexes)

    def audit(
        self,
        schema: TableSchema,
        *,
        sample: int | None = None,
        progress: Callable[[int], object] = lambda _: None,
        afterwards: Callable[[AuditStage, int], object] = lambda _stage, _number: None,
    ) -> TableFindings:
        """Compare the table's index with its documents, both ways, while readers and writers go on.

        Reads every document once, or ``sample`` at random; a difference is looked at again before it counts. Changes
        nothing. ``progress`` is called with the number of documents read so far, ``afterwards`` with what of the
        index is compared then, and how many of its sets have been. Memory does not grow with the table. Never raises
        for Redis; raises StorageUnavailable.
        """
        return self._auditor.audit(schema, sample, progress, afterwards)

    def amend(self, schema: TableSchema, stems: Iterable[str]) -> int:
        """Make the records of single documents what these say; returns how many were changed.

        Three requests for a hundred documents. Left alone are documents with a write under way or without a record,
        and all of them while the index is being rebuilt. Raises IndexUntrusted.
        """
        return self._auditor.amend(schema, stems)
