"""Automatic repair: an index that is not trusted is rebuilt in the background by one of the processes that see it.

A query that falls back says so here, which costs it no more than a look at a dictionary. Once in ``LOOK`` seconds a
table, a daemon thread then looks whether a rebuild would help, takes the lease ``reindex-<table>`` and rebuilds; the
other processes find the lease taken and go on scanning. A process that ends in the middle leaves a lease that runs
out and a rebuild that another one begins anew; one that ends in the ordinary way gives both back first.
"""

from __future__ import annotations

import logging
import os
import random
import threading
import time
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from .. import background
from ..exceptions import IndexUnavailable, SmarterBaseError
from ..ops import counting
from ..tables import TableSchema
from ..tenancy import following
from .answers import FallbackReason, IndexState
from .definitions import definition
from .inspection import Inspector
from .lease import Lease
from .rebuild import Rebuilder
from .room import Room

logger = logging.getLogger("django_smarterbase.index")

LOOK: Final = 5.0  # seconds between two looks of a process at a table
LEASE: Final = 30.0  # seconds
_LONGEST: Final = 300.0  # seconds between two looks after many failures
_AT_A_TIME: Final = 4  # rebuilds of one process and database

#: What a rebuild mends. Not: a Redis that is down, that may evict keys, or that was never configured.
MENDABLE: Final = frozenset(
    (
        FallbackReason.SUSPECT,
        FallbackReason.FLUSHED,
        FallbackReason.RESTARTED,
        FallbackReason.DRIFT,
        FallbackReason.DEFINITIONS_CHANGED,
        FallbackReason.NOT_BUILT,
    )
)


@dataclass(slots=True)
class _Table:
    """What a process knows of a table: when to look again (``time.monotonic``), and whether a thread is at it."""

    lease: Lease
    next_look: float = 0.0
    failures: int = 0
    busy: bool = False
    served: bool = False


@dataclass(slots=True)
class _Known:
    """What belongs to one process; a forked child has none of it, nor of its parent's threads."""

    pid: int = field(default_factory=os.getpid)
    lock: threading.Lock = field(default_factory=threading.Lock)
    tables: dict[str, _Table] = field(default_factory=dict)


class AutoRepair:
    """Rebuilds the untrusted indexes of one database. Thread-safe; never raises into a query."""

    def __init__(self, room: Room, inspector: Inspector, rebuilder: Rebuilder) -> None:
        self._room = room
        self._inspector = inspector
        self._rebuilder = rebuilder
        self._known = _Known()

    def served(self, schema: TableSchema) -> None:
        """The index has answered a query of this process, and so was built for its definitions."""
        table = self._own().tables.get(schema.table)
        if table is None:
            table = self._table(schema)
        table.served = True

    def consider(self, schema: TableSchema, reason: FallbackReason) -> None:
        """A query of the table could not use its index: see to it, in the background, when it is time to."""
        if reason not in MENDABLE or self._room.redis is None or not self._room.options.auto_reindex:
            return
        table = self._own().tables.get(schema.table) or self._table(schema)
        if time.monotonic() < table.next_look or not self._begin(table):
            return
        name = f"smarterbase-reindex-{schema.table}"
        background.start(name, partial(following(self._look), schema, table))

    def _own(self) -> _Known:
        if self._known.pid != os.getpid():
            self._known = _Known()
        return self._known

    def _table(self, schema: TableSchema) -> _Table:
        key = self._room.objects.lease(f"reindex-{schema.table}")
        known = self._own()
        with known.lock:
            return known.tables.setdefault(schema.table, _Table(Lease(self._room.store, key, LEASE)))

    def _begin(self, table: _Table) -> bool:
        known = self._own()
        with known.lock:
            under_way = sum(each.busy for each in known.tables.values())
            if table.busy or under_way >= _AT_A_TIME or time.monotonic() < table.next_look:
                return False
            table.busy = True
            return True

    def _look(self, schema: TableSchema, table: _Table) -> None:
        failed = True
        try:
            with counting():
                self._repair(schema, table)
            failed = False
        except background.ProcessEnds:
            extra = self._room.log_fields("rebuild_given_up", schema, "the process ends")
            logger.info(
                "The rebuild of the index of table %r was given up: the process ends.", schema.table, extra=extra
            )
        except (SmarterBaseError, OSError) as error:
            extra = self._room.log_fields("rebuild_failed", schema, error)
            logger.warning(
                "The index of table %r could not be rebuilt automatically: %s", schema.table, error, extra=extra
            )
        except Exception as error:
            # A thread has no caller to tell, and must not end the repairs of its table for good.
            extra = self._room.log_fields("rebuild_failed", schema, error)
            logger.exception("The automatic rebuild of the index of table %r failed.", schema.table, extra=extra)
        finally:
            table.failures = table.failures + 1 if failed else 0
            pause = min(_LONGEST, LOOK * 2**table.failures) if failed else LOOK
            # Spread out, lest all processes look at the same moment.
            table.next_look = time.monotonic() + pause * random.uniform(0.8, 1.2)
            table.busy = False

    def _repair(self, schema: TableSchema, table: _Table) -> None:
        if not self._is_mendable(schema, table) or not table.lease.acquire():
            return
        try:
            # Whoever had the lease until now may have done it.
            if self._is_mendable(schema, table):
                self._rebuild(schema, table.lease)
        finally:
            table.lease.release()

    def _is_mendable(self, schema: TableSchema, table: _Table) -> bool:
        state = self._inspector.state(schema)
        if state.reason not in MENDABLE or self._is_of_newer_code(schema, table, state):
            return False
        if state.reason is not FallbackReason.NOT_BUILT:
            return True
        room = self._room
        listed = room.store.list(room.objects.table_prefix(schema.table))
        return any(room.objects.stem_of_key(schema.table, each.key) is not None for each in listed)

    def _is_of_newer_code(self, schema: TableSchema, table: _Table, state: IndexState) -> bool:
        """Whether this process has been served by the index until other code rebuilt it for other definitions.

        That code is the newer one. Without this, old and new processes would rebuild it in turn during a deployment.
        """
        known = state.entry.definition if state.entry is not None else ""
        return table.served and known not in {"", definition(schema)}

    def _rebuild(self, schema: TableSchema, lease: Lease) -> None:
        def advance(_done: int, _total: int | None) -> None:
            background.go_on()
            if lease.is_due and not lease.renew():
                raise IndexUnavailable(f"another process has taken over the lease on the rebuild of {schema.label}")

        extra = {"event": "rebuild_started", **self._room.origin, "table": schema.table}
        logger.info("The index of table %r is being rebuilt in the background.", schema.table, extra=extra)
        report = self._rebuilder.rebuild(schema, full=False, progress=advance, automatic=True)
        logger.info(
            "The index of table %r was rebuilt in the background: %d documents in %.1f s.",
            schema.table,
            report.documents,
            report.seconds,
            extra=extra
            | {"event": "rebuild_ended", "documents": report.documents, "seconds": round(report.seconds, 3)},
        )
