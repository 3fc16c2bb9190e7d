"""Documents that a statement has read, kept in a private temporary file until it gives them in another order.

A scan takes the documents of a packed table from a few objects, in the order of their names. In any other order each
pack would be read time and again, or each document by itself; a file on the local disk is nearer.
"""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing

from django_smarterbase.backend.pieces import Document, Piece
from django_smarterbase.storage.base import Stored


class Spool:
    """The documents of one table. A few MB of them are in memory; the file of the others goes with the spool.

    Where the disk has no room, what is not here is read again.
    """

    def __init__(self) -> None:
        # Another thread may go on with an iterator, though never two at a time.
        self._sqlite = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._sqlite.execute("CREATE TABLE spooled (stem TEXT PRIMARY KEY, key TEXT, etag TEXT, body BLOB)")
        self._sqlite.execute("BEGIN")
        self._has_room = True

    def keeping(self, pieces: Iterable[Piece]) -> Generator[Piece]:
        """The same pieces, whose documents are kept on the way; of one that comes twice the later one."""
        for piece in pieces:
            if self._has_room:
                self._keep(piece)
            yield piece

    def again(self, stems: Iterable[str], read: Callable[[Iterator[str]], Iterator[Document]]) -> Generator[Document]:
        """The documents of these stems, in their order; ``read`` reads those that are not here. Closed at its end."""
        with closing(self):
            for is_here, group in itertools.groupby(stems, self._has):
                give = self._documents if is_here else read
                yield from give(group)

    def close(self) -> None:
        """Let the file go, and keep nothing more."""
        self._has_room = False
        self._sqlite.close()

    def _keep(self, piece: Piece) -> None:
        rows = ((stem, key, stored.etag, stored.body) for stem, key, stored in piece)
        try:
            self._sqlite.executemany("INSERT OR REPLACE INTO spooled VALUES (?, ?, ?, ?)", rows)
        except sqlite3.OperationalError:
            self.close()

    def _has(self, stem: str) -> bool:
        return (
            self._has_room
            and self._sqlite.execute("SELECT 1 FROM spooled WHERE stem = ?", (stem,)).fetchone() is not None
        )

    def _documents(self, stems: Iterator[str]) -> Iterator[Document]:
        for stem in stems:
            found = self._sqlite.execute("SELECT key, etag, body FROM spooled WHERE stem = ?", (stem,))
            for key, etag, body in found:
                yield Document(stem, key, Stored(body, etag))
