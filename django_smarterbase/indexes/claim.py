"""What the manifest goes through while an epoch is made: claimed, and then published or given up."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from ..tables import TableSchema
from .answers import ManifestEntry
from .definitions import definition
from .room import Room


class Claim:
    """The claim of one new epoch of a table."""

    def __init__(self, room: Room, schema: TableSchema, epoch: str) -> None:
        self.epoch = epoch
        #: The entry before, and the one that says that this epoch is being built; None until it was made.
        self.before: ManifestEntry | None = None
        self.entry: ManifestEntry | None = None
        self._manifest = room.manifest
        self._table = schema.table
        self._definition = definition(schema)

    def make(self) -> None:
        """Enter the epoch as being built. A ready epoch stays trusted meanwhile."""

        def claimed(entry: ManifestEntry | None) -> ManifestEntry:
            self.before = entry
            return self._first() if entry is None else replace(entry, building=self.epoch, version=entry.version + 1)

        self.entry = self._manifest.change(self._table, claimed)

    def make_first(self) -> bool:
        """Enter the epoch if the table has no entry yet; returns whether it had none."""
        first = self._first()
        entry = self._manifest.change(self._table, lambda entry: first if entry is None else entry)
        self.entry = first if entry == first else None
        return self.entry is not None

    def publish(self) -> bool:
        """Make the epoch the trusted one, from the very entry that the claim made; returns whether that still stood."""
        claimed = self.entry
        if claimed is None:
            return False
        ready = ManifestEntry(
            ready=True,
            epoch=self.epoch,
            building=None,
            version=claimed.version + 1,
            definition=self._definition,
            built_at=datetime.now(UTC),
        )
        return self._manifest.change(self._table, lambda entry: ready if entry == claimed else entry) == ready

    def give_up(self) -> None:
        """Say that the epoch is no longer being built, if the manifest says that it is."""

        def without(entry: ManifestEntry | None) -> ManifestEntry | None:
            if entry is None or entry.building != self.epoch:
                return entry
            return replace(entry, building=None, version=entry.version + 1)

        if self.entry is not None:
            self._manifest.change(self._table, without)

    def _first(self) -> ManifestEntry:
        return ManifestEntry(ready=False, epoch=None, building=self.epoch, version=1, definition="")
