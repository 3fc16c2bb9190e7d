"""Primary keys of the corpus, by kind (``bestiary.models.KEYS``, and ``pair``)."""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

from .written import joined, times, write

_SEED = 20261123
_SAMPLES = 16

PATHS = (
    *(".", "..", "...", "/", "//", "\\", "a/b", "/etc/passwd", "../x", "../../../../tmp/x", "..\\x", "a/../b", "./a"),
    *("%2e%2e", "%2E%2E%2F", "%252e", "%", "%%", "%s", "%(a)s", "%zz", "a%00b", "~", "~root", "C:", "nul", "CON"),
    *(".hidden", "a.", ".json", "a.json", "a.json.json", "x.json/y", "-", "--", "-rf", "*", "?", "[a]", "{a}", "$HOME"),
    *("|", ">", "<", "&", ";", "`id`", '"', "'", "'; DROP TABLE x; --", "#", "@", "+", "a+b", "a b", " ", "  ", "="),
    "&amp;",
)
SYSTEM_NAMES = (
    *("_sb", "_SB", "_sb.json", "_sb/manifest", "_sb/manifest.json", "%5Fsb", "_sb_log:x", "_v", "_rev", "_txn"),
    "_claims",
    *("manifest", "all", "rowid", "null", "None", "*", "all:1", "set:1:x", "pend", "sb:{x:y}:marker", "}{", "=e"),
    *("=n", "=b", "=hx"),
    *("!", "a!b", "!!", "=e!=e", "=bAAAA", "%3Db", "1", "01", "1.0", "1e0", "0", "-0", "true", "nan", "inf"),
)
CONTROLS = (
    *("\0", "a\0", "\0a", "a\0b", "\x01", "\x1b[31m", "\x7f", "\t", "\n", "\r", "\r\n", "a\n", "\na", "a\tb", "\x85"),
    "\u2028",
)
CASES = ("a", "A", "ab", "AB", "aB", "Ab", "ß", "SS", "ss", "İ", "i", "I", "\u0131", "ﬁ", "fi", "K", "\u212a")
BLANKS = ("a", "a ", "a  ", " a", "a\u00a0", "a\u3000", "a\u200b", "\ufeffa", "a\u00ad")
FORMS = tuple(
    unicodedata.normalize(form, text)
    for text in ("Åé", "ﬀ①", "한", "ǆ", "\u1e9b\u0323")
    for form in ("NFC", "NFD", "NFKC", "NFKD")
)
SCRIPTS = (
    *("\u202eabc", "\u200fאב", "مرحبا", "😀", "👨\u200d👩\u200d👧", "🏳\ufe0f\u200d🌈", "e\u0301\u0301\u0301"),
    *("Z̸̡͍a̷l̴g̵o̷", "日本語"),
    *("\ufffd", "\uffff", "\ufdd0", "\U0010ffff", "\ue000", "٣", "\uff11", "²", "Ⅷ"),
)
SURROGATES = ("\ud800", "\udfff", "a\ud800", "\udc80b", "\udcff.json", "\udfff\ud800")


def texts() -> Iterator[tuple[str, Any]]:
    """Names of text keys, and the keys as they are written down."""
    groups = {
        "path": PATHS,
        "system name": SYSTEM_NAMES,
        "control": CONTROLS,
        "case": CASES,
        "blank": BLANKS,
        "form": FORMS,
        "script": SCRIPTS,
        "surrogate": SURROGATES,
        "empty": ("",),
    }
    for group, members in groups.items():
        for text in dict.fromkeys(members):
            yield group, write(text)
    yield from _long()
    for text in _drawn():
        yield "drawn", write(text)


def _long() -> Iterator[tuple[str, Any]]:
    """Around the 200 bytes from which on a stem is shortened, encoded and not."""
    for size in (127, 128, 129, 195, 199, 200, 201, 255, 256, 1000):
        yield "long", times("x", size)
    for size in (66, 67, 33, 34, 300):
        yield "long", times("é", size)
        yield "long", times(".", size)
    # Equal up to the place where the stem is cut, and the shape of a stem that was cut.
    yield "long", joined(times("x", 500), write("a"))
    yield "long", joined(times("x", 500), write("A"))
    yield "long", joined(times("x", 500), write("a "))
    yield "long", joined(times("x", 128), write("=h"), times("0", 64))


def _drawn() -> list[str]:
    """Short texts of characters that mean something to somebody, by a seed."""
    chance = random.Random(_SEED)
    alphabet = "aA.%/\\ !=_-~:,{}\0\n'\"é\u0301😀\u202e0"
    return ["".join(chance.choices(alphabet, k=chance.randint(1, 8))) for _ in range(_SAMPLES)]


def pairs() -> Iterator[list[str]]:
    """Keys of two parts that would be one when joined carelessly."""
    parts = ("", "!", "a", "a!b", "!a", "=e", "a/", "/", "..", "\0", "é", "_sb")
    for left, right in (
        *(("a", "b!c"), ("a!b", "c"), ("a", "!b!c"), ("", ""), ("", "!"), ("!", ""), ("x" * 150, "x" * 150)),
    ):
        yield [left, right]
    for position, left in enumerate(parts):
        yield [left, parts[(position * 5 + 1) % len(parts)]]


VALUES: dict[str, tuple[Any, ...]] = {
    "integer": (
        *(0, 1, -1, 2**31, -(2**31), 2**53, 2**53 + 1, 2**63 - 1, 2**63 - 2, -(2**63), -(2**63) + 1),
        *(2**63, -(2**63) - 1, 2**64, 10**30, True, 1.0, 1.5, "7", " 8 ", "٣", "1_0", "1e2", "x", "", float("nan")),
        float("inf"),
    ),
    "auto": (0, -1, 5, 2**31, 2**53 + 1, 2**62, 2**62 + 1, -(2**63), 2**63, "9", "x"),
    "float": (
        *(0.0, -0.0, 1.0, 1, 0.1, 0.1 + 0.2, 1e22, 1e300, -1e300, 5e-324, 2.0**53, 2.0**53 + 2, 2.0**63, -(2.0**63)),
        *(float("inf"), float("-inf"), float("nan"), 2**63, "1.5", "x"),
    ),
    "decimal": tuple(
        Decimal(text)
        for text in (
            *("0", "-0", "0.0000000001", "1", "1.0", "1.10", "-1.5", "12345678901234567890", "0.1"),
            *("9007199254740993", "1E+5", "1e400", "NaN", "Infinity", "sNaN"),
        )
    ),
    "date": (date.min, date.max, date(1970, 1, 1), date(2024, 2, 29), "2024-02-30", "2024-2-3", "20240203", "x", ""),
    "moment": (
        *(datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)),
        datetime(2024, 2, 29, 12, 0, 0, 1, tzinfo=UTC),
        *(datetime(2024, 2, 29, 12, tzinfo=timezone(timedelta(hours=5, minutes=45))), datetime(2024, 3, 10, 2, 30)),
        datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))),
        *(datetime(9999, 12, 31, 23, tzinfo=timezone(timedelta(hours=-12))), "2024-01-01T00:00:00Z", "x"),
    ),
    "span": (
        *(timedelta(0), timedelta(microseconds=1), timedelta(microseconds=-1), timedelta(days=106751990)),
        *(timedelta(days=106751991, hours=5), timedelta.max, timedelta.min, "x"),
    ),
    "uuid": (
        *(UUID(int=0), UUID(int=2**128 - 1), UUID(int=1), "00000000000000000000000000000002"),
        "{00000000-0000-0000-0000-000000000003}",
        *("urn:uuid:00000000-0000-0000-0000-000000000004", "ABCDEF00000000000000000000000000", "x", "", 7, 2**128),
    ),
    "binary": (b"", b"\0", b"a", b"A", b"\xff\xfe", b"../", b"x" * 200, bytes(range(256)), b"a" * 10_000),
}


def entries() -> Iterator[dict[str, Any]]:
    """Every key as an entry of the corpus."""
    for number, (group, text) in enumerate(texts()):
        yield {"id": f"text {group} {number}", "kind": "text", "value": text}
    for kind, values in VALUES.items():
        for number, value in enumerate(values):
            yield {"id": f"{kind} {number}", "kind": kind, "value": write(value)}
    for number, pair in enumerate(pairs()):
        yield {"id": f"pair {number}", "kind": "pair", "value": write(pair)}
