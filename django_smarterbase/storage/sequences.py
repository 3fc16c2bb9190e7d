"""Sequences for AutoField and BigAutoField: ``{"last": n}`` under ``_sb/sequences/``, changed by compare-and-swap."""

from __future__ import annotations

import random
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from typing import NamedTuple

import orjson
from django.db.utils import OperationalError

from ..exceptions import ConflictError, CorruptDocument, PreconditionFailed
from .base import ObjectStore
from .keys import Keyspace, pk_texts

_ATTEMPTS = 60
_PAUSE = 0.002  # seconds, doubled with each attempt up to the longest
_LONGEST_PAUSE = 0.1
_LARGEST = 2**63 - 1  # of SQLite; a greater number is a foreign object
_VALUES = range(_LARGEST + 1)
_MEND = 'Write {"last": <integer>} into it, the largest key ever used, or remove it to go on from the present ones.'


class _Seen(NamedTuple):
    """A sequence as this process last saw it. Without an ETag there is no object yet."""

    last: int
    etag: str | None


class Sequences:
    """The sequences of one database. Thread-safe.

    Two callers never get the same value, in however many processes, as long as the store keeps conditions
    (``store.conditional``). Where it does not, that holds within a process; between processes the value is read
    again before each write, which leaves a gap of one request in which another may do the same.
    """

    def __init__(self, store: ObjectStore, keys: Keyspace) -> None:
        self._store = store
        self._keys = keys
        self._seen: dict[str, _Seen] = {}
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    def allocate(self, table: str, count: int, floor: Callable[[], int] = lambda: 0) -> range:
        """Exactly ``count`` values of ``table``, in one write when nobody else allocates meanwhile.

        A sequence begins above the largest integer key in the table's listing and above ``floor()``, which is called
        only then. Values are never given back. Raises ConflictError after 60 lost races, OperationalError when there
        are no more values (as SQLite does), CorruptDocument, StorageUnavailable.
        """
        if count < 1:
            raise ValueError(f"A sequence gives 1 value or more, not {count}.")
        last = self._advance(table, lambda last: last + count, floor)
        return range(last - count + 1, last + 1)

    def raise_to(self, table: str, value: int) -> None:
        """See to it that later values exceed ``value``. No request when this process knows that they do already."""
        seen = self._seen.get(table)
        if seen is None or seen.etag is None or seen.last < value:
            self._advance(table, lambda last: max(last, value), lambda: 0)

    def catch_up(self, table: str) -> None:
        """See to it that later values exceed every integer key of ``table``. One listing."""
        self.raise_to(table, self._largest(table))

    def hand_over(self, old: str, new: str) -> None:
        """Go on numbering as ``new`` what was the table ``old``."""
        if self._store.get(self._keys.sequence(old)) is not None:
            self.raise_to(new, self._read(old, lambda: 0).last)
            self.reset(old)

    def reset(self, table: str) -> None:
        """Forget the sequence: it begins anew from what the table then holds."""
        with self._locks[table]:
            self._seen.pop(table, None)
            self._store.delete(self._keys.sequence(table))

    def _advance(self, table: str, step: Callable[[int], int], floor: Callable[[], int]) -> int:
        """Swap the last value for ``step`` of it, and return the new one."""
        with self._locks[table]:
            for attempt in range(_ATTEMPTS):
                seen = self._seen.get(table) or self._read(table, floor)
                new = step(seen.last)
                if new > _LARGEST:
                    raise self._used_up(table, seen.last)
                if new == seen.last and seen.etag is not None:
                    self._seen[table] = seen
                    return new
                try:
                    self._seen[table] = _Seen(new, self._swap(table, new, seen.etag))
                    return new
                except PreconditionFailed:
                    self._seen.pop(table, None)
                    time.sleep(random.uniform(0, min(_PAUSE * 2**attempt, _LONGEST_PAUSE)))
        raise ConflictError(
            f"The sequence of table {table!r} ({self._keys.sequence(table)!r}) was changed by other processes before "
            f"each of {_ATTEMPTS} attempts. Create objects in batches (bulk_create), or use UUID primary keys."
        )

    def _used_up(self, table: str, last: int) -> OperationalError:
        return OperationalError(
            f"The sequence of table {table!r} ({self._keys.sequence(table)!r}) has no more values: its last is {last}, "
            f"and SQLite's integers end at {_LARGEST}. Some row has a key near that; give it a smaller one, and write "
            "a smaller last value into the object."
        )

    def _swap(self, table: str, last: int, etag: str | None) -> str:
        body = orjson.dumps({"last": last})
        return self._store.put(self._keys.sequence(table), body, if_match=etag, if_absent=etag is None)

    def _read(self, table: str, floor: Callable[[], int]) -> _Seen:
        key = self._keys.sequence(table)
        stored = self._store.get(key)
        if stored is None:
            return _Seen(max(0, floor(), self._largest(table)), None)
        try:
            last = orjson.loads(stored.body)["last"]
        except (orjson.JSONDecodeError, TypeError, KeyError) as error:
            raise CorruptDocument(key, "it is not a sequence", _MEND) from error
        if type(last) is not int or last not in _VALUES:  # a bool is an int to isinstance
            raise CorruptDocument(key, f"its last value is {last!r:.100}, not an integer from 0 to {_LARGEST}", _MEND)
        return _Seen(last, stored.etag)

    def _largest(self, table: str) -> int:
        largest = 0
        for listed in self._store.list(self._keys.table_prefix(table)):
            stem = self._keys.stem_of_key(table, listed.key)
            texts = pk_texts(stem) if stem is not None else None
            if texts is not None and len(texts) == 1 and texts[0].isdecimal() and texts[0].isascii():
                value = int(texts[0])
                largest = max(largest, value if value <= _LARGEST else 0)
        return largest
