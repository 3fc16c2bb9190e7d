"""Counts how the engine answered its statements, so that a column that says Redis shows what Redis did."""

from __future__ import annotations

import threading
from collections import Counter

from django_smarterbase.profiling import QueryProfile, recorder


class Census:
    """Totals over all profiles of this process, from every thread."""

    def __init__(self) -> None:
        self.figures: Counter[str] = Counter()
        self._lock = threading.Lock()

    def begin(self) -> None:
        """Count from now on."""
        recorder.add_sink(self._count)

    def _count(self, profile: QueryProfile) -> None:
        with self._lock:
            self.figures["statements"] += 1
            self.figures["scans"] += profile.full_scan
            self.figures["by index"] += profile.index_used.startswith("redis:")
            self.figures["fallbacks"] += profile.fallback
            if profile.fallback:
                self.figures[f"of these for '{profile.fallback_reason}'"] += 1
            self.figures["storage operations"] += profile.storage_ops.total
            self.figures["Redis round trips"] += profile.redis_ops.round_trips
