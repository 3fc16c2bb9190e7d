"""Which profiles a page is about: its filters, as a form and as the query string of links."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from ..profiling.profile import QueryProfile

PERIODS: Final[Mapping[str, timedelta | None]] = {
    "15m": timedelta(minutes=15),
    "1h": timedelta(hours=1),
    "24h": timedelta(days=1),
    "7d": timedelta(days=7),
    "all": None,
}
DEFAULT_PERIOD: Final = "24h"
RAW: Final = "-"  # stands for "no model" among the models
_NAMES: Final = {
    "15m": _("Last 15 minutes"),
    "1h": _("Last hour"),
    "24h": _("Last 24 hours"),
    "7d": _("Last 7 days"),
    "all": _("All that is kept"),
}
_DATETIME: Final = "%Y-%m-%dT%H:%M"


@dataclass(frozen=True, slots=True)
class ProfileFilter:
    """What is asked for. ``since`` and ``until`` are aware; None is unbounded. "" is any database, model or method.

    ``method`` is a part of a method's name, without regard to case.
    """

    since: datetime | None = None
    until: datetime | None = None
    database: str = ""
    model: str = ""
    method: str = ""
    slow: bool = False
    fallback: bool = False
    full_scan: bool = False
    failed: bool = False

    def takes(self, profile: QueryProfile, slow_ms: float) -> bool:
        """Whether the page is about ``profile``, apart from its time and its database."""
        return (
            (not self.model or (profile.model or RAW) == self.model)
            and self.method.lower() in profile.method.lower()
            and (profile.duration >= slow_ms or not self.slow)
            and (profile.fallback or not self.fallback)
            and (profile.full_scan or not self.full_scan)
            and (profile.error is not None or not self.failed)
        )


class _Moment(forms.DateTimeField):
    """A local time as the browser's own widget writes it."""

    widget = forms.DateTimeInput(attrs={"type": "datetime-local"}, format=_DATETIME)

    def __init__(self, **options: Any) -> None:
        super().__init__(required=False, input_formats=[_DATETIME, f"{_DATETIME}:%S"], **options)


class FilterForm(forms.Form):
    """The filters of a page. ``databases`` are those that there are, ``models`` those of the profiles at hand."""

    period = forms.ChoiceField(label=_("Period"), required=False, choices=list(_NAMES.items()))
    since = _Moment(label=_("From"))
    until = _Moment(label=_("To"))
    database = forms.ChoiceField(label=_("Database"), required=False)
    model = forms.ChoiceField(label=_("Model"), required=False)
    method = forms.CharField(label=_("Method contains"), required=False, max_length=200)
    slow = forms.BooleanField(label=_("Slow"), required=False)
    fallback = forms.BooleanField(label=_("Fallback"), required=False)
    full_scan = forms.BooleanField(label=_("Full scan"), required=False)
    failed = forms.BooleanField(label=_("Failed"), required=False)

    def __init__(self, data: Mapping[str, Any], databases: Sequence[str]) -> None:
        super().__init__(
            {"period": DEFAULT_PERIOD, **{name: data[name] for name in data}}, auto_id="sb-%s", label_suffix=""
        )
        self.fields["database"].choices = [("", _("All")), *((alias, alias) for alias in databases)]  # type: ignore[attr-defined]
        chosen = str(self.data.get("model", ""))
        self.offer_models([chosen] if chosen else [])
        if len(databases) < 2:
            del self.fields["database"]

    def offer_models(self, labels: Iterable[str]) -> None:
        """Let one of these models be chosen."""
        names = [(label, _("no model (raw SQL, commits)") if label == RAW else label) for label in sorted(set(labels))]
        self.fields["model"].choices = [("", _("All")), *names]  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        """An interval that is one."""
        found = self.cleaned_data
        if found.get("since") and found.get("until") and found["since"] >= found["until"]:
            raise ValidationError(_("The time in From must be before the time in To."))
        return found

    def filter(self) -> ProfileFilter:
        """What is asked for; fields with errors count as not filled in. An interval goes before the period."""
        self.full_clean()
        found = self.cleaned_data
        since, until = found.get("since"), found.get("until")
        period = PERIODS.get(found.get("period") or DEFAULT_PERIOD, PERIODS[DEFAULT_PERIOD])
        if since is None and until is None and period is not None:
            since = datetime.now(UTC) - period
        return ProfileFilter(
            since=since,
            until=until,
            database=found.get("database") or "",
            model=found.get("model") or "",
            method=found.get("method") or "",
            slow=bool(found.get("slow")),
            fallback=bool(found.get("fallback")),
            full_scan=bool(found.get("full_scan")),
            failed=bool(found.get("failed")),
        )
