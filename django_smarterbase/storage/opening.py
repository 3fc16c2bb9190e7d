"""The one door to the object store: from a Django storage to the adapter for it."""

from __future__ import annotations

import os
import sys
import threading
from functools import lru_cache

from django.core.files.storage import FileSystemStorage, InMemoryStorage, Storage

from ..conf import Options
from .base import ObjectStore
from .filesystem import FileSystemStore
from .generic import GenericStore
from .keys import Keyspace, probe
from .memory import MemoryStore

_opening = threading.Lock()


def open_store(storage: Storage, options: Options, keys: Keyspace | None = None) -> ObjectStore:
    """The store on ``storage``: the same one each time, so that its threads and connections are shared. No requests.

    With ``keys``, probes of the store stay within that database's prefix.
    """
    with _opening:
        return _opened(storage, options, keys.name if keys is not None else None)


@lru_cache(maxsize=64)
def _opened(storage: Storage, options: Options, name: str | None) -> ObjectStore:
    if _is_s3(storage):
        from .s3 import S3Store  # boto3 takes a third of a second to import

        return S3Store(storage, options, Keyspace(name).probe if name is not None else probe)
    if isinstance(storage, FileSystemStorage):
        return FileSystemStore(storage, options)
    if isinstance(storage, InMemoryStorage):
        return MemoryStore(storage, options)
    return GenericStore(storage, options)


def _is_s3(storage: Storage) -> bool:
    # Who made an S3Storage has imported its module; nobody else needs boto3.
    module = sys.modules.get("storages.backends.s3")
    return module is not None and isinstance(storage, module.S3Storage)


def _forked() -> None:
    """A child opens stores of its own: a thread of its parent may hold the lock of any store."""
    global _opening
    _opening = threading.Lock()
    _opened.cache_clear()


os.register_at_fork(after_in_child=_forked)
