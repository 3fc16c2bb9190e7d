"""What the benchmarks make of their figures. None of these tests measures anything."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import documents, estimate, plot, report, targets
from benchmarks.costs import Cost, as_markdown
from benchmarks.counts import Counts
from benchmarks.engines import LOOP, OBJECTS, POSTGRES, SQLITE
from benchmarks.flat import Growth
from benchmarks.kept import SizeResults, drop_others
from benchmarks.operations import OPERATIONS
from benchmarks.peers import Task
from benchmarks.rounds import AnswersDiffer, Timing, measure

SVG = "{http://www.w3.org/2000/svg}"


def size(number: int, **medians: dict[str, float]) -> SizeResults:
    """Results over ``number`` documents, with one sample for each operation and engine."""
    timings = {key: {alias: Timing((time,)) for alias, time in engines.items()} for key, engines in medians.items()}
    return SizeResults(number, "code", {"cores": "2"}, timings, reindex={"seconds": 1.0, "mib": 2.0})


def task(cache: Path, number: int = 1000) -> Task:
    """What is to be measured of a size."""
    return Task(number, rounds=10, budget=60, only=("get", "scan"), code="code", cache=str(cache))


FEW = size(
    1000, get={OBJECTS: 1.4, SQLITE: 1.0}, author={OBJECTS: 2.0, POSTGRES: 2.5}, scan={OBJECTS: 90.0, LOOP: 30.0}
)
MANY = size(100_000, get={OBJECTS: 1.6, SQLITE: 1.0}, author={OBJECTS: 3.0, POSTGRES: 2.5})


def test_targets_are_judged_for_each_size() -> None:
    found = {verdict.name: (round(verdict.figure, 2), verdict.is_met) for verdict in targets.of_sizes([FEW, MANY])}
    assert found == {
        "get by primary key, 1,000 documents, times SQLite": (1.4, True),
        "get by primary key, 100,000 documents, times SQLite": (1.6, False),
        "an author's three articles, 1,000 documents, times PostgreSQL": (0.8, True),
        "an author's three articles, 100,000 documents, times PostgreSQL": (1.2, False),
        "full scan by title, 1,000 documents, times os.read + orjson": (3.0, False),
    }


def test_growth_is_judged_from_the_fewest_documents_to_the_most() -> None:
    (verdict,) = targets.of_growth([Growth("author", {1000: 2.0, 10_000: 9.0, 100_000: 3.0})])
    assert str(verdict) == "MISSED  an author's three articles, 100,000 documents to 1,000: 1.50 (at most 1.3)"


def test_report_shows_a_target_that_was_missed() -> None:
    text = report.as_text(report.Results([FEW, MANY]))
    assert "  MISSED  get by primary key, 100,000 documents, times SQLite: 1.60 (at most 1.5)" in text.splitlines()
    assert "  met     get by primary key, 1,000 documents, times SQLite: 1.40 (at most 1.5)" in text.splitlines()


def test_results_are_the_same_when_they_were_kept(tmp_path: Path) -> None:
    results = replace(FEW, counts={"get": Counts(1, 0, 0, 0, 0, "O(1)")}, everything=3.0, left_out=["S3, since …"])
    results.keep(tmp_path / "1000.json")
    assert SizeResults.kept(tmp_path / "1000.json", 1000, "code") == results


def test_results_of_other_code_are_not_used(tmp_path: Path) -> None:
    FEW.keep(tmp_path / "1000.json")
    assert SizeResults.kept(tmp_path / "1000.json", 1000, "other code") == SizeResults(1000, "other code")


def test_data_of_other_generators_go_and_those_of_other_sizes_stay(tmp_path: Path) -> None:
    for name in ("1000-new", "1000-old", "10000-old"):
        (tmp_path / name).mkdir()
    drop_others(tmp_path / "1000-new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1000-new", "10000-old"]


def test_what_is_missing_of_a_size_is_what_has_no_result(tmp_path: Path) -> None:
    results = size(1000, get={OBJECTS: 1.0})
    assert [operation.key for operation in task(tmp_path).missing(results)] == ["scan"]


def test_estimate_grows_with_the_documents_and_is_nothing_when_all_is_there(tmp_path: Path) -> None:
    assert 0 < estimate.seconds(task(tmp_path)) < estimate.seconds(task(tmp_path, 1_000_000))
    FEW.keep(task(tmp_path).results)
    assert estimate.seconds(task(tmp_path)) == 0


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "about 10 seconds"), (61, "about 60 seconds"), (200, "about 3 minutes")]
)
def test_estimate_is_said_in_round_figures(seconds: float, words: str) -> None:
    assert estimate.words(seconds) == words


def test_plot_has_a_curve_for_each_engine_and_a_point_for_each_size() -> None:
    root = ElementTree.fromstring(plot.drawn([FEW, MANY]))
    titles = sorted(title.text or "" for title in root.iter(f"{SVG}title"))
    assert titles == [
        "PostgreSQL, 1,000 documents: 2.50 ms",
        "PostgreSQL, 100,000 documents: 2.50 ms",
        "SQLite, 1,000 documents: 1.00 ms",
        "SQLite, 100,000 documents: 1.00 ms",
        "smarterbase, 1,000 documents: 1.40 ms",
        "smarterbase, 1,000 documents: 2.00 ms",
        "smarterbase, 100,000 documents: 1.60 ms",
        "smarterbase, 100,000 documents: 3.00 ms",
    ]


def test_plot_has_colours_for_both_themes() -> None:
    assert "prefers-color-scheme: dark" in plot.drawn([FEW, MANY])


def test_part_of_a_document_is_replaced_and_the_rest_is_left(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("Before.\n\n<!-- measured: costs -->\n\nold\n\n<!-- end of costs -->\nAfter.\n")
    documents.replace_part(page, "costs", "new")
    assert page.read_text() == "Before.\n\n<!-- measured: costs -->\n\nnew\n\n<!-- end of costs -->\nAfter.\n"
    assert documents.part_of(page, "costs") == "new"


def test_part_that_a_document_does_not_have_is_an_error(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("Nothing is marked here.")
    with pytest.raises(ValueError, match=r"page\.md has no part 'costs'"):
        documents.replace_part(page, "costs", "new")


def test_costs_of_both_variants_stand_beside_each_other() -> None:
    get = Cost("get", "get()", "indexed", 1, 0, 0, 0, 0, 0.4)
    scan = Cost("scan", "a scan", "plain", 1000, 0, 0, 1, 0, 405.0)
    assert as_markdown([get, scan]).splitlines() == [
        "| a million times | requests with indexes | dollars | requests without indexes | dollars |",
        "|---|---|---|---|---|",
        "| get() | 1 read | 0.40 |  |  |",
        "| a scan |  |  | 1,000 reads, 1 listing | 405.00 |",
    ]


def test_engines_that_answer_differently_end_the_run() -> None:
    get = next(operation for operation in OPERATIONS if operation.key == "get")
    answers = {OBJECTS: "one title", SQLITE: "another"}
    differing = type(get)("get", "get", lambda alias, _pick: answers[alias], 1)
    with pytest.raises(AnswersDiffer, match="'another'"):
        measure(differing, [OBJECTS, SQLITE], documents=1000, rounds=1, budget=60)


def test_slow_operation_is_measured_once_when_its_budget_is_used_up() -> None:
    asked = []
    slow = type(OPERATIONS[0])("slow", "slow", lambda alias, pick: asked.append(pick), 1)
    timings = measure(slow, [OBJECTS], documents=1000, rounds=100, budget=0)
    assert (len(asked), len(timings[OBJECTS].samples)) == (1, 1)


def test_round_that_warms_up_is_not_counted() -> None:
    asked = []
    fast = type(OPERATIONS[0])("fast", "fast", lambda alias, pick: asked.append(pick), 1)
    timings = measure(fast, [OBJECTS], documents=1000, rounds=3, budget=600)
    assert (len(asked), len(timings[OBJECTS].samples)) == (4, 3)
