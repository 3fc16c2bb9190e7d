"""What the command runs, writes and returns. No app of Django's is run."""

from __future__ import annotations

import pytest

from tests.conformance import __main__ as command
from tests.conformance.outcomes import AppRun, Outcome, TestOutcome
from tests.conformance.runs import Column, Storage


@pytest.fixture
def tests(tmp_path, monkeypatch):
    """A directory of tests with two apps, of which one needs a database; results and the document are elsewhere."""
    for app in ("articles", "strings", *command.S3_APPS):
        (tmp_path / "tests" / app).mkdir(parents=True)
        (tmp_path / "tests" / app / "__init__.py").touch()
    page = tmp_path / "page.md"
    page.write_text("".join(f"<!-- begin {storage} -->\n<!-- end {storage} -->\n" for storage in ("memory", "s3")))
    monkeypatch.setattr(command, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(command, "directory_of_tests", lambda source: tmp_path / "tests")
    monkeypatch.setattr(command, "apps_with_database", lambda tests: ["articles"])
    monkeypatch.setattr(command.document.write, "__defaults__", (page,))
    monkeypatch.delenv("RELOAD", raising=False)
    return page


@pytest.fixture
def ran(tests, monkeypatch):
    """The runs that were made, all of which pass their one test."""
    ran = []

    def run_app(plan, app, column):
        ran.append((app, column, plan.storage))
        statements = {"statements": 1, "Redis round trips": 1}
        return AppRun(app, {"t": TestOutcome(Outcome.PASSED)}, statements=statements, outages=1, broken="not kept")

    monkeypatch.setattr(command, "run_app", run_app)
    return ran


def test_command_runs_the_apps_that_need_a_database_in_every_column_when_none_is_named(ran, tests):
    command.main(["--jobs", "1"])
    columns = [Column.STOCK, Column.REDIS, Column.NO_CACHE, Column.OUTAGES]
    assert ran == [("articles", column, Storage.MEMORY) for column in columns]
    assert "| `articles` | 1 | 1 / 0 / 0" in tests.read_text()
    assert "- `make conformance`, " in tests.read_text()


def test_command_runs_the_selection_when_the_storage_is_s3(ran, tests):
    command.main(["--storage", "s3", "--only", "redis"])
    assert {app for app, _, _ in ran} == set(command.S3_APPS)
    assert {storage for _, _, storage in ran} == {Storage.S3}
    text = tests.read_text()
    assert text.index("<!-- end memory -->") < text.index("| `basic` | 1 | 1 / 0 / 0")
    assert '- `make conformance ARGS="--storage s3 --only redis"`, ' in text


@pytest.mark.parametrize("arguments", [["strings"], ["--storage", "files"]])
def test_command_leaves_the_document_alone_when_it_does_not_run_all_of_a_section(ran, tests, arguments):
    before = tests.read_text()
    command.main(arguments)
    assert ran
    assert tests.read_text() == before


def test_command_leaves_the_document_alone_when_reload_is_off(ran, tests, monkeypatch):
    monkeypatch.setenv("RELOAD", "0")
    before = tests.read_text()
    command.main([])
    assert tests.read_text() == before


def test_command_runs_nothing_when_only_the_document_is_asked_for(ran, tests):
    assert command.main(["--document"]) == 0
    assert not ran
    assert "| `articles` | 0 |  |" in tests.read_text()


@pytest.mark.parametrize(
    ("more", "reason"),
    [(["basic"], "neither apps"), (["--fresh"], "nor --fresh"), (["--storage", "files"], "for the storage files")],
)
def test_command_refuses_what_the_document_alone_cannot_have(tests, capsys, more, reason):
    with pytest.raises(SystemExit, match="2"):
        command.main(["--document", *more])
    assert reason in capsys.readouterr().err


def test_command_refuses_an_app_that_django_does_not_have(ran, tests, capsys):
    assert command.main(["basics"]) == 2
    assert "has no test app basics in" in capsys.readouterr().err
    assert not ran
