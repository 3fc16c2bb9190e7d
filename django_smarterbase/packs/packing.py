"""The making of packs: ``sb_reindex --pack``, and what the option ``pack`` does by itself.

New packs get names of their own and are written first; the index, written last and on the condition that it is still
the one that was read, makes them current all at once. Whoever dies before that has changed nothing. A scan that began
earlier goes on with the packs that it knows, so the ones before are kept until the next packing; what is older, or was
left by those who died, goes.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from ..exceptions import PackingFailed, PreconditionFailed, StorageUnavailable
from ..indexes.lease import Lease
from ..ops import counting
from ..steps import reach
from ..storage.base import Listed, ObjectStore
from ..storage.keys import PackKeys
from .format import Pack, Packable, PackIndex, encode, now
from .listing import in_key_order
from .scanning import Scan, may_be_packed
from .shelf import Seen, Shelf

Progress = Callable[[int], object]

SIZE: Final = 8 << 20  # bytes of documents in a pack: read whole, so it is held in memory
MOST: Final = 20_000  # documents in a pack: its directory is held in memory too
LEASE: Final = 15.0  # seconds
_SILENCE: Final = 1.2  # leases, after which one that was not renewed is taken over
_LOOKS: Final = 20  # in the time of a lease
_TICK: Final = 200  # documents between two signs of life


@dataclass(frozen=True, slots=True)
class PackReport:
    """One packing of one table. ``documents`` of ``raw_bytes`` are in ``packs`` packs of ``packed_bytes`` now; ``read``
    of them one by one, the others from packs. ``left_out`` were too large, or cannot be documents."""

    packs: int
    documents: int
    raw_bytes: int
    packed_bytes: int
    read: int
    left_out: int
    seconds: float


class Packer:
    """Packs the tables of one database. Thread-safe."""

    def __init__(self, store: ObjectStore, shelf: Shelf) -> None:
        self._store = store
        self._shelf = shelf

    def pack(self, keys: PackKeys, progress: Progress = lambda _documents: None) -> PackReport:
        """Pack a table while readers and writers go on; holds two packs in memory.

        A listing, the packs that there are, and a read for each document that has changed since. ``progress`` is called
        with the number of documents so far; what it raises ends it and changes nothing. Another process that is at it
        is waited for, for a little longer than LEASE. Raises PackingFailed, StorageUnavailable.
        """
        self._refuse_unknown_etags()
        lease = Lease(self._store, keys.lease, LEASE)
        self._acquire(lease, keys, progress)
        try:
            return self.pack_under(lease, keys, self._shelf.look(keys), progress)
        finally:
            lease.release()

    def _acquire(self, lease: Lease, keys: PackKeys, progress: Progress) -> None:
        """Take the lease, after a packer that was killed too: whether one is, only its silence tells."""
        patience: float | None = None
        while not lease.acquire():
            patience = patience or time.monotonic() + LEASE * _SILENCE  # from when it was seen, however long that took
            if time.monotonic() > patience:
                raise PackingFailed(
                    f"The documents under {keys.documents!r} were not packed: another process is at it. Let it end."
                )
            progress(0)
            time.sleep(LEASE / _LOOKS)

    def _refuse_unknown_etags(self) -> None:
        if not self._store.lists_etags:
            raise PackingFailed(
                "The documents were not packed: listings of this storage tell no ETags, so a scan could not know which "
                "of them are unchanged. Packs need S3Storage, FileSystemStorage or InMemoryStorage."
            )

    def pack_under(self, lease: Lease, keys: PackKeys, before: Seen, progress: Progress) -> PackReport:
        """As ``pack``, under a lease that is held, over what was ``before``."""

        def advance(documents: int) -> None:
            progress(documents)
            if lease.is_due and not lease.renew():
                raise PackingFailed(
                    f"The documents under {keys.documents!r} were not packed: another process has taken over. Run "
                    "sb_reindex --pack again."
                )

        return Packing(self._store, self._shelf, keys, before, advance).run()


class Packing:
    """One packing of one table."""

    def __init__(self, store: ObjectStore, shelf: Shelf, keys: PackKeys, before: Seen, advance: Progress) -> None:
        self._store = store
        self._shelf = shelf
        self._keys = keys
        self._index = before.packs
        self._etag = before.etag
        self._advance = advance
        self._packs: list[Pack] = []
        self._left_out = 0

    def run(self) -> PackReport:
        """All steps."""
        began = time.monotonic()
        standing = [listed.key for listed in self._store.list(self._keys.prefix)]
        reach("pack-begun")
        try:
            with counting() as ops:
                self._write_packs()
        except BaseException:
            self._give_up()
            raise
        reach("pack-written")
        if self._packs or self._etag is not None:
            self._publish()
        reach("pack-published")
        self._shelf.look(self._keys)
        self._sweep(standing)
        return PackReport(
            packs=len(self._packs),
            documents=sum(pack.documents for pack in self._packs),
            raw_bytes=sum(pack.raw_bytes for pack in self._packs),
            packed_bytes=sum(pack.size for pack in self._packs),
            read=ops.storage.reads - ops.storage.packs,
            left_out=self._left_out,
            seconds=time.monotonic() - began,
        )

    def _write_packs(self) -> None:
        documents, size = list[Packable](), 0
        for document in self._packable():
            if documents and (size + len(document.body) > SIZE or len(documents) == MOST):
                self._write(documents)
                documents, size = [], 0
            documents.append(document)
            size += len(document.body)
        if documents:
            self._write(documents)

    def _packable(self) -> Iterator[Packable]:
        """The documents that go into packs, in the order of their names. One that is read twice, as it was replaced
        meanwhile, is taken as it was read last."""
        start, held = len(self._keys.documents), None
        scan = Scan(self._store, self._shelf, self._keys, cache=None)
        for key, stored in scan.by(self._index or PackIndex((), now()), self._listing()):
            document = Packable(key[start:], stored.etag, stored.body)
            if held is not None and held.name != document.name:
                yield held
            held = document
        if held is not None:
            yield held

    def _listing(self) -> Iterator[Listed]:
        for seen, listed in enumerate(in_key_order(self._store, self._keys.documents)):
            if seen % _TICK == 0:
                self._advance(seen)
            if may_be_packed(self._keys, listed):
                yield listed
            else:
                self._left_out += 1

    def _write(self, documents: list[Packable]) -> None:
        pack, body = encode(uuid.uuid4().hex, documents)
        self._packs.append(pack)
        self._store.put(self._keys.pack(pack.name), body, if_absent=True)
        self._advance(sum(each.documents for each in self._packs))
        reach("pack-stored")

    def _publish(self) -> None:
        index = PackIndex(tuple(self._packs), now())
        try:
            # Without an answer it may stand all the same, so only a refusal lets the new packs go.
            self._store.put(self._keys.list_of_packs(), index.dump(), if_match=self._etag, if_absent=self._etag is None)
        except PreconditionFailed as error:
            self._give_up()
            raise PackingFailed(
                f"The documents under {self._keys.documents!r} were not packed: another process has packed them "
                "meanwhile, or their table is gone."
            ) from error

    def _sweep(self, standing: Iterable[str]) -> None:
        """Delete what stood before and is neither current nor was it until now."""
        kept = {
            self._keys.list_of_packs(),
            *(self._keys.pack(pack.name) for pack in (self._index.packs if self._index is not None else ())),
        }
        for key in standing:
            if key not in kept:
                self._store.delete(key)

    def _give_up(self) -> None:
        """Delete the packs that nobody will know of, as far as the store can be reached."""
        with suppress(StorageUnavailable):
            for pack in self._packs:
                self._store.delete(self._keys.pack(pack.name))
