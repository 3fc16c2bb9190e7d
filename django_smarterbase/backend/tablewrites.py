"""What is written when a migration or raw DDL changes a whole table: at COMMIT, or at once outside of a transaction."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from django.db.transaction import atomic

from django_smarterbase.backend.document_writes import DocumentWrite, WriteFailed
from django_smarterbase.backend.tablemoves import drops, moves
from django_smarterbase.backend.unit_of_work import UnitOfWork
from django_smarterbase.backend.upkeep import delete_claims
from django_smarterbase.backend.workspace import PendingDocument
from django_smarterbase.storage.history import History
from django_smarterbase.tables import TableSchema

if TYPE_CHECKING:
    from django_smarterbase.backend.base import DatabaseWrapper


def carry_out(wrapper: DatabaseWrapper, writes: Sequence[DocumentWrite]) -> None:
    """Write documents and system objects. Raises ConflictError, IntegrityError and StorageUnavailable."""
    session = wrapper.session
    if not session.in_transaction:
        try:
            UnitOfWork(wrapper.resources).commit(writes)
        except WriteFailed as failure:
            raise failure.error from failure
        return
    for write in writes:
        table, etag = write.schema.table if write.schema is not None else "", write.base_etag
        if etag is None and (pending := session.workspace.pending_one(write.key)) is not None:
            etag = pending.base_etag  # the transaction has deleted what is stored there
        if write.body is None and etag is None:
            session.workspace.unstage(write.key)
        else:
            session.workspace.stage(PendingDocument(write.key, table, write.stem, write.body, etag))


def write_system_object(wrapper: DatabaseWrapper, table: str, key: str, body: bytes | None) -> None:
    """Write an object about a table, or delete it (None), in place of the one that is stored or pending."""
    pending = wrapper.session.workspace.pending_one(key)
    stored = wrapper.resources.store.get(key) if pending is None else None
    etag = pending.base_etag if pending is not None else stored.etag if stored is not None else None
    carry_out(wrapper, [DocumentWrite(None, table, key, body, etag, None)])


def save_history(wrapper: DatabaseWrapper, table: str, history: History | None) -> None:
    """Write a table's schema object, or delete it."""
    resources = wrapper.resources
    write_system_object(wrapper, table, resources.keys.schema(table), None if history is None else history.dump())
    wrapper.session.migrating.add(table)
    if history is None:
        resources.forget_history(table)
    else:
        resources.assume_history(table, history)


def delete_table(wrapper: DatabaseWrapper, schema: TableSchema) -> None:
    """Delete the documents of a table, their claims and packs, the schema object and the sequence."""
    resources, session = wrapper.resources, wrapper.session
    writes = list(drops(wrapper, schema))
    carry_out(wrapper, writes)
    if session.in_transaction:
        session.snapshot().table(schema.table).drop(write.stem for write in writes)
    else:
        delete_claims(resources, schema.table)
    wrapper.on_commit(partial(resources.sequences.reset, schema.table))
    wrapper.on_commit(partial(resources.store.unpack, schema.table))
    save_history(wrapper, schema.table, None)


def move_table(wrapper: DatabaseWrapper, old: TableSchema, new: TableSchema) -> None:
    """Move the documents of a table to the keys of another name, all of them or none, with its schema object, if it has
    one, and its sequence. Raises CorruptDocument."""
    resources, made = wrapper.resources, wrapper.catalog.has_schema_object(old.table)
    with atomic(wrapper.alias):
        if made:
            save_history(wrapper, new.table, resources.history(old.table))
        # With its history the new table's index is born with the definition that it will be asked for.
        old, new = resources.settled(old), resources.settled(new)
        carry_out(wrapper, list(moves(wrapper, old, new)))
        if made:
            save_history(wrapper, old.table, None)
        wrapper.on_commit(partial(resources.sequences.hand_over, old.table, new.table))
        wrapper.on_commit(partial(resources.store.unpack, old.table))
