"""What is read from a history at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from django_smarterbase.history.ring import Kept
from django_smarterbase.profiling.profile import QueryProfile
from django_smarterbase.profiling.summary import SLOW_MS, Summary, summarize

Source = Literal["redis", "local"]


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """Profiles, newest first by ``started_at``.

    ``weights`` says for each, in the same order, how many statements it stands for: 1.0, or more for an ordinary one
    when only a share of them is kept (``profile_sampling``). ``source`` is "redis" for the profiles of all processes,
    "local" for those of this process alone; then ``unavailable_since`` says since when this process has not reached
    Redis (aware, UTC) and ``problem`` why, both None when no cache is configured. ``dropped`` counts the profiles that
    were lost since the history was last cleared because they could not be sent: of all processes, or of this one, as
    ``source`` says.
    """

    profiles: tuple[QueryProfile, ...]
    weights: tuple[float, ...]
    source: Source
    dropped: int
    unavailable_since: datetime | None = None
    problem: str | None = None

    @classmethod
    def of(
        cls,
        kept: Sequence[Kept],
        *,
        source: Source,
        dropped: int,
        unavailable_since: datetime | None = None,
        problem: str | None = None,
    ) -> HistoryPage:
        """A page of these profiles."""
        profiles, weights = tuple(each.profile for each in kept), tuple(each.weight for each in kept)
        return cls(profiles, weights, source, dropped, unavailable_since, problem)

    def summary(self, slow_ms: float = SLOW_MS) -> Summary:
        """Figures over the profiles, in which each counts as its weight says."""
        return summarize(self.profiles, slow_ms, self.weights)


@dataclass(frozen=True, slots=True)
class News:
    """What came into a history after a position: profiles, oldest first, and the position to go on from.

    ``unavailable_since`` as in HistoryPage; then there are no profiles, and the position is as it was.
    """

    position: str | int | None
    profiles: tuple[QueryProfile, ...]
    unavailable_since: datetime | None = None
