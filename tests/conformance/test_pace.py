"""What is reckoned to be left of a run."""

from __future__ import annotations

from tests.conformance.pace import Pace


class Clock:
    """Goes when it is told to."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_left_is_what_was_known_when_nothing_is_over():
    assert Pace({"a": 10.0, "b": 30.0}).left == 40.0


def test_left_follows_the_present_speed_when_runs_take_longer_than_the_last_time():
    clock = Clock()
    pace = Pace({"a": 10.0, "b": 30.0}, clock)
    clock.now += 20
    pace.ended("a")
    assert pace.left == 60.0
    assert str(pace) == "1 min left"


def test_left_takes_a_run_to_be_an_average_one_when_it_is_new():
    assert Pace({"a": 10.0, "b": 30.0, "c": None}).left == 60.0
    assert str(Pace({"a": None})) == "1 s left"


def test_left_is_nothing_when_all_is_over():
    clock = Clock()
    pace = Pace({"a": 10.0}, clock)
    clock.now += 7
    pace.ended("a")
    assert str(pace) == "0 s left"
