"""How ``sb_profile`` says times, amounts and what a statement did."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import datetime, timedelta

from django.utils import timezone

from ..history import HistoryPage
from ..profiling import QueryProfile

_DIGITS = 2  # of a small amount, that are not leading zeros


def printable(text: str) -> str:
    """``text`` without what would give orders to a terminal: names in profiles come from other processes."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def milliseconds(duration: float) -> str:
    """``1,234.5``."""
    return f"{duration:,.1f}"


def dollars(amount: float) -> str:
    """Cents where there are any, otherwise two digits that say something: ``$1.50``, ``$0.0000042``."""
    if amount == 0:
        return "$0"
    decimals = max(2, _DIGITS - 1 - math.floor(math.log10(amount)))
    return f"${amount:,.{decimals}f}"


def moment(time: datetime, *, day: bool = True) -> str:
    """A time to the millisecond, in the site's time zone."""
    local = timezone.localtime(time)
    return f"{local:{'%Y-%m-%d ' if day else ''}%H:%M:%S}.{local.microsecond // 1000:03}"


def provenance(database: str, page: HistoryPage) -> str:
    """Where the profiles of a page are from."""
    if page.source == "redis":
        return f"Profiles of database {database!r}, of all processes (from Redis)"
    return f"Profiles of database {database!r}, of this process only"


def span(page: HistoryPage) -> str:
    """From when to when the statements of a page were started; the page must have some."""
    oldest, newest = page.profiles[-1].started_at, page.profiles[0].started_at
    return f"{moment(oldest)} to {moment(newest, day=newest - oldest >= timedelta(days=1))} {timezone.localtime():%Z}"


def remarks(profile: QueryProfile) -> Iterator[str]:
    """What is out of the ordinary with a statement."""
    if profile.fallback:
        yield f"FALLBACK: {profile.fallback_reason}"
    if profile.skipped_documents:
        yield f"skipped documents: {profile.skipped_documents:,}"
    if profile.error:
        yield f"failed: {profile.error}"


def subject(profile: QueryProfile) -> str:
    """What a statement did to what: ``select articles.Article``."""
    return f"{profile.operation} {profile.model}" if profile.model else profile.operation


def results(profile: QueryProfile) -> str:
    """How many rows came of it."""
    return "unknown" if profile.result_count is None else f"{profile.result_count:,}"
