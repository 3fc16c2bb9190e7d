"""A call in a thread of its own while the next one is prepared."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextvars import ContextVar
from functools import partial

import pytest

from django_smarterbase.indexes.ahead import Ahead

DEADLINE = 30  # seconds


def fail() -> None:
    raise ValueError("from the thread")


def run(*calls: Callable[[], object], error: Exception | None = None) -> None:
    """A block that gives these calls, and then raises ``error`` if there is one."""
    with Ahead() as ahead:
        for call in calls:
            ahead.run(call)
        if error is not None:
            raise error


def test_call_runs_while_its_caller_goes_on() -> None:
    going_on, seen = threading.Event(), []

    def call() -> None:
        seen.append(going_on.wait(DEADLINE))

    with Ahead() as ahead:
        ahead.run(call)
        going_on.set()
    assert seen == [True]


def test_calls_run_one_after_the_other_in_their_order() -> None:
    seen: list[int] = []
    with Ahead() as ahead:
        for number in range(50):
            ahead.run(partial(seen.append, number))
            assert len(seen) >= number
    assert seen == list(range(50))


def test_error_is_raised_by_the_next_call() -> None:
    seen: list[int] = []
    with pytest.raises(ValueError, match="from the thread"):
        run(fail, partial(seen.append, 1))
    assert seen == []


def test_error_of_the_last_call_is_raised_at_the_end() -> None:
    with pytest.raises(ValueError, match="from the thread"):
        run(fail)


def test_error_of_the_block_goes_before_that_of_a_call() -> None:
    with pytest.raises(KeyError):
        run(fail, error=KeyError())


def test_block_that_fails_waits_for_the_call_under_way() -> None:
    seen: list[str] = []

    def call() -> None:
        time.sleep(0.1)
        seen.append("ended")

    with pytest.raises(KeyError):
        run(call, error=KeyError())
    assert seen == ["ended"]


def test_call_sees_the_context_variables_of_its_caller() -> None:
    variable: ContextVar[str] = ContextVar("variable", default="nothing")
    seen: list[str] = []
    token = variable.set("something")
    try:
        with Ahead() as ahead:
            ahead.run(lambda: seen.append(variable.get()))
    finally:
        variable.reset(token)
    assert seen == ["something"]
