"""Damaged system objects: the manifest, schema steps, sequences, claims, intents and leases.

An entry has the ``target`` (a kind of system object), the ``body``, and whether it ``refuses`` to serve: what needs
such an object then raises CorruptDocument, where it is not simply ignored.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from .written import joined, times, write

Bodies = Iterator[tuple[str, Any, bool]]
BEASTS, CAGES = "bestiary_beast", "bestiary_cage"


def _no_objects() -> Iterator[tuple[str, Any]]:
    yield from (
        *(("empty", ""), ("brace", "{"), ("blank", " "), ("text", "lynx"), ("NaN", "NaN")),
        ("NUL bytes", times(b"\0", 10)),
    )
    yield from (
        *(("null", "null"), ("list", "[]"), ("number", "5"), ("quoted text", '"last version steps tables writes"')),
        ("true", "true"),
    )
    yield "byte order mark", write(b"\xef\xbb\xbf{}")
    yield "utf-16", write("{}".encode("utf-16"))
    yield "not UTF-8", write(b'{"a": "\xff"}')
    yield "deep list", joined(times("[", 2000), times("]", 2000))
    yield "a million bytes", times("x", 1_000_000)


def _changed(sound: dict[str, Any], changes: dict[str, tuple[Any, ...]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """A sound object with one attribute changed or left out (``...``) at a time."""
    for name, values in changes.items():
        for value in values:
            whole = {**sound, name: value}
            yield f"{name} {value!r:.30}", {each: found for each, found in whole.items() if found is not ...}


def _json(body: Any) -> str:
    return json.dumps(body)


_TEXTS = (5, True, [], {}, ["x"])


def _manifest() -> Bodies:
    sound = {"state": "ready", "epoch": "0123456789abcdef", "building": None, "version": 7, "definition": "0" * 16}
    yield "{}", "{}", True
    for tables in (None, 5, "x", [], [["a", 1]], True):
        yield f"tables {tables!r}", _json({"tables": tables}), True
    for entry in (None, 5, "x", [], True, {}):
        yield f"entry {entry!r}", _json({"tables": {BEASTS: entry}}), True
    wrong = {
        "state": ("READY", "", None, 1, [], {}, ...),
        "epoch": (*_TEXTS, ...),
        "building": (*_TEXTS, ...),
        "version": ("7", "x", 1.5, None, True, [], -1, 2**62, 2**63, 2**64 - 1, 2**70, ...),
        "definition": (None, *_TEXTS, ...),
    }
    for what, entry in _changed(sound, wrong):
        yield what, _json({"tables": {BEASTS: entry}}), True
    odd = {
        "epoch": (" a\nb\0", "x" * 100_000),
        "building": ("a b",),
        "version": (2**62 - 100,),
    }
    for what, entry in _changed(sound, odd):
        yield what, _json({"tables": {BEASTS: entry}}), False
    yield "other tables", _json({"tables": {"": sound, "\0": sound, "../x": sound}}), False


def _schema() -> Bodies:
    yield "{}", "{}", True
    for name, values in {
        "version": (None, "x", "2", 1.5, True, [], 0, -1, 2**63, 2**70, ...),
        "steps": (None, 5, "x", {}, {"a": 1}, [5], ["x"], [None], [[]], [{}], ...),
    }.items():
        for what, body in _changed({"version": 2, "steps": []}, {name: values}):
            yield what, _json(body), True
    step = {"version": 2, "change": "add", "column": "wings", "value": {"$integer": 2}}
    wrong = {
        "version": ("2", None, 1.5, True, [], 3, 0, 1, -1, ...),
        "change": ("grow", None, 5, [], ...),
        "column": (None, 5, [], {}, ...),
        "value": (5, "x", [], {}, {"$integer": "x"}, {"$text": 5}, {"$nope": 1}),
        "to": (5, [], {}),
        "kind": ("no kind", 5, []),
        "affinity": ("no affinity", 5, []),
        "more": (1,),
    }
    for what, each in _changed(step, wrong):
        yield f"step with {what}", _json({"version": 2, "steps": [each]}), True
    for what, each in (
        ("rename to nothing", {"version": 2, "change": "rename", "column": "paws"}),
        ("retype to nothing", {"version": 2, "change": "retype", "column": "legs"}),
        ("retype without affinity", {"version": 2, "change": "retype", "column": "legs", "kind": "plain"}),
    ):
        yield what, _json({"version": 2, "steps": [each]}), True
    yield (
        "steps that go back",
        _json({"version": 3, "steps": [{**step, "version": 3}, {**step, "version": 2, "column": "x"}]}),
        True,
    )
    yield "no steps", _json({"version": 1, "steps": []}), False
    yield "a column that nobody has", _json({"version": 2, "steps": [step]}), False
    yield "more", _json({"version": 1, "steps": [], "more": 1}), False


def _sequence() -> Bodies:
    yield "{}", "{}", True
    for value in (None, "5", "x", 1.5, 1e30, True, [], {}, 2**63, 2**64, -1, -(2**63)):
        yield f"last {value!r}", _json({"last": value}), True
    yield "no last", _json({"LAST": 1}), True
    for value in (0, 1, 2**62, 2**62 + 1):
        yield f"last {value!r}", _json({"last": value}), False
    yield "more", _json({"last": 7, "more": 1}), False


def _claim() -> Bodies:
    yield "{}", "{}", True
    for value in (None, 5, True, [], {}, "", "/", "../../x", "a/b", "a b", "\0", "é", "x" * 300, "=h", "%", "%2e"):
        yield f"stem {value!r:.20}", _json({"table": BEASTS, "stem": value}), True
    yield "no stem", _json({"table": BEASTS}), True
    for value in ("tiger", "nobody", "a.json"):
        yield f"stem {value!r:.20}", _json({"table": BEASTS, "stem": value}), False


def _intent() -> Bodies:
    sound = {
        "table": BEASTS,
        "stem": "lion",
        "key": "zoo/bestiary_beast/lion.json",
        "base": None,
        "body": None,
        "undo": None,
        "takes": [],
        "frees": [],
    }
    whole = {"id": "@", "_rev": "0", "writes": [sound]}
    yield "{}", "{}", True
    for what, body in _changed(
        whole,
        {
            "id": (None, 5, [], "", "other", "../x", ...),
            "writes": (None, 5, "x", {}, [5], ["x"], [None], [{}], [[]], ...),
        },
    ):
        yield what, _json(body), True
    wrong = {
        "table": (None, 5, [], ...),
        "stem": (None, 5, [], "", "../x", "tiger", ...),
        "key": (
            *(None, 5, [], "", "..", "../x", "/etc/passwd", "zoo/bestiary_beast/tiger.json"),
            *("other/bestiary_beast/lion.json", "zoo/bestiary_cage/1.json", "lion", ...),
        ),
        "base": (5, [], True, ...),
        "body": (5, [], {}, True, "", "x", "{}", "[]", ...),
        "undo": (5, [], {}, True, "", "x", "{}", ...),
        "takes": (None, 5, "tag/x", {}, [5], [None], [[]], ...),
        "frees": (None, 5, "tag/x", {}, [5], [None], [[]], ...),
    }
    for what, each in _changed(sound, wrong):
        yield f"write with {what}", _json({**whole, "writes": [each]}), True
    for key in ("other/x/1.json", "_sb/locks/00", "zoo/bestiary_cage/1.json", "../x", "zoo"):
        each = {**sound, "table": "", "stem": "", "key": key, "body": "{}"}
        yield f"write of no table to {key}", _json({**whole, "writes": [each]}), True


def _lease() -> Bodies:
    sound = {"owner": "x", "expires_at": "2024-01-01T00:00:00+00:00", "seconds": 1, "_rev": "0"}
    wrong = {
        "owner": (None, 5),
        "expires_at": (None, 5, "x", ...),
        "seconds": (None, "x", "nan", "inf", -1, 1e300, [], True, ...),
    }
    for what, body in _changed(sound, wrong):
        yield what, _json(body), False


def entries() -> Iterator[dict[str, Any]]:
    """Every system object as an entry of the corpus."""
    sources = {
        "manifest": _manifest,
        "schema": _schema,
        "sequence": _sequence,
        "claim": _claim,
        "intent": _intent,
        "lease": _lease,
    }
    for target, source in sources.items():
        for what, body in _no_objects():
            yield {"id": f"{target}: {what}", "target": target, "body": body, "refuses": target != "lease"}
        for what, body, refuses in source():
            yield {"id": f"{target}: {what}", "target": target, "body": body, "refuses": refuses}
