"""The history in Redis: one capped stream for each database."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from django_smarterbase.history.codec import decode, encode
from django_smarterbase.history.ring import Batch, Kept
from django_smarterbase.indexes.client import RedisClient
from django_smarterbase.indexes.keys import HistoryKeys
from django_smarterbase.indexes.scripts import Script

SENDER_SECONDS: Final = 3600
#: A history that nobody adds to, such as that of a test database, goes away by itself.
STREAM_SECONDS: Final = 30 * 24 * 3600
_PIECE: Final = 500
#: By how much the clocks of the processes and of Redis may differ.
_SKEW: Final = timedelta(minutes=1)


class Stream:
    """The stream of one database. ``capacity`` is how many profiles it holds, about. Thread-safe.

    Every method may raise RedisDown, IndexDamaged (somebody else has written the key) and ImproperlyConfigured.
    """

    def __init__(self, client: RedisClient, keys: HistoryKeys, capacity: int) -> None:
        self._client = client
        self._keys = keys
        self._capacity = capacity

    def append(self, sender: str, batch: Batch) -> None:
        """Add profiles of the process ``sender``, and what it has dropped; the same batch twice is added once.

        One round trip.
        """
        names = (self._keys.profiles, self._keys.dropped, self._keys.sender(sender))
        texts = [encode(each) for each in batch.kept]
        numbers = (self._capacity, batch.dropped, batch.first, SENDER_SECONDS, STREAM_SECONDS)
        self._client.run_on(Script.APPEND, names, *numbers, *texts)

    def newest(
        self, since: datetime | None, limit: int | None, takes: Callable[[Kept], bool]
    ) -> tuple[list[Kept], int]:
        """The profiles that ``takes`` accepts, newest first by ``started_at``, and the number of those dropped.

        ``since`` and ``limit`` say how far to read; one round trip for each 500 profiles.
        """
        found: list[Kept] = []
        dropped = 0
        for piece in self._pieces():
            dropped = piece.dropped
            found += filter(takes, piece.kept)
            found.sort(key=_started_at, reverse=True)
            if limit is not None:
                del found[limit:]
            # What was written earlier was started earlier still, so nothing of it comes before what is here.
            if limit is not None and len(found) == limit and (not limit or _started_at(found[-1]) > piece.written_at):
                break
            if since is not None and piece.written_at + _SKEW < since:
                break
        return found, dropped

    def _pieces(self) -> Iterator[_Piece]:
        """The stream, from its end."""
        last = "+"
        while True:
            dropped, *flat = self._client.run_on(Script.PAGE, (self._keys.profiles, self._keys.dropped), last, _PIECE)
            ids, texts = flat[::2], flat[1::2]
            yield _Piece(_time_of(ids[-1]) if ids else _EPOCH, _decoded(texts), dropped)
            if len(ids) < _PIECE:
                return
            last = ids[-1]

    def news(self, position: str) -> tuple[str, list[Kept]]:
        """What was written after ``position`` ("$": now), oldest first, and the next position. One round trip."""
        position, *texts = self._client.run_on(Script.NEWS, (self._keys.profiles,), position, _PIECE)
        return position, _decoded(texts)

    def clear(self) -> None:
        """Delete it. One round trip."""
        self._client.run_on(Script.FORGET, (self._keys.profiles, self._keys.dropped))


class _Piece(NamedTuple):
    """Entries that follow each other: when the oldest was written. ``dropped`` is of the whole history."""

    written_at: datetime
    kept: list[Kept]
    dropped: int


_EPOCH: Final = datetime.fromtimestamp(0, UTC)


def _started_at(kept: Kept) -> datetime:
    return kept.profile.started_at


def _time_of(id: str) -> datetime:
    """When an entry was written, by the clock of Redis."""
    return datetime.fromtimestamp(int(id.partition("-")[0]) / 1000, UTC)


def _decoded(texts: Sequence[str]) -> list[Kept]:
    return [kept for kept in map(decode, texts) if kept is not None]
