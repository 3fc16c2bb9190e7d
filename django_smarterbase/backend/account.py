"""What the loading of one statement came to."""

from __future__ import annotations

from dataclasses import dataclass, field

from django_smarterbase.indexes.service import FallbackReason


@dataclass
class Account:
    """For its profile: how many documents were ``candidates``, and how many ``skipped``; which tables were ``scanned``,
    and which ``indexes`` have answered."""

    candidates: int = 0
    skipped: int = 0
    scanned: list[str] = field(default_factory=list)
    indexes: list[str] = field(default_factory=list)
    fallback_reason: FallbackReason | None = None
