"""The online rebuild of a table's index (``sb_reindex``): readers and writers go on meanwhile, nothing is lost."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, Final, TypeVar

from ..exceptions import CorruptDocument, IndexUnavailable
from ..storage.base import Stored
from ..tables import TableSchema
from .answers import ManifestEntry, RebuildReport
from .client import Argument, IndexDamaged, RedisClient, RedisDown
from .encoding import definition
from .keys import TableKeys, etag_text, new_epoch
from .room import Image, Room
from .scripts import Script
from .sweep import Sweeper
from .trust import EVICTING

logger = logging.getLogger("django_smarterbase.indexes")

Progress = Callable[[int, int | None], None]
Item = TypeVar("Item")

PIECE: Final = 200  # documents for each script
HOLD: Final = 10.0  # seconds for which a rebuild that gives no sign of life keeps others out
_MENDS: Final = 20  # looks at a document that writers keep changing
_STEP: Final = 0.5  # seconds between two signs of life while the write deadline runs


@dataclass(slots=True)
class _Tally:
    """What the rebuild has done so far."""

    read: int = 0
    reused: int = 0
    mended: int = 0
    corrupt: set[str] = field(default_factory=set)


class Rebuilder:
    """Rebuilds the tables of one database."""

    def __init__(self, room: Room, sweeper: Sweeper) -> None:
        self._room = room
        self._sweeper = sweeper

    def rebuild(self, schema: TableSchema, *, full: bool, progress: Progress | None) -> RebuildReport:
        """As ``IndexService.rebuild``."""
        redis = self._room.redis
        if redis is None:
            raise IndexUnavailable(
                f"{schema.label} has no index to rebuild: the option cache is None. Name a CACHES alias there."
            )
        run = _Run(self._room, redis, schema, new_epoch(), progress or _ignore)
        try:
            report = run.run(full=full)
        except RedisDown as down:
            raise IndexUnavailable(
                f"The index of {schema.label} was not rebuilt, since Redis cannot be used ({down}). Queries go on "
                "scanning; run sb_reindex again when Redis answers."
            ) from down
        except IndexDamaged as damage:
            with suppress(RedisDown):
                redis.run(Script.DROP, self._room.keys(schema), "")
            raise IndexUnavailable(
                f"The index of {schema.label} was not rebuilt: {damage}. Find out who wrote it (the indexes want a "
                "Redis database of their own) and run sb_reindex again."
            ) from damage
        self._tidy(schema, run)
        return report

    def _tidy(self, schema: TableSchema, run: _Run) -> None:
        """What the index does not depend on: the next rebuild does it as well."""
        try:
            run.clear()
            self._sweeper.sweep(schema)
        except (RedisDown, IndexDamaged) as problem:
            logger.warning("Leftovers of earlier indexes of %s stay in Redis for now: %s", schema.label, problem)


class _Run:
    """One rebuild of one table."""

    def __init__(self, room: Room, redis: RedisClient, schema: TableSchema, epoch: str, progress: Progress) -> None:
        self._room = room
        self._redis = redis
        self._schema = schema
        self._epoch = epoch
        self._progress = progress
        self._keys: TableKeys = room.keys(schema)
        self._prefix = room.objects.table_prefix(schema.table)
        self._tally = _Tally()
        self._total: int | None = None
        self._alive = 0.0
        self._registered = 0.0

    def run(self, *, full: bool) -> RebuildReport:
        """The steps of the write protocol's rebuild, in its order."""
        began = time.monotonic()
        self._refuse_eviction()
        with self._holding():
            before, claimed = self._claim()
            try:
                self._register()
                self._fill(before, full=full)
                self._total = self._tally.read + self._tally.reused
                self._wait_for_deadline()
                self._mend()
                self._publish(claimed)
                self._mark()
            except BaseException:
                self._abandon()
                raise
        return self._report(time.monotonic() - began)

    def _report(self, seconds: float) -> RebuildReport:
        tally = self._tally
        documents = self._script(Script.INSPECT, self._room.deadline_ms)[4]
        return RebuildReport(
            table=self._schema.table,
            epoch=self._epoch,
            documents=documents,
            read=tally.read,
            reused=tally.reused,
            mended=tally.mended,
            corrupt=len(tally.corrupt),
            seconds=seconds,
        )

    def _script(self, script: Script, *args: Argument) -> Any:
        return self._redis.run(script, self._keys, *args)

    def _live(self, answer: Any) -> Any:
        """The answer of a script that says 0 when the epoch is no longer live."""
        if answer == 0:
            raise IndexUnavailable(
                f"The index of {self._schema.label} was not rebuilt: Redis lost what was already built (flushed, "
                "restarted or damaged), or another rebuild began. Run sb_reindex again."
            )
        return answer

    def _refuse_eviction(self) -> None:
        policy = self._script(Script.INSPECT, self._room.deadline_ms)[1]
        if policy.startswith(EVICTING) and not self._room.options.allow_eviction:
            raise IndexUnavailable(
                f"Redis may evict the index of {self._schema.label}: its maxmemory-policy is {policy}. Set it to "
                "noeviction, or accept lost indexes with the option allow_eviction."
            )

    @contextmanager
    def _holding(self) -> Iterator[None]:
        self._sign_of_life(force=True)
        try:
            yield
        finally:
            with suppress(RedisDown, IndexDamaged):
                self._script(Script.HOLD, self._epoch, 0)

    def _sign_of_life(self, *, force: bool = False) -> None:
        now = time.monotonic()
        if not force and now - self._alive < HOLD / 10:
            return
        self._alive = now
        if self._script(Script.HOLD, self._epoch, int(HOLD * 1000)) == 0:
            raise IndexUnavailable(
                f"Another rebuild of {self._schema.label} is under way. Let it end; if it was killed, run sb_reindex "
                f"again in {HOLD:g} s."
            )

    def _claim(self) -> tuple[ManifestEntry | None, ManifestEntry]:
        """The manifest's entry before, and the entry that says that this epoch is being built."""
        before: list[ManifestEntry | None] = []

        def claimed(entry: ManifestEntry | None) -> ManifestEntry:
            before.append(entry)
            if entry is None:
                return ManifestEntry(ready=False, epoch=None, building=self._epoch, version=1, definition="")
            return replace(entry, building=self._epoch, version=entry.version + 1)

        entry = self._room.manifest.change(self._schema.table, claimed)
        return before[-1], entry

    def _register(self) -> None:
        self._script(Script.REGISTER, self._epoch, definition(self._schema))
        self._registered = time.monotonic()

    def _fill(self, before: ManifestEntry | None, *, full: bool) -> None:
        earlier = before.epoch if before is not None and before.definition == definition(self._schema) else None
        if full or earlier is None:
            found = ((key, stored) for key, stored in self._room.store.scan(self._prefix))
            for piece in _pieces(self._own(found), PIECE):
                self._enter(piece)
        else:
            listed = ((item.key, item.etag) for item in self._room.store.list(self._prefix))
            for etags in _pieces(self._own(listed), PIECE):
                self._adopt(earlier, etags)

    def _own(self, items: Iterable[tuple[str, Item]]) -> Iterator[tuple[str, Item]]:
        """Items by stem instead of key, without foreign objects."""
        for key, item in items:
            stem = self._room.objects.stem_of_key(self._schema.table, key)
            if stem is not None:
                yield stem, item

    def _enter(self, piece: list[tuple[str, Stored]]) -> None:
        arguments: list[str] = []
        for stem, stored in piece:
            image = self._image(stem, stored)
            arguments += [stem, image.etag, image.entries]
        self._live(self._script(Script.FILL, self._epoch, *arguments))
        self._tally.read += len(piece)
        self._advance()

    def _adopt(self, earlier: str, etags: list[tuple[str, str]]) -> None:
        pairs = [text for stem, etag in etags for text in (stem, etag_text(etag))]
        unknown = self._live(self._script(Script.ADOPT, self._epoch, earlier, *pairs))
        self._tally.reused += len(etags) - len(unknown)
        found = [(stem, stored) for stem, stored in self._read(unknown) if stored is not None]
        if found:
            self._enter(found)
        self._advance()

    def _advance(self) -> None:
        self._sign_of_life()
        self._progress(self._tally.read + self._tally.reused, self._total)

    def _read(self, stems: Iterable[str]) -> Iterator[tuple[str, Stored | None]]:
        table = self._schema.table
        stem_of = {self._room.objects.document(table, stem): stem for stem in stems}
        for key, stored in self._room.store.get_many(stem_of):
            yield stem_of[key], stored

    def _image(self, stem: str, stored: Stored | None) -> Image:
        key = self._room.objects.document(self._schema.table, stem)
        try:
            return self._room.image(self._schema, key, stored)
        except CorruptDocument:
            if self._room.options.on_corrupt == "raise":
                raise
            self._tally.corrupt.add(stem)
            return self._room.image_or_blank(self._schema, key, stored)

    def _wait_for_deadline(self) -> None:
        """Until every writer that had begun before the epoch was registered, and so did not feed it, is done."""
        until = self._registered + self._room.options.write_deadline
        while (left := until - time.monotonic()) > 0:
            self._advance()
            time.sleep(min(left, _STEP))

    def _mend(self) -> None:
        """Compare a new listing with the records, and the records with the listing."""
        listed = ((item.key, item.etag) for item in self._room.store.list(self._prefix))
        for etags in _pieces(self._own(listed), PIECE):
            pairs = [text for stem, etag in etags for text in (stem, etag_text(etag))]
            self._mend_piece(_by_two(self._live(self._script(Script.COMPARE, self._epoch, *pairs))))
            self._advance()
        cursor = None
        while cursor != "0":
            cursor, unseen = self._live(self._script(Script.UNSEEN, self._epoch, cursor or "0", PIECE))
            self._mend_piece(_by_two(unseen))
            self._advance()

    def _mend_piece(self, records: dict[str, str]) -> None:
        """Make ``{stem: record}`` what the documents say, read after the records were."""
        for _ in range(_MENDS):
            if not records:
                return
            arguments: list[str] = []
            for stem, stored in self._read(records):
                image = self._image(stem, stored)
                arguments += [stem, records[stem], image.etag, image.entries]
            again = self._live(self._script(Script.MEND, self._epoch, *arguments))
            self._tally.mended += len(records) - len(again)
            if not again:
                return
            pairs = [text for stem in again for text in (stem, "?")]  # no ETag is "?", so each record is returned
            records = _by_two(self._live(self._script(Script.COMPARE, self._epoch, *pairs)))
        raise IndexUnavailable(
            f"The index of {self._schema.label} was not rebuilt: the document {next(iter(records))!r} changes faster "
            "than it can be read. Run sb_reindex again."
        )

    def _publish(self, claimed: ManifestEntry) -> None:
        ready = replace(
            claimed,
            ready=True,
            epoch=self._epoch,
            building=None,
            version=claimed.version + 1,
            definition=definition(self._schema),
        )
        changed = self._room.manifest.change(self._schema.table, lambda now: ready if now == claimed else now)
        if changed != ready:
            raise IndexUnavailable(
                f"The index of {self._schema.label} was not rebuilt: meanwhile a process wrote without the index (it "
                "cannot reach Redis, or runs code with other indexes). Run sb_reindex again when all can."
            )

    def _mark(self) -> None:
        self._live(self._script(Script.MARK, self._epoch)[0])

    def _abandon(self) -> None:
        """Leave the table as it was before, as far as Redis and the store can be reached."""

        def without(current: ManifestEntry | None) -> ManifestEntry | None:
            if current is None or current.building != self._epoch:
                return current
            return replace(current, building=None, version=current.version + 1)

        with suppress(RedisDown, IndexDamaged):
            self._script(Script.DROP, self._epoch)
        self._room.manifest.change(self._schema.table, without)

    def clear(self) -> None:
        """Remove the keys of earlier epochs and of rebuilds that died, a piece at a time."""
        for found in self._redis.keys_of(self._keys):
            self._redis.run(Script.CLEAR, self._keys, more_keys=found)


def _pieces(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    iterator = iter(items)
    while piece := list(islice(iterator, size)):
        yield piece


def _by_two(flat: list[str]) -> dict[str, str]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _ignore(done: int, total: int | None) -> None:
    """Progress that nobody watches."""
