"""Filling a new epoch from the documents, and comparing it with them once more."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from typing import Any, Final, Protocol, TypeVar

from ..exceptions import CorruptDocument, IndexUnavailable
from ..storage.base import Stored
from ..tables import TableSchema
from .ahead import Ahead
from .client import Argument
from .keys import etag_text
from .room import Image, Room
from .scripts import Script

PIECE: Final = 200  # documents for each script
_MENDS: Final = 20  # looks at a document that writers keep changing
_NO_ETAG: Final = "?"  # equals no ETag, so that a comparison returns the record

Item = TypeVar("Item")


class _Run(Protocol):
    """Runs a script for the epoch, and raises when that is no longer live."""

    def __call__(self, script: Script, *args: Argument) -> Any: ...


class Filling:
    """The documents' way into one epoch. ``advance`` is called at least once for each piece of 200 documents.

    ``read``, ``reused``, ``mended`` and ``corrupt`` (stems) tell what was done, as ``RebuildReport`` has it, and
    ``compared`` how many documents were listed again.
    """

    def __init__(self, room: Room, schema: TableSchema, run: _Run, advance: Callable[[], None]) -> None:
        self.read = 0
        self.reused = 0
        self.mended = 0
        self.compared = 0
        self.corrupt: set[str] = set()
        self._room = room
        self._schema = schema
        self._run = run
        self._advance = advance

    @property
    def entered(self) -> int:
        """How many documents were entered so far."""
        return self.read + self.reused

    def fill(self, earlier: str | None) -> None:
        """Enter every document; those whose ETag a record of the epoch ``earlier`` has are not read."""
        if earlier is None:
            with Ahead() as redis:
                for piece in pieces(self.scanned(), PIECE):
                    redis.run(partial(self._run, Script.FILL, *self._images_of(piece)))
                    self._advance()
        else:
            for etags in pieces(self.listed(), PIECE):
                self.adopt(earlier, etags)

    def mend(self) -> None:
        """Compare a new listing with the records and the records with the listing, and correct what differs."""
        for etags in pieces(self.listed(), PIECE):
            self.correct(self.compare(etags))
            self.compared += len(etags)
            self._advance()
        cursor = ""
        while cursor != "0":
            cursor, records = self.unseen(cursor)
            self.correct(records)
            self._advance()

    def scanned(self) -> Iterator[tuple[str, Stored]]:
        """Every document, by stem."""
        return self._own(self._room.store.scan(self._prefix))

    def listed(self) -> Iterator[tuple[str, str]]:
        """The ETag of every document, by stem."""
        return self._own((item.key, item.etag) for item in self._room.store.list(self._prefix))

    def enter(self, piece: Iterable[tuple[str, Stored]]) -> None:
        """Enter documents as they were read, where no writer has noted anything yet."""
        self._run(Script.FILL, *self._images_of(piece))
        self._advance()

    def adopt(self, earlier: str, etags: Iterable[tuple[str, str]]) -> None:
        """Enter documents from the records of an earlier epoch, and read those that it does not know as they are."""
        pairs = [text for stem, etag in etags for text in (stem, etag_text(etag))]
        unknown = self._run(Script.ADOPT, earlier, *pairs)
        self.reused += len(pairs) // 2 - len(unknown)
        found = [(stem, stored) for stem, stored in self._read(unknown) if stored is not None]
        self.enter(found)

    def compare(self, etags: Iterable[tuple[str, str]]) -> dict[str, str]:
        """``{stem: record or ""}`` of the documents whose record does not have this ETag."""
        pairs = [text for stem, etag in etags for text in (stem, etag_text(etag))]
        return _by_two(self._run(Script.COMPARE, *pairs))

    def unseen(self, cursor: str = "") -> tuple[str, dict[str, str]]:
        """The next cursor ("0" at the end), and ``{stem: record}`` of documents that no comparison has named."""
        following, records = self._run(Script.UNSEEN, cursor or "0", PIECE)
        return following, _by_two(records)

    def correct(self, records: dict[str, str]) -> None:
        """Make ``{stem: record}`` what the documents say, which are read after the records were."""
        for _ in range(_MENDS):
            if not records:
                return
            records = self.apply(self.images(records))
        raise IndexUnavailable(
            f"The index of {self._schema.label} was not rebuilt: the document {next(iter(records))!r} changes faster "
            "than it can be read. Run sb_reindex again."
        )

    def images(self, records: dict[str, str]) -> list[str]:
        """The documents of ``records`` as they are now, as ``mend.lua`` takes them."""
        arguments: list[str] = []
        for stem, stored in self._read(records):
            image = self._image(stem, stored)
            arguments += [stem, records[stem], image.etag, image.entries]
        return arguments

    def apply(self, images: list[str]) -> dict[str, str]:
        """Correct the records; those that writers have changed meanwhile are returned as they are now."""
        again = self._run(Script.MEND, *images)
        self.mended += len(images) // 4 - len(again)
        if not again:
            return {}
        return _by_two(self._run(Script.COMPARE, *[text for stem in again for text in (stem, _NO_ETAG)]))

    def _images_of(self, piece: Iterable[tuple[str, Stored]]) -> list[str]:
        """Documents as ``fill.lua`` takes them."""
        arguments: list[str] = []
        for stem, stored in piece:
            image = self._image(stem, stored)
            arguments += [stem, image.etag, image.entries]
            self.read += 1
        return arguments

    @property
    def _prefix(self) -> str:
        return self._room.objects.table_prefix(self._schema.table)

    def _own(self, items: Iterable[tuple[str, Item]]) -> Iterator[tuple[str, Item]]:
        """Items by stem instead of key, without foreign objects."""
        for key, item in items:
            stem = self._room.objects.stem_of_key(self._schema.table, key)
            if stem is not None:
                yield stem, item

    def _read(self, stems: Iterable[str]) -> Iterator[tuple[str, Stored | None]]:
        stem_of = {self._room.document_key(self._schema, stem): stem for stem in stems}
        for key, stored in self._room.store.get_many(stem_of):
            yield stem_of[key], stored

    def _image(self, stem: str, stored: Stored | None) -> Image:
        key = self._room.objects.document(self._schema.table, stem)
        try:
            return self._room.image(self._schema, key, stored)
        except CorruptDocument:
            if self._room.options.on_corrupt == "raise":
                raise
            self.corrupt.add(stem)
            return self._room.image_or_blank(self._schema, key, stored)


def pieces(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """The items in lists of ``size``, the last one shorter."""
    iterator = iter(items)
    while piece := list(islice(iterator, size)):
        yield piece


def _by_two(flat: list[str]) -> dict[str, str]:
    return dict(zip(flat[::2], flat[1::2], strict=True))
