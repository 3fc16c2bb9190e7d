"""From profiles and signals to metrics."""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping
from typing import Any, Final

from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.dispatch import Signal

from django_smarterbase import signals
from django_smarterbase.conf import Options
from django_smarterbase.indexes.answers import FallbackReason
from django_smarterbase.indexes.breaker import BreakerState, breaker_of
from django_smarterbase.ops import StorageOps
from django_smarterbase.profiling.profile import QueryProfile
from django_smarterbase.profiling.recorder import add_sink, remove_sink
from django_smarterbase.routers import smarterbase_aliases

from . import metrics

_BREAKER: Final = {BreakerState.CLOSED: 0, BreakerState.HALF_OPEN: 1, BreakerState.OPEN: 2}
_STORAGE_KINDS: Final = {"reads": "read", "writes": "write", "deletes": "delete", "lists": "list", "system": "system"}
_CACHE_OUTCOMES: Final = {"cache_hits": "hit", "cache_misses": "miss", "cache_failures": "failure"}


def connect() -> None:
    """Collect from now on. Doing it twice is once."""
    add_sink(observe)
    for signal, receiver in _RECEIVERS.items():
        signal.connect(receiver, dispatch_uid=__name__)
    for cache in _caches():
        _introduce_breaker(cache)


def disconnect() -> None:
    """Collect no more; what was collected stays."""
    remove_sink(observe)
    for signal in _RECEIVERS:
        signal.disconnect(dispatch_uid=__name__)


def observe(profile: QueryProfile) -> None:
    """Count one statement. What is 0 makes no series."""
    database, model = profile.database, profile.model or ""
    fallback = "true" if profile.fallback else "false"
    duration = metrics.QUERY_DURATION.labels(database, model, profile.operation, profile.complexity, fallback)
    duration.observe(profile.duration / 1000)
    if profile.error is not None:
        metrics.QUERY_ERRORS.labels(database, profile.operation, profile.error).inc()
    if profile.fallback_reason is not None:
        metrics.FALLBACKS.labels(database, model, profile.fallback_reason).inc()
    if profile.full_scan:
        metrics.FULL_SCANS.labels(database, model).inc()
    if profile.skipped_documents:
        metrics.SKIPPED_DOCUMENTS.labels(database, model).inc(profile.skipped_documents)
    _count_requests(profile)


def _count_requests(profile: QueryProfile) -> None:
    database, storage, redis = profile.database, profile.storage_ops, profile.redis_ops
    for attribute, kind in _STORAGE_KINDS.items():
        if number := getattr(storage, attribute):
            metrics.STORAGE_OPERATIONS.labels(database, kind).inc(number)
    if storage.bytes_read:
        metrics.STORAGE_READ_BYTES.labels(database).inc(storage.bytes_read)
    if storage.bytes_written:
        metrics.STORAGE_WRITTEN_BYTES.labels(database).inc(storage.bytes_written)
    _count_copies(database, storage)
    if redis.commands:
        metrics.REDIS_COMMANDS.labels(database).inc(redis.commands)
        metrics.REDIS_ROUND_TRIPS.labels(database).inc(redis.round_trips)


def _count_copies(database: str, storage: StorageOps) -> None:
    if storage.packed:
        metrics.PACKED_DOCUMENTS.labels(database).inc(storage.packed)
    if storage.pack_failures:
        metrics.PACK_FAILURES.labels(database).inc(storage.pack_failures)
    for attribute, outcome in _CACHE_OUTCOMES.items():
        if number := getattr(storage, attribute):
            metrics.DOCUMENT_CACHE.labels(database, outcome).inc(number)
    if storage.bytes_saved:
        metrics.DOCUMENT_CACHE_SAVED_BYTES.labels(database).inc(storage.bytes_saved)


def _caches() -> set[str]:
    """The cache aliases of the databases whose options can be read; the checks tell of the others."""
    found = set()
    for alias in smarterbase_aliases():
        try:
            cache = Options.parse(connections.settings[alias].get("OPTIONS") or {}).cache
        except ImproperlyConfigured:
            continue
        if cache is not None:
            found.add(cache)
    return found


def _introduce_breaker(cache: str) -> None:
    """Give a breaker its series. A process that has just started knows nothing of Redis, and so must not overrule
    what others have found: a closed breaker is 0 without being set."""
    series, state = metrics.BREAKER_STATE.labels(cache), breaker_of(cache).state
    if state is not BreakerState.CLOSED:
        series.set(_BREAKER[state])


def _index_untrusted(database: str, table: str, reason: str, **_: Any) -> None:
    metrics.INDEX_TRUSTED.labels(database, table).set(0)
    if reason == FallbackReason.DRIFT:
        metrics.INDEX_DRIFT.labels(database, table).set(1)


def _index_trusted(database: str, table: str, **_: Any) -> None:
    metrics.INDEX_TRUSTED.labels(database, table).set(1)


def _index_checked(database: str, table: str, drift: float, reason: str | None, **_: Any) -> None:
    # Of an index that is not there for another reason than damage, nobody knows how right it was.
    if reason is None or reason == FallbackReason.DRIFT:
        metrics.INDEX_DRIFT.labels(database, table).set(drift / 100)


def _index_rebuilt(database: str, table: str, documents: int, seconds: float, automatic: bool, **_: Any) -> None:
    trigger = "automatic" if automatic else "command"
    metrics.REBUILD_DURATION.labels(database, table, trigger).observe(seconds)
    metrics.REBUILT_DOCUMENTS.labels(database, table).inc(documents)
    metrics.INDEX_TRUSTED.labels(database, table).set(1)
    metrics.INDEX_DRIFT.labels(database, table).set(0)


def _statement_retried(database: str, model: str | None, operation: str, **_: Any) -> None:
    metrics.STATEMENT_RETRIES.labels(database, model or "", operation).inc()


def _conflict_raised(database: str, model: str | None, operation: str, **_: Any) -> None:
    metrics.CONFLICTS.labels(database, model or "", operation).inc()


def _claim_refused(database: str, table: str, **_: Any) -> None:
    metrics.CLAIMS_REFUSED.labels(database, table).inc()


def _transaction_recovered(database: str, completed: bool, **_: Any) -> None:
    metrics.TRANSACTIONS_RECOVERED.labels(database, "completed" if completed else "taken back").inc()


def _storage_request_failed(storage: str, error: Exception, **_: Any) -> None:
    metrics.STORAGE_ERRORS.labels(storage, _name_of(error)).inc()


def _storage_request_retried(storage: str, operation: str, **_: Any) -> None:
    metrics.STORAGE_RETRIES.labels(storage, operation).inc()


def _redis_request_failed(cache: str, error: Exception, **_: Any) -> None:
    metrics.REDIS_ERRORS.labels(cache, type(error).__name__).inc()


def _breaker_changed(cache: str, state: str, **_: Any) -> None:
    metrics.BREAKER_STATE.labels(cache).set(_BREAKER[BreakerState(state)])


def _profiles_dropped(number: int, **_: Any) -> None:
    metrics.PROFILES_DROPPED.inc(number)


def _name_of(error: Exception) -> str:
    """What tells errors of a storage apart: S3's own code, the name of the error number, or the class."""
    response = getattr(error, "response", None)
    if isinstance(response, Mapping) and (code := response.get("Error", {}).get("Code")):
        return str(code)
    number = error.errno if isinstance(error, OSError) else None
    return type(error).__name__ if number is None else errno.errorcode.get(number, type(error).__name__)


_RECEIVERS: Final[Mapping[Signal, Callable[..., None]]] = {
    signals.index_untrusted: _index_untrusted,
    signals.index_trusted: _index_trusted,
    signals.index_checked: _index_checked,
    signals.index_rebuilt: _index_rebuilt,
    signals.statement_retried: _statement_retried,
    signals.conflict_raised: _conflict_raised,
    signals.claim_refused: _claim_refused,
    signals.transaction_recovered: _transaction_recovered,
    signals.storage_request_failed: _storage_request_failed,
    signals.storage_request_retried: _storage_request_retried,
    signals.redis_request_failed: _redis_request_failed,
    signals.breaker_changed: _breaker_changed,
    signals.profiles_dropped: _profiles_dropped,
}
