"""Damaged, odd and merely unusual documents of the table of beasts (``bestiary.models.Beast``).

An entry has the ``stem`` that its object's key names, the ``body``, and what is to come of it: ``problem`` is a part of
the message of CorruptDocument, or None for a document that is read; ``reads`` are the columns in which it then differs
from ``SOUND``, and ``keeps`` the text of an attribute that must stand in the object when it has been written again.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from typing import Any

from .written import joined, times, write

#: A document as the engine writes it, its primary key apart.
SOUND: dict[str, Any] = {
    "kind": "lynx",
    "tag": None,
    "legs": 4,
    "weight": 1.5,
    "price": "9.99",
    "tame": True,
    "born": "2020-02-29",
    "fed": "2024-01-01T00:00:00.000001Z",
    "wakes": "06:00:00.000000",
    "sleeps": "P0DT08H00M00S",
    "chip": "a5a5a5a5-0000-0000-0000-000000000000",
    "voice": "AA==",
    "traits": {"a": [1]},
    "_v": 1,
    "_rev": "0",
}
_NULLABLE = tuple(name for name, value in SOUND.items() if not name.startswith("_") and name != "kind")


def text_of(stem: str, **changes: Any) -> str:
    """A document with changes; an attribute that is given as ``...`` is left out."""
    whole = {"name": stem, **SOUND, **changes}
    return json.dumps({name: value for name, value in whole.items() if value is not ...})


def spliced(stem: str, attribute: str, text: Any) -> dict[str, Any]:
    """A document whose ``attribute`` is written as ``text`` (a written form), whatever JSON says of it."""
    before, after = text_of(stem, **{attribute: "@@"}).split('"@@"')
    return joined(before, text, after)


def _no_documents(stem: str) -> Iterator[tuple[str, Any, str]]:
    """Bodies that are no JSON object in UTF-8."""
    sound = text_of(stem)
    yield from (("empty", "", "not JSON"), ("blank", " \n", "not JSON"), ("NUL bytes", times(b"\0", 100), "not JSON"))
    for cut in (1, 2, 9, 40, len(sound) // 2, len(sound) - 1):
        yield f"truncated after {cut} bytes", sound[:cut], "not JSON"
    yield "byte order mark", write(b"\xef\xbb\xbf" + sound.encode()), "not JSON"
    for encoding in ("utf-16", "utf-16-le", "utf-16-be", "utf-32"):
        yield encoding, write(sound.encode(encoding)), "not JSON"
    yield "latin-1", write(text_of(stem, kind="@").encode().replace(b"@", b"\xe9")), "not JSON"
    yield "overlong UTF-8", write(text_of(stem, kind="@").encode().replace(b"@", b"\xc0\xaf")), "not JSON"
    yield "surrogate in UTF-8", write(text_of(stem, kind="@").encode().replace(b"@", b"\xed\xa0\x80")), "not JSON"
    yield "surrogate escape", text_of(stem, kind="\ud800"), "not JSON"
    yield "reversed surrogates", sound.replace('"lynx"', '"\\udc00\\ud800"'), "not JSON"
    yield "gzip", write(gzip.compress(sound.encode(), mtime=0)), "not JSON"
    yield "picture", write(b"\x89PNG\r\n\x1a\n" + b"\0" * 50), "not JSON"
    yield "trailing comma", sound[:-1] + ",}", "not JSON"
    yield "trailing text", sound + "x", "not JSON"
    yield "two documents", sound + "\n" + sound, "not JSON"
    yield "comment", "// a beast\n" + sound, "not JSON"
    yield "single quotes", sound.replace('"', "'"), "not JSON"
    yield "raw control character", sound.replace("lynx", "ly\nnx"), "not JSON"
    yield "deep list", joined(times("[", 2000), times("]", 2000)), "not JSON"
    yield "deep list of ten million", times("[", 10_000_000), "not JSON"
    for name, text in (
        *(("null", "null"), ("list", "[]"), ("text", '"lynx"'), ("number", "5"), ("false", "false")),
        ("documents", f"[{sound}]"),
    ):
        yield f"JSON {name}", text, "not an object"
    for text in (
        *("NaN", "Infinity", "-Infinity", "1e400", "-1e999", "0x10", "01", "+1", ".5", "1.", "\u0661", "True", "None"),
        "undefined",
    ):
        yield f"weight {text}", spliced(stem, "weight", text), "not JSON"


_TAGS = (
    {"$text": 1},
    {"$text": None},
    {"$integer": "1"},
    {"$integer": 2**63},
    {"$real": "nan"},
    {"$blob": "%"},
    {"$nope": 1},
    {"$text": "x", "a": 1},
)
_WRONG: dict[str, tuple[Any, ...]] = {
    "kind": (5, 1.5, True, [], {}, ["lynx"], *_TAGS),
    "tag": (5, False, [], {}),
    "legs": ("4", "x", 4.0, 4.5, True, [], {}, 2**63, 2**64, -(2**63) - 1, 10**30, 1e30),
    "weight": ("1.5", "nan", True, [], {}),
    "price": (9.99, 9, True, "x", "", "NaN", "sNaN", "Infinity", "-Infinity", "1e999999999", "1e400", [], {}),
    "tame": (0, 1, 2, "true", "", [], {}),
    "born": ("2020-02-30", "0000-01-01", "10000-01-01", "yesterday", "", 20200229, True, [], {}),
    "fed": (
        *("2024-13-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", "now", "", 1704067200),
        *([], {}),
    ),
    "wakes": ("25:00", "6", "", 6, [], {}),
    "sleeps": (
        *("eight hours", "", 8, 8.5, "P999999999D", "P106751992DT00H00M00S", "-P106751992D"),
        *("P99999999DT99H99M99S", "P1Y", [], {}),
    ),
    "chip": ("x", "", "a5", "a5a5a5a5-0000-0000-0000-00000000000g", 5, True, [], {}),
    "voice": ("%", "é", "A", "AA=", 0, True, [], {}, "\0"),
}  # fmt: skip
_V = ("2", 1.5, None, True, [], {}, "", 2**64, 1e3)


def _wrong_types(stem: str) -> Iterator[tuple[str, Any, str]]:
    """Attributes whose values are not in their column's form."""
    for attribute, values in _WRONG.items():
        for value in values:
            if attribute == "sleeps" and value == "P99999999DT99H99M99S":
                continue
            yield f"{attribute} {value!r:.30}", text_of(stem, **{attribute: value}), f"attribute '{attribute}'"
    yield "kind null", text_of(stem, kind=None), "kind"
    yield "kind left out", text_of(stem, kind=...), "no attribute 'kind'"
    yield "name left out", text_of(stem, name=...), "no attribute 'name'"
    yield "nothing at all", "{}", "no attribute 'name'"
    for value in _V:
        yield f"_v {value!r}", text_of(stem, _v=value), "its _v is"


def _wrong_keys(stem: str) -> Iterator[tuple[str, Any, str]]:
    """Primary keys that are not those of the objects' keys."""
    for name in (
        *(stem + "x", stem.upper(), stem + " ", " " + stem, f"../{stem}", "", f"{stem}.json", stem + "\0"),
        "x" * 1000,
    ):
        yield f"name {name!r:.30}", text_of(stem, name=name), "primary key"
    yield "name null", text_of(stem, name=None), ""
    yield "name 5", text_of(stem, name=5), "attribute 'name'"
    yield "name in a list", text_of(stem, name=[stem]), "attribute 'name'"
    yield "name tagged otherwise", text_of(stem, name={"$text": "other"}), "primary key"
    yield "name twice", text_of(stem)[:-1] + ', "name": "other"}', "primary key"


def _deep(stem: str) -> Iterator[tuple[str, Any, str]]:
    """Nested deeper than can be written, or read."""
    for depth in (500, 1000, 1023, 1024, 5000):
        lists = joined(times("[", depth), times("]", depth))
        yield f"traits {depth} deep", spliced(stem, "traits", lists), ""
    for depth in (500, 1000, 1023, 5000):
        lists = joined(times("[", depth), times("]", depth))
        yield f"unknown attribute {depth} deep", spliced(stem, "lair", lists), ""


def corrupt(stem: str) -> Iterator[tuple[str, Any, str]]:
    """Everything that is corrupt: what it is, the body, a part of the message."""
    for source in (_no_documents, _wrong_types, _wrong_keys, _deep):
        yield from source(stem)


def sound(stem: str) -> Iterator[tuple[str, Any, dict[str, Any], str | None]]:
    """Everything that is read: what it is, the body, the columns that differ, and what is kept of it."""
    yield "as the engine writes it", text_of(stem), {}, None
    yield "indented", json.dumps(json.loads(text_of(stem)), indent=4), {}, None
    yield "in another order", json.dumps(dict(reversed(json.loads(text_of(stem)).items()))), {}, None
    for attribute in _NULLABLE:
        yield f"{attribute} left out", text_of(stem, **{attribute: ...}), {attribute: None}, None
        yield f"{attribute} null", text_of(stem, **{attribute: None}), {attribute: None}, None
    yield "_v and _rev left out", text_of(stem, _v=..., _rev=...), {}, None
    for value in (0, -1, 2, 2**62, -(2**63), 2**64 - 1):
        yield f"_v {value}", text_of(stem, _v=value), {}, None
    for value in (None, 5, [], {"a": 1}, "x" * 1000, [[[]]]):
        yield f"_rev {value!r:.20}", text_of(stem, _rev=value), {}, None
    for value in (
        *(None, 5, {}, "tag/x", "../../x", [1, None, {}], ["tag/0"], ["../../../x/y"], ["", "/", "a/b/c", "\0"]),
        *(["x/" * 300], [["tag"]]),
    ):
        yield f"_claims {value!r:.30}", text_of(stem, _claims=value), {}, None
    for value in (None, 5, [], {}, "no such transaction", "../../x", "x" * 10_000):
        yield f"_txn {value!r:.30}", text_of(stem, _txn=value), {}, None
    yield from _unusual(stem)
    yield from _large(stem)
    yield from _unknown(stem)


def _unusual(stem: str) -> Iterator[tuple[str, Any, dict[str, Any], str | None]]:
    yield "kind twice", text_of(stem)[:-1] + ', "kind": "wolf"}', {"kind": "wolf"}, None
    escaped = "".join(f"\\u{ord(each):04x}" for each in stem)
    yield "name escaped", text_of(stem).replace(f'"{stem}"', f'"{escaped}"'), {}, None
    yield "legs tagged", text_of(stem, legs={"$integer": 8}), {"legs": 8}, None
    yield "legs many", text_of(stem, legs=2**63 - 1), {"legs": 2**63 - 1}, None
    yield "weight a whole number", text_of(stem, weight=2), {"weight": 2.0}, None
    yield "weight of many digits", spliced(stem, "weight", "0." + "1" * 400), {"weight": 0.1111111111111111}, None
    yield "weight beyond whole numbers", text_of(stem, weight=10**30), {"weight": 1e30}, None
    yield "weight too small", spliced(stem, "weight", "1e-999"), {"weight": 0.0}, None
    yield "weight infinite", text_of(stem, weight={"$real": "inf"}), {"weight": {"real": "inf"}}, None
    yield "price short", text_of(stem, price="1"), {"price": {"decimal": "1.00"}}, None
    yield "born as a basic date", text_of(stem, born="20200301"), {"born": {"date": "2020-03-01"}}, None
    yield (
        "fed elsewhere",
        text_of(stem, fed="2024-01-01T05:45:00+05:45"),
        {"fed": {"moment": "2024-01-01T00:00:00+00:00"}},
        None,
    )
    yield "sleeps for days", text_of(stem, sleeps="P1DT0H"), {"sleeps": {"span": [1, 0, 0]}}, None
    yield "chip without hyphens", text_of(stem, chip="a5" * 16), {"chip": {"uuid": "a5" * 16}}, None
    yield "chip in capitals", text_of(stem, chip="A5" * 16), {"chip": {"uuid": "a5" * 16}}, None
    yield "traits text", text_of(stem, traits="x"), {"traits": "x"}, None
    yield "traits false", text_of(stem, traits=False), {"traits": False}, None
    yield "traits tagged", text_of(stem, traits={"$text": "[2]"}), {"traits": {"list": [2]}}, None
    yield (
        "traits like a tag",
        text_of(stem, traits={"$text": "[2]", "x": 1}),
        {"traits": {"map": [["$text", "[2]"], ["x", 1]]}},
        None,
    )
    yield (
        "traits with a number twice",
        spliced(stem, "traits", '{"a": 1, "a": 2}'),
        {"traits": {"map": [["a", 2]]}},
        None,
    )
    yield (
        "traits with a great number",
        spliced(stem, "traits", "123456789012345678901234567890"),
        {"traits": 123456789012345678901234567890},
        None,
    )
    yield (
        "traits with great numbers",
        spliced(stem, "traits", "[18446744073709551616, 1e30, -9223372036854775809]"),
        {"traits": write([2**64, 1e30, -(2**63) - 1])},
        None,
    )
    for depth in (200, 253, 254, 255, 400, 499):
        lists = joined(times("[", depth), times("]", depth))
        yield (
            f"traits {depth} deep",
            spliced(stem, "traits", lists),
            {"traits": {"nested": [depth - 1, {"list": []}]}},
            None,
        )
    yield (
        "kind with everything",
        text_of(stem, kind='\0\x1f"\\/\u2028😀\uffff'),
        {"kind": '\0\x1f"\\/\u2028😀\uffff'},
        None,
    )


def _large(stem: str) -> Iterator[tuple[str, Any, dict[str, Any], str | None]]:
    million = times("x", 10_000_000)
    yield "kind of ten million", spliced(stem, "kind", joined('"', million, '"')), {"kind": million}, None
    yield "ten million blanks", joined(text_of(stem)[:-1], times(" ", 10_000_000), "}"), {}, None
    yield "unknown attribute of ten million", spliced(stem, "lair", joined('"', million, '"')), {}, None
    many = joined("[", times("1,", 30_000), "1]")
    yield "traits of many numbers", spliced(stem, "traits", many), {"traits": {"times": [{"list": [1]}, 30_001]}}, None
    attributes = ", ".join(f'"a{number}": {number}' for number in range(2000))
    yield "thousands of unknown attributes", text_of(stem)[:-1] + f", {attributes}}}", {}, '"a1999":1999'


def _unknown(stem: str) -> Iterator[tuple[str, Any, dict[str, Any], str | None]]:
    for text in (
        *("null", "true", "0", '""', "[]", "{}", '{"a":{"b":[1,2.5]}}', '{"$text":"x"}', '"\\u0000"'),
        "18446744073709551615",
        *("123456789012345678901234567890", "[18446744073709551616]", '{"a":-9223372036854775809}', "-0.0"),
    ):
        yield f"lair {text}", spliced(stem, "lair", text), {}, f'"lair":{text}'
    for name in ("", "$text", "Kind", "KIND", "__v", "__rev", "_", "_V", "name ", "rowid", "a" * 1000, "é", "\0"):
        yield (
            f"unknown attribute {name!r:.20}",
            text_of(stem, **{name: 1}),
            {},
            f"{json.dumps(name, ensure_ascii=name == chr(0))}:1",
        )
    for depth in (200, 253, 254, 255, 499):
        lists = "[" * depth + "]" * depth
        yield f"unknown attribute {depth} deep", spliced(stem, "lair", lists), {}, f'"lair":{lists}'


def entries() -> Iterator[dict[str, Any]]:
    """Every document as an entry of the corpus."""
    for number, (what, *_) in enumerate(corrupt("x")):
        _, body, problem = list(corrupt(f"c{number}"))[number]
        yield {"id": f"c{number} {what}", "stem": f"c{number}", "body": body, "problem": problem}
    for number, (what, *_) in enumerate(sound("x")):
        _, body, reads, keeps = list(sound(f"s{number}"))[number]
        reads = {name: value if isinstance(value, dict) else write(value) for name, value in reads.items()}
        entry = {"id": f"s{number} {what}", "stem": f"s{number}", "body": body, "problem": None}
        yield {**entry, "reads": reads, "keeps": keeps}
