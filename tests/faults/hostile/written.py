"""Python values written down in JSON, those too that JSON has no form for.

Text, whole numbers, true, false and null stand as they are, lone surrogates as ``\\udXXX`` escapes. All else is an
object with one name::

    {"bytes": "<hex>"}           {"real": "<repr>"}               {"decimal": "<text>"}    {"uuid": "<text>"}
    {"date": "<ISO>"}            {"time": "<ISO>"}                {"moment": "<ISO>"}      {"span": [days, s, us]}
    {"list": [...]}              {"map": [[name, value], ...]}    {"number": "<digits>"}
    {"times": [value, n]}        a text, bytes or list n times over
    {"joined": [...]}            texts or bytes one after another
    {"nested": [depth, inner]}   lists in lists
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID


def read(written: Any) -> Any:
    """The value that is written down."""
    if not isinstance(written, dict):
        return written
    ((form, inner),) = written.items()
    return _FORMS[form](inner)


def times(text: str | bytes, count: int) -> dict[str, Any]:
    """A text or bytes many times over."""
    return {"times": [write(text), count]}


def joined(*parts: Any) -> dict[str, Any]:
    """Parts that are written down already, one after another."""
    return {"joined": list(parts)}


def nested(depth: int, inner: Any = 0) -> dict[str, Any]:
    """``inner`` in so many lists."""
    return {"nested": [depth, write(inner)]}


def write(value: Any) -> Any:
    """How a value is written down."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, int):
        return value if abs(value) < 2**100 else {"number": str(value)}
    form, written = _WRITERS[type(value)]
    return {form: written(value)}


def _join(parts: list[Any]) -> Any:
    values = [read(part) for part in parts]
    return type(values[0])().join(values)


def _nest(depth: int, inner: Any) -> Any:
    value = read(inner)
    for _ in range(depth):
        value = [value]
    return value


_WRITERS: Mapping[type, tuple[str, Callable[[Any], Any]]] = {
    bytes: ("bytes", bytes.hex),
    float: ("real", repr),
    Decimal: ("decimal", str),
    UUID: ("uuid", str),
    datetime: ("moment", datetime.isoformat),
    date: ("date", date.isoformat),
    time: ("time", time.isoformat),
    timedelta: ("span", lambda value: [value.days, value.seconds, value.microseconds]),
    list: ("list", lambda value: [write(each) for each in value]),
    dict: ("map", lambda value: [[name, write(each)] for name, each in value.items()]),
}
_FORMS: Mapping[str, Callable[[Any], Any]] = {
    "bytes": bytes.fromhex,
    "real": float,
    "decimal": Decimal,
    "uuid": UUID,
    "moment": datetime.fromisoformat,
    "date": date.fromisoformat,
    "time": time.fromisoformat,
    "span": lambda inner: timedelta(*inner),
    "number": int,
    "list": lambda inner: [read(each) for each in inner],
    "map": lambda inner: {name: read(each) for name, each in inner},
    "times": lambda inner: read(inner[0]) * inner[1],
    "joined": _join,
    "nested": lambda inner: _nest(*inner),
}
