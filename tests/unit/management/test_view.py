"""Rates, times left, and what a canvas makes of a view."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from django_smarterbase.management import canvases
from django_smarterbase.management.canvases import Lines, Screen, canvas_on
from django_smarterbase.management.view import NoCanvas, Pace, Row, View, clock, latest, time_for


def rate_of(*samples: tuple[float, int]) -> float | None:
    """The rate after these counts, each at its time."""
    pace, rate = Pace(), None
    for now, count in samples:
        rate = pace.note(count, now)
    return rate


def test_rate_is_not_told_before_there_is_something_to_tell_it_by() -> None:
    assert rate_of((0.0, 0)) is None
    assert rate_of((0.0, 0), (0.4, 100)) is None
    assert rate_of((0.0, 0), (0.5, 100)) == 200


def test_rate_is_that_of_the_last_ten_seconds() -> None:
    slow = [(float(second), second) for second in range(60)]
    fast = [(60.0 + second, 59 + 100 * second) for second in range(1, 12)]
    assert rate_of(*slow) == 1
    assert rate_of(*slow, *fast) == pytest.approx(100)


def test_rate_begins_anew_when_the_count_does() -> None:
    assert rate_of((0.0, 500), (1.0, 1000), (2.0, 0)) is None
    assert rate_of((0.0, 500), (1.0, 1000), (2.0, 0), (3.0, 10)) == 10


def test_rate_remembers_no_more_than_its_window() -> None:
    pace = Pace()
    for second in range(1000):
        pace.note(second, float(second))
    assert len(pace._samples) < 15


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "0:00"), (0, "0:00"), (0.2, "0:01"), (59.5, "1:00"), (61, "1:01"), (3599, "59:59"), (3600, "1:00:00")],
)
def test_clock_rounds_up_and_has_hours_only_when_it_must(seconds: float, text: str) -> None:
    assert clock(seconds) == text


def test_times_that_are_not_known_make_the_whole_unknown() -> None:
    assert latest([]) == 0
    assert latest([1.0, 3.0, 2.0]) == 3
    assert latest([1.0, None]) is None
    assert (time_for(0, None), time_for(10, None), time_for(10, 0.0), time_for(10, 4.0)) == (0, None, None, 2.5)


ARTICLES = Row("articles.Article", "documents", "12,345/60,000", 0.2, 3400.4, 14.0)
WAITING = Row("auth.Permission", "waiting for writers", part=0.5, left=12.0)
UNKNOWN = Row("auth.User", "documents", "1,000")
VIEW = View((WAITING, ARTICLES, UNKNOWN), "2 of 12 tables ready, 34,567 documents", 8.0, 40.0)


def drawn(view: View, width: int, height: int = 24, *, encoding: str = "utf-8") -> list[str]:
    """The lines of a terminal without colours, but for the spinner at the beginning of the last one."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="backslashreplace")
    console = Console(file=stream, width=width, height=height, color_system=None, force_terminal=True)
    screen = Screen(console)
    screen._view = view
    with console.capture() as capture:
        console.print(screen._picture())
    *lines, last = capture.get().splitlines()
    return [*(line.rstrip() for line in lines), last[2:].rstrip()]


def test_wide_terminal_shows_everything_the_slowest_first() -> None:
    assert drawn(VIEW, 80) == [
        "auth.User        ━━━━━━━━━━━━━━━━━━━━━━━━ documents 1,000",
        "articles.Article ━━━━╸                    documents 12,345/60,000 3,400/s 0:14",
        "auth.Permission  ━━━━━━━━━━━━             waiting for writers             0:12",
        "about 0:40 left: 2 of 12 tables ready, 34,567 documents",
    ]


def test_terminal_of_60_columns_shows_bars_and_times() -> None:
    assert drawn(VIEW, 60) == [
        "auth.User        ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━ 1,000",
        "articles.Article ━━━━━━━                              0:14",
        "auth.Permission  ━━━━━━━━━━━━━━━━━╸                   0:12",
        "about 0:40 left: 2 of 12 tables ready, 34,567 documen…",
    ]


def test_terminal_of_40_columns_shows_percents_and_times() -> None:
    assert drawn(VIEW, 40) == [
        "auth.User        1,000",
        "articles.Article   20% 0:14",
        "auth.Permission    50% 0:12",
        "about 0:40 left: 2 of 12 tables r…",
    ]


@pytest.mark.parametrize("width", range(20, 130))
def test_no_line_is_as_long_as_the_terminal_and_no_time_is_cut(width: int) -> None:
    long = Row("a_long_application.WithAModelOfALongName", "compared", "1,234,567/2,345,678", 0.5, 12345.6, 3725.0)
    lines = drawn(View((long, ARTICLES), "0 of 2 tables ready, 1,234,567 documents", 8.0, None), width)
    assert max(map(len, lines)) < width
    assert lines[0].endswith("1:02:05")
    assert lines[1].endswith("0:14")


def test_low_terminal_leaves_tables_out_and_says_so() -> None:
    rows = tuple(Row(f"app.M{number}", "documents", left=float(number)) for number in range(9))
    lines = drawn(View(rows, "0 of 9 tables ready", 1.0), 60, 8)
    assert [line.split()[0] for line in lines] == ["app.M8", "app.M7", "app.M6", "app.M5", "app.M4", "and", "0:01"]
    assert lines[-2:] == ["and 4 more tables", "0:01 so far: 0 of 9 tables ready"]


def test_terminal_that_knows_no_unicode_gets_none() -> None:
    assert all(line.isascii() for line in drawn(View((ARTICLES,), "1 of 2", 1.0), 80, encoding="ascii"))


def test_lines_come_now_and_then_and_name_the_slowest(monkeypatch: pytest.MonkeyPatch) -> None:
    now, stream = [100.0], io.StringIO()
    monkeypatch.setattr(canvases.time, "monotonic", lambda: now[0])
    lines = Lines(stream, 30.0, phases=False)
    for second in range(100, 165):
        now[0] = float(second)
        lines.draw(View((WAITING, ARTICLES), "2 of 12 tables ready", now[0] - 100, 40.0))
    lines.clear()
    line = "about 0:40 left: 2 of 12 tables ready; articles.Article: documents 12,345/60,000, 3,400/s, 0:14 left\n"
    assert stream.getvalue() == 2 * line


def test_lines_tell_of_each_phase_once_when_asked_for() -> None:
    stream = io.StringIO()
    lines = Lines(stream, 1000.0, phases=True)
    for row in (UNKNOWN, UNKNOWN, Row("auth.User", "compared", "1/5")):
        lines.draw(View((row, WAITING), "0 of 2 tables ready", 1.0))
    assert stream.getvalue().splitlines() == [
        "auth.User: documents 1,000",
        "auth.Permission: waiting for writers, 0:12 left",
        "auth.User: compared 1/5",
    ]


class Terminal(io.StringIO):
    """A stream that is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "verbosity", "quiet", "kind"),
    [
        (Terminal(), 1, True, Screen),
        (Terminal(), 0, False, NoCanvas),
        (io.StringIO(), 1, False, Lines),
        (io.StringIO(), 1, True, NoCanvas),
        (io.StringIO(), 2, True, Lines),
        (io.StringIO(), 3, False, Lines),
        (io.StringIO(), 0, False, NoCanvas),
    ],
)
def test_canvas_is_what_stream_and_verbosity_ask_for(
    monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, verbosity: int, quiet: bool, kind: type
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    assert type(canvas_on(stream, verbosity=verbosity, no_color=False, quiet=quiet)) is kind
