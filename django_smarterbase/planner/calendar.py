"""Years, months and days of moments: how alike two texts begin that are of the same one."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from functools import cache
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import DateField, DateTimeField
from django.db.models.functions import Trunc, TruncDate, TruncDay, TruncMonth, TruncQuarter, TruncWeek, TruncYear

from django_smarterbase.planner.scopes import is_column

_TRUNCATIONS: Final = (Trunc, TruncDate, TruncDay, TruncMonth, TruncQuarter, TruncWeek, TruncYear)
#: Letters of "2026-11-25 10:00:00" by which texts of one period begin alike, or fall into several whole parts of it.
_LETTERS: Final = {"year": 4, "quarter": 7, "month": 7, "week": 10, "day": 10, "date": 10}
_YEARS: Final = (1900, 2100)
_STEP: Final = datetime.timedelta(days=4)  # within which no clock was set twice
_SECOND: Final = datetime.timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Grouping:
    """A column, and for how many letters its texts must begin alike to have the same value; 0: to their end.

    ``shifted``: to have that of the first of them, or that of the last, since they are moved to another time zone.
    """

    column: str
    letters: int
    shifted: bool = False


def grouping_of(expression: Any, alias: str, connection: BaseDatabaseWrapper) -> Grouping | None:
    """What an expression tells apart of a plain column of ``alias``: its values, or periods; None for all others."""
    if is_column(expression):
        return Grouping(expression.target.column or "", 0) if expression.alias == alias else None
    if type(expression) not in _TRUNCATIONS:
        return None
    column, letters = expression.lhs, _LETTERS.get(expression.kind)
    if letters is None or not is_column(column) or column.alias != alias:
        return None
    if type(column.target) not in (DateField, DateTimeField):
        return None
    name = expression.get_tzname() if type(column.target) is DateTimeField else None
    if name is None or name == connection.timezone_name:
        return Grouping(column.target.column or "", letters)
    if connection.timezone_name != "UTC" or not _is_monotone(name):
        return None
    return Grouping(column.target.column or "", letters, shifted=True)


def zone_named(name: str) -> ZoneInfo | None:
    """The time zone; None for one that only has a distance from UTC."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return None


def _is_monotone(name: str) -> bool:
    """Whether of two moments the later one has no earlier date in a zone.

    Then the periods of a group are those of its first and its last moment, as no group is longer than its period.
    """
    zone = zone_named(name)
    return zone is not None and _never_turns_back(zone)


@cache
def _never_turns_back(zone: ZoneInfo) -> bool:
    """Whether no clock of the zone was, or will be, set back from one date to the one before."""
    moment, end = (datetime.datetime(year, 1, 1, tzinfo=datetime.UTC) for year in _YEARS)
    before = _offset(zone, moment)
    while moment < end:
        later, after = moment + _STEP, _offset(zone, moment + _STEP)
        if after < before:
            change = _change(zone, moment, later)
            if (change - _SECOND).astimezone(zone).date() > change.astimezone(zone).date():
                return False
        moment, before = later, after
    return True


def _change(zone: ZoneInfo, before: datetime.datetime, after: datetime.datetime) -> datetime.datetime:
    """The second from which the offset is less than ``before``."""
    offset = _offset(zone, before)
    while after - before > _SECOND:
        middle = before + _SECOND * ((after - before) // _SECOND // 2)
        before, after = (middle, after) if _offset(zone, middle) >= offset else (before, middle)
    return after


def _offset(zone: ZoneInfo, moment: datetime.datetime) -> datetime.timedelta:
    offset = moment.astimezone(zone).utcoffset()
    return offset if offset is not None else datetime.timedelta()
