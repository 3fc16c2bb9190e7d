"""Automatic packing, with the option ``pack``: in the background, by one of the processes that had to read too much.

A scan that comes to its end says here what it read, which costs it a comparison. When that was a lot, a daemon thread
takes the lease of the table and packs it, unless another process has done so since. Each process packs a table once in
``REST`` seconds at most.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

from .. import background
from ..exceptions import SmarterBaseError
from ..indexes.lease import Lease
from ..ops import counting
from ..storage.base import ObjectStore
from ..storage.keys import PackKeys
from .format import PackIndex
from .packing import LEASE, Packer
from .scanning import Tally
from .shelf import Shelf

logger = logging.getLogger("django_smarterbase.storage")

REST: Final = 60.0  # seconds between two packings of a table by one process
_LONGEST: Final = 3600.0  # seconds, after many failures
_FEWEST: Final = 1000  # documents that a scan may read without anybody packing
_SHARE: Final = 10  # of the documents, the part of which it may


def is_due(tally: Tally) -> bool:
    """Whether a scan had to read so much that its table should be packed."""
    return tally.read > max(_FEWEST, tally.packable // _SHARE)


@dataclass(slots=True)
class _Table:
    """When a table may be packed again (``time.monotonic``), how often that has failed, and whether a thread is at
    it."""

    lease: Lease
    next_time: float = 0.0
    failures: int = 0
    busy: bool = False


class AutoPacking:
    """Packs the tables of one database. Thread-safe; never raises into a scan."""

    def __init__(self, store: ObjectStore, packer: Packer, shelf: Shelf, origin: Mapping[str, str]) -> None:
        self._store = store
        self._packer = packer
        self._shelf = shelf
        self._origin = origin
        self._lock = threading.Lock()
        self._tables: dict[str, _Table] = {}

    def consider(self, keys: PackKeys, known: PackIndex | None, tally: Tally) -> None:
        """A scan by the packs ``known`` has ended: have its table packed when it is time to."""
        if is_due(tally) and (table := self._begun(keys)) is not None:
            background.start(f"smarterbase-pack-{keys.documents}", partial(self._work, keys, known, table))

    def _begun(self, keys: PackKeys) -> _Table | None:
        with self._lock:
            table = self._tables.setdefault(keys.prefix, _Table(Lease(self._store, keys.lease, LEASE)))
            if table.busy or time.monotonic() < table.next_time:
                return None
            table.busy = True
            return table

    def _work(self, keys: PackKeys, known: PackIndex | None, table: _Table) -> None:
        failed = True
        try:
            with counting():
                self._pack(keys, known, table.lease)
            failed = False
        except background.ProcessEnds:
            logger.info("The packing of %r was given up: the process ends.", keys.documents, extra=self._fields(keys))
        except (SmarterBaseError, OSError) as error:
            extra = self._fields(keys) | {"event": "packing_failed", "detail": str(error)}
            logger.warning("The documents under %r could not be packed: %s", keys.documents, error, extra=extra)
        except Exception:
            # A thread has no caller to tell.
            extra = self._fields(keys) | {"event": "packing_failed"}
            logger.exception("The automatic packing of %r failed.", keys.documents, extra=extra)
        finally:
            table.failures = table.failures + 1 if failed else 0
            pause = min(_LONGEST, REST * 2**table.failures)
            # Spread out, lest all processes look at the same moment.
            table.next_time = time.monotonic() + pause * random.uniform(0.8, 1.2)
            table.busy = False

    def _pack(self, keys: PackKeys, known: PackIndex | None, lease: Lease) -> None:
        if not lease.acquire():
            return
        try:
            before = self._shelf.look(keys)
            if before.packs == known:  # otherwise another process has packed since
                report = self._packer.pack_under(lease, keys, before, lambda _documents: background.go_on())
                logger.info(
                    "%d documents under %r were packed in the background, in %.1f s.",
                    report.documents,
                    keys.documents,
                    report.seconds,
                    extra=self._fields(keys) | {"documents": report.documents, "seconds": round(report.seconds, 3)},
                )
        finally:
            lease.release()

    def _fields(self, keys: PackKeys) -> dict[str, str | int | float]:
        return {"event": "packed", **self._origin, "key": keys.prefix}
