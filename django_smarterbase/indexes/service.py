"""The index room's front door: one ``IndexService`` for each smarterbase database of a process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from django_smarterbase.conf import Options
from django_smarterbase.indexes.answers import (
    Change,
    Counts,
    FallbackReason,
    IndexState,
    IndexUntrusted,
    ManifestEntry,
    Marker,
    Reading,
    RebuildReport,
)
from django_smarterbase.storage.base import ObjectStore
from django_smarterbase.tables import IndexCondition, IndexDefinition, Row, TableSchema

if TYPE_CHECKING:
    from django_smarterbase.storage.keys import Keyspace

__all__ = [
    "Change",
    "Counts",
    "FallbackReason",
    "IndexService",
    "IndexState",
    "IndexUntrusted",
    "ManifestEntry",
    "Marker",
    "OpenWrite",
    "Reading",
    "RebuildReport",
]

Decode = Callable[[TableSchema, str, bytes], Row]
Progress = Callable[[int, int | None], None]


class OpenWrite:
    """A write between begin and finish."""

    degraded: bool
    deadline: float

    def finish(self, etags: Mapping[str, str | None]) -> None:
        """Note the new ETags of the documents whose PUT or DELETE succeeded (None: deleted)."""
        raise NotImplementedError

    def abort(self, stems: Iterable[str]) -> None:
        """Take back the notes of documents that were certainly not written."""
        raise NotImplementedError


class IndexService:
    """Reads, writes and rebuilds the index sets of one database."""

    def __init__(
        self,
        *,
        store: ObjectStore,
        keys: Keyspace,
        name: str,
        alias: str | None,
        options: Options,
        decode: Decode,
    ) -> None:
        raise NotImplementedError

    def read(self, schema: TableSchema, condition: IndexCondition, *, members: bool = True) -> Reading:
        """The documents that meet ``condition``."""
        raise NotImplementedError

    def counts(self, schema: TableSchema, index: IndexDefinition) -> Counts:
        """The number of documents for each combination of values of ``index``."""
        raise NotImplementedError

    def begin(self, schema: TableSchema, changes: Sequence[Change]) -> OpenWrite:
        """Announce ``changes``; the documents are to be written before the write's deadline."""
        raise NotImplementedError

    def sweep(self, schema: TableSchema, limit: int | None = None) -> int:
        """Resolve overdue notes; returns how many were resolved."""
        raise NotImplementedError

    def rebuild(self, schema: TableSchema, *, full: bool = False, progress: Progress | None = None) -> RebuildReport:
        """Build the table's index anew, online."""
        raise NotImplementedError

    def state(self, schema: TableSchema) -> IndexState:
        """What manifest and Redis say of the table's index."""
        raise NotImplementedError
