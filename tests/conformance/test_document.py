"""The section of docs/CONFORMANCE.md."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from tests.conformance import document
from tests.conformance.document import DOCUMENT, Facts, section, write
from tests.conformance.outcomes import AppRun, Outcome, TestOutcome
from tests.conformance.runs import Column, Storage

FACTS = Facts(Storage.MEMORY, "make conformance", "abc", date(2026, 11, 25))
REASON = "No such thing."


def run_of(*outcomes: Outcome, skips=(), outages=0, seconds=90.0) -> AppRun:
    tests = {f"app.tests.Case.test_{number}": TestOutcome(outcome, "a|b") for number, outcome in enumerate(outcomes)}
    return AppRun("app", tests, {}, {REASON: frozenset(skips)}, outages=outages, seconds=seconds)


RESULTS = {
    "app": {
        Column.STOCK: replace(run_of(Outcome.PASSED, Outcome.PASSED, Outcome.SKIPPED), skips={}),
        Column.REDIS: run_of(Outcome.PASSED, Outcome.SKIPPED, Outcome.SKIPPED, skips=["app.tests.Case.test_1"]),
        Column.OUTAGES: run_of(Outcome.FAILED, Outcome.PASSED, Outcome.SKIPPED, outages=7),
    },
    "more": {Column.STOCK: run_of(Outcome.PASSED)},
}


def lines_of(text: str, start: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith(start)]


def test_section_has_a_row_an_app_with_the_figures_of_each_column():
    assert lines_of(section(RESULTS, FACTS), "| `app`") == [
        "| `app` | 3 | 2 / 0 / 1 | 1 / 0 / 2 | 1 / 1 / 1 **1 lost** | 7 |"
    ]
    assert lines_of(section(RESULTS, FACTS), "| `more`") == ["| `more` | 1 | 1 / 0 / 0 | not run | not run |  |"]


def test_section_has_a_total_of_each_column_that_was_run():
    text = section(RESULTS, FACTS)
    assert lines_of(text, "| outages") == ["| outages | **1** | 1 | 3 | 1 | 1 | 1 | 0 | 7 |"]
    assert lines_of(text, "| stock SQLite") == ["| stock SQLite |  | 2 | 4 | 3 | 0 | 1 | 0 |  |"]
    assert "no cache" not in text


def test_section_names_the_skips_that_are_accepted_under_their_reason():
    assert f"- {REASON}\n    - `app.tests.Case.test_1`\n" in section(RESULTS, FACTS)


def test_section_names_the_lost_tests_with_their_messages_made_harmless():
    lost = r"- \[engine, outages\] app.tests.Case.test\_0: failed: a\|b"
    assert lost in section(RESULTS, FACTS)


def test_section_names_what_fails_where_stock_sqlite_skips():
    results = {"app": {**RESULTS["app"], Column.OUTAGES: run_of(Outcome.PASSED, Outcome.PASSED, Outcome.ERROR)}}
    _, _, beyond = section(results, FACTS).partition("### Failing where stock SQLite skips\n\n")
    assert beyond.startswith(r"- \[engine, outages\] app.tests.Case.test\_2: error: a\|b")


def test_section_says_none_when_nothing_is_lost_or_skipped():
    stock = RESULTS["app"][Column.STOCK]
    text = section({"app": {Column.STOCK: stock, Column.REDIS: stock}}, FACTS)
    assert "### Lost tests\n\nNone.\n" in text
    assert "### Failing where stock SQLite skips\n\nNone.\n" in text
    assert "### Skips beyond stock SQLite's\n\nNone.\n" in text


def test_section_tells_command_state_date_and_duration():
    text = section(RESULTS, FACTS)
    for fact in ("`make conformance`, 2026-11-25", "state of the code `abc`", "2 apps", "took 6 min in all"):
        assert fact in text


def test_section_marks_the_results_of_earlier_code():
    results = {"app": {**RESULTS["app"], Column.REDIS: replace(RESULTS["app"][Column.REDIS], earlier=True)}}
    text = section(results, FACTS)
    assert "| 1 / 0 / 2 † |" in text
    assert "- of an earlier state of the code, marked †: 1 results" in text
    assert "†" not in section(RESULTS, FACTS)


def test_write_replaces_the_section_of_its_storage_only(tmp_path):
    page = tmp_path / "page.md"
    memory, s3 = "<!-- begin memory -->\nas it was\n<!-- end memory -->", "<!-- begin s3 -->\nkept\n<!-- end s3 -->"
    page.write_text(f"head\n{memory}\nmiddle\n{s3}\n")
    write(RESULTS, FACTS, page)
    text = page.read_text()
    assert text.startswith("head\n<!-- begin memory -->\n\n- `make conformance`")
    assert text.endswith(f"\n\n<!-- end memory -->\nmiddle\n{s3}\n")
    assert "as it was" not in text


def test_write_refuses_a_page_without_the_section(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("<!-- begin s3 -->")
    with pytest.raises(ValueError, match="no section between <!-- begin memory -->"):
        write(RESULTS, FACTS, page)


def test_page_has_every_section():
    text = DOCUMENT.read_text()
    for storage in document.SECTIONS:
        assert text.index(f"<!-- begin {storage} -->") < text.index(f"<!-- end {storage} -->")
