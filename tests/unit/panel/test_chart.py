"""The chart: which column a statement is in, how high it is, and what is behind it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from django_smarterbase.history.ring import Kept
from django_smarterbase.panel.chart import COLUMNS, HEIGHT, WIDTH, Band, Chart, chart_of
from django_smarterbase.panel.filters import ProfileFilter
from django_smarterbase.panel.profiles import Found
from django_smarterbase.profiling import QueryProfile

BEGIN = datetime(2026, 11, 25, 12, tzinfo=UTC)
END = BEGIN + timedelta(minutes=COLUMNS)
HOUR = ProfileFilter(since=BEGIN, until=END)


def kept(minute: float, duration: float = 10.0, reason: str | None = None, weight: float = 1.0) -> Kept:
    """A statement that began so many minutes after BEGIN."""
    profile = QueryProfile(
        method="m",
        model=None,
        database="default",
        operation="select",
        complexity="O(1)",
        index_used="key",
        started_at=BEGIN + timedelta(minutes=minute),
        duration=duration,
        fallback=reason is not None,
        fallback_reason=reason,
    )
    return Kept(profile, weight)


def found(*members: Kept) -> Found:
    """Newest first, as they are read."""
    ordered = sorted(members, key=lambda each: each.profile.started_at, reverse=True)
    return Found(tuple(ordered), (), frozenset(), {"default": 100.0}, {"default": False})


def chart(*members: Kept, wanted: ProfileFilter = HOUR) -> Chart:
    made = chart_of(found(*members), wanted)
    assert made is not None
    return made


def test_nothing_has_no_chart() -> None:
    assert chart_of(found(), HOUR) is None


def test_columns_cover_the_interval_evenly() -> None:
    made = chart(kept(0))
    assert len(made.columns) == COLUMNS
    assert (made.columns[0].begin, made.columns[-1].end, made.middle) == (BEGIN, END, BEGIN + timedelta(minutes=30))
    assert made.columns[1].begin == made.columns[0].end == BEGIN + timedelta(minutes=1)


@pytest.mark.parametrize(("minute", "position"), [(0, 0), (0.99, 0), (1, 1), (59.99, 59), (-5, 0), (61, 59)])
def test_statement_stands_in_the_column_of_its_time(minute: float, position: int) -> None:
    (column,) = chart(kept(minute)).filled
    assert chart(kept(minute)).columns.index(column) == position


def test_heights_are_shares_of_the_next_round_latency() -> None:
    made = chart(kept(0, 30), kept(0, 30), kept(0, 150), kept(5, 1))
    assert (made.top, made.half) == (200.0, 100.0)
    first, second = made.filled
    assert (first.count, first.p50, first.p95) == (3, 30, 150)
    assert (first.p50_height, first.p95_height) == (15.0, 75.0)
    assert (first.p50_y, first.p95_y) == (85.0, 25.0)
    assert second.p50_height == 0.8  # it would not be seen otherwise


@pytest.mark.parametrize(("latency", "top"), [(0.2, 1), (1, 1), (1.1, 2), (4, 5), (9, 10), (100, 100), (101, 200)])
def test_scale_ends_at_a_round_latency(latency: float, top: float) -> None:
    assert chart(kept(0, latency)).top == top


def test_weights_count_in_counts_and_percentiles() -> None:
    (column,) = chart(kept(0, 1, weight=9), kept(0, 5, weight=1)).filled
    assert (column.count, column.p50, column.p95) == (10, 1, 5)


def test_outages_and_untrusted_indexes_are_bands_behind_the_columns() -> None:
    made = chart(
        kept(10),
        kept(20, reason="Redis unreachable"),
        kept(21, reason="Redis left alone after repeated failures"),
        kept(21, reason="Redis restarted"),
        kept(22, reason="Redis restarted"),
        kept(40, reason="Redis unreachable"),
    )
    step = WIDTH / COLUMNS
    assert made.bands == [
        Band("outage", 20 * step, 2 * step),
        Band("fallback", 22 * step, step),
        Band("outage", 40 * step, step),
    ]
    assert (made.has_outage, made.has_fallback) == (True, True)
    assert [(each.fallbacks, each.outages) for each in made.filled] == [(0, 0), (1, 1), (2, 1), (1, 0), (1, 1)]


def test_chart_without_trouble_has_no_bands() -> None:
    made = chart(kept(1))
    assert (made.bands, made.has_outage, made.has_fallback) == ([], False, False)


def test_open_interval_begins_with_the_oldest_statement_and_ends_now() -> None:
    made = chart(kept(0), kept(30), wanted=ProfileFilter())
    assert made.begin == BEGIN
    assert abs(made.end - datetime.now(UTC)) < timedelta(minutes=1) or made.end == BEGIN + timedelta(seconds=COLUMNS)


def test_columns_stay_within_the_drawing() -> None:
    made = chart(*[kept(minute, 10.0 + minute) for minute in range(COLUMNS)])
    for column in made.columns:
        assert column.x >= 0
        assert column.x + column.width <= WIDTH
        assert 0 <= column.p95_y <= column.p50_y <= HEIGHT
