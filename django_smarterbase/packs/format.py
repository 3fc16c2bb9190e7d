"""What stands in a pack, and in the object that says which packs of a table are current.

A *pack* is ``MAGIC``, then in zlib's format: the length of the directory (8 bytes, big-endian), the directory (JSON,
``[[name, ETag, length in bytes], ...]`` in the order of names), and the bodies one after the other. A *name* is what
follows the table's prefix in a document's key.

The *index* is JSON, ``{"format", "made_at", "packs": [{"name", "first", "last", "documents", "raw_bytes", "size",
"digest"}, ...], "_rev"}``. It vouches for the content of each pack by its digest, so a pack that is cut off, changed or
another one's is known. Its packs are in the order of names and do not overlap.
"""

from __future__ import annotations

import hashlib
import secrets
import zlib
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import accumulate, pairwise
from typing import Any, Final, NamedTuple, Self

import orjson
from django.utils.functional import cached_property

FORMAT: Final = 1
MAGIC: Final = b"SBPACK1\n"
_LEVEL: Final = 6  # of zlib: 9 takes five times the time for five per cent
_LENGTH: Final = 8  # bytes


class UnusablePack(Exception):  # never reaches a caller: the documents are read instead
    """A pack, or the index of packs, is not what it should be."""


class Packable(NamedTuple):
    """A document that goes into a pack, under its name."""

    name: str
    etag: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Pack:
    """A pack, as the index has it: the first and the last name in it, how many ``documents`` of how many ``raw_bytes``,
    and the ``size`` (bytes) and ``digest`` of the object."""

    name: str
    first: str
    last: str
    documents: int
    raw_bytes: int
    size: int
    digest: str


@dataclass(frozen=True)
class PackIndex:
    """The packs of a table, and when they were made (UTC)."""

    packs: tuple[Pack, ...]
    made_at: datetime

    @cached_property
    def documents(self) -> int:
        """How many documents are packed."""
        return sum(pack.documents for pack in self.packs)

    @property
    def size(self) -> int:
        """How many bytes the packs have."""
        return sum(pack.size for pack in self.packs)

    @property
    def raw_bytes(self) -> int:
        """How many bytes they have when they are not compressed."""
        return sum(pack.raw_bytes for pack in self.packs)

    @cached_property
    def _firsts(self) -> list[str]:
        return [pack.first for pack in self.packs]

    def pack_for(self, name: str) -> Pack | None:
        """The one pack that may hold this document."""
        place = bisect_right(self._firsts, name) - 1
        return self.packs[place] if place >= 0 and name <= self.packs[place].last else None

    def dump(self) -> bytes:
        """The index as an object."""
        # Fresh each time: on a store whose ETags are hashes, an index that comes back would bring its ETag back.
        packs = [asdict(pack) for pack in self.packs]
        return orjson.dumps({"format": FORMAT, "made_at": self.made_at, "packs": packs, "_rev": secrets.token_hex(8)})

    @classmethod
    def load(cls, body: bytes) -> Self:
        """The index that an object holds. Raises UnusablePack."""
        try:
            raw = orjson.loads(body)
            if raw["format"] != FORMAT:
                raise UnusablePack(f"the format {raw['format']!r:.20} is not known to this version")
            index = cls(tuple(_pack(each) for each in raw["packs"]), datetime.fromisoformat(raw["made_at"]))
        except (ValueError, KeyError, TypeError) as error:
            raise UnusablePack(f"it is no index of packs ({error!r:.200})") from error
        if any(one.last >= other.first for one, other in pairwise(index.packs)):
            raise UnusablePack("its packs are not in order")
        return index


class Contents:
    """The documents of one pack, in memory."""

    def __init__(self, directory: Iterable[tuple[str, str, int]], bodies: memoryview) -> None:
        rows = list(directory)
        ends = accumulate(length for _name, _etag, length in rows)
        self._places = {name: (etag, end - length, end) for (name, etag, length), end in zip(rows, ends, strict=True)}
        self._bodies = bodies
        if sum(length for _name, _etag, length in rows) != len(bodies):
            raise ValueError("the bodies have not the lengths that it says")

    def etag(self, name: str) -> str | None:
        """The ETag under which the document is here; None when it is not."""
        place = self._places.get(name)
        return None if place is None else place[0]

    def has(self, name: str, etag: str) -> bool:
        """Whether the document is here as it was under this ETag."""
        place = self._places.get(name)
        return place is not None and place[0] == etag

    def body(self, name: str) -> bytes:
        """The body of a document that is here."""
        _etag, start, end = self._places[name]
        return bytes(self._bodies[start:end])


def encode(name: str, documents: list[Packable]) -> tuple[Pack, bytes]:
    """A pack of these documents, which are in the order of their names, and the object that holds it."""
    directory = orjson.dumps([(each.name, each.etag, len(each.body)) for each in documents])
    compressor = zlib.compressobj(_LEVEL)
    parts = [MAGIC, compressor.compress(len(directory).to_bytes(_LENGTH) + directory)]
    parts += [compressor.compress(each.body) for each in documents]
    body = b"".join([*parts, compressor.flush()])
    pack = Pack(
        name=name,
        first=documents[0].name,
        last=documents[-1].name,
        documents=len(documents),
        raw_bytes=_LENGTH + len(directory) + sum(len(each.body) for each in documents),
        size=len(body),
        digest=_digest(body),
    )
    return pack, body


def decode(pack: Pack, body: bytes) -> Contents:
    """The documents that the object of a pack holds. Raises UnusablePack."""
    if len(body) != pack.size or _digest(body) != pack.digest:
        raise UnusablePack("its content is not what was written")
    raw = _decompressed(body.removeprefix(MAGIC), pack.raw_bytes)
    start = _LENGTH + int.from_bytes(raw[:_LENGTH])
    try:
        return Contents(orjson.loads(raw[_LENGTH:start]), memoryview(raw)[start:])
    except (ValueError, TypeError) as error:
        raise UnusablePack(f"its directory cannot be read ({error!r:.200})") from error


def now() -> datetime:
    """The time at which packs are made, in UTC."""
    return datetime.now(UTC)


def _decompressed(body: bytes, size: int) -> bytes:
    """What was compressed, of ``size`` bytes: no more memory is taken, whatever the object says."""
    stream = zlib.decompressobj()
    try:
        raw = stream.decompress(body, size + 1)
    except zlib.error as error:
        raise UnusablePack(f"it cannot be decompressed ({error})") from error
    if not stream.eof or len(raw) != size:
        raise UnusablePack(f"it does not hold {size} bytes")
    return raw


def _pack(raw: Any) -> Pack:
    pack = Pack(**raw)
    texts = (pack.name, pack.first, pack.last, pack.digest)
    if not all(isinstance(text, str) for text in texts) or pack.first > pack.last:
        raise ValueError(f"{raw!r:.200} is no pack")
    if not all(type(number) is int and number >= 0 for number in (pack.documents, pack.raw_bytes, pack.size)):
        raise ValueError(f"{raw!r:.200} is no pack")
    return pack


def _digest(body: bytes) -> str:
    return hashlib.blake2b(body, digest_size=16).hexdigest()
