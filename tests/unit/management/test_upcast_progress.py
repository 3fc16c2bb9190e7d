"""What a person sees of an upcast."""

from __future__ import annotations

import pytest

from django_smarterbase.backend.upcasting import Progress
from django_smarterbase.management import upcast_progress
from django_smarterbase.management.progress import Expected, unknown
from django_smarterbase.management.upcast import Outcome, Result, Task, sentence
from django_smarterbase.management.upcast_progress import UpcastDisplay
from django_smarterbase.management.view import Row, View
from django_smarterbase.tables import TableSchema

TASK = Task("default", TableSchema("things", "app.Thing", (), ("id",)))


class Canvas:
    """Keeps what it is shown."""

    def __init__(self) -> None:
        self.views: list[View] = []

    def draw(self, view: View) -> None:
        self.views.append(view)

    def clear(self) -> None:
        pass


class Clock:
    """A clock that is set."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(upcast_progress, "time", clock)
    return clock


def shown(clock: Clock, expected: Expected) -> list[View]:
    """What is seen of a table of which 100, then 300 documents are read, a second later."""
    canvas = Canvas()
    display = UpcastDisplay(canvas, 3, expected)
    for seconds, documents, written in ((0.0, 100, 40), (0.1, 150, 50), (1.0, 300, 90)):
        clock.now = 100.0 + seconds
        display.show(TASK, "app.Thing", Progress(documents=documents, outdated=written, written=written))
    return canvas.views


def test_bar_tells_part_rate_and_time_left_when_the_documents_are_counted(clock: Clock) -> None:
    first, last = shown(clock, lambda _database, _table: 500)
    assert first.rows == (Row("app.Thing", "documents", "100/500", 0.2, None, None),)
    assert last.rows == (Row("app.Thing", "documents", "300/500", 0.6, 200.0, 1.0),)
    assert last.sentence == "0:01 so far: 0 of 3 tables ready, 90 documents written back"


def test_bar_tells_the_count_alone_when_nobody_has_counted(clock: Clock) -> None:
    assert shown(clock, unknown)[-1].rows == (Row("app.Thing", "documents", "300", None, 200.0, None),)


def test_more_documents_than_were_counted_are_all_of_them(clock: Clock) -> None:
    assert shown(clock, lambda _database, _table: 200)[-1].rows[0].part == 1.0


def test_what_tables_before_have_come_to_is_counted_on(clock: Clock) -> None:
    canvas = Canvas()
    display = UpcastDisplay(canvas, 2, unknown)
    display.ended(Progress(documents=10, outdated=7, written=7))
    display.show(TASK, "app.Thing", Progress(documents=1, outdated=1, written=1))
    assert canvas.views[0].summary == "1 of 2 tables ready, 8 documents written back"


@pytest.mark.parametrize(
    ("outcome", "progress", "said"),
    [
        (Outcome.WRITTEN, Progress(3, 2, 2), "2 of 3 documents written back in version 4 (1.2 s)."),
        (
            Outcome.WRITTEN,
            Progress(3, 2, 1, 1),
            "2 of 3 documents of older versions: 1 written back in version 4, 1 written or deleted by others first "
            "(1.2 s).",
        ),
        (Outcome.CURRENT, Progress(1), "1 document, all of version 4; nothing to do."),
        (Outcome.PLANNED, Progress(3, 2), "2 of 3 documents are of older versions than 4 and would be written back."),
        (Outcome.INTERRUPTED, Progress(3, 2, 1), "interrupted after 3 documents; 1 written back."),
        (Outcome.FAILED, Progress(), "failed. It broke."),
    ],
)
def test_sentence_tells_what_became_of_a_table(outcome: Outcome, progress: Progress, said: str) -> None:
    error = "It broke." if outcome is Outcome.FAILED else ""
    assert sentence(Result(TASK, outcome, progress, 4, 1.2, error)) == said
