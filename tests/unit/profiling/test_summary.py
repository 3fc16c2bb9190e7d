"""Figures over profiles, held against definitions written out plainly."""

import datetime
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_smarterbase.ops import RedisOps, StorageOps
from django_smarterbase.profiling import GroupSummary, QueryProfile
from django_smarterbase.profiling.summary import percentile, summarize

FACTS = {
    "method": "List",
    "model": None,
    "database": "default",
    "operation": "select",
    "complexity": "O(1)",
    "index_used": "key",
    "started_at": datetime.datetime(2025, 3, 1, tzinfo=datetime.UTC),
}
durations = st.lists(st.floats(min_value=0, max_value=1e6), min_size=1, max_size=300)


@given(durations, st.sampled_from([1, 50, 95, 99, 100]))
def test_percentile_is_the_smallest_duration_that_enough_others_do_not_exceed(values, per_cent):
    found = percentile(sorted(values), per_cent)

    enough = [value for value in values if sum(other <= value for other in values) * 100 >= per_cent * len(values)]
    assert found == min(enough)


@pytest.mark.parametrize(("per_cent", "expected"), [(50, 10.0), (95, 19.0), (99, 20.0)])
def test_percentile_of_twenty_durations_is_by_nearest_rank(per_cent, expected):
    assert percentile([float(n) for n in range(1, 21)], per_cent) == expected


def test_summary_counts_slow_scans_and_fallbacks(make_profile):
    summary = summarize(
        [
            make_profile(duration=99.9),
            make_profile(duration=100.0, complexity="O(n)"),
            make_profile(duration=300.1, complexity="O(n)", fallback=True),
        ]
    )

    assert (summary.total, summary.slow, summary.full_scans, summary.fallbacks) == (3, 2, 2, 1)
    assert summary.average == pytest.approx(500 / 3)
    assert (summary.p50, summary.p95, summary.p99) == (100.0, 300.1, 300.1)


def test_summary_groups_by_method_in_falling_order_of_time(make_profile):
    ops = StorageOps(reads=2, lists=1, bytes_read=10)
    summary = summarize(
        [
            make_profile(method="Count", duration=1.0),
            make_profile(method="List", duration=2.0, storage_ops=ops, redis_ops=RedisOps(2, 1)),
            make_profile(method="List", duration=4.0, storage_ops=ops, complexity="O(n)", fallback=True),
        ]
    )

    assert list(summary.by_method) == ["List", "Count"]
    assert summary.by_method["List"] == GroupSummary(
        count=2,
        recorded=2,
        total_ms=6.0,
        average_ms=3.0,
        p50_ms=2.0,
        p95_ms=4.0,
        p99_ms=4.0,
        slowest_ms=4.0,
        complexity="O(1)",
        index_used="redis:articles-by-author",
        full_scans=1,
        fallbacks=1,
        failed=0,
        storage_ops=6,
        redis_round_trips=1,
        bytes_read=20,
        cost_usd=pytest.approx(2 * (2 * 0.0004 + 0.005) / 1000),
    )
    assert {name: group.count for name, group in summary.by_complexity.items()} == {"O(1)": 2, "O(n)": 1}


def test_summary_of_nothing_is_all_zero_and_has_no_tables():
    summary = summarize([])

    assert (summary.total, summary.average, summary.p50, summary.p99) == (0, 0.0, 0.0, 0.0)
    assert summary.render() == (
        "Queries: 0 (slow: 0, full scans: 0, fallbacks: 0)\n"
        "Duration: average 0.0 ms, p50 0.0 ms, p95 0.0 ms, p99 0.0 ms"
    )


def test_summary_renders_aligned_tables(make_profile):
    summary = summarize([make_profile(duration=2.0, storage_ops=StorageOps(reads=3)), make_profile(duration=4.0)])

    assert summary.render() == (
        "Queries: 2 (slow: 0, full scans: 0, fallbacks: 0)\n"
        "Duration: average 3.0 ms, p50 2.0 ms, p95 4.0 ms, p99 4.0 ms\n"
        "\n"
        "Method                Count    Total ms  Average ms  Storage ops\n"
        "ListAuthorArticles        2         6.0         3.0            3\n"
        "\n"
        "Complexity    Count    Total ms  Average ms  Storage ops\n"
        "O(1)              2         6.0         3.0            3"
    )


def test_summary_as_dict_survives_json(make_profile):
    figures = summarize([make_profile(duration=2.0)], slow_ms=1.0).as_dict()

    assert json.loads(json.dumps(figures)) == figures
    assert figures["slow"] == 1
    assert figures["slow_ms"] == 1.0
    assert figures["by_method"]["ListAuthorArticles"]["count"] == 1


weights = st.sampled_from([1.0, 2.0, 4.0, 10.0])


@given(st.lists(st.tuples(st.floats(min_value=0, max_value=1e6), weights), min_size=1, max_size=60))
def test_weighted_summary_is_that_of_each_profile_written_out_as_often_as_it_counts(pairs):
    profiles = [QueryProfile(**FACTS, duration=duration) for duration, _ in pairs]
    written_out = [each for each, (_, weight) in zip(profiles, pairs, strict=True) for _ in range(int(weight))]

    weighted = summarize(profiles, 100.0, [weight for _, weight in pairs]).as_dict()
    expected = summarize(written_out, 100.0).as_dict()

    for figures in (weighted, *weighted["by_method"].values(), *weighted["by_complexity"].values()):
        assert figures.pop("recorded") == len(profiles)
    for figures in (expected, *expected["by_method"].values(), *expected["by_complexity"].values()):
        figures.pop("recorded")
    assert approximate(weighted) == expected


def approximate(figures):
    return {name: approximate(each) if isinstance(each, dict) else approx(each) for name, each in figures.items()}


def approx(figure):
    return pytest.approx(figure) if isinstance(figure, float) else figure


def test_weights_of_profiles_estimate_counts_sums_and_cost(make_profile):
    summary = summarize(
        [
            make_profile(duration=2.0, storage_ops=StorageOps(reads=3), redis_ops=RedisOps(1, 1)),
            make_profile(duration=200.0, complexity="O(n)", error="CorruptDocument"),
        ],
        weights=[10.0, 1.0],
    )

    assert (summary.total, summary.recorded, summary.slow, summary.full_scans, summary.failed) == (11, 2, 1, 1, 1)
    assert (summary.average, summary.p50, summary.p95) == (pytest.approx(220 / 11), 2.0, 200.0)
    assert summary.cost_usd == pytest.approx(30 * 0.0004 / 1000)
    group = summary.by_method["ListAuthorArticles"]
    assert (group.count, group.recorded, group.storage_ops, group.redis_round_trips) == (11, 2, 30, 10)


def test_weights_that_are_not_whole_give_whole_counts(make_profile):
    summary = summarize([make_profile(), make_profile()], weights=[1 / 0.3, 1 / 0.3])

    assert (summary.total, summary.recorded) == (7, 2)


def test_group_names_the_index_that_most_statements_used_and_its_complexity(make_profile):
    profiles = [
        make_profile(index_used="redis:by-status"),
        make_profile(index_used="none:full-scan", complexity="O(n)"),
        make_profile(index_used="none:full-scan", complexity="O(n)"),
    ]

    alike = summarize(profiles).by_method["ListAuthorArticles"]
    weighted = summarize(profiles, weights=[3.0, 1.0, 1.0]).by_method["ListAuthorArticles"]

    assert (alike.index_used, alike.complexity) == ("none:full-scan", "O(n)")
    assert (weighted.index_used, weighted.complexity) == ("redis:by-status", "O(1)")


def test_weights_must_be_as_many_as_profiles(make_profile):
    with pytest.raises(ValueError, match="zip"):
        summarize([make_profile()], weights=[1.0, 1.0])
