"""The manifest: the one object that says which index of which table may be trusted.

``{"tables": {table: {"state": "ready" | "suspect", "epoch", "building", "version", "definition", "built_at"}}}``; it
changes by compare-and-swap only. A process may rely on what it read for ``trust_seconds`` after it began to read: its
lease.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

import orjson

from ..exceptions import ConflictError, CorruptDocument, PreconditionFailed
from ..storage.base import ObjectStore
from .answers import ManifestEntry

_ATTEMPTS: Final = 60
_PAUSE: Final = 0.05  # seconds, the longest
_VERSIONS: Final = range(2**62)  # each change adds one, so that more are no version

Change = Callable[[ManifestEntry | None], ManifestEntry | None]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The manifest as it was read. ``began`` is when the reading began (``time.monotonic``)."""

    entries: Mapping[str, ManifestEntry]
    etag: str | None
    began: float


class Manifest:
    """The manifest of one database, with the lease of this process on it. Thread-safe."""

    def __init__(self, store: ObjectStore, key: str, trust_seconds: float) -> None:
        self._store = store
        self._key = key
        self._trust_seconds = trust_seconds
        self._leased: Snapshot | None = None
        self._suspects: dict[str, _Suspect] = {}
        self._lock = threading.Lock()

    def leased(self) -> Snapshot:
        """The manifest under the lease: no request while that runs, otherwise one GET."""
        snapshot = self._leased
        if snapshot is None or self.has_expired(snapshot):
            return self.fresh()
        return snapshot

    def has_expired(self, snapshot: Snapshot) -> bool:
        """Whether the lease on ``snapshot`` is over."""
        return time.monotonic() - snapshot.began >= self._trust_seconds

    def fresh(self) -> Snapshot:
        """The manifest as it is now: one GET. Raises CorruptDocument, StorageUnavailable."""
        began = time.monotonic()
        stored = self._store.get(self._key)
        if stored is None:
            return self._keep(Snapshot({}, None, began))
        return self._keep(Snapshot(_parse(self._key, stored.body), stored.etag, began))

    def change(self, table: str, change: Change) -> ManifestEntry:
        """Replace the entry of ``table`` by what ``change`` makes of it, and return it: one GET and at most one PUT.

        ``change`` gets the entry or None and may be called again when another process was quicker; what it raises
        is passed on. When it returns the entry unchanged, nothing is written. Raises ConflictError when others are
        quicker time and again.
        """
        for attempt in range(_ATTEMPTS):
            snapshot = self.fresh()
            old = snapshot.entries.get(table)
            new = change(old)
            if new is None or new == old:
                return _present(new or old)
            if self._put(snapshot, {**snapshot.entries, table: new}):
                return new
            time.sleep(random.uniform(0, min(_PAUSE, 0.002 * 2**attempt)))
        raise ConflictError(
            f"The index manifest {self._key!r} was changed by others {_ATTEMPTS} times while this process tried to "
            f"change the entry of {table!r}. Try again."
        )

    def wait_out(self, table: str, entry: ManifestEntry) -> None:
        """Return when no process can rely any more on a manifest from before this suspect ``entry``.

        The entry must have been read or written just now. At most ``trust_seconds`` after this process first saw
        it; at once when no epoch of the table was ever trusted.
        """
        now = time.monotonic()
        with self._lock:
            known = self._suspects.get(table)
            if known is None or known.version != entry.version:
                known = self._suspects[table] = _Suspect(entry.version, now)
        if entry.epoch is not None:
            time.sleep(max(0.0, known.seen + self._trust_seconds - now))

    def _put(self, snapshot: Snapshot, entries: dict[str, ManifestEntry]) -> bool:
        began = time.monotonic()
        try:
            etag = self._store.put(
                self._key, _serialize(entries), if_match=snapshot.etag, if_absent=snapshot.etag is None
            )
        except PreconditionFailed:
            return False
        self._keep(Snapshot(entries, etag, began))
        return True

    def _keep(self, snapshot: Snapshot) -> Snapshot:
        with self._lock:
            if self._leased is None or self._leased.began <= snapshot.began:
                self._leased = snapshot
        return snapshot


@dataclass(frozen=True, slots=True)
class _Suspect:
    """When this process first saw a suspect version (``time.monotonic``)."""

    version: int
    seen: float


def suspected(entry: ManifestEntry | None) -> ManifestEntry:
    """The entry that a write without the index needs to find: suspect, and no rebuild under way."""
    if entry is None:
        return ManifestEntry(ready=False, epoch=None, building=None, version=1, definition="")
    if not entry.ready and entry.building is None:
        return entry
    return replace(entry, ready=False, building=None, version=entry.version + 1)


def _present(entry: ManifestEntry | None) -> ManifestEntry:
    if entry is None:
        raise LookupError("The manifest has no entry to leave as it is.")
    return entry


def _serialize(entries: Mapping[str, ManifestEntry]) -> bytes:
    tables = {
        table: {
            "state": "ready" if entry.ready else "suspect",
            "epoch": entry.epoch,
            "building": entry.building,
            "version": entry.version,
            "definition": entry.definition,
            "built_at": entry.built_at,
        }
        for table, entry in entries.items()
    }
    return orjson.dumps({"tables": tables}, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS)


def _parse(key: str, body: bytes) -> dict[str, ManifestEntry]:
    try:
        return {table: _entry(raw) for table, raw in orjson.loads(body)["tables"].items()}
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise CorruptDocument(
            key,
            f"it is not an index manifest ({error!r:.200})",
            "Queries scan meanwhile. Stop all writers, remove the object, and run sb_reindex.",
        ) from error


def _entry(raw: dict[str, Any]) -> ManifestEntry:
    state, version = raw["state"], raw["version"]
    if state not in {"ready", "suspect"}:
        raise ValueError(f"state {state!r}")
    if type(version) is not int or version not in _VERSIONS:  # a bool is an int to isinstance
        raise ValueError(f"version {version!r}")
    return ManifestEntry(
        ready=state == "ready",
        epoch=_optional(raw["epoch"]),
        building=_optional(raw["building"]),
        version=version,
        definition=_text(raw["definition"]),
        built_at=_time(_optional(raw.get("built_at"))),
    )


def _optional(name: object) -> str | None:
    return None if name is None else _text(name)


def _text(name: object) -> str:
    if not isinstance(name, str):
        raise ValueError(f"{name!r:.100} is no text")
    return name


def _time(text: str | None) -> datetime | None:
    """When an epoch was complete; None where a release that did not note it has written the entry."""
    if text is None:
        return None
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError(f"built_at {text!r:.100} has no time zone")
    return time
