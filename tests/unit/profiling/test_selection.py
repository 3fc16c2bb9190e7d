"""Which profiles a selection takes."""

import pytest

from django_smarterbase.profiling import Selection


@pytest.mark.parametrize(
    ("selection", "taken"),
    [
        (Selection(), ["plain", "slow", "fallback", "scan", "failed"]),
        (Selection(method="SLOW"), ["slow"]),
        (Selection(model="ARTICLES.author"), ["scan"]),
        (Selection(slow_ms=100), ["slow"]),
        (Selection(slow_ms=0), ["plain", "slow", "fallback", "scan", "failed"]),
        (Selection(fallbacks=True), ["fallback"]),
        (Selection(full_scans=True), ["fallback", "scan"]),
        (Selection(failed=True), ["failed"]),
        (Selection(full_scans=True, model="articles.Article"), ["fallback"]),
        (Selection(model="articles"), []),
    ],
)
def test_selection_takes_profiles_that_have_all_of_its_properties(make_profile, selection, taken):
    profiles = [
        make_profile(method="plain"),
        make_profile(method="slow", duration=100.0),
        make_profile(method="fallback", fallback=True, complexity="O(n)"),
        make_profile(method="scan", complexity="O(n)", model="articles.Author"),
        make_profile(method="failed", error="CorruptDocument", model=None),
    ]

    assert [profile.method for profile in profiles if selection.takes(profile)] == taken
