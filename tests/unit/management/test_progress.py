"""From the works of a reindex, and the activities of a check, to what there is to see of them."""

from __future__ import annotations

from typing import Any, cast

import pytest

from django_smarterbase.indexes.answers import IndexState
from django_smarterbase.indexes.service import FallbackReason
from django_smarterbase.management import check_progress, progress
from django_smarterbase.management.check_progress import CheckDisplay
from django_smarterbase.management.progress import ReindexDisplay, part_done
from django_smarterbase.management.reindex import Task, Work
from django_smarterbase.management.ticker import Activity, Stage
from django_smarterbase.management.view import NoCanvas, Row, View
from django_smarterbase.tables import TableSchema

DEADLINE = 15.0


def work(name: str = "Article", *, documents: int | None = None, database: str = "default", **state: Any) -> Work:
    """A table's rebuild that began at 100 s; ``documents`` is what its index counts."""
    reason = None if documents is not None else FallbackReason.FLUSHED
    index = IndexState(name.lower(), None, None, reason, "", documents)
    schema = TableSchema(name.lower(), f"app.{name}", (), ("id",))
    return Work(Task(database, schema, cast("Any", None), index, DEADLINE), **{"began": 100.0, **state})


def seen(*works: Work, now: float = 104.0, expected: int | None = None, before: int | None = None) -> View:
    """What is seen of them at this time; a second ago the first had entered or compared ``before`` documents."""
    display = ReindexDisplay(NoCanvas(), lambda _database, _table: expected)
    if before is not None:
        first = works[0]
        name, count = ("done", first.done) if first.total is None else ("compared", first.compared)
        setattr(first, name, before)
        display.view(works, now - 1)
        setattr(first, name, count)
    return display.view(works, now)


def test_documents_that_an_index_counted_tell_how_long_they_take() -> None:
    (row,) = seen(work(documents=50_000, done=10_000), before=9_000).rows
    assert row == Row("app.Article", "documents", "10,000/50,000", 0.2, 1000, 40.0)


def test_few_documents_take_as_long_as_the_write_deadline() -> None:
    (row,) = seen(work(documents=5_000, done=4_000), before=3_000).rows
    assert (row.left, row.part) == (11.0, 4 / 15)


def test_documents_that_no_index_counts_are_counted_by_the_census() -> None:
    (row,) = seen(work(done=10_000), before=9_000, expected=50_000).rows
    assert row == Row("app.Article", "documents", "10,000/50,000", 0.2, 1000, 40.0)


def test_of_documents_that_nobody_counts_only_the_rate_is_known() -> None:
    view = seen(work(done=10_000), before=9_000)
    assert view.rows == (Row("app.Article", "documents", "10,000", None, 1000, None),)
    assert view.sentence == "0:01 so far: 0 of 1 table ready, 10,000 documents"


def test_more_documents_than_were_expected_are_no_more_than_all() -> None:
    (row,) = seen(work(documents=10, done=400), before=0).rows
    assert (row.counts, row.left) == ("400/400", 11.0)


def test_waiting_ends_with_the_write_deadline() -> None:
    view = seen(work(done=30, total=30))
    assert view.rows == (Row("app.Article", "waiting for writers", part=4 / 15, left=11.0),)
    assert view.sentence == "about 0:11 left: 0 of 1 table ready, waiting for writers"
    (row,) = seen(work(done=30, total=30), now=120.0).rows
    assert (row.left, row.part) == (None, 0.99)


def test_comparing_has_a_rate_and_an_end_of_its_own() -> None:
    (row,) = seen(work(done=5_000, total=5_000, compared=2_000), now=120.0, before=1_000).rows
    assert row == Row("app.Article", "compared", "2,000/5,000", 0.99, 1000, 3.0)
    (row,) = seen(work(done=5_000, total=5_000, compared=5_010), now=120.0, before=4_000).rows
    assert (row.counts, row.left) == ("5,000/5,000", 0.0)


def test_tables_that_wait_for_a_thread_take_their_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "WORKERS", 2)
    current = [work("A", documents=0), work("B", documents=0)]
    queued = [work(name, documents=0, began=None) for name in "CDE"]
    view = seen(*current, *queued)
    assert [row.name for row in view.rows] == ["app.A", "app.B"]
    assert view.left == 11 + 15 + 15


def test_tables_that_are_ready_are_counted_and_not_shown() -> None:
    view = seen(work("A", documents=10, done=10, total=10, ended=True), work("B", documents=0))
    assert [row.name for row in view.rows] == ["app.B"]
    assert view.summary == "1 of 2 tables ready, 10 documents"


def test_databases_are_named_when_there_are_several() -> None:
    view = seen(work(documents=0), work(documents=0, database="other"))
    assert [row.name for row in view.rows] == ["app.Article (default)", "app.Article (other)"]


def test_part_done_is_what_is_known_of_time_and_documents() -> None:
    assert part_done(work(began=None), 104.0) == 0
    assert part_done(work(ended=True), 104.0) == 1
    assert part_done(work(documents=100, done=10), 115.0) == 0.1
    assert part_done(work(done=10), 115.0, 20) == 0.5
    assert part_done(work(documents=100, done=100, total=100), 130.0) == 0.99


class Recorder:
    """A canvas that keeps what is drawn."""

    def __init__(self) -> None:
        self.views: list[View] = []

    def draw(self, view: View) -> None:
        self.views.append(view)

    def clear(self) -> None:
        """Nothing is in the way."""


class Clock:
    """A monotonic clock that stands still until it is moved."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(check_progress.time, "monotonic", lambda: self.now)


@pytest.fixture
def ticking(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def documents(number: int, stage: Stage = Stage.DOCUMENTS, **facts: Any) -> Activity:
    return Activity(stage, "app.Article", number, "default", "article", **{"position": 3, "tables": 12, **facts})


def check(canvas: Recorder, *, expected: int | None = 50_000, sample: int | None = None, several: bool = False) -> Any:
    return CheckDisplay(canvas, lambda _database, _table: expected, sample=sample, several=several)


def test_check_shows_the_rate_and_the_time_left_of_its_table(ticking: Clock) -> None:
    canvas = Recorder()
    ticker = check(canvas)
    ticker.say(documents(9_000))
    ticking.now += 1
    ticker.say(documents(10_000))
    assert canvas.views[-1].rows == (Row("app.Article", "documents", "10,000/50,000", 0.2, 1000, 40.0),)
    assert canvas.views[-1].sentence == "0:01 so far: table 3 of 12"


def test_check_of_a_sample_expects_no_more(ticking: Clock) -> None:
    canvas = Recorder()
    ticker = check(canvas, sample=500, several=True)
    ticker.say(documents(100))
    assert (canvas.views[-1].rows[0].name, canvas.views[-1].rows[0].counts) == ("app.Article (default)", "100/500")


@pytest.mark.parametrize("stage", [Stage.RECORDS, Stage.SETS, Stage.COUNTS, Stage.CLAIMS])
def test_check_names_the_stage_whose_end_is_not_known(ticking: Clock, stage: Stage) -> None:
    canvas = Recorder()
    check(canvas).say(documents(0, stage))
    check(canvas).say(documents(1_200, stage))
    assert [view.rows[0] for view in canvas.views] == [
        Row("app.Article", stage),
        Row("app.Article", stage, "1,200"),
    ]


def test_check_counts_down_while_it_waits(ticking: Clock) -> None:
    canvas = Recorder()
    check(canvas).say(Activity(Stage.WAITING, number=12))
    assert canvas.views[-1].sentence == "about 0:12 left: waiting to see whether what looks abandoned is"
    check(canvas).say(Activity(Stage.TRANSACTIONS, "default"))
    assert canvas.views[-1].sentence == "0:00 so far: default: transactions"


def test_check_draws_ten_times_a_second_at_most_and_each_stage_at_once(ticking: Clock) -> None:
    canvas = Recorder()
    ticker = check(canvas)
    for number in range(100):
        ticking.now += 0.01
        ticker.say(documents(number))
    assert 10 <= len(canvas.views) <= 11
    ticker.say(documents(0, Stage.CLAIMS))
    assert canvas.views[-1].rows[0].stage == "claims"


def test_the_time_that_a_check_has_taken_begins_anew_with_each_round(ticking: Clock) -> None:
    canvas = Recorder()
    ticker = check(canvas)
    ticker.say(documents(1))
    ticker.clear()
    ticking.now += 3600
    ticker.say(documents(1))
    assert canvas.views[-1].elapsed == 0
