"""What the pages say in the words of the reader: names of states, reasons and outcomes, and dollars."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from django.utils import formats
from django.utils.functional import Promise
from django.utils.translation import gettext, ngettext_lazy
from django.utils.translation import gettext_lazy as _

from ..indexes.service import FallbackReason
from .jobs import Kind, Status, Verdict

Text = str | Promise

REASONS: Final[Mapping[FallbackReason, Text]] = {
    FallbackReason.NO_CACHE: _("no cache configured"),
    FallbackReason.UNREACHABLE: _("Redis unreachable"),
    FallbackReason.BREAKER_OPEN: _("Redis left alone after repeated failures"),
    FallbackReason.NOT_BUILT: _("index not built"),
    FallbackReason.SUSPECT: _("writes were made without the index"),
    FallbackReason.DEFINITIONS_CHANGED: _("index definitions changed"),
    FallbackReason.RESTARTED: _("Redis restarted"),
    FallbackReason.FLUSHED: _("Redis lost the index"),
    FallbackReason.DRIFT: _("index damaged"),
    FallbackReason.EVICTING: _("maxmemory-policy may evict"),
    FallbackReason.NOT_INDEXED: _("no index"),
    FallbackReason.CHANGED: _("documents changed while the index was read"),
}
KINDS: Final[Mapping[Kind, Text]] = {Kind.CHECK: _("Check"), Kind.REINDEX: _("Reindex"), Kind.PACK: _("Pack")}
STATUSES: Final[Mapping[Status, Text]] = {
    Status.QUEUED: _("queued"),
    Status.READING: _("reading documents"),
    Status.WAITING: _("waiting for writers"),
    Status.PACKING: _("packing documents"),
    Status.ENDED: _("done"),
}
VERDICTS: Final[Mapping[Verdict, Text]] = {
    Verdict.REBUILT: _("rebuilt"),
    Verdict.PACKED: _("packed"),
    Verdict.LEFT: _("no documents, nothing to do"),
    Verdict.INTERRUPTED: _("interrupted"),
    Verdict.SOUND: _("sound"),
    Verdict.NO_INDEX: _("no index"),
    Verdict.UNTRUSTED: _("not trusted"),
    Verdict.DAMAGED: _("damaged"),
    Verdict.FAILED: _("failed"),
}
#: What the figures of a table are called.
FIGURES: Final = {
    "packs": ngettext_lazy("in %(n)s pack", "in %(n)s packs", "count"),
    "read": ngettext_lazy("%(n)s document read", "%(n)s documents read", "count"),
    "reused": ngettext_lazy("%(n)s known by its ETag", "%(n)s known by their ETag", "count"),
    "mended": ngettext_lazy("%(n)s changed meanwhile", "%(n)s changed meanwhile", "count"),
    "corrupt": ngettext_lazy("%(n)s unreadable", "%(n)s unreadable", "count"),
    "left_out": ngettext_lazy(
        "%(n)s left out, too large or no document", "%(n)s left out, too large or no documents", "count"
    ),
    "missing": ngettext_lazy("%(n)s entry missing", "%(n)s entries missing", "count"),
    "extra": ngettext_lazy("%(n)s entry too many", "%(n)s entries too many", "count"),
    "in_doubt": ngettext_lazy("%(n)s in doubt", "%(n)s in doubt", "count"),
    "overdue": ngettext_lazy("%(n)s note of a dead writer", "%(n)s notes of dead writers", "count"),
    "orphans": ngettext_lazy("%(n)s orphan claim", "%(n)s orphan claims", "count"),
}


def reason(text: str | None) -> Text:
    """A profile's ``fallback_reason`` in the reader's language; one of another version as it is."""
    return REASONS[FallbackReason(text)] if text in set(FallbackReason) else text or ""


def figures_text(figures: Mapping[str, float]) -> str:
    """The figures of a table of a job as one line, "" when all are 0."""
    counts = {name: int(figures.get(name, 0)) for name in FIGURES}
    parts = [str(FIGURES[name] % {"count": count, "n": number(count)}) for name, count in counts.items() if count]
    return ", ".join(parts)


def number(value: float, decimals: int = 0) -> str:
    """A number with the separators of the reader's language."""
    # Django cuts decimals off, which turns 0.98 ms into 0.9 ms.
    return formats.number_format(round(value, decimals), decimals, force_grouping=True)


def milliseconds(value: float, decimals: int = 1) -> str:
    """A duration in ms, with its unit."""
    return gettext("%(number)s ms") % {"number": number(value, decimals)}


def dollars(amount: float) -> str:
    """US dollars: two decimals, or as many as a small amount needs to show two digits."""
    decimals = 2 if amount == 0 else max(2, 1 - math.floor(math.log10(amount)))
    return f"${number(amount, decimals)}"
