"""What counts as lost."""

from __future__ import annotations

import pytest

from tests.conformance.comparison import compare
from tests.conformance.outcomes import AppRun, Outcome, TestOutcome

TEST = "app.tests.Case.test_it"


def app_run(outcome, subtests=0, skips=None, strays=(), test=TEST) -> AppRun:
    found = TestOutcome(outcome, "why", "trace", subtests)
    stray = TestOutcome(Outcome.ERROR, "why")
    reasons = {reason: frozenset(tests) for reason, tests in (skips or {}).items()}
    return AppRun("app", {test: found}, dict.fromkeys(strays, stray), reasons)


@pytest.mark.parametrize("outcome", [outcome for outcome in Outcome if outcome is not Outcome.PASSED])
def test_compare_counts_a_test_as_lost_when_only_stock_passes_it(outcome):
    comparison = compare(app_run(Outcome.PASSED), app_run(outcome))
    assert [(lost.test, lost.outcome, lost.detail) for lost in comparison.lost] == [(TEST, outcome, "why")]


@pytest.mark.parametrize("outcome", [outcome for outcome in Outcome if outcome is not Outcome.PASSED])
def test_compare_loses_nothing_when_stock_does_not_pass_either(outcome):
    assert compare(app_run(outcome), app_run(Outcome.FAILED)).lost == ()


@pytest.mark.parametrize("outcome", [outcome for outcome in Outcome if outcome is not Outcome.UNEXPECTED_SUCCESS])
def test_compare_counts_an_unexpected_success_as_lost_whatever_stock_does(outcome):
    comparison = compare(app_run(outcome), app_run(Outcome.UNEXPECTED_SUCCESS))
    assert [(lost.test, lost.outcome) for lost in comparison.lost] == [(TEST, Outcome.UNEXPECTED_SUCCESS)]


def test_compare_loses_nothing_when_both_pass():
    comparison = compare(app_run(Outcome.PASSED), app_run(Outcome.PASSED))
    assert (comparison.lost, comparison.accepted) == ((), {})


def test_compare_accepts_a_skip_when_the_engine_states_a_reason_of_its_own():
    comparison = compare(app_run(Outcome.PASSED), app_run(Outcome.SKIPPED, skips={"No such thing": [TEST]}))
    assert (comparison.lost, comparison.accepted) == ((), {"No such thing": [TEST]})


def test_compare_rejects_the_reason_when_the_test_failed_instead_of_being_skipped():
    assert len(compare(app_run(Outcome.PASSED), app_run(Outcome.FAILED, skips={"No such thing": [TEST]})).lost) == 1


def test_compare_rejects_the_reason_when_stock_states_it_too():
    stated = {"No such thing": [TEST]}
    assert len(compare(app_run(Outcome.PASSED, skips=stated), app_run(Outcome.SKIPPED, skips=stated)).lost) == 1


def test_compare_counts_a_test_as_lost_when_fewer_of_its_subtests_ran():
    comparison = compare(app_run(Outcome.PASSED, subtests=3), app_run(Outcome.PASSED, subtests=2))
    assert [lost.detail for lost in comparison.lost] == ["only 2 of 3 subtests ran"]


def test_compare_counts_a_partly_skipped_test_as_lost_when_more_subtests_are_skipped():
    assert compare(app_run(Outcome.SKIPPED, subtests=3), app_run(Outcome.SKIPPED, subtests=3)).lost == ()
    assert len(compare(app_run(Outcome.SKIPPED, subtests=3), app_run(Outcome.SKIPPED, subtests=2)).lost) == 1
    assert len(compare(app_run(Outcome.SKIPPED, subtests=3), app_run(Outcome.FAILED, subtests=3)).lost) == 1


def test_compare_counts_a_test_as_lost_when_the_engine_did_not_plan_it():
    comparison = compare(app_run(Outcome.PASSED), app_run(Outcome.PASSED, test="app.tests.Case.test_other"))
    assert [(lost.test, lost.outcome) for lost in comparison.lost] == [(TEST, Outcome.NOT_RUN)]


def test_compare_counts_a_failed_tear_down_of_a_class_as_lost_when_stock_has_none():
    stray = "tearDownClass (app.tests.Case)"
    failing = app_run(Outcome.PASSED, strays=[stray])
    assert [lost.test for lost in compare(app_run(Outcome.PASSED), failing).lost] == [stray]
    assert compare(failing, failing).lost == ()


def test_compare_names_a_test_as_beyond_when_the_engine_fails_what_stock_skips():
    comparison = compare(app_run(Outcome.SKIPPED), app_run(Outcome.FAILED))
    assert ([test.test for test in comparison.beyond], comparison.lost) == ([TEST], ())
    assert compare(app_run(Outcome.SKIPPED), app_run(Outcome.PASSED)).beyond == ()
