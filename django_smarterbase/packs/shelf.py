"""The packs that one database has, as a process knows them, and what is read of them."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from ..exceptions import StorageUnavailable
from ..ops import storage_ops
from ..storage.base import ObjectStore, Stored
from ..storage.keys import PackKeys
from .format import Contents, Pack, PackIndex, UnusablePack, decode

logger = logging.getLogger("django_smarterbase.storage")

LOOK: Final = 30.0  # seconds for which a process relies on an index of packs; an older one only costs more reads


class Seen(NamedTuple):
    """The packs of a table at one look: their index (None: there are none to use), and the ETag of its object."""

    packs: PackIndex | None = None
    etag: str | None = None


@dataclass(slots=True)
class _Table:
    """What a process knows of one table: what it saw, and until when (``time.monotonic``) it does not look again;
    ``told`` are the packs of which the log has been told."""

    seen: Seen = field(default_factory=Seen)
    until: float = 0.0
    told: set[str] = field(default_factory=set)


class Shelf:
    """Finds the packs of the tables of one database. Thread-safe. Never raises for a pack: its documents are read.

    ``origin`` are the fields of a log record that name the database.
    """

    def __init__(self, store: ObjectStore, origin: Mapping[str, str]) -> None:
        self._store = store
        self._origin = origin
        self._lock = threading.Lock()
        self._tables: dict[str, _Table] = {}

    def index(self, keys: PackKeys) -> PackIndex | None:
        """The packs of a table that has any: at most one GET in LOOK seconds."""
        known = self._known(keys)
        return known.seen.packs if time.monotonic() < known.until else self.look(keys).packs

    def known(self, keys: PackKeys) -> PackIndex | None:
        """The packs that the process knew of when it last looked; makes no request."""
        return self._known(keys).seen.packs

    def look(self, keys: PackKeys) -> Seen:
        """Read the index of a table's packs, one GET."""
        known = self._known(keys)
        known.until = time.monotonic() + LOOK
        try:
            stored = self._store.get(keys.list_of_packs())
        except StorageUnavailable as problem:
            self._note(keys, keys.list_of_packs(), problem)
            return known.seen
        return self._learnt(keys, stored)

    def look_at_all(self, tables: Iterable[PackKeys]) -> None:
        """Read the indexes of packs of several tables, one GET each, in parallel. Raises StorageUnavailable."""
        keys_of = {keys.list_of_packs(): keys for keys in tables}
        for key, stored in self._store.get_many(keys_of):
            self._learnt(keys_of[key], stored)

    def _learnt(self, keys: PackKeys, stored: Stored | None) -> Seen:
        known = self._known(keys)
        known.until = time.monotonic() + LOOK
        if stored is None:
            known.seen = Seen()
        elif stored.etag != known.seen.etag:
            known.told.clear()
            known.seen = Seen(self._loaded(keys, stored.body), stored.etag)
        return known.seen

    def _loaded(self, keys: PackKeys, body: bytes) -> PackIndex | None:
        try:
            index = PackIndex.load(body)
        except UnusablePack as problem:
            self._note(keys, keys.list_of_packs(), problem)
            return None
        return index if index.packs else None

    def contents(self, keys: PackKeys, pack: Pack) -> Contents | None:
        """The documents of a pack, one GET; None when it cannot be used."""
        key = keys.pack(pack.name)
        try:
            stored = self._store.get(key)
            if stored is None:
                raise UnusablePack("it is not there")
            return decode(pack, stored.body)
        except (UnusablePack, StorageUnavailable) as problem:
            self._known(keys).until = 0.0  # there may be others by now
            self._note(keys, key, problem)
            return None

    def forget(self, keys: PackKeys) -> None:
        """Look again before the next scan: the packs have changed."""
        self._known(keys).until = 0.0

    def _known(self, keys: PackKeys) -> _Table:
        known = self._tables.get(keys.prefix)
        if known is None:
            with self._lock:
                known = self._tables.setdefault(keys.prefix, _Table())
        return known

    def _note(self, keys: PackKeys, key: str, problem: Exception) -> None:
        """Count it, and log it once for each index of packs."""
        storage_ops().pack_failures += 1
        told = self._known(keys).told
        if key not in told:
            told.add(key)
            logger.warning(
                "The pack object %r cannot be used: %s. The documents themselves are read, which costs a request for "
                "each; manage.py sb_reindex --pack makes new packs.",
                key,
                problem,
                extra={"event": "pack_unusable", **self._origin, "key": key, "detail": str(problem)},
            )
