"""The board of jobs: one at a time, replaced by compare-and-swap, and read back as it was written."""

from __future__ import annotations

import logging
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import orjson
import pytest
from django.core.files.storage import InMemoryStorage

from django_smarterbase.conf import Options
from django_smarterbase.panel.jobs import (
    SILENCE,
    Job,
    JobBoard,
    JobReplaced,
    Kind,
    Status,
    TableProgress,
    Verdict,
)
from django_smarterbase.storage.keys import Keyspace
from django_smarterbase.storage.memory import MemoryStore

TABLES = (
    TableProgress(
        "articles", "articles.Article", Status.ENDED, 4, 4, 1.0, Verdict.REBUILT, {"read": 4, "seconds": 1.5}
    ),
    TableProgress("authors", "articles.Author", Status.WAITING, 2, None, 0.5),
)


@pytest.fixture
def resources() -> Any:
    return SimpleNamespace(
        origin={"database": "default"}, store=MemoryStore(InMemoryStorage(), Options()), keys=Keyspace("n")
    )


def board(resources: Any) -> JobBoard:
    return JobBoard(cast("Any", resources))


def test_board_without_a_job_has_none(resources: Any) -> None:
    assert board(resources).current() is None


def test_job_is_read_as_it_was_written(resources: Any) -> None:
    job = Job(Kind.CHECK, "ada", TABLES, sample=3, problems=("one",), ended_at=datetime.now(UTC))
    assert board(resources).begin(job)
    assert board(resources).current() == job


def test_board_takes_a_job_when_the_one_before_has_ended_or_died(resources: Any) -> None:
    under_way = Job(Kind.REINDEX, "ada", TABLES)
    assert board(resources).begin(under_way)
    assert not board(resources).begin(Job(Kind.CHECK, "bob", TABLES))
    assert board(resources).current() == under_way
    mine = board(resources)
    mine.current()
    mine.update(replace(under_way, seen_at=datetime.now(UTC) - SILENCE - timedelta(seconds=1)))
    assert board(resources).begin(Job(Kind.CHECK, "bob", TABLES))
    mine = board(resources)
    current = mine.current()
    assert current is not None
    mine.update(replace(current, ended_at=datetime.now(UTC)))
    assert board(resources).begin(Job(Kind.REINDEX, "eve", TABLES))


def test_board_takes_one_of_two_jobs_that_are_begun_at_once(resources: Any) -> None:
    first, second = board(resources), board(resources)
    first.current()
    second.current()
    first.update(Job(Kind.CHECK, "ada", TABLES))
    with pytest.raises(JobReplaced):
        second.update(Job(Kind.CHECK, "bob", TABLES))
    current = board(resources).current()
    assert current is not None
    assert current.user == "ada"


def test_job_that_was_replaced_is_not_shown_any_more(resources: Any) -> None:
    mine = board(resources)
    old = Job(Kind.REINDEX, "ada", TABLES, seen_at=datetime.now(UTC) - 2 * SILENCE)
    assert mine.begin(old)
    assert board(resources).begin(Job(Kind.CHECK, "bob", TABLES))
    with pytest.raises(JobReplaced):
        mine.update(old)


def damaged(tables: dict[str, Any] | None = None, **changes: Any) -> bytes:
    """A job whose facts, or those of its tables, are not what they should be; a change to ``...`` takes one out."""
    job = asdict(Job(Kind.CHECK, "ada", TABLES))
    job["tables"] = [{**table, **(tables or {})} for table in job["tables"]]
    return orjson.dumps({name: value for name, value in (job | changes).items() if value is not ...})


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"[]", b"null", b"\xff", b'{"kind": "check"}'),
        *(damaged(kind=kind) for kind in ("dance", None)),
        *(damaged(seen_at=time) for time in ("2026-11-25T12:00:00", "now", None, 5)),
        *(damaged(tables=changes) for changes in ({"part": "half"}, {"documents": None}, {"verdict": "fine"})),
        *(damaged(tables=changes) for changes in ({"figures": []}, {"figures": {"drift": {}}}, {"status": "asleep"})),
        *(damaged(**{name: ...}) for name in ("id", "user", "problems", "ended_at")),
    ],
)
def test_what_is_no_job_counts_as_none_and_is_replaced(
    resources: Any, body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    resources.store.put("n/_sb/job.json", body)
    with caplog.at_level(logging.WARNING, "django_smarterbase.index"):
        assert board(resources).current() is None
    assert "'n/_sb/job.json' is not a job" in caplog.text
    assert board(resources).begin(Job(Kind.CHECK, "ada", TABLES))


def test_job_is_under_way_until_it_ends_or_is_silent() -> None:
    job = Job(Kind.CHECK, "ada", TABLES)
    silent = replace(job, seen_at=datetime.now(UTC) - SILENCE - timedelta(seconds=1))
    ended = replace(job, ended_at=datetime.now(UTC))
    states = [(each.is_under_way, each.has_died, each.has_ended) for each in (job, silent, ended)]
    assert states == [(True, False, False), (False, True, False), (False, False, True)]
    assert [each.part for each in (job, ended)] == [0.75, 1.0]


@pytest.mark.parametrize(
    ("verdict", "well"),
    [
        (Verdict.REBUILT, True),
        (Verdict.LEFT, True),
        (Verdict.SOUND, True),
        (Verdict.NO_INDEX, True),
        (Verdict.INTERRUPTED, False),
        (Verdict.UNTRUSTED, False),
        (Verdict.DAMAGED, False),
        (Verdict.FAILED, False),
        (None, False),
    ],
)
def test_job_went_well_when_all_its_tables_did(verdict: Verdict | None, well: bool) -> None:
    table = replace(TABLES[0], verdict=verdict)
    job = Job(Kind.CHECK, "ada", (TABLES[0], table), ended_at=datetime.now(UTC))
    assert job.went_well is well
    assert not replace(job, problems=("one",)).went_well
    assert not replace(job, ended_at=None).went_well


def test_job_is_named_by_its_only_table_or_by_its_database() -> None:
    assert Job(Kind.CHECK, "ada", TABLES[:1]).subject("default") == "articles.Article (default)"
    assert Job(Kind.CHECK, "ada", TABLES).subject("default") == "default"
