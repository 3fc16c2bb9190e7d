"""What the templates of the admin's pages say of times, numbers and outcomes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from django import template
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timesince import timesince
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ..panel.chart import Column
from ..panel.jobs import Job, TableProgress
from ..panel.wording import KINDS, STATUSES, VERDICTS, Text, dollars, figures_text, milliseconds, number, reason

register = template.Library()
register.filter("sb_dollars", dollars)
register.filter("sb_ms", milliseconds)
register.filter("sb_reason", reason)


@register.filter
def sb_ago(moment: datetime) -> SafeString:
    """How long ago an aware ``moment`` was, with the exact time as its title."""
    passed = datetime.now(UTC) - moment
    said = _("just now") if passed < timedelta(minutes=1) else _("%(time)s ago") % {"time": timesince(moment, depth=1)}
    return _time(moment, said)


@register.filter
def sb_moment(moment: datetime) -> SafeString:
    """An aware ``moment`` in the reader's time zone, to the second."""
    return _time(moment, date_format(_local(moment), "DATETIME_FORMAT"))


@register.filter
def sb_second(moment: datetime) -> SafeString:
    """An aware ``moment`` in the reader's time zone, with its second."""
    local = _local(moment)
    said = f"{date_format(local, 'SHORT_DATE_FORMAT')} {local:%H:%M:%S}"
    return _time(moment, said)


@register.filter
def sb_short(moment: datetime) -> str:
    """An aware ``moment`` in the reader's time zone, as short as it can be said."""
    local = _local(moment)
    return f"{date_format(local, 'SHORT_DATE_FORMAT')} {local:%H:%M}"


@register.filter
def sb_column(column: Column) -> str:
    """A column of a chart in words."""
    begin, end = _local(column.begin), _local(column.end)
    text = ngettext(
        "%(begin)s to %(end)s: %(count)s query, p50 %(p50)s, p95 %(p95)s",
        "%(begin)s to %(end)s: %(count)s queries, p50 %(p50)s, p95 %(p95)s",
        column.count,
    ) % {
        "begin": f"{begin:%H:%M:%S}",
        "end": f"{end:%H:%M:%S}",
        "count": number(column.count),
        "p50": milliseconds(column.p50),
        "p95": milliseconds(column.p95),
    }
    if not column.fallbacks:
        return text
    fallbacks = ngettext("%(number)s fallback", "%(number)s fallbacks", column.fallbacks)
    return f"{text}, {fallbacks % {'number': number(column.fallbacks)}}"


@register.filter
def sb_ms_short(value: float) -> str:
    """Milliseconds, without decimals where there are none."""
    return milliseconds(value, 0 if value == int(value) else 1)


@register.filter
def sb_number(value: float, decimals: int = 0) -> str:
    """A number with the separators of the reader's language."""
    return number(value, decimals)


@register.filter
def sb_percent(value: float) -> str:
    """Per cent, with a decimal."""
    return _("%(number)s %%") % {"number": number(value, 1)}


@register.filter
def sb_kind(job: Job) -> Text:
    """What a job does."""
    return KINDS[job.kind]


@register.filter
def sb_outcome(table: TableProgress) -> Text:
    """What became of a table of a job, or how far it is."""
    return STATUSES[table.status] if table.verdict is None else VERDICTS[table.verdict]


@register.filter
def sb_figures(table: TableProgress) -> str:
    """The figures of a table of a job."""
    return figures_text(table.figures)


@register.filter
def sb_whole_percent(part: float) -> int:
    """A part from 0 to 1 as a whole number of per cent."""
    return int(100 * part)


def _time(moment: datetime, said: str) -> SafeString:
    exact = date_format(_local(moment), "DATETIME_FORMAT")
    return format_html('<time datetime="{}" title="{}">{}</time>', moment.isoformat(), exact, said)


def _local(moment: datetime) -> datetime:
    return timezone.localtime(moment)
