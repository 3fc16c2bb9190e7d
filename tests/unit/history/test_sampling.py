"""Ordinary profiles are sampled; what somebody will look for is not."""

import random

import pytest

from django_smarterbase.conf import Options
from django_smarterbase.history.sampling import weight_of


@pytest.fixture(autouse=True)
def same_chance():
    """The same numbers in each run; the state is put back."""
    before = random.getstate()
    random.seed(4)
    yield
    random.setstate(before)


def test_everything_is_kept_and_stands_for_itself_by_default(make_profile):
    assert {weight_of(make_profile(), Options()) for _ in range(100)} == {1.0}


def test_ordinary_profile_is_kept_as_often_as_asked_and_stands_for_the_others_too(make_profile):
    weights = [weight_of(make_profile(), Options(profile_sampling=0.25)) for _ in range(4000)]
    kept = [weight for weight in weights if weight is not None]

    assert set(kept) == {4.0}
    assert sum(kept) == pytest.approx(4000, rel=0.1)


@pytest.mark.parametrize("sampling", [0, 0.001])
@pytest.mark.parametrize(
    "facts",
    [
        {"duration": 50.0},
        {"fallback": True},
        {"complexity": "O(n)"},
        {"error": "CorruptDocument"},
    ],
    ids=["slow", "fallback", "full-scan", "failed"],
)
def test_profile_out_of_the_ordinary_is_never_sampled_away(make_profile, facts, sampling):
    options = Options(profile_sampling=sampling, slow_ms=50)

    assert {weight_of(make_profile(**facts), options) for _ in range(500)} == {1.0}


def test_no_ordinary_profile_is_kept_when_the_share_is_nought(make_profile):
    options = Options(profile_sampling=0, slow_ms=50)

    assert {weight_of(make_profile(duration=49.9), options) for _ in range(100)} == {None}
