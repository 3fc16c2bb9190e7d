"""Log records have fields beside their message, and the formatter that shows them."""

from __future__ import annotations

import ast
import json
import logging
import logging.config
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from django_smarterbase import logs
from django_smarterbase.indexes.answers import FallbackReason, IndexUntrusted
from django_smarterbase.indexes.health import TrustLog
from django_smarterbase.logs import KeyValueFormatter

PACKAGE = Path(logs.__file__).parent
REFERENCE = PACKAGE.parent / "docs" / "reference" / "logging.md"
LOGGERS = {f"django_smarterbase.{name}" for name in ("index", "storage", "query")}
LEVELS = {"debug", "info", "warning", "error", "exception", "log"}
_ROW = re.compile(r"^\| `(\w+)` \| ([A-Z, ]+) \|", re.MULTILINE)


def calls() -> Iterator[tuple[Path, ast.Call]]:
    """Every call of a logger in the package."""
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and re.fullmatch(rf"\w*logger\.({'|'.join(LEVELS)})", ast.unparse(node.func)):
                yield path, node


def events() -> set[str]:
    """The events that the package's sources name."""
    sources = "".join(path.read_text() for path in PACKAGE.rglob("*.py"))
    literal = re.findall(r'"event": "(\w+)"(?: if \w+ else "(\w+)")?', sources)
    made = re.findall(r'log_fields\(\s*"(\w+)"', sources)
    return {event for pair in literal for event in pair if event} | set(made)


def record(message: str = "Said.", **fields: Any) -> logging.LogRecord:
    return logging.makeLogRecord({"msg": message, "levelname": "INFO", "name": "shop", **fields})


def test_loggers_are_the_three_that_are_documented() -> None:
    names = {name for path in PACKAGE.rglob("*.py") for name in re.findall(r'getLogger\("(.+?)"\)', path.read_text())}
    assert names == LOGGERS | {"django.dispatch"}
    assert set(re.findall(r"^### (\S+)", REFERENCE.read_text(), re.MULTILINE)) == LOGGERS


def test_every_record_has_fields() -> None:
    without = [
        f"{path.relative_to(PACKAGE)}:{call.lineno}"
        for path, call in calls()
        if "extra" not in {keyword.arg for keyword in call.keywords} and path.name != "signals.py"
    ]
    assert without == []


def test_logging_page_lists_just_the_events_that_there_are() -> None:
    assert {event for event, _levels in _ROW.findall(REFERENCE.read_text())} == events()


def test_logging_page_names_every_field_of_a_statement(make_profile: Any) -> None:
    from django_smarterbase.profiling.fields import flat_fields

    page = REFERENCE.read_text()
    assert [name for name in flat_fields(make_profile()) if f"`{name}`" not in page] == []


def test_trust_is_logged_with_fields_that_json_can_hold(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "django_smarterbase.index")
    trust = TrustLog("default")
    trust.lost("books", IndexUntrusted(FallbackReason.FLUSHED, "no marker"))
    trust.kept("books")
    lost, again = ({name: value for name, value in vars(each).items() if name in FIELDS} for each in caplog.records)
    assert json.loads(json.dumps(lost)) == {
        "event": "index_untrusted",
        "database": "default",
        "table": "books",
        "reason": "Redis lost the index",
        "detail": "no marker",
    }
    assert again == {"event": "index_trusted", "database": "default", "table": "books"}


FIELDS = ("event", "database", "table", "reason", "detail")


def test_formatter_appends_the_fields_in_their_order() -> None:
    shown = KeyValueFormatter("{levelname} {message}", style="{").format(
        record(event="query", database="default", duration_ms=1.25, fallback=False, result_count=0)
    )
    assert shown == "INFO Said. event=query database=default duration_ms=1.25 fallback=false result_count=0"


def test_formatter_leaves_out_what_says_nothing() -> None:
    assert KeyValueFormatter().format(record(event="query", model=None, filter_fields="")) == "Said. event=query"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("Redis lost the index", '"Redis lost the index"'),
        ('a "quoted" word', r'"a \"quoted\" word"'),
        ("line\nevent=forged", r'"line\nevent=forged"'),
        ("a=b", '"a=b"'),
        ("größer", "größer"),
        ("größer als", '"größer als"'),
        (["a", 1], '["a", 1]'),
        (Path("x"), '"x"'),
    ],
)
def test_formatter_quotes_what_could_be_taken_for_something_else(value: object, shown: str) -> None:
    assert KeyValueFormatter().format(record(detail=value)) == f"Said. detail={shown}"


def test_formatter_puts_the_traceback_after_the_fields() -> None:
    try:
        raise ValueError("no room")
    except ValueError as error:
        caught = (type(error), error, error.__traceback__)
    first, *rest = KeyValueFormatter().format(record(event="sink_failed", exc_info=caught)).splitlines()
    assert first == "Said. event=sink_failed"
    assert rest[-1] == "ValueError: no room"


def test_example_setting_shows_what_the_page_says(capsys: pytest.CaptureFixture[str]) -> None:
    namespace: dict[str, Any] = {}
    page = REFERENCE.read_text()
    exec(re.findall(r"```python\n(.+?)```", page, re.DOTALL)[0], namespace)
    (line,) = re.findall(r"```\n(2026.+?)\n```", page, re.DOTALL)
    before = logging.getLogger("django_smarterbase")
    handlers, level, propagate = before.handlers[:], before.level, before.propagate
    query_level = logging.getLogger("django_smarterbase.query").level
    try:
        logging.config.dictConfig(namespace["LOGGING"] | {"incremental": False})
        TrustLog("default").lost("books_book", IndexUntrusted(FallbackReason.FLUSHED))
    finally:
        before.handlers[:], before.propagate = handlers, propagate
        before.setLevel(level)
        logging.getLogger("django_smarterbase.query").setLevel(query_level)
    shown = capsys.readouterr().err
    assert shown.partition(" WARNING ")[2] == line.partition(" WARNING ")[2] + "\n"
