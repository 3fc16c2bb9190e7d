"""Folding the events of a run into one outcome a test."""

from __future__ import annotations

import itertools
import json

import pytest

from tests.conformance.outcomes import AppRun, Outcome, fold, read_run

TEST = "app.tests.Case.test_it"


def event(outcome, test=TEST, subtest=None, detail="why"):
    return {
        "kind": "event",
        "test": test,
        "subtest": subtest,
        "outcome": outcome,
        "detail": detail,
        "traceback": "trace",
    }


def run_of(*events, planned=(TEST,), ended=True) -> AppRun:
    records = [{"kind": "planned", "tests": list(planned)}, *events]
    return fold("app", records + ([{"kind": "end"}] if ended else []))


@pytest.mark.parametrize("pair", list(itertools.permutations(Outcome, 2)), ids=lambda pair: " then ".join(pair))
def test_fold_keeps_the_worst_outcome_in_whatever_order_events_come(pair):
    worst = min(pair, key=list(Outcome).index)
    assert run_of(event(pair[0]), event(pair[1])).tests[TEST].outcome is worst


def test_fold_fails_the_test_and_names_the_subtest_when_a_subtest_fails():
    run = run_of(event("passed", subtest="n=1"), event("failed", subtest="n=2", detail="1 != 2"))
    found = run.tests[TEST]
    assert (found.outcome, found.detail, found.subtests) == (Outcome.FAILED, "n=2: 1 != 2", 1)


def test_fold_counts_passed_subtests_when_the_test_passes():
    run = run_of(event("passed", subtest="n=1"), event("passed", subtest="n=2"), event("passed"))
    assert (run.tests[TEST].outcome, run.tests[TEST].subtests) == (Outcome.PASSED, 2)


def test_fold_gives_a_test_its_class_outcome_when_setting_up_the_class_failed():
    run = run_of(event("error", test="setUpClass (app.tests.Case)", detail="DatabaseError: no"))
    assert run.tests[TEST].outcome is Outcome.ERROR
    assert run.tests[TEST].detail == "setUpClass (app.tests.Case): DatabaseError: no"
    assert not run.broken


def test_fold_skips_the_test_when_its_class_skipped_itself():
    run = run_of(event("skipped", test="setUpClass (app.tests.Case)"))
    assert run.tests[TEST].outcome is Outcome.SKIPPED
    assert not run.strays


def test_fold_keeps_a_failed_class_tear_down_as_a_stray_when_its_tests_passed():
    run = run_of(event("passed"), event("error", test="tearDownClass (app.tests.Case)"))
    assert run.tests[TEST].outcome is Outcome.PASSED
    assert list(run.strays) == ["tearDownClass (app.tests.Case)"]


def test_fold_says_not_run_and_broken_when_the_run_ended_early():
    run = run_of(ended=False)
    assert run.tests[TEST].outcome is Outcome.NOT_RUN
    assert run.broken


def test_counts_add_up_to_the_plan_when_outcomes_differ():
    tests = [f"app.tests.Case.test_{outcome}" for outcome in Outcome]
    events = [event(outcome, test=test) for outcome, test in zip(Outcome, tests, strict=True)]
    run = run_of(*events[:-1], planned=tests)
    assert sum(run.counts().values()) == len(tests)
    assert run.counts()[Outcome.NOT_RUN] == 2  # the one that says so, and the one without an event


def test_read_run_reads_the_skips_when_the_file_has_them(tmp_path):
    events = tmp_path / "app.jsonl"
    events.write_text(json.dumps({"kind": "skips", "reasons": {"No such thing": [TEST]}}) + "\n")
    assert read_run("app", events).skips == {"No such thing": frozenset({TEST})}


def test_read_run_is_broken_when_there_is_no_file(tmp_path):
    assert read_run("app", tmp_path / "none.jsonl").broken
