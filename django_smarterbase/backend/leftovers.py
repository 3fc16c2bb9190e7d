"""What processes that died have left in the store: claims that no document holds, and transactions nobody completes.

Both also look like that for a moment while a live process is at work, so what is found is *suspected* first. It counts
when it is still there, unchanged, after ``write_deadline``, in which a live process would have gone on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from django_smarterbase.backend.claims import document_holds, holders_of
from django_smarterbase.backend.recovery import recovery_of
from django_smarterbase.backend.resources import Resources
from django_smarterbase.exceptions import CorruptDocument, PreconditionFailed
from django_smarterbase.indexes.sampling import chosen_from
from django_smarterbase.storage.base import Stored
from django_smarterbase.tables import TableSchema

SchemaOf = Callable[[str], TableSchema | None]
_PIECE: Final = 200
_PATIENCE: Final = 1.1  # of the write deadline


@dataclass(frozen=True, slots=True)
class Suspect:
    """An object that nobody seems to need: its key, and its ETag when it was seen."""

    key: str
    etag: str


class OrphanClaims:
    """The claims of one table that no document holds.

    A claim is held by the document that it names, if that lists it or has its values.
    """

    def __init__(self, resources: Resources, schema: TableSchema, sample: int | None = None) -> None:
        self.looked_at = 0
        self.unreadable: list[str] = []
        self._resources = resources
        self._schema = schema
        self._sample = sample
        self._suspects: list[Suspect] = []
        self._seen = 0.0

    def suspect(self, advance: Callable[[int], object]) -> None:
        """Look at all claims, or at ``sample`` of them. One listing, and two reads a claim. Raises StorageUnavailable.

        Memory grows with the suspects, not with the claims.
        """
        for key, stored in self._claims():
            self.looked_at += 1
            if not self._is_held(key, stored):
                self._suspects.append(Suspect(key, stored.etag))
            if self.looked_at % _PIECE == 0:
                advance(self.looked_at)
        self._seen = time.monotonic()

    @property
    def ripe_at(self) -> float | None:
        """When the suspects can be judged (``time.monotonic``); None when there are none."""
        return self._seen + self._resources.options.write_deadline * _PATIENCE if self._suspects else None

    def confirmed(self) -> list[Suspect]:
        """The suspects that have not changed and are still not held. To be called when they are ripe."""
        store, found = self._resources.store, []
        for suspect in self._suspects:
            stored = store.get(suspect.key)
            if stored is not None and stored.etag == suspect.etag and not self._is_held(suspect.key, stored):
                found.append(suspect)
        return found

    def remove(self, orphans: Iterable[Suspect]) -> int:
        """Remove what was confirmed; returns how many, without those that a writer has taken over just now."""
        removed = 0
        for orphan in orphans:
            try:
                self._resources.store.delete(orphan.key, if_match=orphan.etag)
            except PreconditionFailed:
                continue
            removed += 1
        return removed

    def _claims(self) -> Iterator[tuple[str, Stored]]:
        store, prefix = self._resources.store, self._resources.keys.unique_prefix(self._schema.table)
        if self._sample is None:
            yield from store.scan(prefix)
            return
        chosen = chosen_from((listed.key for listed in store.list(prefix)), self._sample)
        yield from ((key, stored) for key, stored in store.get_many(chosen) if stored is not None)

    def _is_held(self, key: str, stored: Stored) -> bool:
        resources, table = self._resources, self._schema.table
        claim = resources.keys.claim_of_key(table, key)
        try:
            holders = holders_of(key, stored)
        except CorruptDocument:
            if key not in self.unreadable:
                self.unreadable.append(key)
            return True
        # A key that does not tell its claim cannot be judged, so it is left alone.
        return claim is None or any(document_holds(resources, self._schema, table, stem, claim) for stem in holders)


class UnfinishedTransactions:
    """The intents of one database whose processes have died."""

    def __init__(self, resources: Resources, schema_of: SchemaOf) -> None:
        self._resources = resources
        self._schema_of = schema_of
        self._suspects: list[Suspect] = []
        self._seen = 0.0

    def decide(self) -> int:
        """Complete them or take them back, waiting for those that may be alive; returns how many were decided."""
        return recovery_of(self._resources).recover(self._schema_of)

    def suspect(self) -> None:
        """Look at all intents: one listing, and a read each. Raises StorageUnavailable."""
        store, prefix = self._resources.store, self._resources.keys.intent_prefix()
        self._suspects = [Suspect(key, stored.etag) for key, stored in store.scan(prefix)]
        self._seen = time.monotonic()

    @property
    def ripe_at(self) -> float | None:
        """When the suspects can be judged (``time.monotonic``); None when there are none."""
        return self._seen + self._resources.options.write_deadline * _PATIENCE if self._suspects else None

    def confirmed(self) -> list[str]:
        """The keys of the intents that nobody has renewed or removed since."""
        etags = {suspect.key: suspect.etag for suspect in self._suspects}
        return [
            key
            for key, stored in self._resources.store.get_many(etags)
            if stored is not None and stored.etag == etags[key]
        ]
