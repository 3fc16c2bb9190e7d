"""What the parts of the index room share: one value for each smarterbase database of a process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..conf import Options
from ..exceptions import CorruptDocument
from ..storage.base import ObjectStore, Stored
from ..storage.keys import Keyspace, may_be_stem
from ..tables import Row, TableSchema
from ..tenancy import origin
from .client import IndexDamaged, RedisClient
from .entries import entries_of
from .health import TrustLog
from .keys import IndexKeys, TableKeys, etag_text
from .manifest import Manifest

Decode = Callable[[TableSchema, str, bytes], Row]


@dataclass(frozen=True, slots=True)
class Image:
    """A document as the scripts take it: its ETag and its entries, each as text."""

    etag: str
    entries: str


@dataclass(frozen=True, slots=True)
class Room:
    """``redis`` is None when no cache is configured; ``database`` is the alias in DATABASES, ``tenant`` None for what
    belongs to no tenant."""

    database: str
    tenant: str | None
    store: ObjectStore
    objects: Keyspace
    names: IndexKeys
    redis: RedisClient | None
    manifest: Manifest
    options: Options
    decode: Decode
    trust_log: TrustLog

    @property
    def deadline_ms(self) -> int:
        """The write deadline in milliseconds."""
        return int(self.options.write_deadline * 1000)

    @property
    def origin(self) -> dict[str, str]:
        """``{"database": alias}``, and ``"tenant"`` if there is one, as fields of a log record."""
        return origin(self.database, self.tenant)

    def log_fields(self, event: str, schema: TableSchema, problem: object) -> dict[str, str]:
        """The fields of a log record about a table."""
        return {"event": event, **self.origin, "table": schema.table, "detail": str(problem)}

    def keys(self, schema: TableSchema) -> TableKeys:
        """The Redis keys of a table."""
        return self.names.table(schema.table)

    def document_key(self, schema: TableSchema, stem: str) -> str:
        """The object key of a document that Redis names. Raises IndexDamaged for what no document can be called."""
        if not may_be_stem(stem):
            raise IndexDamaged(f"it names {stem!r:.200}, which no document of {schema.label} can be called")
        return self.objects.document(schema.table, stem)

    def image(self, schema: TableSchema, key: str, stored: Stored | None) -> Image:
        """What the sets must say of a stored document; of none, nothing. Raises CorruptDocument."""
        if stored is None:
            return Image(etag_text(None), "")
        row = self.decode(schema, key, stored.body)
        return Image(etag_text(stored.etag), " ".join(entries_of(schema, row)))

    def image_or_blank(self, schema: TableSchema, key: str, stored: Stored | None) -> Image:
        """As ``image``; a document that cannot be read has no entries, so no query is sent to it by an index."""
        try:
            return self.image(schema, key, stored)
        except CorruptDocument:
            return Image(etag_text(stored.etag if stored is not None else None), "")
