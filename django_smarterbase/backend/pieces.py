"""The documents of one access path, a piece at a time, so that no more than a piece need be held.

Pieces begin small, since who takes ten rows should not wait for a thousand, and grow.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

from django_smarterbase.backend.index_only import keys_of
from django_smarterbase.backend.loader import Loader
from django_smarterbase.backend.narrowing import Narrowing
from django_smarterbase.planner.plan import AccessPath, IndexLookup, KeyLookup, Scan
from django_smarterbase.storage.base import Stored
from django_smarterbase.tables import Affinity, IndexCondition, TableSchema

if TYPE_CHECKING:
    from django_smarterbase.backend.spool import Spool

FIRST: Final = 100  # documents of the first piece; each further one has twice as many, up to
LARGEST: Final = 1000
HEAVIEST: Final = 8 * 2**20  # bytes of a piece, whatever the number of its documents


class Document(NamedTuple):
    """A stored document of a table."""

    stem: str
    key: str
    stored: Stored


Piece = list[Document]


class Pieces:
    """Reads the documents of one table for one statement, as its loader would."""

    def __init__(self, loader: Loader, schema: TableSchema) -> None:
        self.loader = loader
        self.schema = schema

    def of(self, path: AccessPath, *, once: bool) -> Generator[Piece]:
        """The documents that the path names, or more of them. A scan meets one that is replaced meanwhile twice, unless
        it is to give each ``once``, for which it remembers the stems. Raises FullScanRefused."""
        if isinstance(path, KeyLookup):
            return self._counted(self.read(self.loader.stems_of(self.schema, path.pks)))
        condition = IndexCondition()
        if isinstance(path, Scan):
            condition = path.narrowed_by or condition
        elif isinstance(path, IndexLookup):
            condition = path.condition
            reading = self.loader.named(self.schema, condition)
            if reading is not None:
                return self._counted(self.read(reading.stems or ()))
        return self._counted(self._scan(condition, once=once))

    def read(self, stems: Iterable[str]) -> Generator[Piece]:
        """The documents of these stems that there are, in their order."""
        return _cut(self._read(iter(stems)))

    def again(self, stems: Iterable[str], spool: Spool) -> Generator[Piece]:
        """The same, of which those are not read that ``spool`` has; it is closed at the end."""
        return _cut(spool.again(stems, self._read))

    def _read(self, stems: Iterator[str]) -> Iterator[Document]:
        resources, table = self.loader.resources, self.schema.table
        while some := {resources.keys.document(table, stem): stem for stem in islice(stems, LARGEST)}:
            for key, stored in resources.store.get_many(some):
                if stored is not None:
                    yield Document(some[key], key, stored)

    def _scan(self, condition: IndexCondition, *, once: bool) -> Generator[Piece]:
        self.loader.refuse_scan(self.schema)
        self.loader.account.scanned.append(self.schema.table)
        table = self.loader.snapshot.table(self.schema.table)
        return _cut(self._scanned(condition, once=once), lambda: table.met)

    def _scanned(self, condition: IndexCondition, *, once: bool) -> Iterator[Document]:
        """The documents that the condition does not leave out."""
        admits = Narrowing(self.loader.resources.codec(self.schema), condition).admits if condition.clauses else None
        given: set[str] = set()
        for stem, key, stored in self.loader.documents.stored(self.schema, admits):
            if stem in given:
                continue
            if once:
                given.add(stem)
            yield Document(stem, key, stored)
        self.loader.mention_missing_index(self.schema)

    def _counted(self, pieces: Generator[Piece]) -> Generator[Piece]:
        for piece in pieces:
            self.loader.account.candidates += len(piece)
            yield piece

    def sorted_stems(self, *, descending: bool) -> list[str] | None:
        """The stems of the whole table in the order of the primary keys, by a listing alone; None when one of them does
        not tell its key. Raises FullScanRefused and ScanBudgetExceeded."""
        self.loader.refuse_scan(self.schema)
        stems = list(dict.fromkeys(self.loader.documents.listed(self.schema)))
        integers = self.schema.by_name[self.schema.pk[0]].affinity is Affinity.INTEGER
        keys = keys_of(stems, integers=integers)
        if keys is None:
            return None
        self.loader.account.scanned.append(self.schema.table)
        self.loader.account.candidates += len(stems)
        order = sorted(range(len(stems)), key=keys.__getitem__, reverse=descending)
        return [stems[position] for position in order]


def _cut(documents: Iterator[Document], met: Callable[[], int] = lambda: 0) -> Generator[Piece]:
    """Pieces of so many documents, or of fewer when so many have been ``met``."""
    size, piece, weight, before = FIRST, Piece(), 0, met()
    for document in documents:
        piece.append(document)
        weight += len(document.stored.body)
        if len(piece) >= size or weight >= HEAVIEST or met() - before >= size:
            yield piece
            size, piece, weight, before = min(2 * size, LARGEST), Piece(), 0, met()
    if piece:
        yield piece
