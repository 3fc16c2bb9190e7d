"""The comparison of an index with its documents, both ways, while readers and writers go on.

Within Redis nothing is in doubt: scripts are atomic, and after each of them a set holds just what records and notes
justify. Between a document and its record a writer may come, so a difference counts only when two looks at both find
the same, and no note: a document with the same ETag twice has not changed in between, and then its record, which was
looked at in between too, should have been the right one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple
from urllib.parse import unquote

from ..exceptions import CorruptDocument
from ..storage.base import Stored
from ..tables import TableSchema
from .answers import FallbackReason, IndexUntrusted
from .client import Argument, RedisClient
from .definitions import facts_of, indexable
from .filling import pieces
from .findings import ALL, EXAMPLES, RECORDS, AuditStage, IndexFindings, of_order
from .keys import etag_text, new_token, part
from .room import Image, Room
from .sampling import chosen_from
from .scripts import Script

PIECE: Final = 200  # documents, records or values for each script
AMENDABLE: Final = 1000  # documents that are corrected one by one at most
_SETS: Final = 100  # sets for each script
_MEMBERS: Final = 2000  # members for each script, of all its sets together
_LOOKS: Final = 4  # at a document that differs
_PAUSE: Final = 0.02  # seconds before the second look, twice that before the third, ...
_REMEMBERED: Final = 3600 * 1000  # ms for which Redis keeps what a check has seen, should the check die
_UNREADABLE: Final = Image("?", "")


@dataclass(slots=True)
class _Count:
    entries: int = 0
    missing: int = 0
    extra: int = 0


class _Difference(NamedTuple):
    """A row of verify.lua."""

    stem: str
    record: str
    notes: str
    same_etag: str
    missing: str
    extra: str


class _Sight(NamedTuple):
    """What one look saw of a document and its record."""

    etag: str
    record: str


class Audit:
    """One comparison of one table. ``epoch`` None: there is no index to trust, so that only the documents are read.

    ``sample`` bounds how many documents, records and sets are looked at, chosen at random. ``advance`` is called with
    the number of documents read so far, then ``afterwards`` with what is looked at next, and how many of the sets have
    been.
    """

    def __init__(
        self,
        room: Room,
        schema: TableSchema,
        epoch: str | None,
        sample: int | None,
        advance: Callable[[int], object],
        afterwards: Callable[[AuditStage, int], object],
    ) -> None:
        self.documents = 0
        self.in_doubt = 0
        self.corrupt: dict[str, None] = {}
        self.miscounts: dict[str, None] = {}
        self.examples: dict[str, None] = {}
        self.amendable: list[str] = []
        self.needs_rebuild = False
        self.needs_full = False
        self._room = room
        self._schema = schema
        self._epoch = epoch
        self._sample = sample
        self._advance = advance
        self._afterwards = afterwards
        self._sampled = set[str]()
        self._token = new_token()
        sets, orders = indexable(schema), facts_of(schema).orders
        names = (ALL, RECORDS, *(index.name for index in sets), *(of_order(index.name) for index in orders))
        self._counts = {name: _Count() for name in names}

    @property
    def indexes(self) -> tuple[IndexFindings, ...]:
        """The findings, index by index; none without an epoch."""
        if self._epoch is None:
            return ()
        counts = self._counts.items()
        return tuple(IndexFindings(name, count.entries, count.missing, count.extra) for name, count in counts)

    def run(self) -> None:
        """Look at everything. Raises IndexUntrusted when the epoch is lost, RedisDown, IndexDamaged,
        StorageUnavailable."""
        for piece in pieces(self._documents(), PIECE):
            self._compare(piece)
            self._advance(self.documents)
        if self._epoch is not None and self._room.redis is not None:
            for stems in pieces(self._recorded(), PIECE):
                self._judge(dict.fromkeys(stems))
            self._walk_sets(self._room.redis, self._epoch)
            self._compare_tally()

    def _documents(self) -> Iterator[tuple[str, Stored]]:
        store, prefix = self._room.store, self._room.objects.table_prefix(self._schema.table)
        if self._sample is None:
            found: Iterable[tuple[str, Stored | None]] = store.scan(prefix)
        else:
            found = store.get_many(chosen_from((listed.key for listed in store.list(prefix)), self._sample))
        for key, stored in found:
            stem = self._room.objects.stem_of_key(self._schema.table, key)
            if stem is not None and stored is not None:
                yield stem, stored

    def _compare(self, piece: Iterable[tuple[str, Stored]]) -> None:
        images = {stem: self._image(stem, stored) for stem, stored in piece}
        self.documents += len(images)
        for image in images.values():
            self._expect(image)
        if self._epoch is None:
            return
        token = self._token if self._sample is None else ""
        if self._sample is not None:
            self._sampled.update(images)
        doubtful: dict[str, _Sight | None] = {}
        for row in self._verify(images, token):
            if row.same_etag == "1":
                self._note_damage(row)
            else:
                doubtful[row.stem] = None if row.notes else _Sight(images[row.stem].etag, row.record)
        self._judge(doubtful)

    def _judge(self, doubtful: Mapping[str, _Sight | None]) -> None:
        """Look again, with the last sight of each document (None: there was none, or a writer was at it)."""
        for look in range(1, _LOOKS + 1):
            if not doubtful:
                return
            time.sleep(_PAUSE * (look - 1))
            images = {stem: self._image(stem, stored) for stem, stored in self._read(doubtful)}
            again: dict[str, _Sight | None] = {}
            for row in self._verify(images, ""):
                sight = _Sight(images[row.stem].etag, row.record)
                if row.same_etag == "1":
                    self._note_damage(row)
                elif not row.notes and sight == doubtful[row.stem]:
                    self._note_stale(row, exists=sight.etag != etag_text(None))
                else:
                    again[row.stem] = None if row.notes else sight
            doubtful = again
        self.in_doubt += len(doubtful)

    def _verify(self, images: Mapping[str, Image], token: str) -> list[_Difference]:
        arguments = [text for stem, image in images.items() for text in (stem, image.etag, image.entries)]
        flat = self._script(Script.VERIFY, token, _REMEMBERED, *arguments)
        size = len(_Difference._fields)
        return [_Difference(*flat[at : at + size]) for at in range(0, len(flat), size)]

    def _note_damage(self, row: _Difference) -> None:
        """The record is of this very document, so its entries should be the document's, and stand in the sets."""
        self._count_row(row)
        self.needs_rebuild = True
        if row.extra or not row.missing:
            self._counts[RECORDS].missing += 1
            self.needs_full = True

    def _note_stale(self, row: _Difference, *, exists: bool) -> None:
        """The record is not of this document: it was changed, put there or lost without the protocol."""
        self._count_row(row)
        if exists:
            self._counts[RECORDS].missing += 1
        else:
            self._counts[RECORDS].extra += 1
        if row.record and len(self.amendable) < AMENDABLE:
            self.amendable.append(row.stem)
        else:
            self.needs_rebuild = True

    def _count_row(self, row: _Difference) -> None:
        for entry in row.missing.split():
            self._count_of(entry).missing += 1
        for entry in row.extra.split():
            self._count_of(entry).extra += 1
        _remember(self.examples, row.stem)

    def _recorded(self) -> Iterator[str]:
        """Stems that have a record, and were not among the documents of a whole comparison."""
        if self._sample is not None:
            yield from self._drawn(self._sample) - self._sampled
            return
        cursor = ""
        while cursor != "0":
            self._afterwards(AuditStage.RECORDS, 0)
            cursor, stems = self._script(Script.UNLISTED, self._token, cursor or "0", PIECE)
            yield from stems

    def _drawn(self, size: int) -> set[str]:
        stems = set[str]()
        for left in range(size, 0, -PIECE):
            stems.update(self._script(Script.LOOK, min(left, PIECE))[::2])
        return stems

    def _walk_sets(self, redis: RedisClient, epoch: str) -> None:
        keys = self._room.keys(self._schema)
        found = (keys.entry_of_set(key, epoch) for piece in redis.keys_of(keys) for key in piece)
        entries: Iterable[str] = (entry for entry in found if entry is not None)
        if self._sample is not None:
            entries = chosen_from(entries, self._sample)
        looked_at = 0
        for piece in pieces(entries, _SETS):
            self._afterwards(AuditStage.SETS, looked_at)
            looked_at += len(piece)
            at = [(entry, "0" if self._sample is None else "r") for entry in piece]
            while at:
                at = self._look_at(at)

    def _look_at(self, at: list[tuple[str, str]]) -> list[tuple[str, str]]:
        """Look at a page of each (entry, cursor); returns those that have more."""
        count = _MEMBERS // len(at) if self._sample is None else max(1, min(self._sample, _MEMBERS) // len(at))
        answers = self._script(Script.MEMBERS, count, *[text for pair in at for text in pair])
        more = []
        for (entry, _), (cursor, unknown, *stems) in zip(at, answers, strict=True):
            self._note_unjustified(entry, stems)
            if unknown == "1":
                self._note_miscount(entry)
            if cursor != "0":
                more.append((entry, cursor))
        return more

    def _note_unjustified(self, entry: str, stems: Iterable[str]) -> None:
        for stem in set(stems):
            self._count_of(entry).extra += 1
            self.needs_rebuild = True
            _remember(self.examples, stem)

    def _compare_tally(self) -> None:
        for index in ("", *(part(index.name) for index in indexable(self._schema))):
            cursor = ""
            while cursor != "0":
                self._afterwards(AuditStage.COUNTS, 0)
                cursor, wrong = self._script(Script.TALLIED, index, cursor or "0", PIECE)
                for key in wrong:
                    self._note_miscount(key)

    def _note_miscount(self, key: str) -> None:
        self.miscounts[key] = None
        self.needs_rebuild = True

    def _expect(self, image: Image) -> None:
        if image is _UNREADABLE:
            return
        self._counts[RECORDS].entries += 1
        for entry in image.entries.split():
            self._count_of(entry).entries += 1

    def _count_of(self, entry: str) -> _Count:
        if entry == "*":
            return self._counts[ALL]
        name = unquote(entry.partition(":")[0])
        if name.startswith(">"):
            name = of_order(name[1:] or self._schema.pk_index.name)
        return self._counts.setdefault(name, _Count())

    def _image(self, stem: str, stored: Stored | None) -> Image:
        key = self._room.objects.document(self._schema.table, stem)
        try:
            return self._room.image(self._schema, key, stored)
        except CorruptDocument:
            self.corrupt[key] = None
            return _UNREADABLE

    def _read(self, stems: Iterable[str]) -> Iterator[tuple[str, Stored | None]]:
        stem_of = {self._room.document_key(self._schema, stem): stem for stem in stems}
        for key, stored in self._room.store.get_many(stem_of):
            yield stem_of[key], stored

    def _script(self, script: Script, *arguments: Argument) -> Any:
        if self._room.redis is None or self._epoch is None:
            raise IndexUntrusted(FallbackReason.NO_CACHE)
        answer = self._room.redis.run(script, self._room.keys(self._schema), self._epoch, *arguments)
        if answer == 0:
            raise IndexUntrusted(FallbackReason.CHANGED, "another index took its place, or it was lost")
        return answer


def _remember(examples: dict[str, None], stem: str) -> None:
    if len(examples) < EXAMPLES:
        examples[stem] = None
