"""Results are kept by what they depend on, and a command makes only what is missing."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from tests.conformance import __main__ as command
from tests.conformance import kept as module
from tests.conformance.kept import Kept
from tests.conformance.outcomes import AppRun, Outcome, TestOutcome
from tests.conformance.runs import Column, Plan, Storage, events_of

TEST = "app.tests.Case.test_it"


@pytest.fixture
def states(monkeypatch):
    """The states of the code, which a test changes."""
    states = {"harness": "h1", "engine": "e1"}
    monkeypatch.setattr(module, "harness_state", lambda: states["harness"])
    monkeypatch.setattr(module, "engine_state", lambda: states["engine"])
    return states


@pytest.fixture
def kept(tmp_path, states):
    output = tmp_path / "output"
    output.mkdir()
    return Kept(tmp_path / "results", Plan(tmp_path, output))


def write_events(path: Path, outcome: Outcome = Outcome.PASSED) -> Path:
    event = {"kind": "event", "test": TEST, "subtest": None, "outcome": outcome, "detail": "", "traceback": ""}
    records = [{"kind": "planned", "tests": [TEST]}, event, {"kind": "end"}]
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def keep(kept: Kept, column: Column, app: str = "app") -> None:
    run = AppRun(app, seconds=12.34, outages=5)
    kept.keep(column, run, write_events(kept.plan.output / "events.jsonl"))


def test_find_gives_back_what_was_kept(kept):
    keep(kept, Column.OUTAGES)
    found = kept.find("app", Column.OUTAGES)
    assert found == AppRun("app", {TEST: TestOutcome(Outcome.PASSED)}, seconds=12.3, outages=5)


@pytest.mark.parametrize(("app", "column"), [("other", Column.REDIS), ("app", Column.NO_CACHE), ("app", Column.STOCK)])
def test_find_gives_nothing_when_app_or_column_differ(kept, app, column):
    keep(kept, Column.REDIS)
    assert kept.find(app, column) is None


@pytest.mark.parametrize(
    ("what", "stock_stays"), [("engine", True), ("harness", False)], ids=["engine changed", "harness changed"]
)
def test_find_gives_nothing_when_the_code_has_changed_since(kept, states, what, stock_stays):
    for column in (Column.STOCK, Column.REDIS):
        keep(kept, column)
    states[what] = "changed"
    assert kept.find("app", Column.REDIS) is None
    assert (kept.find("app", Column.STOCK) is not None) == stock_stays


@pytest.mark.parametrize("plan", [{"storage": Storage.S3}, {"reload": False}])
def test_find_gives_nothing_of_the_engine_when_it_was_run_otherwise(kept, plan):
    for column in (Column.STOCK, Column.REDIS):
        keep(kept, column)
    other = Kept(kept.folder, Plan(kept.plan.tests, kept.plan.output, **plan))
    assert other.find("app", Column.REDIS) is None
    assert other.find("app", Column.STOCK) is not None


def test_forget_removes_one_result_only(kept):
    for column in (Column.STOCK, Column.REDIS):
        keep(kept, column)
    kept.forget("app", Column.REDIS)
    kept.forget("app", Column.NO_CACHE)  # there is none
    assert kept.find("app", Column.REDIS) is None
    assert kept.find("app", Column.STOCK) is not None


def test_seconds_are_known_when_the_code_has_changed_since(kept, states):
    keep(kept, Column.REDIS)
    states["engine"] = "e2"
    assert kept.seconds("app", Column.REDIS) == 12.3
    assert kept.seconds("app", Column.NO_CACHE) is None


def test_latest_gives_the_result_of_earlier_code_and_says_so_when_there_is_no_other(kept, states):
    keep(kept, Column.REDIS)
    assert kept.latest("app", Column.REDIS) == kept.find("app", Column.REDIS)
    states["engine"] = "e2"
    found = kept.latest("app", Column.REDIS)
    assert (found.earlier, found.seconds) == (True, 12.3)
    assert kept.latest("app", Column.NO_CACHE) is None


def test_states_change_when_a_source_changes(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "ROOT", tmp_path)
    source = tmp_path / "module.py"
    source.write_text("a = 1")
    before = module._digest([source])
    source.write_text("a = 2")
    assert module._digest([source]) != before


def test_states_read_the_sources_that_there_are():
    assert len(module.engine_state()) == len(module.harness_state()) == module._SHOWN
    assert module.engine_state() != module.harness_state()


@pytest.fixture
def ran(kept, monkeypatch):
    """The runs that were made, by a stand-in that breaks off for the app ``broken``."""
    ran = []

    def run_app(plan, app, column):
        ran.append((app, column))
        write_events(events_of(plan, app, column))
        return AppRun(app, {TEST: TestOutcome(Outcome.PASSED)}, broken="killed" if app == "broken" else "")

    monkeypatch.setattr(command, "run_app", run_app)
    return ran


def test_run_all_makes_only_what_is_missing_when_it_is_called_again(kept, ran, capsys):
    columns = [Column.STOCK, Column.REDIS]
    command.run_all(kept, ["one"], columns, jobs=1)
    results = command.run_all(kept, ["one", "two"], columns, jobs=1)
    assert ran == [(app, column) for app in ("one", "two") for column in columns]
    assert {app: list(runs) for app, runs in results.items()} == {"one": columns, "two": columns}
    assert "2 of 4 results are kept from earlier, 2 to go." in capsys.readouterr().out


def test_run_all_makes_a_run_again_when_it_broke_off(kept, ran):
    for _ in range(2):
        results = command.run_all(kept, ["broken"], [Column.STOCK], jobs=1)
    assert len(ran) == 2
    assert results["broken"][Column.STOCK].broken == "killed"


def test_run_all_begins_anew_when_results_were_forgotten(kept, ran):
    for _ in range(2):
        command.forget(kept, ["one"], [Column.STOCK])
        command.run_all(kept, ["one"], [Column.STOCK], jobs=1)
    assert len(ran) == 2


def test_run_all_says_what_is_left_after_each_run(kept, ran, capsys):
    command.run_all(kept, ["one"], [Column.STOCK, Column.REDIS], jobs=1)
    lines = capsys.readouterr().out.splitlines()[1:]
    assert [line.partition("; ")[0] for line in lines] == [
        "[1/2] one on stock SQLite: 1 of 1 passed, 0.0 s",
        "[2/2] one on engine, Redis: 1 of 1 passed, 0 lost, 0.0 s",
    ]
    assert all(line.endswith(" left") for line in lines)


def test_run_all_ends_what_is_under_way_when_it_is_interrupted(kept, monkeypatch):
    ended = threading.Event()

    def run_app(plan, app, column):
        if app == "interrupted":
            raise KeyboardInterrupt
        assert ended.wait(60)
        return AppRun(app, broken="killed")

    monkeypatch.setattr(command, "run_app", run_app)
    monkeypatch.setattr(command, "end_all", ended.set)
    with pytest.raises(KeyboardInterrupt):
        command.run_all(kept, ["long", "interrupted"], [Column.STOCK], jobs=2)
    assert kept.find("long", Column.STOCK) is None
