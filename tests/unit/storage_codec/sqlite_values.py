"""Every value that SQLite can hold, with more than chance would give of those that a kind has a form for."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time

from hypothesis import strategies as st

from django_smarterbase.tables import Affinity, Column, Kind, Value

INTEGERS = st.integers(-(2**63), 2**63 - 1)
FLOATS = st.one_of(
    st.floats(allow_nan=False),
    st.sampled_from([-0.0, 0.0, 5e-324, float("inf"), float("-inf"), 1e22, 2.0**63, 0.1 + 0.2]),
    st.decimals(allow_nan=False, allow_infinity=False, places=2, min_value=-(10**9), max_value=10**9).map(float),
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
_NESTED = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=6,
)
JSON_TEXTS = st.one_of(
    _NESTED.map(json.dumps),
    _NESTED.map(lambda nested: json.dumps(nested, ensure_ascii=False)),
    st.sampled_from(
        [
            '{"a": 1, "a": 2}',
            '{"$text": 1}',
            '{"$text": "x"}',
            '{"a": {"$blob": ""}}',
            "NaN",
            "[Infinity, -Infinity]",
            "1e400",
            "[1e400]",
            "123456789012345678901234567890",
            "[18446744073709551615, 18446744073709551616]",
            '"\\ud800"',
            '["\\udfff\\ud800"]',
            '"\\ud83d\\ude00"',
            "null",
            "1.0",
            "1e2",
            "-0",
            "-0.0",
            " 1",
            "[1,2]",
            '{"a":1}',
            "{'a': 1}",
            "[" * 300 + "]" * 300,
            "",
        ]
    ),
)
MOMENTS = st.one_of(
    st.dates().map(date.isoformat),
    st.times().map(str),
    st.times().map(time.isoformat),
    st.datetimes().map(str),
    st.datetimes().map(datetime.isoformat),
    st.datetimes(timezones=st.just(UTC)).map(str),
    st.sampled_from(["2020-02-30", "20200131", "2020-W05-5", "24:00:00", "2020-01-31 24:00:00", "12:00", "12:00:00Z"]),
)
UUIDS = st.uuids().flatmap(lambda value: st.sampled_from([value.hex, str(value), value.hex.upper(), f"{{{value}}}"]))
NUMERALS = st.one_of(
    INTEGERS.map(str),
    FLOATS.map(repr),
    st.sampled_from(["1.10", "1e5", "NaN", "sNaN", "Infinity", "0x10", "1_000", " 1", "1 ", "٣", "-", "+1"]),
)
VALUES: st.SearchStrategy[Value] = st.one_of(
    st.none(), INTEGERS, FLOATS, TEXTS, st.binary(max_size=20), JSON_TEXTS, MOMENTS, UUIDS, NUMERALS
)
COLUMNS: st.SearchStrategy[Column] = st.builds(
    Column,
    name=st.just("c"),
    kind=st.sampled_from(list(Kind)),
    affinity=st.sampled_from(list(Affinity)),
    utc=st.booleans(),
    decimal_places=st.one_of(st.none(), st.integers(0, 10)),
)


def exactly(value: object) -> tuple[type, str]:
    """Equal for the same value of the same type only: 1, 1.0 and True differ, and so do 0.0 and -0.0."""
    return type(value), repr(value)
