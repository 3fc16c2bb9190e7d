"""Checks of the storage in which the objects lie."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage
from django.core.files.storage import FileSystemStorage, storages

from django_smarterbase.checks.databases import STORAGE_ERRORS, Database, smarterbase_databases
from django_smarterbase.exceptions import StorageUnavailable
from django_smarterbase.storage.base import ObjectStore
from django_smarterbase.storage.opening import open_store

#: What a store raises that cannot be reached; a ValueError is boto3's for an address that is none.
_REFUSALS = (StorageUnavailable, ValueError)


def check_storage_alias(**kwargs: Any) -> list[CheckMessage]:
    """E003: no such storage, or one that cannot be made."""
    messages: list[CheckMessage] = []
    for database in smarterbase_databases():
        alias = database.options.storage
        try:
            storages[alias]
        except STORAGE_ERRORS as error:
            message = f"The storage {alias!r} cannot be opened: {error}"
            hint = f"Give STORAGES[{alias!r}] a usable BACKEND and OPTIONS, or set the option storage to another alias."
            messages.append(database.error(message, hint=hint, id="E003"))
    return messages


def check_storage_is_private(**kwargs: Any) -> list[CheckMessage]:
    """W004: objects that anybody can fetch."""
    return [
        database.warning(
            f"The objects of this database can be fetched by anybody: {exposure}.",
            hint=f"Give STORAGES[{database.options.storage!r}] a private location that nothing else is served from.",
            id="W004",
        )
        for database in smarterbase_databases()
        for exposure in _exposures(database)
    ]


def check_conditional_writes(**kwargs: Any) -> list[CheckMessage]:
    """W005: a storage on which two processes can overwrite each other."""
    return [
        database.warning(
            f"The storage {database.options.storage!r} has no conditional writes: when two processes change one "
            "document at a time, the last one wins and nobody is told.",
            hint="Use storages.backends.s3.S3Storage or django.core.files.storage.FileSystemStorage, or let one "
            "process write at a time.",
            id="W005",
        )
        for database in smarterbase_databases()
        if (store := _store(database)) is not None and not store.conditional
    ]


def check_copies_are_of_use(**kwargs: Any) -> list[CheckMessage]:
    """W013: packs or a document cache, of a storage that cannot tell what has changed."""
    messages: list[CheckMessage] = []
    for database in smarterbase_databases():
        store = _store(database)
        useless = [] if store is None else _useless_options(database, store)
        if useless:
            messages.append(
                database.warning(
                    f"The option {' and the option '.join(useless)} does nothing: the storage "
                    f"{database.options.storage!r} cannot tell, without reading it, that a document is unchanged.",
                    hint="Use storages.backends.s3.S3Storage or django.core.files.storage.FileSystemStorage, or remove "
                    "the option.",
                    id="W013",
                )
            )
    return messages


def check_storage_answers(databases: Sequence[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """E011: a storage that takes no object. Connects, writes a probe object and removes it."""
    return [
        database.error(
            f"The storage {database.options.storage!r} cannot be used: {reason}",
            hint=f"Correct STORAGES[{database.options.storage!r}], or mend what stands behind it.",
            id="E011",
        )
        for database in smarterbase_databases(databases or ())
        if (reason := _refusal(database))
    ]


def check_conditions_hold(databases: Sequence[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """W008: a server that accepts conditions and overwrites all the same. Connects, and writes a probe object.

    One that does not answer is for E011 to report.
    """
    messages: list[CheckMessage] = []
    for database in smarterbase_databases(databases or ()):
        store = _store(database)
        if store is not None and store.conditional and _ignores_conditions(store):
            messages.append(
                database.warning(
                    f"The server behind the storage {database.options.storage!r} ignores If-Match and If-None-Match: "
                    "when two processes change one document at a time, the last one can win and nobody be told.",
                    hint="Use a server that keeps them: Amazon S3, or a recent MinIO or Ceph.",
                    id="W008",
                )
            )
    return messages


def _store(database: Database) -> ObjectStore | None:
    storage = database.storage
    return None if storage is None else open_store(storage, database.options, database.keys)


def _refusal(database: Database) -> str:
    """Why its storage takes no object, "" when it does or cannot be opened (E003)."""
    store = _store(database)
    key = database.keys.probe(uuid.uuid4().hex)
    try:
        if store is not None:
            store.put(key, b"{}")
            store.delete(key)
    except _REFUSALS as error:
        return str(error)
    return ""


def _ignores_conditions(store: ObjectStore) -> bool:
    try:
        return not store.verify_conditions()
    except _REFUSALS:
        return False


def _useless_options(database: Database, store: ObjectStore) -> list[str]:
    options = database.options
    useless = ["pack"] if options.pack and not store.lists_etags else []
    return [*useless, "document_cache"] if options.document_cache is not None and store.place() is None else useless


def _exposures(database: Database) -> Iterator[str]:
    storage = database.storage
    if isinstance(storage, FileSystemStorage):
        yield from _served_folders(storage)
    if str(acl := getattr(storage, "default_acl", None)).startswith("public"):
        yield f"default_acl is {acl!r}"
    if getattr(storage, "querystring_auth", True) is False:
        yield "querystring_auth is False, so its addresses need no signature"


def _served_folders(storage: FileSystemStorage) -> Iterator[str]:
    location = Path(storage.location).resolve()
    served = {"MEDIA_ROOT": settings.MEDIA_ROOT if settings.MEDIA_URL not in ("", "/", None) else None}
    served["STATIC_ROOT"] = settings.STATIC_ROOT
    for name, folder in served.items():
        if folder:
            root = Path(folder).resolve()
            if location.is_relative_to(root) or root.is_relative_to(location):
                yield f"its folder {location} and {name} overlap"
