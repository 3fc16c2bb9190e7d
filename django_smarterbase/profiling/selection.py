"""Which profiles somebody wants to see."""

from __future__ import annotations

from dataclasses import dataclass

from django_smarterbase.profiling.profile import QueryProfile


@dataclass(frozen=True, slots=True)
class Selection:
    """Profiles with all of these properties; without any, all of them.

    ``method`` and ``model`` ("articles.Article") are compared without regard to case. ``slow_ms`` takes those of so
    many ms or more; ``fallbacks``, ``full_scans`` and ``failed`` take only such.
    """

    method: str | None = None
    model: str | None = None
    slow_ms: float | None = None
    fallbacks: bool = False
    full_scans: bool = False
    failed: bool = False

    def takes(self, profile: QueryProfile) -> bool:
        """Whether ``profile`` is one of them."""
        return (
            (self.method is None or profile.method.lower() == self.method.lower())
            and (self.model is None or (profile.model or "").lower() == self.model.lower())
            and (self.slow_ms is None or profile.duration >= self.slow_ms)
            and (profile.fallback or not self.fallbacks)
            and (profile.full_scan or not self.full_scans)
            and (profile.error is not None or not self.failed)
        )


EVERYTHING = Selection()
