"""Which profiles are kept, and how many statements each of them stands for."""

from __future__ import annotations

import random

from django_smarterbase.conf import Options
from django_smarterbase.profiling.profile import QueryProfile


def weight_of(profile: QueryProfile, options: Options) -> float | None:
    """How many statements ``profile`` stands for; None when it is not kept.

    Slow ones, fallbacks, full scans and failures are always kept, so each stands for itself. Of the others a share
    of ``profile_sampling`` is kept, chosen at random.
    """
    if options.profile_sampling == 1 or not _is_ordinary(profile, options):
        return 1.0
    return 1 / options.profile_sampling if random.random() < options.profile_sampling else None


def _is_ordinary(profile: QueryProfile, options: Options) -> bool:
    return not (
        profile.duration >= options.slow_ms or profile.fallback or profile.full_scan or profile.error is not None
    )
