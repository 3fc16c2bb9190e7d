"""The table, the lines and the exit status."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.conformance import report
from tests.conformance.__main__ import SHOWN, conclude
from tests.conformance.outcomes import AppRun, Outcome, TestOutcome
from tests.conformance.runs import Column


def app_run(app, outcomes, skips=None, broken="") -> AppRun:
    tests = {f"{app}.tests.Case.test_{name}": TestOutcome(outcome, "why") for name, outcome in outcomes.items()}
    return AppRun(app, tests, {}, skips or {}, broken=broken)


PASSED = {"a": Outcome.PASSED, "b": Outcome.PASSED}
HALF = {"a": Outcome.PASSED, "b": Outcome.ERROR}


def results_of(engine: AppRun, stock: AppRun | None = None) -> report.Results:
    return {"basic": {Column.STOCK: stock or app_run("basic", PASSED), Column.REDIS: engine}}


def test_table_lines_up_figures_under_their_names_when_apps_differ():
    results = {
        "basic": {Column.STOCK: app_run("basic", PASSED), Column.REDIS: app_run("basic", HALF)},
        "many_to_one": {Column.STOCK: app_run("many_to_one", PASSED), Column.REDIS: app_run("many_to_one", PASSED)},
    }
    lines = report.table(results, report.comparisons(results)).splitlines()
    assert [line.split() for line in lines[1:]] == [
        ["app", "plan", "pass", "fail", "err", "skip", "xfail", "plan", "pass", "fail", "err", "skip", "xfail", "lost"],
        ["basic", "2", "2", "0", "0", "0", "0", "2", "1", "0", "1", "0", "0", "1"],
        ["many_to_one", "2", "2", "0", "0", "0", "0", "2", "2", "0", "0", "0", "0", "0"],
        ["total", "4", "4", "0", "0", "0", "0", "4", "3", "0", "1", "0", "0", "1"],
    ]
    assert len({len(line) for line in lines[1:]}) == 1


def test_table_has_zeros_where_an_app_was_not_run_in_a_column():
    results = {"basic": results_of(app_run("basic", PASSED))["basic"], "lookup": {}}
    lines = report.table(results, report.comparisons(results)).splitlines()
    assert lines[3].split() == ["lookup", *["0"] * 13]


def test_conclude_is_0_and_writes_no_log_when_nothing_is_lost(tmp_path, capsys):
    assert conclude(results_of(app_run("basic", PASSED)), tmp_path / "run.log") == 0
    assert "Nothing is lost." in capsys.readouterr().out
    assert not (tmp_path / "run.log").exists()


def test_conclude_is_1_and_logs_every_lost_test_when_some_are_lost(tmp_path, capsys):
    many = [f"t{number}" for number in range(SHOWN + 5)]
    stock = app_run("basic", dict.fromkeys(many, Outcome.PASSED))
    engine = app_run("basic", dict.fromkeys(many, Outcome.FAILED))
    assert conclude(results_of(engine, stock), tmp_path / "run.log") == 1
    printed = capsys.readouterr().out
    assert f"Lost: {len(many)} ({SHOWN} shown" in printed
    assert printed.count("basic.tests.Case.test_t") == SHOWN
    assert (tmp_path / "run.log").read_text().count("basic.tests.Case.test_t") == len(many)


def test_conclude_names_the_reason_and_is_0_when_a_skip_is_accepted(tmp_path, capsys):
    skipped = {"a": Outcome.PASSED, "b": Outcome.SKIPPED}
    reason = {"No such thing.": frozenset({"basic.tests.Case.test_b"})}
    assert conclude(results_of(app_run("basic", skipped, reason)), tmp_path / "run.log") == 0
    assert f"- No such thing. 1 ({Column.REDIS})" in capsys.readouterr().out


def test_conclude_is_1_when_a_skip_names_a_test_that_django_does_not_have(tmp_path, capsys):
    named = ["basic.tests.Case.test_gone", "basic.tests.Case.test_a", "lookup.tests.Case.test_of_another_app"]
    engine = app_run("basic", PASSED, {"No such thing.": frozenset(named)})
    assert conclude(results_of(engine), tmp_path / "run.log") == 1
    printed = capsys.readouterr().out
    assert "name no test of Django:\n  basic.tests.Case.test_gone\n" in printed
    assert "another_app" not in printed


@pytest.mark.parametrize("broken", [app_run("basic", {}), app_run("basic", PASSED, broken="it ended with status -11")])
def test_conclude_is_1_when_stock_sqlite_proves_nothing(tmp_path, capsys, broken):
    assert conclude(results_of(app_run("basic", PASSED), broken), tmp_path / "run.log") == 1
    assert f"basic on {Column.STOCK}" in capsys.readouterr().out


def test_conclude_is_1_when_the_commit_set_up_costs_stock_a_pass(tmp_path, capsys):
    results = {"basic": {Column.PLAIN: app_run("basic", PASSED), Column.STOCK: app_run("basic", HALF)}}
    assert conclude(results, tmp_path / "run.log") == 1
    assert "commit set-up: 1" in capsys.readouterr().out


@pytest.mark.parametrize(("trips", "status"), [(0, 1), (7, 0)])
def test_conclude_is_1_when_redis_took_no_part_in_its_column(tmp_path, capsys, trips, status):
    figures = {"statements": 9, "Redis round trips": trips}
    engine = replace(app_run("basic", PASSED), statements=figures)
    assert conclude(results_of(engine), tmp_path / "run.log") == status
    assert ("Redis took no part" in capsys.readouterr().out) == bool(status)


def test_statements_add_up_by_column_when_there_are_several_apps():
    engine = replace(app_run("basic", PASSED), statements={"statements": 1200, "fallbacks": 0})
    results = {"basic": {Column.REDIS: engine}, "lookup": {Column.REDIS: engine}}
    assert report.statements(results).splitlines()[1:] == [f"  {Column.REDIS}: 2,400 statements, 0 fallbacks"]


@pytest.mark.parametrize(("outages", "status"), [(0, 1), (3, 0)])
def test_conclude_is_1_when_there_was_no_outage_in_its_column(tmp_path, capsys, outages, status):
    figures = {"statements": 9, "Redis round trips": 9}
    engine = replace(app_run("basic", PASSED), statements=figures, outages=outages)
    results = {"basic": {Column.STOCK: app_run("basic", PASSED), Column.OUTAGES: engine}}
    assert conclude(results, tmp_path / "run.log") == status
    assert ("it saw no outage" in capsys.readouterr().out) == bool(status)


def test_conclude_is_1_when_a_test_passes_unexpectedly(tmp_path, capsys):
    stock, engine = ({"a": outcome} for outcome in (Outcome.EXPECTED_FAILURE, Outcome.UNEXPECTED_SUCCESS))
    assert conclude(results_of(app_run("basic", engine), app_run("basic", stock)), tmp_path / "run.log") == 1
    assert "basic.tests.Case.test_a: unexpected success" in capsys.readouterr().out


def test_summary_tells_the_outages_when_there_were_some():
    assert report.summary(replace(app_run("basic", PASSED), outages=4), None) == "2 of 2 passed, 4 outages, 0.0 s"
