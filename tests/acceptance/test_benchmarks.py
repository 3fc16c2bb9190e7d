"""The benchmarks, as a developer runs them. Nothing here looks at a time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import costs, documents, memory

ROOT = Path(__file__).resolve().parents[2]


def benchmarks(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run them and return what they said."""
    command = [sys.executable, "-m", "benchmarks", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)


def figures(folder: Path, *only: str) -> tuple[dict[str, Any], str]:
    """The figures of a run over few articles, and its progress."""
    run = benchmarks("--sizes", "300", "--rounds", "2", "--folder", str(folder), "--json", "--only", *only)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout), run.stderr


def test_run_measures_every_engine_and_goes_on_where_it_was(tmp_path: Path) -> None:
    first, progress = figures(tmp_path, "get", "update")
    assert {"default", "sqlite", "everything"} <= first["sizes"][0]["timings_ms"]["get"].keys()
    assert first["sizes"][0]["counts"]["update"]["writes"] == 1
    assert "this is going to take about" in progress.splitlines()[0]
    second, progress = figures(tmp_path, "get", "count")
    assert "1 of 1: count of the published" in progress
    assert second["sizes"][0]["timings_ms"]["get"] == first["sizes"][0]["timings_ms"]["get"]


def test_articles_are_put_back_when_they_were_changed(tmp_path: Path) -> None:
    figures(tmp_path, "create", "update")
    # Engines that hold different articles by now would answer differently, which ends the run.
    figures(tmp_path, "author", "count", "top")
    assert not list(tmp_path.rglob("touched"))


def test_growth_is_measured_when_there_are_two_sizes(tmp_path: Path) -> None:
    arguments = ("--sizes", "300", "600", "--rounds", "2", "--folder", str(tmp_path), "--json", "--only", "author")
    run = benchmarks(*arguments)
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    assert found["growth_ms"]["author"].keys() == {"300", "600"}
    assert any(target["name"].endswith("600 documents to 300") for target in found["targets"])


def test_bulk_reads_are_measured_through_obstore_and_through_boto3() -> None:
    run = benchmarks("--only", "bulk-reads", "--rounds", "1", "--json")
    assert run.returncode == 0, run.stderr
    ways = {reading["way"] for reading in json.loads(run.stdout)["bulk_reads"]}
    assert {"get_many, obstore", "get_many, boto3", "boto3 in a pool of threads"} <= ways


def test_requests_of_pages_ranges_and_packed_scans_do_not_grow_with_the_table() -> None:
    run = benchmarks("--only", "requests", "--documents", "250", "--json")
    assert run.returncode == 0, run.stderr
    found = {each.pop("query"): each for each in json.loads(run.stdout)["requests"]}
    page = {"reads": 20, "listings": 0, "packs": 0, "packed": 0, "round_trips": 1, "rows": 20}
    alone = {**page, "reads": 0, "rows": 1}
    assert found == {
        "newest 20": page,
        "20 from the 1,250th": page,
        "newest 20 published": page,
        "count() of a range": alone,
        "exists() in a range": alone,
        "scan by title, packed": {**alone, "reads": 1, "listings": 3, "packs": 1, "packed": 2500, "round_trips": 0},
        "the same, three documents changed": {
            **alone,
            "reads": 4,
            "listings": 3,
            "packs": 1,
            "packed": 2497,
            "round_trips": 0,
        },
    }


def test_memory_of_every_statement_and_command_is_measured() -> None:
    run = benchmarks("--only", "memory", "--documents", "300", "--json")
    assert run.returncode == 0, run.stderr
    measured = [(each["task"], each["documents"]) for each in json.loads(run.stdout)["memory"]]
    assert measured == [(task, documents) for documents in (60, 6_000) for task in memory.TASKS]


def test_help_names_every_measurement() -> None:
    said = benchmarks("--help").stdout
    assert {"--sizes", "--budget", "--again", "--write-docs", "--only"} <= set(said.replace(",", " ").split())


@pytest.mark.timeout(280)
def test_table_of_costs_is_what_the_engine_counts() -> None:
    assert costs.as_markdown(costs.measured()) == documents.part_of(documents.COSTS, "costs")
