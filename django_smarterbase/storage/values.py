"""How one value of SQLite is written in a document, and read back bit for bit.

Each kind has a form for people. A value that its kind's form cannot carry (a text in an integer column, an infinite
float, a JSON text with two equal keys) is written *tagged*: ``{"$text": ...}``, ``{"$integer": ...}``,
``{"$real": ...}`` or ``{"$blob": ...}``. An encoder returns ``UNFIT`` for such a value; a decoder raises ValueError
for an attribute that is neither in its kind's form nor tagged.
"""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import orjson
from django.utils.dateparse import parse_duration
from django.utils.duration import duration_iso_string, duration_microseconds

from django_smarterbase.tables import Affinity, Column, Kind, Value

Json = Any
Encoder = Callable[[Any], Json]
Decoder = Callable[[Json], Value]

UNFIT: Final = object()
INT64: Final = range(-(2**63), 2**63)

_DATETIME_MARKS: Final = "--T::."  # every third character of 2026-01-31T12:00:00.000000, from the first hyphen on
_DURATION: Final = re.compile(r"(-?)P([0-9]{1,8})DT([0-9]{2})H([0-9]{2})M([0-9]{2})(?:\.([0-9]{6}))?S").fullmatch
_DIGIT: Final = re.compile(r"[0-9]").search
_EXACT_FLOAT: Final = 2.0**53  # below it every whole number is a float, so a float with a fraction is no whole number


def tag(value: Value) -> Json:
    """The tagged form of any value but None."""
    if isinstance(value, str):
        return {"$text": value}
    if isinstance(value, bytes):
        return {"$blob": base64.b64encode(value).decode("ascii")}
    if isinstance(value, float):
        return {"$real": repr(value)}
    return {"$integer": value}


def _tagged_text(inner: Json) -> str:
    if type(inner) is not str:
        raise ValueError
    return inner


def _tagged_integer(inner: Json) -> int:
    if type(inner) is not int or inner not in INT64:
        raise ValueError
    return inner


def _tagged_real(inner: Json) -> float:
    value = float(_tagged_text(inner))
    if math.isnan(value):
        raise ValueError  # SQLite has no such value: it would read as NULL
    return value


_UNTAG: Final[Mapping[str, Callable[[Any], Value]]] = {
    "$text": _tagged_text,
    "$blob": lambda inner: base64.b64decode(_tagged_text(inner), validate=True),
    "$real": _tagged_real,
    "$integer": _tagged_integer,
}


def is_tagged(attribute: Json) -> bool:
    """Whether a document's attribute has the shape of a tagged value."""
    return isinstance(attribute, dict) and len(attribute) == 1 and next(iter(attribute)) in _UNTAG


def untag(attribute: Json) -> Value:
    """The value of a tagged attribute. Raises ValueError, also for what is not tagged."""
    if not is_tagged(attribute):
        raise ValueError
    name, inner = next(iter(attribute.items()))
    return _UNTAG[name](inner)


def _plain_integer(value: Value) -> Json:
    return value if type(value) is int else UNFIT


def _plain_text(value: Value) -> Json:
    return value if type(value) is str else UNFIT


def _plain_real(value: Value) -> Json:
    return value if type(value) is float and math.isfinite(value) else UNFIT


def _plain_any(value: Value) -> Json:
    if type(value) is float:
        return value if math.isfinite(value) else UNFIT
    return UNFIT if type(value) is bytes else value


def _read_integer(attribute: Json) -> Value:
    if type(attribute) is int and attribute in INT64:
        return attribute
    return untag(attribute)


def _read_text(attribute: Json) -> Value:
    return attribute if type(attribute) is str else untag(attribute)


def _read_real(attribute: Json) -> Value:
    return float(attribute) if type(attribute) in (float, int) else untag(attribute)


def _read_any(attribute: Json) -> Value:
    if type(attribute) in (float, str) or (type(attribute) is int and attribute in INT64):
        return attribute  # type: ignore[no-any-return]
    return untag(attribute)


def _bool(value: Value) -> Json:
    return bool(value) if value in (0, 1) and type(value) is int else UNFIT


def _read_bool(attribute: Json) -> Value:
    return int(attribute) if type(attribute) is bool else untag(attribute)


def _date(value: Value) -> Json:
    return value if type(value) is str and date.fromisoformat(value).isoformat() == value else UNFIT


def _read_date(attribute: Json) -> Value:
    return date.fromisoformat(attribute).isoformat() if type(attribute) is str else untag(attribute)


def _time(value: Value) -> Json:
    if type(value) is not str:
        return UNFIT
    parsed = time.fromisoformat(value)
    return parsed.isoformat(timespec="microseconds") if str(parsed) == value else UNFIT


def _read_time(attribute: Json) -> Value:
    return str(time.fromisoformat(attribute)) if type(attribute) is str else untag(attribute)


def _datetime(value: Value) -> Json:
    if type(value) is not str:
        return UNFIT
    parsed = datetime.fromisoformat(value)
    return parsed.isoformat(timespec="microseconds") if str(parsed) == value and parsed.tzinfo is None else UNFIT


def _datetime_utc(value: Value) -> Json:
    text = _datetime(value)
    return text if text is UNFIT else f"{text}Z"


def _read_datetime(attribute: Json) -> Value:
    if type(attribute) is not str:
        return untag(attribute)
    parsed = datetime.fromisoformat(attribute)
    if attribute[26:] == "Z" and attribute[4:20:3] == _DATETIME_MARKS and attribute[11:13] != "24":
        # As the encoder writes it: cutting the text takes a quarter of the time that formatting the moment takes.
        return attribute.replace("T", " ")[: 26 if parsed.microsecond else 19]
    return str(parsed.astimezone(UTC).replace(tzinfo=None) if parsed.tzinfo else parsed)


def _duration(value: Value) -> Json:
    return duration_iso_string(timedelta(microseconds=value)) if type(value) is int else UNFIT


def _read_duration(attribute: Json) -> Value:
    if type(attribute) is not str:
        return untag(attribute)
    written = _DURATION(attribute)
    if written is not None:
        sign, days, hours, minutes, seconds, micros = written.groups()
        total = ((int(days) * 24 + int(hours)) * 60 + int(minutes)) * 60 + int(seconds)
        value = total * 1_000_000 + int(micros or 0)
        return -value if sign else value
    # Django's own forms, of which some say no time at all ("" and "P").
    parsed = parse_duration(attribute) if _DIGIT(attribute) else None
    if parsed is None or duration_microseconds(parsed) not in INT64:
        raise ValueError
    return duration_microseconds(parsed)


def _decimal(places: int | None) -> Encoder:
    def encode(value: Value) -> Json:
        if type(value) is int:
            return _with_places(str(value), places)
        if type(value) is not float or not math.isfinite(value):
            return UNFIT
        if value.is_integer() and INT64.start <= value < INT64.stop:
            return UNFIT  # it would read as an integer, which is what a numeric column holds in its place
        short = _with_places(f"{value:.15g}", places)
        return short if float(short) == value else format(Decimal(repr(value)), "f")

    return encode


def _with_places(text: str, places: int | None) -> str:
    number = Decimal(text)
    if places is None or -number.as_tuple().exponent > places:  # type: ignore[operator]
        return format(number, "f")
    try:
        return format(number.quantize(Decimal(1).scaleb(-places)), "f")
    except InvalidOperation:
        return format(number, "f")


def _read_decimal(attribute: Json) -> Value:
    if type(attribute) is not str:
        return untag(attribute)
    try:
        short = float(attribute)
        if -_EXACT_FLOAT < short < _EXACT_FLOAT and not short.is_integer():
            return short
    except ValueError:
        pass
    try:
        number = Decimal(attribute)
    except InvalidOperation as error:
        raise ValueError from error
    if not number.is_finite():
        raise ValueError
    # The size first: a hostile exponent would make an integer of a billion digits.
    if INT64.start <= number < INT64.stop and number == number.to_integral_value():
        return int(number)
    value = float(number)
    if math.isinf(value):
        raise ValueError
    return value


def _uuid(value: Value) -> Json:
    if type(value) is not str or not _is_hex(value) or value != value.lower():
        return UNFIT
    return f"{value[:8]}-{value[8:12]}-{value[12:16]}-{value[16:20]}-{value[20:]}"


def _read_uuid(attribute: Json) -> Value:
    if type(attribute) is not str:
        return untag(attribute)
    digits = attribute.replace("-", "")
    value = bytes.fromhex(digits).hex()
    if len(digits) != 32 or len(value) != 32:  # fromhex passes over spaces
        raise ValueError
    return value


def _is_hex(text: str) -> bool:
    return len(text) == 32 and len(bytes.fromhex(text)) == 16


def _binary(value: Value) -> Json:
    return base64.b64encode(value).decode("ascii") if type(value) is bytes else UNFIT


def _read_binary(attribute: Json) -> Value:
    return base64.b64decode(attribute, validate=True) if type(attribute) is str else untag(attribute)


def _json(value: Value) -> Json:
    """Nested as it is, when writing it out again gives the very text that SQLite holds."""
    if type(value) is not str:
        return UNFIT
    nested = json.loads(value)
    if nested is None or is_tagged(nested) or json.dumps(nested) != value:
        return UNFIT
    # As deep as it will stand in the document, since orjson writes 254 levels and no more.
    (written,) = orjson.loads(orjson.dumps([nested]))
    return nested if json.dumps(written) == value else UNFIT


def _read_json(attribute: Json) -> Value:
    return untag(attribute) if is_tagged(attribute) else json.dumps(attribute)


_ENCODERS: Final[Mapping[Kind, Encoder]] = {
    Kind.BOOL: _bool,
    Kind.DATE: _date,
    Kind.TIME: _time,
    Kind.DATETIME: _datetime,
    Kind.DURATION: _duration,
    Kind.UUID: _uuid,
    Kind.BINARY: _binary,
    Kind.JSON: _json,
}
_DECODERS: Final[Mapping[Kind, Decoder]] = {
    Kind.BOOL: _read_bool,
    Kind.DATE: _read_date,
    Kind.TIME: _read_time,
    Kind.DATETIME: _read_datetime,
    Kind.DURATION: _read_duration,
    Kind.DECIMAL: _read_decimal,
    Kind.UUID: _read_uuid,
    Kind.BINARY: _read_binary,
    Kind.JSON: _read_json,
}
_PLAIN_ENCODERS: Final[Mapping[Affinity, Encoder]] = {
    Affinity.INTEGER: _plain_integer,
    Affinity.TEXT: _plain_text,
    Affinity.REAL: _plain_real,
}
_PLAIN_DECODERS: Final[Mapping[Affinity, Decoder]] = {
    Affinity.INTEGER: _read_integer,
    Affinity.TEXT: _read_text,
    Affinity.REAL: _read_real,
}


def encoder_of(column: Column) -> Encoder:
    """The function that writes this column's values (None apart) in a document; it never fails."""
    form = _form_of(column)

    def encode(value: Any) -> Json:
        try:
            attribute = form(value)
        except (ValueError, TypeError, OverflowError, RecursionError):
            attribute = UNFIT
        return tag(value) if attribute is UNFIT else attribute

    return encode


def _form_of(column: Column) -> Encoder:
    if column.kind is Kind.PLAIN:
        return _PLAIN_ENCODERS.get(column.affinity, _plain_any)
    if column.kind is Kind.DECIMAL:
        return _decimal(column.decimal_places)
    if column.kind is Kind.DATETIME and column.utc:
        return _datetime_utc
    return _ENCODERS[column.kind]


def exact_type(column: Column) -> type[Any] | None:
    """The type whose attributes stand in this column's rows as they are, so that no decoder is needed; or None."""
    return str if column.kind is Kind.PLAIN and column.affinity is Affinity.TEXT else None


def decoder_of(column: Column) -> Decoder:
    """The function that reads this column's attributes (null apart). It raises ValueError or TypeError."""
    if column.kind is Kind.PLAIN:
        return _PLAIN_DECODERS.get(column.affinity, _read_any)
    return _DECODERS[column.kind]
