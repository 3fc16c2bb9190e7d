"""Listings in the order of keys, so that each pack is read once, in pieces that need one pack each."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from typing import Final

from ..storage.base import Listed, ObjectStore
from .format import Pack, PackIndex

PIECE: Final = 1000  # objects, as many as S3 names in a request


def in_key_order(store: ObjectStore, prefix: str) -> Iterator[Listed]:
    """Every object under ``prefix``; of one that is listed twice the newer one last. Memory does not grow with them.

    Where the store has no order of its own, a private temporary SQLite database sorts: it goes to a file that only it
    knows when there are many.
    """
    listing = store.list(prefix)
    if store.lists_in_order:
        yield from listing
        return
    # Another thread may go on with a generator, though never two at a time.
    with closing(sqlite3.connect("", isolation_level=None, check_same_thread=False)) as sorter:
        sorter.execute("CREATE TABLE listed (key BLOB, etag TEXT, size INTEGER)")
        sorter.execute("BEGIN")
        # The name of a foreign file may be no text: it then has lone surrogates, which SQLite does not take as such.
        rows = ((each.key.encode(errors="surrogatepass"), each.etag, each.size) for each in listing)
        sorter.executemany("INSERT INTO listed VALUES (?, ?, ?)", rows)
        for key, etag, size in sorter.execute("SELECT key, etag, size FROM listed ORDER BY key, rowid"):
            yield Listed(key.decode(errors="surrogatepass"), etag, size)


def pieces(listing: Iterable[Listed], prefix: str, index: PackIndex) -> Iterator[tuple[Pack | None, list[Listed]]]:
    """The objects of a listing, as they come, in pieces whose names all lie in the range of one pack, or of none."""
    start, piece, common = len(prefix), list[Listed](), None
    for listed in listing:
        pack = index.pack_for(listed.key[start:])
        if piece and (pack is not common or len(piece) == PIECE):
            yield common, piece
            piece = []
        common = pack
        piece.append(listed)
    if piece:
        yield common, piece
