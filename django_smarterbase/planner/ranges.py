"""From comparisons to intervals of the values that a column may have: superset rules, as everywhere in the planner."""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, cast
from zoneinfo import ZoneInfo

from django.core.exceptions import EmptyResultSet, FullResultSet
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.expressions import Col
from django.db.models.functions import ExtractIsoYear, ExtractYear, TruncDate
from django.db.models.lookups import (
    GreaterThan,
    GreaterThanOrEqual,
    IsNull,
    IStartsWith,
    LessThan,
    LessThanOrEqual,
    Lookup,
    Range,
    StartsWith,
    YearLookup,
)
from django.db.models.sql.compiler import SQLCompiler

from django_smarterbase.planner.calendar import zone_named
from django_smarterbase.planner.placeholders import Placeholder
from django_smarterbase.planner.scopes import is_column
from django_smarterbase.tables import TOLD_APART, Affinity, Column, TableSchema, Value

DJANGO_LOOKUPS: Final = ("django.db.models.lookups", "django.db.models.fields.related_lookups")
_COMPARISONS: Final = {"gt": GreaterThan, "gte": GreaterThanOrEqual, "lt": LessThan, "lte": LessThanOrEqual}
_VARIANTS: Final = 16  # spellings of a prefix that are asked for, since SQLite's LIKE is blind to the case of letters
#: How far apart a clock may be from its zone's rules around midnight, and more.
_MARGIN: Final = datetime.timedelta(hours=3)


@dataclass(frozen=True, slots=True)
class Interval:
    """The values between two bounds in SQLite's order; None for a bound that is not there. NULL is in none."""

    lower: Value = None
    upper: Value = None
    lower_inclusive: bool = True
    upper_inclusive: bool = True

    def within(self, other: Interval) -> Interval | None:
        """Both, when they bound different sides, so that nothing need be compared; otherwise None."""
        if self.upper is None and other.lower is None:
            return Interval(self.lower, other.upper, self.lower_inclusive, other.upper_inclusive)
        if self.lower is None and other.upper is None:
            return other.within(self)
        return None


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a lookup says of a column: its values stand in one of ``intervals``. ``exact`` when that is all it says."""

    column: Col
    intervals: tuple[Interval, ...]
    exact: bool


def comparison_of(
    lookup: Any, schema: TableSchema, compiler: SQLCompiler, connection: BaseDatabaseWrapper
) -> Comparison | None:
    """What a lookup of Django itself says of a column of ``schema``'s table by the order of its values; None for any
    other lookup, and for one that says nothing.
    """
    if type(lookup).__module__ not in DJANGO_LOOKUPS or not isinstance(lookup, Lookup) or lookup.bilateral_transforms:
        return None
    lhs: Any = lookup.lhs
    try:
        if type(lookup) in (StartsWith, IStartsWith):
            return _of_prefix(lookup, schema)
        if is_column(lhs):
            return _of_column(lookup, lhs, compiler, connection)
        if type(lhs) in (ExtractYear, ExtractIsoYear) and is_column(lhs.lhs):
            return _of_year(lookup, lhs.lhs, compiler, connection)
        if type(lhs) is TruncDate and is_column(lhs.lhs):
            return _of_date(lookup, lhs, connection)
    except EmptyResultSet:
        return Comparison(_innermost(lhs), (), exact=True)
    except FullResultSet:
        return None
    return None


def outside(comparison: Comparison) -> tuple[Interval, ...] | None:
    """Where the values stand for which a comparison is false; None when that cannot be told."""
    if not comparison.exact or len(comparison.intervals) != 1:
        return None
    (inside,) = comparison.intervals
    below = Interval(upper=inside.lower, upper_inclusive=not inside.lower_inclusive)
    above = Interval(lower=inside.upper, lower_inclusive=not inside.upper_inclusive)
    sides = ((inside.lower, below), (inside.upper, above))
    return tuple(side for bound, side in sides if bound is not None)


def prefix_intervals(prefix: str, column: Column) -> tuple[Interval, ...]:
    """Where the texts begin that ``LIKE '<prefix>%'`` selects from a column, which need not be all of a kind.

    LIKE is blind to the case of ASCII letters and takes bytes for text. Nothing for a prefix that says nothing.
    """
    if column.affinity is not Affinity.TEXT or "\0" in prefix:
        return ()
    spellings = [""]
    for character in prefix:
        forms = _forms(character, folded=column.collation.upper() == "NOCASE")
        if len(spellings) * len(forms) > _VARIANTS:
            break
        spellings = [spelling + form for spelling in spellings for form in sorted(forms)]
    if spellings == [""]:
        return ()
    return (*map(_beginning, spellings), Interval(lower=b""))


def literals(params: Iterable[Any]) -> list[Value] | None:
    """Prepared parameters as SQLite gets them, or what stands for them; None when one of them is no value. NaN is bound
    as NULL."""
    values: list[Value] = []
    for param in params:
        if type(param) in (int, str, bytes):
            values.append(param)
        elif isinstance(param, Placeholder):
            values.append(cast("Value", param))
        elif isinstance(param, bool):
            values.append(int(param))
        elif isinstance(param, float) and math.isnan(param):
            values.append(None)
        elif isinstance(param, Decimal):
            values.append(str(param))
        elif isinstance(param, (memoryview, bytearray)):
            values.append(bytes(param))
        elif type(param) is float:
            values.append(param)
        elif isinstance(param, (str, int)):
            # A member of an enumeration may call itself otherwise; SQLite gets what it is.
            values.append(str.__str__(param) if isinstance(param, str) else int(param))
        else:
            return None
    return values


def are_placeholders(sql: str, params: Sequence[Any]) -> bool:
    """Whether the SQL of a right-hand side is nothing but one placeholder for each parameter."""
    return sql.count("%s") == len(params) and not sql.strip("(), ").replace("%s", "").strip(", ")


def _of_prefix(lookup: Lookup[Any], schema: TableSchema) -> Comparison | None:
    column = schema.by_name.get(lookup.lhs.target.column or "") if is_column(lookup.lhs) else None
    if column is None or type(lookup.rhs) is not str:
        return None
    intervals = prefix_intervals(lookup.rhs, column)
    return Comparison(lookup.lhs, intervals, exact=False) if intervals else None


def _of_column(
    lookup: Lookup[Any], column: Col, compiler: SQLCompiler, connection: BaseDatabaseWrapper
) -> Comparison | None:
    if isinstance(lookup, IsNull):
        return Comparison(column, (Interval(),), exact=True) if lookup.rhs is False else None
    if not isinstance(lookup, (*_COMPARISONS.values(), Range)) or hasattr(lookup.rhs, "as_sql"):
        return None
    sql, params = lookup.process_rhs(compiler, connection)
    text = sql if isinstance(sql, str) else ", ".join(sql)
    values = literals(params) if are_placeholders(text, params) else None
    return None if values is None else _compared(lookup, column, values)


def _of_year(
    lookup: Lookup[Any], column: Col, compiler: SQLCompiler, connection: BaseDatabaseWrapper
) -> Comparison | None:
    if not isinstance(lookup, YearLookup) or not lookup.rhs_is_direct_value():
        return None
    _sql, params = lookup.as_sql(compiler, connection)
    values = literals(params)
    return None if values is None else _compared(lookup, column, values)


def _compared(lookup: Lookup[Any], column: Col, values: list[Value]) -> Comparison:
    """Values in the place of a lookup's parameters: two of a BETWEEN, or one."""
    if None in values:
        return Comparison(column, (), exact=True)  # a comparison with NULL is true of nothing
    if len(values) == 2:
        interval = Interval(values[0], values[1])
    elif isinstance(lookup, (GreaterThan, GreaterThanOrEqual)):
        interval = Interval(lower=values[0], lower_inclusive=isinstance(lookup, GreaterThanOrEqual))
    else:
        interval = Interval(upper=values[0], upper_inclusive=isinstance(lookup, LessThanOrEqual))
    return Comparison(column, (interval,), exact=all(map(is_told_apart, values)))


def is_told_apart(value: Value) -> bool:
    """Whether an ordered index knows the value from every other; a NUL may lengthen what a collation compares."""
    if isinstance(value, str):
        return "\0" not in value and len(value.encode(errors="surrogatepass")) <= TOLD_APART
    return not isinstance(value, bytes) or len(value) <= TOLD_APART


def _of_date(lookup: Lookup[Any], truncated: Any, connection: BaseDatabaseWrapper) -> Comparison | None:
    """Of the local date of a moment. Not exact: a text in the column need not be a moment at all."""
    name = str(lookup.lookup_name)
    days = lookup.rhs if isinstance(lookup, Range) else (lookup.rhs, lookup.rhs)
    if name not in {*_COMPARISONS, "exact", "range"} or not isinstance(days, (list, tuple)):
        return None
    if len(days) != 2 or not all(type(day) is datetime.date for day in days):
        return None
    name_of_zone = truncated.get_tzname()
    zone = None if name_of_zone is None else zone_named(name_of_zone)
    if zone is None and name_of_zone is not None:
        return None
    first = _midnight(days[0], zone, connection, -_MARGIN)
    last = _midnight(days[1], zone, connection, datetime.timedelta(days=1) + _MARGIN)
    lower = None if name in ("lt", "lte") else first
    upper = None if name in ("gt", "gte") else last
    return Comparison(truncated.lhs, (Interval(lower, upper),), exact=False)


def _midnight(
    day: datetime.date, zone: ZoneInfo | None, connection: BaseDatabaseWrapper, shift: datetime.timedelta
) -> str | None:
    """The first moment of a local day, shifted, as the column holds moments; None where the calendar ends."""
    try:
        moment = datetime.datetime.combine(day, datetime.time()).replace(tzinfo=zone)
        if zone is not None:
            moment = moment.astimezone(connection.timezone).replace(tzinfo=None)
        return str(moment + shift)
    except OverflowError:
        return None


def _forms(character: str, *, folded: bool) -> set[str]:
    if not character.isascii():
        return {character}
    return {character.lower()} if folded else {character.lower(), character.upper()}


def _beginning(prefix: str) -> Interval:
    following = _next_text(prefix)
    return Interval(prefix, b"" if following is None else following, upper_inclusive=False)


def _next_text(prefix: str) -> str | None:
    """A text after all that begin with ``prefix``, without a blank at its end, which a collation may ignore; None when
    only bytes come after them."""
    while prefix:
        code = ord(prefix[-1]) + 1
        if code <= 0x10FFFF:
            return prefix[:-1] + chr({0x20: 0x21, 0xD800: 0xE000}.get(code, code))
        prefix = prefix[:-1]
    return None


def _innermost(expression: Any) -> Any:
    while not isinstance(expression, Col):
        expression = expression.lhs
    return expression
