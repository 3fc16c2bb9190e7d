"""The breaker: five failures, thirty seconds, one probe."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

import pytest

from django_smarterbase.indexes.breaker import FAILURES, REST, Breaker
from django_smarterbase.signals import breaker_changed
from tests.conftest import Told


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def opened(clock: Clock) -> Breaker:
    breaker = Breaker("cache", clock)
    for _ in range(FAILURES):
        assert breaker.admits()
        breaker.failed("down")
    return breaker


def test_breaker_admits_until_the_fifth_failure_in_a_row(clock: Clock) -> None:
    breaker = Breaker("cache", clock)
    for _ in range(FAILURES - 1):
        breaker.failed("down")
    assert breaker.admits()
    breaker.succeeded()
    for _ in range(FAILURES - 1):
        breaker.failed("down")
    assert breaker.admits()
    breaker.failed("down")
    assert not breaker.admits()


def test_breaker_lets_one_probe_through_when_it_has_rested(clock: Clock) -> None:
    breaker = opened(clock)
    clock.now = REST - 0.1
    assert not breaker.admits()
    clock.now = REST
    assert breaker.admits()
    assert not breaker.admits(), "a second request while the probe is under way"


def test_breaker_closes_when_the_probe_succeeds_and_rests_again_when_it_fails(clock: Clock) -> None:
    breaker = opened(clock)
    clock.now = REST
    assert breaker.admits()
    breaker.failed("still down")
    assert not breaker.admits()
    clock.now = 2 * REST
    assert breaker.admits()
    breaker.succeeded()
    assert breaker.admits()
    assert breaker.admits()


def test_breaker_admits_another_probe_when_one_ended_without_an_answer(clock: Clock) -> None:
    breaker = opened(clock)
    clock.now = REST
    assert breaker.admits()
    breaker.gave_up()
    assert breaker.admits()


def test_breaker_warns_once_an_outage_and_tells_its_end(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "django_smarterbase.index")
    breaker = opened(clock)
    breaker.succeeded()
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert "down" in caplog.records[0].message
    assert "5 failed requests" in caplog.records[1].message


def states(told: Told) -> list[str]:
    return [arguments["state"] for arguments in told.arguments("breaker_changed")]


def test_breaker_tells_each_change_of_its_state_once(clock: Clock, told: Told) -> None:
    breaker = opened(clock)
    assert states(told) == ["open"]
    breaker.failed("a request that was under way")
    assert not breaker.admits()
    assert states(told) == ["open"]
    clock.now = REST
    breaker.admits()
    breaker.failed("still down")
    assert states(told) == ["open", "half-open", "open"]
    clock.now = 2 * REST
    breaker.admits()
    breaker.gave_up()
    breaker.admits()
    breaker.succeeded()
    breaker.succeeded()
    assert states(told) == ["open", "half-open", "open", "half-open", "open", "half-open", "closed"]
    assert {arguments["cache"] for arguments in told.arguments("breaker_changed")} == {"cache"}


def test_breaker_tells_that_it_was_reset(clock: Clock, told: Told) -> None:
    opened(clock).reset()
    assert states(told) == ["open", "closed"]


def test_breaker_that_never_opened_tells_nothing(clock: Clock, told: Told) -> None:
    breaker = Breaker("cache", clock)
    breaker.failed("down")
    breaker.succeeded()
    breaker.gave_up()
    breaker.reset()
    assert told == []


def test_breaker_is_not_locked_while_it_tells(clock: Clock) -> None:
    asked = []

    def receiver(**arguments: object) -> None:
        asked.append(breaker.admits())

    breaker = Breaker("cache", clock)
    breaker_changed.connect(receiver)
    try:
        for _ in range(FAILURES):
            breaker.failed("down")
    finally:
        breaker_changed.disconnect(receiver)
    assert asked == [False]


def test_breaker_tells_since_when_redis_fails_until_it_answers(clock: Clock) -> None:
    breaker, before = Breaker("cache", clock), datetime.now(UTC)
    assert breaker.failing_since is None
    breaker.failed("down")
    since = breaker.failing_since
    assert since is not None
    assert before <= since <= datetime.now(UTC)
    for _ in range(FAILURES):
        breaker.failed("down")
    assert breaker.failing_since == since
    breaker.reset()
    assert breaker.failing_since == since
    assert breaker.answering_since is None
    breaker.succeeded()
    assert breaker.failing_since is None


def test_breaker_tells_since_when_redis_answers_until_it_fails(clock: Clock) -> None:
    breaker, before = Breaker("cache", clock), datetime.now(UTC)
    assert breaker.answering_since is None
    breaker.succeeded()
    since = breaker.answering_since
    assert since is not None
    assert before <= since <= datetime.now(UTC)
    breaker.succeeded()
    assert breaker.answering_since == since
    breaker.failed("down")
    assert breaker.answering_since is None
