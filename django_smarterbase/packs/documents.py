"""The store of one database, or of one tenant, as all others use it: with packs and the document cache."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial

from ..conf import Options
from ..storage.base import Admits, Listed, ObjectStore, Stored, Unchanged, Write, Written
from ..storage.keys import Keyspace, PackKeys, is_system_key
from .auto import AutoPacking
from .bodies import DocumentCache
from .format import PackIndex
from .inspection import PackFindings, PackInspector
from .packing import Packer, PackReport, Progress
from .scanning import Scan, Tally
from .shelf import Shelf


class DocumentStore(ObjectStore):
    """``store``, whose documents are also taken from packs and from the document cache. Thread-safe.

    Scans use the packs of a table that has any, whatever the option ``pack`` says; that makes new ones in the
    background. ``origin`` are the fields of a log record that name the database.
    """

    def __init__(self, store: ObjectStore, keys: Keyspace, options: Options, origin: Mapping[str, str]) -> None:
        self.lists_etags = store.lists_etags
        self.lists_in_order = store.lists_in_order
        self._store = store
        self._keys = keys
        self._shelf = Shelf(store, origin)
        self._packer = Packer(store, self._shelf)
        self._auto = (
            AutoPacking(store, self._packer, self._shelf, origin) if options.pack and store.lists_etags else None
        )
        alias = options.document_cache
        self._cache = DocumentCache(store, alias) if alias is not None and store.place() is not None else None

    @property
    def conditional(self) -> bool:  # type: ignore[override]  # it becomes a fact in the store itself
        """As the store has it."""
        return self._store.conditional

    def get(self, key: str) -> Stored | None:
        if self._cache is None or is_system_key(key):
            return self._store.get(key)
        ((_key, stored),) = self._cache.read([key])
        return stored

    def get_many(self, keys: Iterable[str]) -> Iterator[tuple[str, Stored | None]]:
        return self._store.get_many(keys) if self._cache is None else self._cache.read(keys)

    def revalidate(self, known: Iterable[tuple[str, str | None]]) -> Iterator[tuple[str, Stored | Unchanged | None]]:
        return self._store.revalidate(known)

    def place(self) -> str | None:
        return self._store.place()

    def list(self, prefix: str, start_after: str | None = None) -> Iterator[Listed]:
        return self._store.list(prefix, start_after)

    def folders(self, prefix: str) -> Iterator[str]:
        return self._store.folders(prefix)

    def listings(self, objects: int) -> int:
        return self._store.listings(objects)

    def scan(self, prefix: str, admits: Admits | None = None) -> Iterator[tuple[str, Stored]]:
        keys = self._keys.packs_of(prefix)
        if keys is None or not self.lists_etags:
            return self._store.scan(prefix, admits)
        index = self._shelf.index(keys)
        if index is None and self._cache is None and self._auto is None:
            return self._store.scan(prefix, admits)
        found = self._scanned(keys, index)
        if admits is None:
            return found
        return ((key, stored) for key, stored in found if admits(key, stored.body))

    def _scanned(self, keys: PackKeys, index: PackIndex | None) -> Iterator[tuple[str, Stored]]:
        scan = Scan(self._store, self._shelf, keys, self._cache, partial(self._ended, keys, index))
        if index is not None:
            return scan.by(index)
        return scan.by_reading() if self._cache is None else scan.by_listing()

    def _ended(self, keys: PackKeys, index: PackIndex | None, tally: Tally) -> None:
        if self._auto is not None:
            self._auto.consider(keys, index, tally)

    def pack(self, table: str, progress: Progress = lambda _documents: None) -> PackReport:
        """Pack the documents of a table, as ``Packer.pack`` does."""
        return self._packer.pack(self._keys.packs(table), progress)

    def packs(self, table: str) -> PackIndex | None:
        """The packs of a table that this process knows of. Makes no request."""
        return self._shelf.known(self._keys.packs(table))

    def is_packed(self, table: str) -> bool:
        """Whether a table has packs, for a scan that is about to begin: at most one GET in half a minute."""
        return self.lists_etags and self._shelf.index(self._keys.packs(table)) is not None

    def look_at_packs(self, tables: Sequence[str]) -> dict[str, PackIndex]:
        """``{table: its packs now}`` of those tables that have any. A GET a table, in parallel. Raises
        StorageUnavailable."""
        self._shelf.look_at_all(map(self._keys.packs, tables))
        return {table: index for table in tables if (index := self.packs(table)) is not None}

    def inspect_packs(
        self, table: str, *, compare: bool = True, progress: Progress = lambda _documents: None
    ) -> PackFindings | None:
        """What packs a table has, as ``PackInspector.look`` tells it; None when it has none, or can have none."""
        if not self.lists_etags:
            return None
        return PackInspector(self._store, self._keys.packs(table), progress).look(compare=compare)

    def unpack(self, table: str) -> None:
        """Delete the packs of a table, whose documents are gone: a listing, and a DELETE for each."""
        keys = self._keys.packs(table)
        found = [listed.key for listed in self._store.list(keys.prefix)]
        for key in sorted(found, key=lambda key: key != keys.list_of_packs()):  # nobody looks for the others without it
            self._store.delete(key)
        self._shelf.forget(keys)

    def scan_requests(self, table: str, documents: int) -> int:
        """How many requests a scan of a table of so many documents takes, as far as this process knows: listings,
        packs, and a read for each document that is in none. Makes no request."""
        return self.listings(documents) + self.scan_reads(table, documents)

    def scan_reads(self, table: str, documents: int) -> int:
        """The ``scan_requests`` that are no listings."""
        index = self.packs(table)
        return documents if index is None else min(documents, len(index.packs) + max(0, documents - index.documents))

    def put(
        self,
        key: str,
        body: bytes,
        *,
        if_match: str | None = None,
        if_absent: bool = False,
        deadline: float | None = None,
    ) -> str:
        return self._store.put(key, body, if_match=if_match, if_absent=if_absent, deadline=deadline)

    def delete(self, key: str, *, if_match: str | None = None, deadline: float | None = None) -> None:
        self._store.delete(key, if_match=if_match, deadline=deadline)

    def write_many(self, writes: Iterable[Write]) -> Iterator[Written]:
        return self._store.write_many(writes)

    def verify_conditions(self) -> bool:
        return self._store.verify_conditions()
