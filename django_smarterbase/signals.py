"""Signals: what happens to indexes, writes, storage and Redis, for those who count it or call somebody.

They are sent where it happens: in the thread of the statement (or of a rebuild, or of the storage's pool), often in
its middle. So a receiver must be quick and must not query a smarterbase database. Whatever a receiver raises is logged
to ``django.dispatch`` and goes no further. ``docs/reference/signals.md`` tells the arguments of each.
"""

from __future__ import annotations

import logging
from typing import Any

from django.dispatch import Signal

logger = logging.getLogger("django.dispatch")  # where Django reports what the receivers of its signals raise

#: The index of a table is not trusted any more, so that its queries scan. Once an outage in each process.
index_untrusted = Signal()
#: The index of a table has answered: for the first time in this process, or again after ``index_untrusted``.
index_trusted = Signal()
#: The index of a table was compared with its documents, whatever came of it.
index_checked = Signal()
#: The index of a table was built anew.
index_rebuilt = Signal()

#: A statement in autocommit begins anew, as another writer was faster.
statement_retried = Signal()
#: A statement or COMMIT ends in a ConflictError.
conflict_raised = Signal()
#: A document may not have a unique value, as another one was faster to claim it.
claim_refused = Signal()
#: A transaction whose process had died was decided.
transaction_recovered = Signal()

#: A request to the storage failed, retries included.
storage_request_failed = Signal()
#: A request to the storage is sent once more.
storage_request_retried = Signal()
#: A request to Redis failed.
redis_request_failed = Signal()
#: The breaker of a cache opened, half-opened or closed.
breaker_changed = Signal()

#: Profiles did not reach one of those who listen to all of them.
profiles_dropped = Signal()


def send(signal: Signal, sender: type, /, **arguments: Any) -> None:
    """Tell the receivers, if there are any. Never raises."""
    try:
        if signal.has_listeners(sender):
            signal.send_robust(sender, **arguments)
    except Exception:
        # Asynchronous receivers cannot be called from a thread that runs an event loop, which is no fault of theirs.
        logger.exception("A signal of %s could not be sent; the operation itself is not affected.", sender.__qualname__)
