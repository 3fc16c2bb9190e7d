"""A profile as flat fields, for log records and spans."""

from __future__ import annotations

from django_smarterbase.profiling.profile import QueryProfile

Field = str | int | float | bool | None


def flat_fields(profile: QueryProfile) -> dict[str, Field]:
    """The facts of a profile under flat names, of JSON's simple types: nothing to unpack, and no values of filters.

    ``started_at`` is in ISO 8601, ``duration_ms`` in ms; ``filter_fields`` are separated by commas.
    """
    storage, redis = profile.storage_ops, profile.redis_ops
    return {
        "database": profile.database,
        "tenant": profile.tenant,
        "model": profile.model,
        "method": profile.method,
        "operation": profile.operation,
        "complexity": profile.complexity,
        "index_used": profile.index_used,
        "filter_fields": ",".join(profile.filter_fields),
        "started_at": profile.started_at.isoformat(),
        "duration_ms": round(profile.duration, 3),
        "candidates": profile.candidates,
        "result_count": profile.result_count,
        "skipped_documents": profile.skipped_documents,
        "fallback": profile.fallback,
        "fallback_reason": str(profile.fallback_reason) if profile.fallback_reason is not None else None,
        "storage_reads": storage.reads,
        "storage_writes": storage.writes,
        "storage_deletes": storage.deletes,
        "storage_lists": storage.lists,
        "storage_system": storage.system,
        "bytes_read": storage.bytes_read,
        "bytes_written": storage.bytes_written,
        "storage_packs": storage.packs,
        "documents_packed": storage.packed,
        "pack_failures": storage.pack_failures,
        "cache_hits": storage.cache_hits,
        "cache_misses": storage.cache_misses,
        "cache_failures": storage.cache_failures,
        "bytes_saved": storage.bytes_saved,
        "redis_commands": redis.commands,
        "redis_round_trips": redis.round_trips,
        "error": profile.error,
    }
