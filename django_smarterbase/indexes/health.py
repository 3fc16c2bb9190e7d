"""One warning an outage: what the process has said of the trust in each table's index."""

from __future__ import annotations

import logging
import threading
from typing import Final

from .answers import FallbackReason, IndexUntrusted

logger = logging.getLogger("django_smarterbase.indexes")

#: These are no outage of a table: chosen so, of one query only, or reported by the breaker for all tables at once.
_UNREMARKABLE: Final = frozenset(
    (
        FallbackReason.NO_CACHE,
        # No outage: an empty table gets its index with its first document. Who reads documents without one says so.
        FallbackReason.NOT_BUILT,
        FallbackReason.NOT_INDEXED,
        FallbackReason.CHANGED,
        FallbackReason.UNREACHABLE,
        FallbackReason.BREAKER_OPEN,
    )
)


class TrustLog:
    """Logs when a table's index stops being trusted, once for each reason, and when it is trusted again."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._said: dict[str, set[FallbackReason]] = {}

    def lost(self, table: str, why: IndexUntrusted) -> None:
        """A query of ``table`` scans instead."""
        if why.reason in _UNREMARKABLE:
            return
        with self._lock:
            said = self._said.setdefault(table, set())
            known = why.reason in said
            said.add(why.reason)
        if not known:
            logger.warning(
                "The index of table %r is not trusted (%s). Queries scan the stored objects; run sb_reindex.",
                table,
                why,
            )

    def kept(self, table: str) -> None:
        """A query of ``table`` was answered by the index."""
        if not self._said.get(table):
            return
        with self._lock:
            said = self._said.pop(table, None)
        if said:
            logger.info("The index of table %r is trusted again.", table)
