"""From the rows that a statement touched to the documents that are to be written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from django.db.utils import IntegrityError

from django_smarterbase.backend.document_writes import DocumentWrite
from django_smarterbase.backend.resources import Resources
from django_smarterbase.backend.snapshot import Snapshot
from django_smarterbase.backend.uniqueness import (
    claims_of,
    held_claims,
    place_of,
    plain_claims,
    unknown_claims,
    with_claims,
)
from django_smarterbase.backend.workspace import PendingDocument, TouchedRow, Workspace
from django_smarterbase.storage.codec import TRANSACTION, transaction_of
from django_smarterbase.storage.keys import stem as stem_of
from django_smarterbase.tables import Row, TableSchema, Value


@dataclass(frozen=True, slots=True)
class _Base:
    """What a write replaces: the stored document, or the pending one, with the ETag of the stored one."""

    etag: str | None
    values: tuple[Value, ...] | None
    extras: Mapping[str, Any]


_NOTHING = _Base(None, None, {})


class ChangeReader:
    """Reads the change log of the workspace."""

    def __init__(self, resources: Resources, workspace: Workspace, snapshot: Snapshot) -> None:
        self.resources = resources
        self.workspace = workspace
        self.snapshot = snapshot

    def take(self, schema: TableSchema) -> list[DocumentWrite]:
        """The writes that the touched rows of a table come to; a row made and removed at once comes to none."""
        writes = (self.write_of(schema, touched) for touched in self.workspace.take_touched(schema.table))
        return [write for write in writes if write is not None]

    def write_of(self, schema: TableSchema, touched: TouchedRow) -> DocumentWrite | None:
        """The write that one touched row comes to, over what the snapshot knows; None when there is nothing to do.

        Raises IntegrityError for a row without a primary key, by which its document is called.
        """
        if touched.values is not None:
            _demand_key(schema, touched.pk)
        stem = stem_of(touched.pk)
        key = self.resources.keys.document(schema.table, stem)
        base = self._base(schema, stem, key)
        if touched.values is None and base.values is None and base.etag is None:
            return None
        codec = self.resources.codec(schema)
        row = None if touched.values is None else as_row(schema, touched.values)
        claims = () if row is None else claims_of(self.workspace, schema, place_of(schema, touched.pk), row)
        if row is not None:
            claims += unknown_claims(schema, base.extras)
        return DocumentWrite(
            schema=schema,
            stem=stem,
            key=key,
            body=None if touched.values is None else codec.encode(touched.values, _extras(base.extras, claims)),
            base_etag=base.etag,
            row=row,
            undo_body=None if base.etag is None or base.values is None else codec.encode(base.values, base.extras),
            undo_row=None if base.etag is None or base.values is None else as_row(schema, base.values),
            takes=_without(claims, held_claims(base.extras)),
            frees=_without(_held(schema, base.values, base.extras), claims),
            built_on=transaction_of(base.extras),
        )

    def _base(self, schema: TableSchema, stem: str, key: str) -> _Base:
        pending = self.workspace.pending_one(key)
        if pending is not None:
            if pending.body is None:
                return _Base(pending.base_etag, None, {})
            document = self.resources.decode(schema, key, pending.body)
            return _Base(pending.base_etag, document.values, document.extras)
        known = self.snapshot.table_as(self.resources.codec(schema)).known.get(stem)
        return _NOTHING if known is None else _Base(known.etag, known.values, known.extras)

    def stage(self, write: DocumentWrite) -> None:
        """Let a write wait for the transaction's COMMIT."""
        table = write.schema.table if write.schema is not None else ""
        if write.body is None and write.base_etag is None:
            self.workspace.unstage(write.key)
        else:
            self.workspace.stage(PendingDocument(write.key, table, write.stem, write.body, write.base_etag))
        self.snapshot.table(table).present.add(write.stem)

    def staged(self, pending: PendingDocument, schema: TableSchema | None) -> DocumentWrite:
        """A pending document as the write that COMMIT makes of it."""
        table = self.snapshot.table(pending.table)
        stored = table.stored(pending.stem)
        write = DocumentWrite(schema, pending.stem, pending.key, pending.body, pending.base_etag, None)
        if schema is None:
            return replace(write, undo_body=self._replaced(pending))
        claims: tuple[str, ...] = ()
        if pending.body is not None:
            document = self.resources.decode(schema, pending.key, pending.body)
            claims = held_claims(document.extras)
            write = replace(write, row=as_row(schema, document.values), takes=claims)
        if stored is not None:
            # As it was read: a migration may have changed, renamed or dropped the table since.
            codec, known = stored
            row = as_row(codec.schema, known.values)
            write = replace(
                write,
                undo_body=codec.encode(known.values, known.extras),
                undo_row={name: row.get(name) for name in schema.by_name},
                takes=_without(claims, held_claims(known.extras)),
                frees=_without(_held(codec.schema, known.values, known.extras), claims),
                built_on=transaction_of(known.extras),
            )
        return write

    def _replaced(self, pending: PendingDocument) -> bytes | None:
        """The body of the system object that a write replaces; one that has changed since makes a conflict of it."""
        stored = None if pending.base_etag is None else self.resources.store.get(pending.key)
        return stored.body if stored is not None and stored.etag == pending.base_etag else None


def _demand_key(schema: TableSchema, pk: tuple[Value, ...]) -> None:
    missing = [name for name, value in zip(schema.pk, pk, strict=True) if value is None]
    if missing:
        raise IntegrityError(
            f"NOT NULL constraint failed: {schema.table}.{missing[0]}. Documents are called by their primary key, so "
            "it cannot be NULL, though SQLite admits that in a table made by raw SQL. Give the row a key."
        )


def _held(schema: TableSchema, values: tuple[Value, ...] | None, extras: Mapping[str, Any]) -> tuple[str, ...]:
    """The claims that a document may hold: those that it lists, and those to its plain values."""
    plain = () if values is None else plain_claims(schema, as_row(schema, values))
    return tuple(dict.fromkeys((*held_claims(extras), *plain)))


def _extras(base: Mapping[str, Any], claims: tuple[str, ...]) -> dict[str, Any]:
    """What a document keeps of the one that it replaces; that one's transaction is not its own."""
    extras = with_claims(base, claims)
    extras.pop(TRANSACTION, None)
    return extras


def _without(claims: tuple[str, ...], others: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(claim for claim in claims if claim not in others)


def as_row(schema: TableSchema, values: tuple[Value, ...]) -> Row:
    """Values in the order of the schema's columns as ``{column: value}``."""
    return dict(zip(schema.by_name, values, strict=True))
