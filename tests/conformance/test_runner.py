"""The whole way of a run: subprocess, recording runner, commit set-up, events, outcomes."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.conformance.outages import EVERY
from tests.conformance.outcomes import Outcome
from tests.conformance.runs import Column, Plan, Storage, end_all, run_app

PROBE = Path(__file__).parent / "probe"


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PROBE_SLEEP", "0")
        patch.setenv("PROBE_DEPTH", "1")
        plan = Plan(PROBE, tmp_path_factory.mktemp("probe"), timeout=60)
        stock = run_app(plan, "probe", Column.STOCK)
        patch.setenv("PROBE_DEPTH", "2")
        # The committing class alone: stock TestCase leaves a transaction open after a class that fails in setUpClass.
        return {Column.STOCK: stock, Column.PLAIN: run_app(plan, "probe.tests.B1Committed", Column.PLAIN)}


@pytest.mark.parametrize(
    ("name", "outcome", "detail"),
    [
        ("test_passes", Outcome.PASSED, ""),
        ("test_fails", Outcome.FAILED, "AssertionError: Lists differ: [1, 2] != [1, 3] (tests.py:"),
        ("test_raises", Outcome.ERROR, "LookupError: nothing there (tests.py:"),
        ("test_skips", Outcome.SKIPPED, "no reason"),
        ("test_fails_as_expected", Outcome.EXPECTED_FAILURE, "AssertionError: None (tests.py:"),
        ("test_passes_unexpectedly", Outcome.UNEXPECTED_SUCCESS, "it was expected to fail"),
        ("test_subtests_pass", Outcome.PASSED, ""),
        ("test_subtests_pass_without_an_environment", Outcome.PASSED, ""),
        (
            "test_subtest_fails",
            Outcome.FAILED,
            "part, number=1, value=<Unprintable>: AssertionError: 1 == 1 (tests.py:",
        ),
        ("test_subtest_skips", Outcome.SKIPPED, "number=1: not this one"),
    ],
)
def test_run_app_records_the_outcome_when_a_test_ends(runs, name, outcome, detail):
    found = runs[Column.STOCK].tests[f"probe.tests.A1Outcomes.{name}"]
    assert found.outcome is outcome
    assert found.detail.startswith(detail)


@pytest.mark.parametrize(("name", "passed"), [("subtests_pass", 3), ("subtest_fails", 2), ("subtest_skips", 2)])
def test_run_app_counts_the_subtests_that_passed_when_there_are_some(runs, name, passed):
    assert runs[Column.STOCK].tests[f"probe.tests.A1Outcomes.test_{name}"].subtests == passed


@pytest.mark.parametrize(("name", "problem"), [("A2BrokenClass", "no data"), ("A3BrokenBelow", "no class")])
def test_run_app_records_an_error_for_each_test_when_its_class_fails(runs, name, problem):
    found = runs[Column.STOCK].tests[f"probe.tests.{name}.test_is_never_reached"]
    assert (found.outcome, problem in found.detail) == (Outcome.ERROR, True)


@pytest.mark.parametrize(
    "name",
    [
        "B1Committed.test_depth_of_transactions",
        "B1Committed.test_adds_one",
        "B1Committed.test_adds_another",
        "B1Committed.test_changes_its_own_copy",
        "B2CleanSlate.test_sees_nothing_of_the_classes_before",
        "B2CleanSlate.test_has_its_content_types",
    ],
)
def test_commit_set_up_commits_class_data_and_flushes_it_when_the_class_ends(runs, name):
    found = runs[Column.STOCK].tests[f"probe.tests.{name}"]
    assert found.outcome is Outcome.PASSED, found.traceback


def test_commit_set_up_is_left_out_when_the_column_is_plain(runs):
    found = runs[Column.PLAIN].tests["probe.tests.B1Committed.test_depth_of_transactions"]
    assert found.outcome is Outcome.PASSED, found.traceback


def test_run_app_is_not_broken_when_it_reached_its_end(runs):
    assert runs[Column.STOCK].broken == ""


def test_run_app_ends_the_process_and_keeps_what_is_known_when_time_is_up(tmp_path, monkeypatch):
    monkeypatch.setenv("PROBE_SLEEP", "600")
    monkeypatch.setenv("PROBE_DEPTH", "1")
    run = run_app(Plan(PROBE, tmp_path, timeout=20), "probe", Column.STOCK)
    assert run.broken.startswith("it was ended after 20 s")
    assert run.tests["probe.tests.C1Endless.test_takes_forever"].outcome is Outcome.NOT_RUN
    assert run.tests["probe.tests.A1Outcomes.test_passes"].outcome is Outcome.PASSED


def test_run_app_quotes_the_last_words_when_the_process_does_not_get_to_its_tests(tmp_path):
    (tmp_path / "runtests.py").write_text("raise SystemExit('no such engine')")
    run = run_app(Plan(tmp_path, tmp_path, timeout=60), "probe", Column.STOCK)
    assert run.broken == "it ended before its tests did; its last words: no such engine"


def test_run_app_counts_the_outages_when_redis_dies_during_its_tests(tmp_path, monkeypatch):
    monkeypatch.setenv("PROBE_SLEEP", "6")
    monkeypatch.setenv("PROBE_DEPTH", "1")
    run = run_app(Plan(PROBE, tmp_path, timeout=60), "probe.tests", Column.OUTAGES)
    assert run.tests["probe.tests.B1Committed.test_adds_one"].outcome is Outcome.PASSED
    assert run.statements["Redis round trips"]
    assert 2 <= run.outages <= run.seconds / EVERY + 1


def test_run_app_uses_the_bucket_when_the_storage_is_s3(tmp_path, monkeypatch):
    monkeypatch.setenv("PROBE_SLEEP", "0")
    monkeypatch.setenv("PROBE_DEPTH", "1")
    run = run_app(Plan(PROBE, tmp_path, Storage.S3, timeout=120), "probe.tests.B1Committed", Column.NO_CACHE)
    assert {found.outcome for found in run.tests.values()} == {Outcome.PASSED}
    assert run.statements["storage operations"]


def test_end_all_ends_the_process_of_a_run_under_way(tmp_path, monkeypatch):
    monkeypatch.setenv("PROBE_SLEEP", "600")
    monkeypatch.setenv("PROBE_DEPTH", "1")
    plan = Plan(PROBE, tmp_path, timeout=120)
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(run_app, plan, "probe", Column.STOCK)
        while "A3BrokenBelow" not in (
            events.read_text() if (events := tmp_path / "probe-stock.jsonl").exists() else ""
        ):
            time.sleep(0.05)
        end_all()
        assert future.result().broken.startswith("it ended with status -9")
