"""Field values of the corpus, by kind (``bestiary.models.FIELDS``)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

from . import keys
from .written import joined, nested, times, write

_EVEREST = timezone(timedelta(hours=5, minutes=45))

#: What a Redis key, a script's argument or a set's entry might be broken by.
SEPARATORS = (
    *(" ", ",", ":", ";", "a b", "a,b", "a:b", "n", "i1", "f1.5", "t", "!t", "*", "{", "}", "{}", "{a}b", "\n"),
    *("a\nb", "\r\n", "\0"),
    *("a\0b", "a\0c", "A\0b", "%", "%20", "%2C", "t%2C", "[a-z]*", "?", "\\", "\x1f", "EVAL", "'", '"', "''"),
    *("\ud800", "a\udfff", "😀", "é", "e\u0301"),
)
LONG_TEXTS = (
    *(times("x", size) for size in (63, 64, 65, 200, 10_000)),
    *(times("é", size) for size in (32, 33)),
    *(joined(times("x", 9_999), write(end)) for end in ("a", "b", " ")),
    times(" ,:{}\n", 2_000),
)
NUMBERS = (
    *(0, 1, -1, 127, 128, 32767, 32768, -32768, 65536, 2**31 - 1, 2**31, -(2**31), 2**32, 2**53, 2**53 + 1),
    *(2**63 - 1, -(2**63)),
    *(2**63, -(2**63) - 1, 2**64, 10**40, True, False, 1.0, 1.5, -0.0, "1", "01", "1.0", " 1 ", "1_000", "٣", "x", ""),
    *(float("nan"), float("inf"), Decimal("1"), Decimal("1.5"), b"1"),
)
_MOMENTS = (
    *(datetime(1, 1, 1, tzinfo=UTC), datetime(1, 1, 1, 0, 0, 0, 1, tzinfo=UTC)),
    *(datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC), datetime(1, 1, 1, tzinfo=_EVEREST)),
    datetime(9999, 12, 31, 23, 59, tzinfo=timezone(-timedelta(hours=12))),
    *(datetime(2024, 2, 29, 23, 59, 59, 999999, tzinfo=UTC), datetime(2024, 2, 29, 12, tzinfo=_EVEREST)),
    datetime(2024, 2, 29, 6, 15, tzinfo=UTC),
    datetime(1883, 11, 18, 12, 3, 58, tzinfo=timezone(-timedelta(hours=4, minutes=56, seconds=2))),
    *(datetime(2024, 3, 10, 2, 30), datetime(2024, 11, 3, 1, 30, fold=1), datetime(1, 1, 1)),
    *(datetime(9999, 12, 31, 23, 59, 59), date(2024, 1, 1)),
    *("2024-02-29", "2024-02-29 24:00:00", "2024-02-29T12:00:00.1234567Z", "2024-02-30", "x", "", 0),
)
_JSON = (
    *({}, [], "", "x", 0, 1, -1, 1.5, -0.0, True, False, None, 2**53 + 1, 2**63, 2**64, 10**40, 1e22, 1e300, 5e-324),
    *(float("nan"), float("inf"), [float("nan")], {"a": float("-inf")}, [None], {"a": None}, {"": ""}, {" ": [{}]}),
    {"$text": "x"},
    {"$integer": 1},
    {"$text": "x", "a": 1},
    {"a": {"$blob": ""}},
    {"_v": 2, "_rev": "x", "_claims": ["x"]},
    {"é\u0301": "😀", "\0": "\0", "\n": "\u2028", '"': "\\"},
    {"a": "\ud800"},
    {"\udfff": 1},
    {"b": 1, "a": 2},
    {"a": 2, "b": 1},
    {"1": 1, "true": True, "null": None},
    [1, 1.0, True, "1"],
)

VALUES: dict[str, tuple[Any, ...]] = {
    "ip": (
        *("0.0.0.0", "255.255.255.255", "::1", "::", "::FFFF:1.2.3.4", "2001:DB8::1", "2001:db8:0:0:0:0:0:1"),
        *("1.2.3", "x", "", 7),
    ),
    "slug": ("a-b", "A_B", "ünïcode", "a b", ""),
    "email": ("a@b.c", '"a b"@c.d', "a@b.c\r\nBcc: x@y.z", "é@é.é"),
    "url": ("http://a/b?c=d&e=%2F#g", "javascript:alert(1)", "http://a\0b", "//a"),
    "small": (-32769, -32768, 0, 32767, 32768, 2**63 - 1, 2**63, 1.5, "1", True),
    "integer": NUMBERS,
    "big": (-(2**63) - 1, -(2**63), 2**53 + 1, 2**63 - 1, 2**63, 10**40, 1.5, float("nan"), "٣", "x"),
    "positive": (-1, 0, 2**63 - 1, 2**63, 10**40, -0.0, "1", "-1", False),
    "float": (
        *(0.0, -0.0, 0, 1, 1.0, 1.5, 0.1, 0.1 + 0.2, 1e22, 1e23, 1.7976931348623157e308, 2.2250738585072014e-308),
        *(5e-324, 2.0**53, 2.0**63),
        *(-(2.0**63), 2**53 + 1, 2**63 - 1, 2**63, 10**400, float("inf"), float("-inf"), float("nan"), "1.5"),
        *("nan", "x", "", True, Decimal("0.1")),
    ),
    "decimal": (
        *map(Decimal, ("0", "-0", "0.1", "1", "1.0", "1.10", "-1.5", "0.0000000001", "1e-10", "1E+5", "1e30")),
        *map(Decimal, ("9007199254740993", "9223372036854775807", "9223372036854775808", "12345678901234567890")),
        *map(Decimal, ("99999999999999999999.9999999999", "0.12345678905", "0.12345678915", "123456789012345678901")),
        *map(Decimal, ("1e400", "1e-400", "NaN", "sNaN", "Infinity")),
        *("1.5", "x", "", "٣", 1, 1.5, float("nan"), True),
    ),
    "boolean": (True, False, 0, 1, 2, "True", "false", "t", "x", "", None, 1.0),
    "date": (
        *(date.min, date.max, date(1582, 10, 10), date(1970, 1, 1), date(2024, 2, 29)),
        datetime(2024, 2, 29, 23, 59, tzinfo=UTC),
        *("2024-02-29", "2024-2-9", "20240229", "2024-W09-4", "2024-02-30", "0000-01-01", "10000-01-01", "x", "", 0),
    ),
    "time": (
        *(time.min, time.max, time(12), time(12, 0, 0, 1), time(12, 0, 0, 100000), time(12, tzinfo=UTC)),
        time(1, 30, fold=1),
        *(datetime(2024, 2, 29, 12), "12:00", "12:00:00.1", "24:00", "T12:00", "12:00+02:00", "25:00", "x", ""),
    ),
    "moment": _MOMENTS,
    "span": (
        *(timedelta(0), timedelta(microseconds=1), timedelta(microseconds=-1), timedelta(days=1)),
        timedelta(days=-1, microseconds=1),
        *(timedelta(days=106751991, hours=4), timedelta(days=106751991, hours=5)),
        *(-timedelta(days=106751991, hours=4), timedelta.max, timedelta.min),
        *("1 00:00:00", "P1D", "P999999999D", "x", "", 1, 1.5),
    ),
    "uuid": (
        *(UUID(int=0), UUID(int=2**128 - 1), UUID(int=0xA5 << 64), "A5" * 16),
        *("{00000000-0000-0000-0000-000000000001}", "x", "", 5, 2**128),
        *("00000000-0000-0000-0000-00000000000", "g" * 32, b"\0" * 16),
    ),
    "binary": (
        *(b"", b"\0", b"a", b"A", b"\xff", b"\xff\xfe\xfd", bytes(range(256)), b"x" * 32, b"x" * 33, b"x" * 10_000),
        *("text", "é"),
        *(b'{"$blob": ""}', b"null", b"\xf0\x9f\x98\x80", b"\xed\xa0\x80"),
    ),
    "json": (
        *_JSON,
        *(nested(depth) for depth in (100, 252, 253, 254, 255, 256, 400)),
        write({"a": {"b": [{"c": [[[{}]]]}]}}),
        times("x", 10_000),
    ),
}  # fmt: skip


def written() -> Iterator[tuple[str, Any]]:
    """Kinds, and values as they are written down."""
    for text in dict.fromkeys((*SEPARATORS, *keys.BLANKS, *keys.FORMS[:2])):
        yield "char", write(text)
    for text in dict.fromkeys((*SEPARATORS[-8:], *keys.SYSTEM_NAMES[:12], *keys.SURROGATES[:2])):
        yield "text", write(text)
    for text in LONG_TEXTS:
        yield "char", text
    for text in LONG_TEXTS[3:]:
        yield "text", text
    for kind in ("nocase", "rtrim"):
        for text in dict.fromkeys(("", " ", "a\0b", "A\0b", "a\0c", "\0", *keys.CASES[2:10], *keys.BLANKS[:5])):
            yield kind, write(text)
        yield kind, times("X", 10_000)
        yield kind, joined(times("x", 9_999), write(" "))
    for other in (0, 1.5, True, b"x", json.dumps([1])):
        yield "char", write(other)
    for kind, values in VALUES.items():
        for value in values:
            yield kind, value if isinstance(value, dict) and _is_written(value) else write(value)


def _is_written(value: dict[str, Any]) -> bool:
    return list(value) in (["nested"], ["times"], ["map"])


def entries() -> Iterator[dict[str, Any]]:
    """Every value as an entry of the corpus."""
    for number, (kind, value) in enumerate(written()):
        yield {"id": f"{kind} {number}", "kind": kind, "value": value}
