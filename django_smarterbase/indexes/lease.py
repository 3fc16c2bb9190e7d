"""A lease: an object that says which process does a job that only one may do.

``{"owner", "expires_at", "seconds", "_rev"}``, changed by conditional writes only. Clocks of machines differ, so
``expires_at`` (UTC) is a hint for people: who wants a lease that another holds remembers when it first saw the
object's ETag, and takes the lease over when the ETag has not changed for ``seconds`` by its own clock. The holder
counts from the moment before its write, so it stops before anybody else begins. Without conditional writes in the store
the whole lease is a hint.
"""

from __future__ import annotations

import os
import secrets
import socket
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import orjson

from ..exceptions import CorruptDocument, PreconditionFailed
from ..storage.base import ObjectStore, Stored

_MARGIN: Final = 1.1  # clocks may differ in speed too
_LONGEST: Final = 3600.0  # seconds; nobody takes a lease for longer, so whoever wants it need not wait for longer


@dataclass(frozen=True, slots=True)
class LeaseHolder:
    """What the object says. ``expires_at`` is in UTC and by the holder's clock."""

    owner: str
    expires_at: datetime
    seconds: float


@dataclass(frozen=True, slots=True)
class _Seen:
    """Another's lease: its ETag, since when it has been that (``time.monotonic``), and for how long it lasts."""

    etag: str
    since: float
    seconds: float


class Lease:
    """One process's hand on the lease ``key``, for ``seconds`` at a time. Used by one thread.

    It remembers what it has seen, so keep it between the attempts to acquire it.
    """

    def __init__(self, store: ObjectStore, key: str, seconds: float) -> None:
        self.owner = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._store = store
        self._key = key
        self._seconds = seconds
        self._etag: str | None = None
        self._until = 0.0
        self._seen: _Seen | None = None

    @property
    def is_held(self) -> bool:
        """Whether this process may go on; nobody else has the lease as long as it is True."""
        return self._etag is not None and time.monotonic() < self._until

    @property
    def is_due(self) -> bool:
        """Whether it is time to renew: a third of the lease is over."""
        return self._until - time.monotonic() < self._seconds * 2 / 3

    def acquire(self) -> bool:
        """Take the lease if nobody has it: one GET, and a PUT if it is free. Raises StorageUnavailable."""
        stored = self._store.get(self._key)
        if stored is None:
            return self._write(None)
        return self._is_over(stored) and self._write(stored.etag)

    def renew(self) -> bool:
        """Keep it for as long again: one PUT. False when it is lost. Raises StorageUnavailable."""
        return self.is_held and self._write(self._etag)

    def release(self) -> None:
        """Give it back: one DELETE. Nothing happens when it is no longer held. Raises StorageUnavailable."""
        etag, self._etag = self._etag, None
        if etag is None:
            return
        try:
            self._store.delete(self._key, if_match=etag)
        except PreconditionFailed:
            return  # it had run out, and another has it now

    def _is_over(self, stored: Stored) -> bool:
        now = time.monotonic()
        if self._seen is None or self._seen.etag != stored.etag:
            self._seen = _Seen(stored.etag, now, self._length_of(stored))
        return now - self._seen.since >= self._seen.seconds * _MARGIN

    def _length_of(self, stored: Stored) -> float:
        try:
            return holder_of(self._key, stored.body).seconds
        except CorruptDocument:
            return self._seconds  # nobody renews what is no lease

    def _write(self, etag: str | None) -> bool:
        began = time.monotonic()
        self._etag = None
        body = _body(self.owner, self._seconds)
        try:
            self._etag = self._store.put(self._key, body, if_match=etag, if_absent=etag is None)
        except PreconditionFailed:
            return False
        self._until = began + self._seconds
        return True


def holder_of(key: str, body: bytes) -> LeaseHolder:
    """What a lease's object says. Raises CorruptDocument."""
    try:
        raw = orjson.loads(body)
        seconds = float(raw["seconds"])
        if not 0 <= seconds <= _LONGEST:
            raise ValueError(f"seconds {seconds}")
        return LeaseHolder(str(raw["owner"]), datetime.fromisoformat(raw["expires_at"]), seconds)
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptDocument(key, f"it is not a lease ({error!r})") from error


def _body(owner: str, seconds: float) -> bytes:
    expires_at = datetime.now(UTC) + timedelta(seconds=seconds)
    # Fresh each time: on a store whose ETags are hashes, equal bodies would hide a renewal.
    return orjson.dumps(
        {"owner": owner, "expires_at": expires_at.isoformat(), "seconds": seconds, "_rev": secrets.token_hex(8)}
    )
