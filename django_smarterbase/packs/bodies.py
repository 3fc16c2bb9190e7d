"""The document cache: the bodies of documents in a cache of Django's, each with the ETag that it had.

Nothing is taken from it on trust. A single read asks the store whether the ETag is still the current one (a conditional
GET, or the status of a file), and a scan has asked already, by its listing. An entry that is not exactly what was put
there is none, and a cache that fails is left alone for a while.
"""

from __future__ import annotations

import hashlib
import logging
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final, TypeVar

from django.core.cache import BaseCache, caches

from ..indexes.breaker import Breaker, Service
from ..ops import storage_ops
from ..storage.base import Listed, ObjectStore, Stored, Unchanged
from ..storage.keys import is_system_key

logger = logging.getLogger("django_smarterbase.storage")

PIECE: Final = 200  # documents for each request to the cache
LARGEST: Final = 1 << 20  # bytes; many caches take no more
REST: Final = 30.0  # seconds for which a cache that has failed is left alone
_OUTAGE: Final = "Documents are read from the storage meanwhile."
_SERVICE: Final = Service(
    "The document cache", {"event": "document_cache_unreachable"}, {"event": "document_cache_answers"}
)

Item = TypeVar("Item")
Result = TypeVar("Result")


class DocumentCache:
    """Reads the documents of ``store`` through the cache ``alias``. Thread-safe. Never raises for the cache."""

    def __init__(self, store: ObjectStore, alias: str) -> None:
        self._store = store
        self._alias = alias

    def read(self, keys: Iterable[str]) -> Iterator[tuple[str, Stored | None]]:
        """As the store's ``get_many``: one request to the store for each, without the body where the cache has it.

        System objects are read as ever.
        """
        for piece in _pieces(keys):
            known, fresh = self._known(piece), dict[str, Stored]()
            etags = [(key, known[key].etag if key in known else None) for key in piece]
            for key, answer in self._store.revalidate(etags):
                if isinstance(answer, Unchanged):
                    yield key, _hit(known[key])
                    continue
                if not is_system_key(key):
                    _miss(fresh, key, answer)
                yield key, answer
            self._keep(fresh)

    def read_listed(self, listed: Iterable[Listed]) -> Iterator[tuple[str, Stored | None]]:
        """Each object of a listing, in its order: without a request where the cache has it under the listed ETag."""
        for piece in _pieces(listed):
            known, fresh = self._known([each.key for each in piece]), dict[str, Stored]()
            current = [each.key in known and known[each.key].etag == each.etag for each in piece]
            reads = self._store.get_many(each.key for each, hit in zip(piece, current, strict=True) if not hit)
            for each, hit in zip(piece, current, strict=True):
                if hit:
                    yield each.key, _hit(known[each.key])
                    continue
                key, stored = next(reads)
                _miss(fresh, key, stored)
                yield key, stored
            self._keep(fresh)

    def _known(self, keys: Sequence[str]) -> dict[str, Stored]:
        """What the cache has of these documents: ``{key: Stored}``, of whatever age."""
        place = self._store.place()
        names = {_name(place, key): key for key in keys if not is_system_key(key)}
        if not names:
            return {}
        found = self._ask(lambda cache: cache.get_many(names))
        if not isinstance(found, Mapping):
            return {}
        entries = ((key, _entry(key, found[name])) for name, key in names.items() if name in found)
        return {key: stored for key, stored in entries if stored is not None}

    def _keep(self, fresh: Mapping[str, Stored]) -> None:
        small = {key: stored for key, stored in fresh.items() if len(stored.body) <= LARGEST}
        if small:
            place = self._store.place()
            entries = {
                _name(place, key): (stored.etag, stored.body, _seal(key, stored)) for key, stored in small.items()
            }
            self._ask(lambda cache: cache.set_many(entries))

    def _ask(self, request: Callable[[BaseCache], Result]) -> Result | None:
        breaker = _breaker_of(self._alias)
        if not breaker.admits():
            return None
        try:
            answer = request(caches[self._alias])
        except Exception as error:  # noqa: BLE001 - a backend may raise whatever its client library does
            storage_ops().cache_failures += 1
            breaker.failed(f"{type(error).__name__}: {error}")
            return None
        except BaseException:
            breaker.gave_up()
            raise
        breaker.succeeded()
        return answer


_breakers: dict[str, Breaker] = {}
_guard = threading.Lock()


def _breaker_of(alias: str) -> Breaker:
    """One for all databases and tenants of the process, so that an outage is waited for once."""
    with _guard:
        if alias not in _breakers:
            _breakers[alias] = Breaker(
                alias, failures=1, rest=REST, outage=_OUTAGE, log=logger, announced=False, service=_SERVICE
            )
        return _breakers[alias]


def _forked() -> None:
    """A thread of the parent may hold any of the locks, which nobody would release."""
    global _guard, _breakers
    _guard, _breakers = threading.Lock(), {}


os.register_at_fork(after_in_child=_forked)


def _hit(stored: Stored) -> Stored:
    ops = storage_ops()
    ops.cache_hits += 1
    ops.bytes_saved += len(stored.body)
    return stored


def _miss(fresh: dict[str, Stored], key: str, stored: Stored | None) -> None:
    storage_ops().cache_misses += 1
    if stored is not None:
        fresh[key] = stored


def _entry(key: str, found: Any) -> Stored | None:
    """An entry as it was put into the cache; None for anything else that is there, which counts as a failure."""
    match found:
        case (str() as etag, bytes() as body, str() as seal) if seal == _seal(key, Stored(body, etag)):
            return Stored(body, etag)
    storage_ops().cache_failures += 1
    return None


def _seal(key: str, stored: Stored) -> str:
    """By which an entry is known to be whole, and of this document."""
    digest = hashlib.blake2b(stored.body, digest_size=16)
    digest.update(f"\0{key}\0{stored.etag}".encode(errors="surrogatepass"))
    return digest.hexdigest()


def _name(place: str | None, key: str) -> str:
    """The name of an entry: short, and of characters that every cache takes."""
    text = f"{place}\0{key}".encode(errors="surrogatepass")
    return f"smarterbase:{hashlib.blake2b(text, digest_size=20).hexdigest()}"


def _pieces(items: Iterable[Item]) -> Iterator[list[Item]]:
    iterator = iter(items)
    while piece := list(islice(iterator, PIECE)):
        yield piece
