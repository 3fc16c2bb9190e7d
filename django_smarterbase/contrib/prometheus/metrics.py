"""The metrics, each with its labels. ``docs/reference/metrics.md`` explains them.

Names and units follow https://prometheus.io/docs/practices/naming/. Every label has few values: aliases, models,
tables, and names that stand in code. The method of a statement is no label, since ``.named()`` takes any text.

With ``PROMETHEUS_MULTIPROC_DIR`` the metrics of all processes are merged. Counters and histograms are added up; of a
gauge ``multiprocess_mode`` tells what is taken.
"""

from __future__ import annotations

from typing import Final

from .client import Counter, Gauge, Histogram

#: Seconds. A query by index takes one to ten ms, a first write of an outage ``trust_seconds``, and a write that meets
#: others up to ``write_deadline`` and more.
_QUERY_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
#: Seconds. A rebuild takes ``write_deadline`` (15) and the time to read the documents.
_REBUILD_BUCKETS: Final = (5.0, 15.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0)

QUERY_DURATION = Histogram(
    "smarterbase_query_duration_seconds",
    "How long statements took, COMMITs that wrote something included.",
    ("database", "model", "operation", "complexity", "fallback"),
    buckets=_QUERY_BUCKETS,
)
QUERY_ERRORS = Counter(
    "smarterbase_query_errors_total",
    "Statements that ended in an exception, by its class.",
    ("database", "operation", "error"),
)
FALLBACKS = Counter(
    "smarterbase_fallbacks_total",
    "Statements that scanned because an index was not trusted.",
    ("database", "model", "reason"),
)
FULL_SCANS = Counter(
    "smarterbase_full_scans_total",
    "Statements that read a whole table.",
    ("database", "model"),
)
SKIPPED_DOCUMENTS = Counter(
    "smarterbase_skipped_documents_total",
    "Unreadable and foreign objects that scans passed over.",
    ("database", "model"),
)
PROFILES_DROPPED = Counter(
    "smarterbase_profiles_dropped_total",
    "Profiles that did not reach one of those who take all of them.",
)

STORAGE_OPERATIONS = Counter(
    "smarterbase_storage_operations_total",
    "Requests to the storage that statements made.",
    ("database", "kind"),
)
STORAGE_READ_BYTES = Counter(
    "smarterbase_storage_read_bytes_total",
    "Bytes of documents that statements read.",
    ("database",),
)
STORAGE_WRITTEN_BYTES = Counter(
    "smarterbase_storage_written_bytes_total",
    "Bytes of documents that statements wrote.",
    ("database",),
)
PACKED_DOCUMENTS = Counter(
    "smarterbase_packed_documents_total",
    "Documents that scans took from packs.",
    ("database",),
)
PACK_FAILURES = Counter(
    "smarterbase_pack_failures_total",
    "Packs that statements could not use.",
    ("database",),
)
DOCUMENT_CACHE = Counter(
    "smarterbase_document_cache_total",
    "Documents that statements looked for in the document cache, by what came of it.",
    ("database", "outcome"),
)
DOCUMENT_CACHE_SAVED_BYTES = Counter(
    "smarterbase_document_cache_saved_bytes_total",
    "Bytes of documents that were not read, as the document cache had them.",
    ("database",),
)
STORAGE_ERRORS = Counter(
    "smarterbase_storage_errors_total",
    "Requests to the storage that failed, retries included.",
    ("storage", "error"),
)
STORAGE_RETRIES = Counter(
    "smarterbase_storage_retries_total",
    "Requests to the storage that were sent once more.",
    ("storage", "operation"),
)

REDIS_COMMANDS = Counter(
    "smarterbase_redis_commands_total",
    "Commands that statements sent to Redis.",
    ("database",),
)
REDIS_ROUND_TRIPS = Counter(
    "smarterbase_redis_round_trips_total",
    "Round trips to Redis that statements made.",
    ("database",),
)
REDIS_ERRORS = Counter(
    "smarterbase_redis_errors_total",
    "Requests that Redis did not answer.",
    ("cache", "error"),
)
BREAKER_STATE = Gauge(
    "smarterbase_breaker_state",
    "Whether Redis is left alone: 0 closed, 1 half-open, 2 open.",
    ("cache",),
    multiprocess_mode="livemostrecent",
)

INDEX_TRUSTED = Gauge(
    "smarterbase_index_trusted",
    "Whether the index of a table answered when it was last asked: 1, otherwise 0.",
    ("database", "table"),
    multiprocess_mode="livemostrecent",
)
INDEX_DRIFT = Gauge(
    "smarterbase_index_drift_ratio",
    "Wrong entries of a table's index when it was last checked, from 0 to 1.",
    ("database", "table"),
    multiprocess_mode="mostrecent",
)
REBUILD_DURATION = Histogram(
    "smarterbase_rebuild_duration_seconds",
    "How long rebuilds of indexes took.",
    ("database", "table", "trigger"),
    buckets=_REBUILD_BUCKETS,
)
REBUILT_DOCUMENTS = Counter(
    "smarterbase_rebuilt_documents_total",
    "Documents in the indexes that were rebuilt.",
    ("database", "table"),
)

STATEMENT_RETRIES = Counter(
    "smarterbase_statement_retries_total",
    "Attempts that were repeated because another writer was faster.",
    ("database", "model", "operation"),
)
CONFLICTS = Counter(
    "smarterbase_conflicts_total",
    "Statements and COMMITs that ended in a ConflictError.",
    ("database", "model", "operation"),
)
CLAIMS_REFUSED = Counter(
    "smarterbase_claims_refused_total",
    "Unique values that another document claimed first.",
    ("database", "table"),
)
TRANSACTIONS_RECOVERED = Counter(
    "smarterbase_transactions_recovered_total",
    "Transactions of dead processes that were decided.",
    ("database", "outcome"),
)
