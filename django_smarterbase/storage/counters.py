"""Counting the requests of the adapters, each where it is made.

A request for a system object raises ``system`` and nothing else; bytes, like ``total``, are those of documents. To
read a pack is to read documents, so it is a read that raises ``packs`` besides.
"""

from __future__ import annotations

from ..ops import StorageOps, storage_ops
from .keys import is_pack, is_system_key


def count_read(key: str, size: int = 0) -> None:
    """One read of ``size`` bytes; 0 when the object was not there."""
    ops = storage_ops()
    if not is_system_key(key):
        ops.reads += 1
        ops.bytes_read += size
    elif is_pack(key):
        ops.reads += 1
        ops.packs += 1
        ops.bytes_read += size
    else:
        ops.system += 1


def count_write(key: str, size: int) -> None:
    """One request to write ``size`` bytes, whether or not its condition holds."""
    ops = storage_ops()
    if is_system_key(key):
        ops.system += 1
    else:
        ops.writes += 1
        ops.bytes_written += size


def count_delete(key: str) -> None:
    """One request to delete."""
    ops = storage_ops()
    if is_system_key(key):
        ops.system += 1
    else:
        ops.deletes += 1


def count_list(prefix: str) -> None:
    """One request for a listing, or for a page of it."""
    ops = storage_ops()
    if is_system_key(prefix):
        ops.system += 1
    else:
        ops.lists += 1


def add(made: StorageOps) -> None:
    """Add what another thread counted on behalf of this one."""
    ops = storage_ops()
    ops.reads += made.reads
    ops.writes += made.writes
    ops.deletes += made.deletes
    ops.lists += made.lists
    ops.system += made.system
    ops.bytes_read += made.bytes_read
    ops.bytes_written += made.bytes_written
    ops.packs += made.packs
