"""One warning an outage: what the process has said of the trust in each table's index."""

from __future__ import annotations

import logging
import threading
from typing import Final, Literal

from ..signals import index_trusted, index_untrusted, send
from ..tenancy import origin
from .answers import FallbackReason, IndexUntrusted

logger = logging.getLogger("django_smarterbase.index")

#: The breaker reports these, once for all tables.
_REPORTED: Final = frozenset((FallbackReason.UNREACHABLE, FallbackReason.BREAKER_OPEN))


class TrustLog:
    """Tells when a table's index stops being trusted, and when it is trusted again: by a signal and in the log.

    An outage has many reasons in turn (Redis is gone, comes back empty, and by then documents were written without it);
    the first one is told.
    """

    def __init__(self, database: str, tenant: str | None = None) -> None:
        self._database = database
        self._origin = origin(database, tenant)
        self._lock = threading.Lock()
        self._trusted: dict[str, bool] = {}  # as it was told last

    def lost(self, table: str, why: IndexUntrusted) -> None:
        """A query of ``table`` scans instead."""
        if why.expected or self._changed(table, trusted=False) is None:
            return
        if why.reason not in _REPORTED:
            logger.warning(
                "The index of table %r is not trusted (%s). Queries scan the stored objects; run sb_reindex.",
                table,
                why,
                extra={
                    "event": "index_untrusted",
                    **self._origin,
                    "table": table,
                    "reason": why.reason.value,
                    "detail": why.detail,
                },
            )
        send(
            index_untrusted,
            TrustLog,
            database=self._database,
            table=table,
            reason=why.reason.value,
            detail=why.detail,
        )

    def kept(self, table: str) -> None:
        """A query of ``table`` was answered by the index."""
        change = self._changed(table, trusted=True)
        if change is None:
            return
        if change == "again":
            extra = {"event": "index_trusted", **self._origin, "table": table}
            logger.info("The index of table %r is trusted again.", table, extra=extra)
        send(index_trusted, TrustLog, database=self._database, table=table)

    def _changed(self, table: str, *, trusted: bool) -> Literal["first", "again"] | None:
        """Note what is so now; None when it was so before. This is asked by every query."""
        if self._trusted.get(table) is trusted:
            return None
        with self._lock:
            before = self._trusted.get(table)
            self._trusted[table] = trusted
        if before is trusted:
            return None
        return "first" if before is None else "again"
