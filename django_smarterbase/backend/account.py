"""What the loading of a statement came to."""

from __future__ import annotations

from dataclasses import dataclass, field

from django_smarterbase.exceptions import FullScanRefused
from django_smarterbase.outlook import FallbackReason
from django_smarterbase.planner.cost import ScanChosen
from django_smarterbase.planner.plan import Step


@dataclass
class Account:
    """What the loading of one statement came to, for its profile.

    ``steps`` are those of its plan that were taken. ``scanned`` are the tables of which every document was read,
    ``listed`` those of which the index has named every one; ``index_suffices`` tells that it knew all that was asked.
    ``beyond`` tells that a page of an ordered index was not found in time.
    """

    steps: tuple[Step, ...] = ()
    candidates: int = 0
    skipped: int = 0
    scanned: list[str] = field(default_factory=list)
    listed: list[str] = field(default_factory=list)
    index_suffices: bool = False
    beyond: bool = False
    indexes: list[str] = field(default_factory=list)
    choices: list[ScanChosen] = field(default_factory=list)
    fallback_reason: FallbackReason | None = None

    @property
    def whole_table(self) -> bool:
        """Whether the statement went over a whole table, to read its documents or those that it leads to."""
        return bool(self.scanned) or (bool(self.listed) and not self.index_suffices)

    def refusal(self, label: str) -> FullScanRefused:
        """The error for a scan of the model ``label`` that the caller does not want."""
        return FullScanRefused(
            f"{label}: require_index() was asked for, and this query could only be answered by reading every document "
            f"({self.fallback_reason or FallbackReason.NOT_INDEXED}). Filter by the primary key or an indexed field, "
            f"or bring the index back with manage.py sb_reindex {label}."
        )
