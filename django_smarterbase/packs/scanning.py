"""The scan of a table: its listing, and the documents from packs and cache where the listed ETags permit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple

from ..ops import storage_ops
from ..storage.base import Listed, ObjectStore, Stored
from ..storage.keys import PackKeys
from .bodies import DocumentCache
from .format import Contents, Pack, PackIndex
from .listing import in_key_order, pieces
from .shelf import Shelf

#: Bytes. To read a larger document by itself costs hardly more than to read it from a pack.
LARGEST: Final = 1 << 20


class Tally(NamedTuple):
    """What a scan came to: the documents that can be packed, and how many of them it read from the store."""

    packable: int
    read: int


class Scan:
    """One scan of one table. ``ended`` is called with the tally when it has come to its end."""

    def __init__(
        self,
        store: ObjectStore,
        shelf: Shelf,
        keys: PackKeys,
        cache: DocumentCache | None,
        ended: Callable[[Tally], object] = lambda _tally: None,
    ) -> None:
        self._store = store
        self._shelf = shelf
        self._keys = keys
        self._cache = cache
        self._ended = ended
        self._packable = 0
        self._read = 0
        self._open: tuple[Pack | None, Contents | None] = (None, None)

    def by(self, index: PackIndex, listing: Iterable[Listed] | None = None) -> Iterator[tuple[str, Stored]]:
        """Every object of the table, or those of ``listing``, as ``ObjectStore.scan`` gives them, in the order of keys.

        One pack is held at a time. What is read is read in parallel, a thousand objects at a time.
        """
        listing = in_key_order(self._store, self._keys.documents) if listing is None else listing
        for pack, piece in pieces(listing, self._keys.documents, index):
            yield from self._merged(pack, piece)
        self._ended(Tally(self._packable, self._read))

    def by_listing(self) -> Iterator[tuple[str, Stored]]:
        """As ``by``, in the store's order, of a table that has no packs."""
        yield from self._given(self._store.list(self._keys.documents))
        self._ended(Tally(self._packable, self._read))

    def by_reading(self) -> Iterator[tuple[str, Stored]]:
        """As ``by_listing``, without the cache."""
        for key, stored in self._store.scan(self._keys.documents):
            self._count(Listed(key, stored.etag, len(stored.body)))
            yield key, stored
        self._ended(Tally(self._packable, self._read))

    def _contents(self, pack: Pack | None) -> Contents | None:
        if pack is not self._open[0]:
            self._open = (None, None)  # so that one pack is held at a time
            self._open = (pack, None if pack is None else self._shelf.contents(self._keys, pack))
        return self._open[1]

    def _merged(self, pack: Pack | None, piece: list[Listed]) -> Iterator[tuple[str, Stored]]:
        contents = self._contents(pack)
        if contents is None:
            yield from self._given(piece)
            return
        start = len(self._keys.documents)
        packed = [contents.has(each.key[start:], each.etag) for each in piece]
        others = self._reads(each for each, is_packed in zip(piece, packed, strict=True) if not is_packed)
        self._packable += sum(packed)
        storage_ops().packed += sum(packed)
        for each, is_packed in zip(piece, packed, strict=True):
            if is_packed:
                yield each.key, Stored(contents.body(each.key[start:]), each.etag)
            else:
                key, stored = next(others)
                if stored is not None:
                    yield key, stored
        next(others, None)  # at its end the cache keeps what was read

    def _given(self, listed: Iterable[Listed]) -> Iterator[tuple[str, Stored]]:
        for key, stored in self._reads(listed):
            if stored is not None:
                yield key, stored

    def _reads(self, listed: Iterable[Listed]) -> Iterator[tuple[str, Stored | None]]:
        counted = self._counted(listed)
        if self._cache is not None:
            return self._cache.read_listed(counted)
        return self._store.get_many(each.key for each in counted)

    def _counted(self, listed: Iterable[Listed]) -> Iterator[Listed]:
        for each in listed:
            self._count(each)
            yield each

    def _count(self, listed: Listed) -> None:
        if may_be_packed(self._keys, listed):
            self._packable += 1
            self._read += 1


def may_be_packed(keys: PackKeys, listed: Listed) -> bool:
    """Whether an object of a table's listing goes into a pack: a document that is not too large."""
    return listed.size <= LARGEST and keys.may_hold(listed.key)
