"""Whole tables and whole databases: listed, moved and deleted without reading the documents."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from django_smarterbase.backend.document_writes import DocumentWrite, WriteFailed
from django_smarterbase.backend.unit_of_work import UnitOfWork
from django_smarterbase.tables import TableSchema

if TYPE_CHECKING:
    from django_smarterbase.backend.resources import Resources

_TOGETHER = 1000


def deletions(resources: Resources, schema: TableSchema) -> Iterator[DocumentWrite]:
    """A write that deletes each document of a table, from one listing."""
    for listed in resources.store.list(resources.keys.table_prefix(schema.table)):
        stem = resources.keys.stem_of_key(schema.table, listed.key)
        if stem is not None and (etag := listed.etag or _etag_of(resources, listed.key)):
            yield DocumentWrite(schema, stem, listed.key, None, etag, None)


def _etag_of(resources: Resources, key: str) -> str | None:
    """The ETag of an object in a store whose listings have none; None when it has gone meanwhile."""
    stored = resources.store.get(key)
    return stored.etag if stored is not None else None


def delete_documents(resources: Resources, schema: TableSchema) -> None:
    """Delete all documents of a table at once, outside of any transaction. Raises PreconditionFailed for one that
    another writer changed meanwhile, and StorageUnavailable."""
    unit, writes = UnitOfWork(resources), list(deletions(resources, schema))
    try:
        for start in range(0, len(writes), _TOGETHER):
            unit.commit(writes[start : start + _TOGETHER])
    except WriteFailed as failure:
        raise failure.error from failure
    delete_claims(resources, schema.table)
    resources.store.unpack(schema.table)


def delete_claims(resources: Resources, table: str, rule: str | None = None) -> None:
    """Delete all claims of a table that has lost all its documents, or those of a rule that it has lost. Other writers
    to it must be at rest, or not heed the rule any more."""
    keys = resources.keys
    for listed in list(
        resources.store.list(keys.unique_rule_prefix(table, rule) if rule else keys.unique_prefix(table))
    ):
        resources.store.delete(listed.key)


def delete_database(resources: Resources) -> None:
    """Delete every object of a database, its tenants and system objects included; or of a tenant."""
    for listed in list(resources.store.list(resources.keys.prefix())):
        resources.store.delete(listed.key)


def copy_database(source: Resources, target: Resources) -> None:
    """Copy every document and system object but the index manifests, since the copy's indexes are not built, and the
    packs, since its documents have ETags of their own."""
    prefix = source.keys.prefix()
    for key, stored in source.store.scan(prefix):
        if not source.keys.is_manifest(key) and not source.keys.is_of_packs(key):
            target.store.put(target.keys.prefix() + key.removeprefix(prefix), stored.body)
