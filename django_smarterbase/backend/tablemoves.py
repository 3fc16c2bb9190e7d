"""The writes by which a migration moves or drops a whole table, in a way that COMMIT can take back.

Unlike a flush, a migration may fail at its end, so each document is read before it is deleted.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from django_smarterbase.backend.changes import as_row
from django_smarterbase.backend.document_writes import DocumentWrite
from django_smarterbase.backend.snapshot import Known
from django_smarterbase.backend.uniqueness import held_claims
from django_smarterbase.exceptions import CorruptDocument
from django_smarterbase.storage.base import Stored
from django_smarterbase.storage.codec import Document
from django_smarterbase.tables import TableSchema

if TYPE_CHECKING:
    from django_smarterbase.backend.base import DatabaseWrapper


class _Seen(NamedTuple):
    """A document as the transaction has it: ``body`` is None when it has deleted it, ``stored`` when it has made it."""

    stem: str
    key: str
    body: bytes | None
    stored: Stored | None
    etag: str | None


def moves(wrapper: DatabaseWrapper, old: TableSchema, new: TableSchema) -> Iterator[DocumentWrite]:
    """Write each document of ``old`` under the key that it has in ``new``, then delete it. Raises CorruptDocument."""
    resources = wrapper.resources
    wrapper.session.snapshot().table_as(resources.codec(new))  # COMMIT reads them so, though no model may be installed
    for seen in _documents(wrapper, old):
        if seen.body is not None:
            document = resources.decode(old, seen.key, seen.body)
            key = resources.keys.document(new.table, seen.stem)
            row, claims = as_row(old, document.values), held_claims(document.extras)
            yield DocumentWrite(new, seen.stem, key, seen.body, None, row, takes=claims)
        yield _deletion(wrapper, old, seen)


def drops(wrapper: DatabaseWrapper, schema: TableSchema) -> Iterator[DocumentWrite]:
    """Delete each document of a table."""
    for seen in _documents(wrapper, schema):
        yield _deletion(wrapper, schema, seen)


def _documents(wrapper: DatabaseWrapper, schema: TableSchema) -> Iterator[_Seen]:
    """The documents of a table as the transaction under way sees them; from then on it knows how they were stored."""
    resources, session = wrapper.resources, wrapper.session
    pending = {document.stem: document for document in session.workspace.pending(schema.table)}
    table = session.snapshot().table_as(resources.codec(schema))
    for key, stored in resources.store.scan(resources.keys.table_prefix(schema.table)):
        stem = resources.keys.stem_of_key(schema.table, key)
        if stem is None:
            continue
        known = table.known.get(stem) or _known(wrapper, schema, key, stored)
        if known is not None:
            table.known[stem] = known
        waiting = pending.pop(stem, None)
        etag = waiting.base_etag if waiting is not None else known.etag if known is not None else stored.etag
        yield _Seen(stem, key, stored.body if waiting is None else waiting.body, stored, etag)
    for waiting in pending.values():
        yield _Seen(waiting.stem, waiting.key, waiting.body, None, waiting.base_etag)


def _known(wrapper: DatabaseWrapper, schema: TableSchema, key: str, stored: Stored) -> Known | None:
    """None for a document that cannot be read: it can only be deleted for good."""
    document = _document(wrapper, schema, key, stored)
    return None if document is None else Known(stored.etag, document.values, document.extras)


def _document(wrapper: DatabaseWrapper, schema: TableSchema, key: str, stored: Stored) -> Document | None:
    try:
        return wrapper.resources.decode(schema, key, stored.body)
    except CorruptDocument:
        return None


def _deletion(wrapper: DatabaseWrapper, schema: TableSchema, seen: _Seen) -> DocumentWrite:
    write = DocumentWrite(schema, seen.stem, seen.key, None, seen.etag, None)
    document = None if seen.stored is None else _document(wrapper, schema, seen.key, seen.stored)
    if seen.stored is None or document is None:
        return write
    return DocumentWrite(
        schema=schema,
        stem=seen.stem,
        key=seen.key,
        body=None,
        base_etag=seen.etag,
        row=None,
        undo_body=seen.stored.body,
        undo_row=as_row(schema, document.values),
        frees=held_claims(document.extras),
    )
