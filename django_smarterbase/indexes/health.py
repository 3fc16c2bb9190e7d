"""One warning an outage: what the process has said of the trust in each table's index."""

from __future__ import annotations

import logging
import threading
from typing import Final

from .answers import FallbackReason, IndexUntrusted

logger = logging.getLogger("django_smarterbase.indexes")

#: The breaker reports these, once for all tables.
_REPORTED: Final = frozenset((FallbackReason.UNREACHABLE, FallbackReason.BREAKER_OPEN))


class TrustLog:
    """Logs when a table's index stops being trusted, and when it is trusted again.

    An outage has many reasons in turn (Redis is gone, comes back empty, and by then documents were written without it);
    the first one is logged.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lost: set[str] = set()

    def lost(self, table: str, why: IndexUntrusted) -> None:
        """A query of ``table`` scans instead."""
        if why.expected or table in self._lost:
            return
        with self._lock:
            known = table in self._lost
            self._lost.add(table)
        if not known and why.reason not in _REPORTED:
            logger.warning(
                "The index of table %r is not trusted (%s). Queries scan the stored objects; run sb_reindex.",
                table,
                why,
            )

    def kept(self, table: str) -> None:
        """A query of ``table`` was answered by the index."""
        if table not in self._lost:
            return
        with self._lock:
            known = table in self._lost
            self._lost.discard(table)
        if known:
            logger.info("The index of table %r is trusted again.", table)
