"""What packs a table has, how much of them is still current, and what is wrong with them: for those who look after it.

Nothing here decides what a query reads. Packs are copies, so whatever is wrong with them costs requests and no answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from ..exceptions import StorageUnavailable
from ..storage.base import Listed, ObjectStore
from ..storage.keys import PackKeys
from .auto import is_due
from .format import Contents, Pack, PackIndex, UnusablePack, decode
from .listing import in_key_order, pieces
from .scanning import Tally, may_be_packed

_TICK: Final = 200  # documents between two signs of life


@dataclass(frozen=True, slots=True)
class PackProblem:
    """An object of a table's packs that cannot be used, and why."""

    key: str
    detail: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """The documents of a table beside its packs: those in them that are ``unchanged``, ``changed`` or ``gone`` since,
    and those ``outside``, in no pack that can be used. ``due`` tells whether a scan by them would have the table packed
    anew, with the option ``pack``."""

    unchanged: int
    changed: int
    gone: int
    outside: int
    due: bool

    @property
    def read(self) -> int:
        """How many documents a scan reads one by one."""
        return self.changed + self.outside


@dataclass(frozen=True, slots=True)
class PackFindings:
    """The packs of a table: ``documents`` of ``raw_bytes`` in ``packs`` packs of ``size`` bytes, ``made_at`` (UTC, None
    when no index of packs can be read).

    ``compared`` is None when the documents were not looked at. ``unlisted`` are the keys of packs that the index of
    packs does not name, ``orphaned`` tells that there is no index which could.
    """

    packs: int = 0
    documents: int = 0
    raw_bytes: int = 0
    size: int = 0
    made_at: datetime | None = None
    compared: Comparison | None = None
    problems: tuple[PackProblem, ...] = ()
    unlisted: tuple[str, ...] = ()

    @property
    def orphaned(self) -> bool:
        """Whether there are packs, and no index of packs to name any."""
        return self.made_at is None and bool(self.unlisted)


class PackInspector:
    """Looks at the packs of one table, once. Holds one pack in memory."""

    def __init__(self, store: ObjectStore, keys: PackKeys, progress: Callable[[int], object]) -> None:
        self._store = store
        self._keys = keys
        self._progress = progress
        self._problems: list[PackProblem] = []
        self._untried: dict[str, Pack] = {}
        self._usable = 0  # documents of packs that can be used

    def look(self, *, compare: bool) -> PackFindings | None:
        """What there is; None for a table without packs, after one listing.

        Otherwise a GET and, with ``compare``, one for each pack and a listing of the table. Never raises for packs or
        for the store: what cannot be looked at is a problem among the findings.
        """
        try:
            found = {listed.key for listed in self._store.list(self._keys.prefix)}
            return self._findings(found, compare=compare) if found else None
        except StorageUnavailable as error:
            return PackFindings(problems=(*self._problems, PackProblem(self._keys.prefix, str(error))))

    def _findings(self, found: set[str], *, compare: bool) -> PackFindings | None:
        index = self._index()
        packs = () if index is None else index.packs
        keys = {self._keys.pack(pack.name): pack for pack in packs}
        unlisted = tuple(sorted(found - keys.keys() - {self._keys.list_of_packs()}))
        compared = self._compare(index) if compare and index is not None and packs else None
        if not compare:
            self._problems += [PackProblem(key, "it is not there") for key in keys if key not in found]
        if not (packs or unlisted or self._problems):
            return None
        return PackFindings(
            packs=len(packs),
            documents=0 if index is None else index.documents,
            raw_bytes=0 if index is None else index.raw_bytes,
            size=0 if index is None else index.size,
            made_at=None if index is None else index.made_at,
            compared=compared,
            problems=tuple(self._problems),
            unlisted=unlisted,
        )

    def _index(self) -> PackIndex | None:
        key = self._keys.list_of_packs()
        stored = self._store.get(key)
        try:
            return None if stored is None else PackIndex.load(stored.body)
        except UnusablePack as problem:
            self._problems.append(PackProblem(key, str(problem)))
            return None

    def _compare(self, index: PackIndex) -> Comparison:
        self._untried = {pack.name: pack for pack in index.packs}
        unchanged = found = outside = packable = 0
        for listed, etag in self._listed(index):
            current = etag == listed.etag
            unchanged += current
            found += etag is not None
            outside += etag is None and self._keys.may_hold(listed.key)
            packable += current or may_be_packed(self._keys, listed)
        for pack in list(self._untried.values()):
            self._open(pack)
        return Comparison(
            unchanged=unchanged,
            changed=found - unchanged,
            gone=self._usable - found,
            outside=outside,
            due=is_due(Tally(packable, packable - unchanged)),
        )

    def _listed(self, index: PackIndex) -> Iterator[tuple[Listed, str | None]]:
        """Each object of the table, once, with the ETag that it has in a pack."""
        start, seen, last = len(self._keys.documents), 0, ""
        open_pack, contents = None, None
        for pack, piece in pieces(in_key_order(self._store, self._keys.documents), self._keys.documents, index):
            if pack is not open_pack:
                contents = None  # so that one pack is held at a time
                open_pack, contents = pack, None if pack is None else self._open(pack)
            for listed in piece:
                if listed.key != last:  # a file that is replaced meanwhile may be listed twice
                    yield listed, None if contents is None else contents.etag(listed.key[start:])
                last = listed.key
                seen += 1
                if seen % _TICK == 0:
                    self._progress(seen)

    def _open(self, pack: Pack) -> Contents | None:
        self._untried.pop(pack.name, None)
        key = self._keys.pack(pack.name)
        try:
            stored = self._store.get(key)
            if stored is None:
                raise UnusablePack("it is not there")
            contents = decode(pack, stored.body)
        except UnusablePack as problem:
            self._problems.append(PackProblem(key, str(problem)))
            return None
        self._usable += pack.documents
        return contents
