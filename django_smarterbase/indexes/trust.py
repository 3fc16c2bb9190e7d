"""Whether an index may be believed: the manifest before Redis is asked, what Redis says of itself afterwards."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Final

from ..exceptions import CorruptDocument
from ..tables import TableSchema
from .answers import FallbackReason, IndexUntrusted, ManifestEntry
from .definitions import definition
from .keys import without_value
from .manifest import Manifest, Snapshot

EVICTING: Final = "allkeys"  # policies of this family may evict keys that have no time to live
_RECHECK: Final = 60.0  # seconds after which the eviction policy is read again

_STATUS: Final = {
    "flushed": FallbackReason.FLUSHED,
    "other": FallbackReason.FLUSHED,
    "restarted": FallbackReason.RESTARTED,
    "drift": FallbackReason.DRIFT,
}


def believed(schema: TableSchema, entry: ManifestEntry | None) -> str:
    """The epoch that ``entry`` lets this process trust. Raises IndexUntrusted."""
    if entry is None:
        raise IndexUntrusted(FallbackReason.NOT_BUILT, "the first write makes it", expected=True)
    if not entry.ready and entry.epoch is None:
        # Who reads documents by a scan then says so, once a table: an empty one has nothing to build.
        raise IndexUntrusted(FallbackReason.NOT_BUILT, expected=True)
    if not entry.ready or entry.epoch is None:
        raise IndexUntrusted(FallbackReason.SUSPECT)
    if entry.definition != definition(schema):
        raise IndexUntrusted(FallbackReason.DEFINITIONS_CHANGED)
    return entry.epoch


def snapshot_of(manifest: Manifest, *, fresh: bool) -> Snapshot:
    """The manifest, under the lease unless ``fresh``. An unreadable one trusts nothing: raises IndexUntrusted."""
    try:
        return manifest.fresh() if fresh else manifest.leased()
    except CorruptDocument as error:
        raise IndexUntrusted(FallbackReason.NOT_BUILT, str(error)) from error


def unchanged(manifest: Manifest, snapshot: Snapshot, table: str) -> bool:
    """Whether ``snapshot`` still held for ``table`` when an answer came: within the lease, or by a look after it."""
    if not manifest.has_expired(snapshot):
        return True
    return snapshot_of(manifest, fresh=True).entries.get(table) == snapshot.entries.get(table)


def check_answer(answer: list[Any]) -> None:
    """Raise IndexUntrusted unless the script's status is ``ok``."""
    status = answer[0]
    if status != "ok":
        detail = "another epoch is marked complete" if status == "other" else without_value(str(answer[3]))
        raise IndexUntrusted(_STATUS[status], detail)


@dataclass(frozen=True, slots=True)
class _Policy:
    """The eviction policy of one run of a server, and when it was asked (``time.monotonic``)."""

    run_id: str
    name: str
    asked: float


class EvictionWatch:
    """Knows the eviction policy of the server that answered last, so that reads need not ask for it. Thread-safe."""

    def __init__(self, *, allowed: bool) -> None:
        self._allowed = allowed
        self._known: _Policy | None = None  # exchanged as a whole, so that no lock is needed

    def known_run(self) -> str:
        """The run_id whose policy is known; "" when it is to be read again."""
        known = self._known
        return known.run_id if known is not None and time.monotonic() - known.asked < _RECHECK else ""

    def learn(self, run_id: str, policy: str) -> None:
        """Take what a script said; ``policy`` is "" when it was not asked. Raises IndexUntrusted when keys may go."""
        if policy:
            self._known = _Policy(run_id, policy, time.monotonic())
        known = self._known
        current = known.name if known is not None and known.run_id == run_id else ""
        if not self._allowed and current.startswith(EVICTING):
            raise IndexUntrusted(FallbackReason.EVICTING, f"{current}; set it to noeviction")
