"""How signals are sent: to whom, at what cost, and what becomes of those who fail."""

from __future__ import annotations

import ast
import asyncio
import logging
from collections import defaultdict
from pathlib import Path

import pytest
from django.dispatch import Signal

from django_smarterbase import signals
from django_smarterbase.signals import send

PACKAGE = Path(signals.__file__).parent
SIGNALS = {name for name, value in vars(signals).items() if isinstance(value, Signal)}


class Sender:
    """Stands for a class of the package."""


def sent() -> dict[str, set[frozenset[str]]]:
    """``{signal: {argument names of a place that sends it}}``, read from the source."""
    found = defaultdict(set)
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "send":
                found[ast.unparse(node.args[0])].add(frozenset(keyword.arg or "**" for keyword in node.keywords))
    return dict(found)


def test_receivers_get_the_sender_and_the_arguments() -> None:
    signal, got = Signal(), []
    signal.connect(receiver := lambda sender, **arguments: got.append((sender, arguments)))
    send(signal, Sender, table="books", documents=3)
    assert got == [(Sender, {"signal": signal, "table": "books", "documents": 3})]
    signal.disconnect(receiver)


def test_nothing_is_sent_when_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[object] = []
    monkeypatch.setattr(Signal, "send_robust", lambda *args, **kwargs: calls.append(args))
    send(Signal(), Sender, table="books")
    assert calls == []


def test_receiver_that_fails_is_logged_and_the_next_one_is_told(caplog: pytest.LogCaptureFixture) -> None:
    signal, got = Signal(), []

    def faulty(**arguments: object) -> None:
        raise ValueError("no room")

    def sound(**arguments: object) -> None:
        got.append(arguments["table"])

    signal.connect(faulty)
    signal.connect(sound)
    send(signal, Sender, table="books")
    assert got == ["books"]
    assert [(record.name, record.levelname) for record in caplog.records] == [("django.dispatch", "ERROR")]
    assert "faulty" in caplog.text


def test_asynchronous_receiver_is_told_from_a_thread_without_a_loop() -> None:
    signal, got = Signal(), []

    async def receiver(**arguments: object) -> None:
        got.append(arguments["table"])

    signal.connect(receiver)
    send(signal, Sender, table="books")
    assert got == ["books"]


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
def test_nothing_is_raised_where_an_asynchronous_receiver_cannot_be_called(caplog: pytest.LogCaptureFixture) -> None:
    signal = Signal()

    async def receiver(**arguments: object) -> None:
        """Never gets there."""

    async def statement() -> str:
        send(signal, Sender, table="books")
        return "done"

    signal.connect(receiver)
    with caplog.at_level(logging.ERROR, "django.dispatch"):
        assert asyncio.run(statement()) == "done"
    assert "A signal of Sender could not be sent" in caplog.text


def test_every_signal_is_sent_with_the_same_arguments_everywhere() -> None:
    places = sent()
    assert set(places) == SIGNALS
    assert {name: len(shapes) for name, shapes in places.items() if len(shapes) > 1} == {}
    assert "**" not in set().union(*(shape for shapes in places.values() for shape in shapes))
