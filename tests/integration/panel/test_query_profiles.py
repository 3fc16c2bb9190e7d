"""The pages of the profiles: figures, sorting, filters, a method with its plans and advice, and where all is from."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest
from django.test import Client

from django_smarterbase.history import history_of
from django_smarterbase.history.ring import Kept
from django_smarterbase.ops import RedisOps, StorageOps, counting
from django_smarterbase.panel import pages, profiles
from django_smarterbase.panel.filters import ProfileFilter
from django_smarterbase.panel.profiles import find
from django_smarterbase.profiling import QueryProfile
from testproject.articles.models import Article, Author
from tests.integration.commands.site import Site
from tests.integration.panel.pages import get, row_of, rows_of, text_of

PROFILES = "/admin/django_smarterbase/queryprofiles/"
METHOD = f"{PROFILES}method/"

BY_INDEX = QueryProfile(
    method="ListArticles",
    model="articles.Article",
    database="default",
    operation="select",
    complexity="O(1)",
    index_used="redis:articles-by-category",
    started_at=datetime.now(UTC),
    duration=2.0,
    filter_fields=("category",),
    storage_ops=StorageOps(reads=3, bytes_read=3000),
    redis_ops=RedisOps(1, 1),
    candidates=3,
    result_count=3,
    plan=("articles: IndexLookup redis:articles-by-category, O(1)",),
)
SCAN = replace(
    BY_INDEX,
    method="SearchTitles",
    complexity="O(n)",
    index_used="none:full-scan",
    duration=200.0,
    filter_fields=("title",),
    storage_ops=StorageOps(reads=10_000, lists=10),
    candidates=10_000,
    result_count=12,
    plan=("articles: Scan of every document, O(n)",),
)
FALLBACK = replace(
    BY_INDEX,
    complexity="O(n)",
    index_used="none:full-scan",
    duration=90.0,
    storage_ops=StorageOps(reads=1000, bytes_read=3000),
    fallback=True,
    fallback_reason="Redis unreachable",
)
AUTHORS = replace(
    BY_INDEX, method="GetAuthor", model="articles.Author", index_used="key", duration=1.0, filter_fields=("id",)
)
COMMIT = replace(
    BY_INDEX, method="Save", model=None, operation="commit", index_used="key", filter_fields=(), plan=(), error="X"
)


def keep(found: Iterable[QueryProfile], *, ago: timedelta = timedelta(minutes=5), database: str = "default") -> None:
    """Have the history hold these, the last one begun ``ago``, the others each a second before."""
    started = datetime.now(UTC) - ago
    history = history_of(database)
    each = list(found)
    for position, profile in enumerate(each):
        begun = started - timedelta(seconds=len(each) - 1 - position)
        history.keep(replace(profile, started_at=begun, database=database))
    history.flush()


@pytest.fixture(autouse=True)
def empty_history(site: Site) -> None:
    history_of("default").clear()


def figures(page: str) -> dict[str, str]:
    """The figures over all queries."""
    block = page.partition('<dl class="sb-figures">')[2].partition("</dl>")[0]
    found = re.findall(r"<dt>(.*?)</dt><dd>([^<]*)", block)
    return {name: figure.strip() for name, figure in found}


def methods(page: str) -> list[str]:
    """The methods in the order of the table."""
    return re.findall(r'/method/\?[^"]*">([^<]+)</a>', page)


def test_page_without_profiles_says_so(root: Client) -> None:
    page = get(root, PROFILES)
    assert "There is no profile of this period." in text_of(page)
    assert "<svg class" not in page


def test_page_shows_the_figures_of_all_queries(root: Client) -> None:
    keep([BY_INDEX] * 7 + [SCAN] + [FALLBACK] + [COMMIT])
    assert figures(get(root, PROFILES)) == {
        "Queries": "10",
        "Slow": "1",
        "Full scans": "2",
        "Fallbacks": "1",
        "Failed": "1",
        "p50": "2.0 ms",
        "p95": "200.0 ms",
        "p99": "200.0 ms",
        "Cost": "$0.0045",
    }


def test_table_shows_the_figures_of_each_method(root: Client) -> None:
    keep([BY_INDEX, BY_INDEX, FALLBACK, SCAN])
    page = get(root, PROFILES)
    assert row_of(page, "ListArticles") == [
        "ListArticles articles.Article 1 full scan 1 fallback",
        "3", "31.3 ms", "90.0 ms", "94.0 ms", "O(1)", "redis:articles-by-category", "1,006", "$0.00040",
    ]  # fmt: skip
    assert row_of(page, "SearchTitles") == [
        "SearchTitles articles.Article 1 slow 1 full scan",
        "1", "200.0 ms", "200.0 ms", "200.0 ms", "O(n)", "none:full-scan", "10,010", "$0.0040",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("", ["SearchTitles", "ListArticles", "GetAuthor"]),
        ("nonsense", ["SearchTitles", "ListArticles", "GetAuthor"]),
        ("total", ["GetAuthor", "ListArticles", "SearchTitles"]),
        ("method", ["GetAuthor", "ListArticles", "SearchTitles"]),
        ("-method", ["SearchTitles", "ListArticles", "GetAuthor"]),
        ("-count", ["ListArticles", "GetAuthor", "SearchTitles"]),
        ("count", ["GetAuthor", "SearchTitles", "ListArticles"]),
        ("-average", ["SearchTitles", "ListArticles", "GetAuthor"]),
        ("p95", ["GetAuthor", "ListArticles", "SearchTitles"]),
        ("-complexity", ["SearchTitles", "GetAuthor", "ListArticles"]),
        ("index", ["GetAuthor", "SearchTitles", "ListArticles"]),
        ("-ops", ["SearchTitles", "ListArticles", "GetAuthor"]),
        ("cost", ["GetAuthor", "ListArticles", "SearchTitles"]),
    ],
)
def test_table_is_sorted_by_the_server(root: Client, order: str, expected: list[str]) -> None:
    keep([BY_INDEX, BY_INDEX, SCAN, AUTHORS])
    assert methods(get(root, PROFILES, o=order)) == expected


def test_heads_lead_to_the_other_order_and_keep_the_filters(root: Client) -> None:
    keep([BY_INDEX])
    page = get(root, PROFILES, o="-count", period="1h", p="1")
    assert '<th role="columnheader" scope="col" class="sb-num" aria-sort="descending">' in page
    assert '<a href="?period=1h&amp;o=count">Count</a>' in page
    assert '<a href="?period=1h&amp;o=-average">Average</a>' in page
    assert '<a href="?period=1h&amp;o=method">Method</a>' in page
    assert 'aria-sort="ascending"><a href="?period=1h&amp;o=-count">Count</a>' in get(
        root, PROFILES, o="count", period="1h"
    )


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"method": "LIST"}, ["ListArticles"]),
        ({"method": "nothing"}, []),
        ({"model": "articles.Author"}, ["GetAuthor"]),
        ({"model": "-"}, ["Save"]),
        ({"slow": "on"}, ["SearchTitles"]),
        ({"fallback": "on"}, ["ListArticles"]),
        ({"full_scan": "on"}, ["ListArticles", "SearchTitles"]),
        ({"full_scan": "on", "slow": "on"}, ["SearchTitles"]),
        ({"failed": "on"}, ["Save"]),
    ],
)
def test_filters_leave_what_is_asked_for(root: Client, query: dict[str, str], expected: list[str]) -> None:
    keep([BY_INDEX, FALLBACK, SCAN, AUTHORS, COMMIT])
    page = get(root, PROFILES, o="method", **query)
    assert methods(page) == expected
    assert "Clear all filters" in text_of(page)
    if not expected:
        assert "No profile of this period meets the filters." in text_of(page)


def test_every_model_of_the_period_can_be_chosen(root: Client) -> None:
    keep([BY_INDEX, AUTHORS, COMMIT])
    page = get(root, PROFILES, model="articles.Author")
    field = page.partition('name="model"')[2].partition("</select>")[0]
    options = re.findall(r'<option value="([^"]*)"( selected)?>', field)
    assert options == [("", ""), ("-", ""), ("articles.Article", ""), ("articles.Author", " selected")]
    assert "articles.Gone" in get(root, PROFILES, model="articles.Gone")


@pytest.mark.parametrize(
    ("period", "expected"),
    [("15m", 1), ("1h", 2), ("24h", 3), ("7d", 4), ("all", 5), ("", 3), ("nonsense", 3)],
)
def test_period_bounds_the_profiles(root: Client, period: str, expected: int) -> None:
    for ago in (timedelta(minutes=5), timedelta(minutes=30), timedelta(hours=3), timedelta(days=3), timedelta(days=9)):
        keep([BY_INDEX], ago=ago)
    assert figures(get(root, PROFILES, period=period))["Queries"] == str(expected)


def test_interval_goes_before_the_period(root: Client) -> None:
    for ago in (timedelta(minutes=5), timedelta(hours=3), timedelta(hours=9)):
        keep([BY_INDEX], ago=ago)
    now = datetime.now(UTC)
    since, until = (f"{now - timedelta(hours=hours):%Y-%m-%dT%H:%M}" for hours in (5, 1))
    assert figures(get(root, PROFILES, since=since, until=until, period="15m"))["Queries"] == "1"
    assert figures(get(root, PROFILES, since=since))["Queries"] == "2"
    assert figures(get(root, PROFILES, until=until, period="15m"))["Queries"] == "2"
    assert f'value="{since}"' in get(root, PROFILES, since=since)


def test_times_that_are_none_are_named_and_not_used(root: Client) -> None:
    keep([BY_INDEX])
    page = get(root, PROFILES, since="yesterday")
    assert "Enter a valid date/time." in text_of(page)
    assert figures(page)["Queries"] == "1"
    assert "The time in From must be before the time in To." in text_of(
        get(root, PROFILES, since="2026-01-02T00:00", until="2026-01-01T00:00")
    )


def test_times_are_those_of_the_readers_time_zone(root: Client, settings: Any) -> None:
    settings.TIME_ZONE = "Asia/Tokyo"
    keep([BY_INDEX], ago=timedelta(hours=3))
    local = datetime.now(UTC) + timedelta(hours=9)
    since, until = (f"{local - timedelta(hours=hours):%Y-%m-%dT%H:%M}" for hours in (4, 2))
    assert figures(get(root, PROFILES, since=since, until=until))["Queries"] == "1"


def test_chart_shows_latencies_and_outages_with_a_table_beside_it(root: Client) -> None:
    keep([BY_INDEX], ago=timedelta(hours=20))
    keep([FALLBACK, FALLBACK], ago=timedelta(hours=10))
    keep([replace(FALLBACK, fallback_reason="Redis restarted")], ago=timedelta(hours=5))
    page = get(root, PROFILES)
    assert page.count('<rect class="sb-band sb-outage" x') == 1
    assert page.count('<rect class="sb-band sb-fallback" x') == 1
    assert page.count('<rect class="sb-p95" x') == page.count('<rect class="sb-p50" x') == 3
    assert "Redis could not be reached" in text_of(page)
    assert "an index was not trusted" in text_of(page)
    head = ["From", "Queries", "p50", "p95", "Fallbacks", "Without Redis"]
    at = rows_of(page).index(head)
    table = [row[1:] for row in rows_of(page)[at + 1 : at + 4]]
    assert table == [
        ["1", "2.0 ms", "2.0 ms", "0", "0"],
        ["2", "90.0 ms", "90.0 ms", "2", "2"],
        ["1", "90.0 ms", "90.0 ms", "1", "0"],
    ]
    assert 'role="img" aria-label="' in page


def test_chart_is_drawn_with_points_in_every_language(root: Client) -> None:
    keep([SCAN])
    page = root.get(PROFILES, headers={"Accept-Language": "de"}).content.decode()
    (width,) = set(re.findall(r'class="sb-p95" x="[\d.]+" y="[\d.]+" width="([^"]+)"', page))
    assert width == "8.0"
    assert "200,0" in page


def test_shared_history_is_named_as_the_origin(root: Client) -> None:
    keep([BY_INDEX])
    assert "Database default: the shared history of all processes, in Redis." in text_of(get(root, PROFILES))


def test_profiles_of_this_process_only_are_said_to_be_so_while_redis_is_down(site: Site, root: Client) -> None:
    keep([AUTHORS])
    site.server.stop()
    keep([BY_INDEX])
    page = get(root, PROFILES)
    assert "the profiles of this process only. It has not reached Redis since" in text_of(page)
    assert "ListArticles" in methods(page)
    site.server.start()


def test_database_without_a_cache_has_the_profiles_of_this_process(site: Site, root: Client) -> None:
    site.restart(cache=None)
    keep([BY_INDEX])
    page = get(root, PROFILES)
    assert "the profiles of this process only, as the database has no cache" in text_of(page)
    assert methods(page) == ["ListArticles"]


def test_page_says_how_many_profiles_were_dropped(site: Site, root: Client) -> None:
    site.restart(profile_history=3)
    site.server.stop()
    keep([BY_INDEX] * 5)
    assert "2 profiles were dropped before they could be sent to Redis." in text_of(get(root, PROFILES))
    site.server.start()


def test_page_says_that_there_are_more_profiles_than_it_reads(root: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    keep([BY_INDEX] * 5)
    assert "Only the latest" not in text_of(get(root, PROFILES))
    monkeypatch.setattr(profiles, "LIMIT", 4)
    page = get(root, PROFILES)
    assert "Only the latest 4 profiles of the period are looked at" in text_of(page)
    assert figures(page)["Queries"] == "4"


def test_figures_of_sampled_profiles_are_estimates(site: Site, root: Client) -> None:
    site.restart(profile_sampling=0.5)
    history = history_of("default")
    for number in range(3):
        history._own.ring.add(Kept(replace(BY_INDEX, started_at=datetime.now(UTC) - timedelta(seconds=number)), 2.0))
    page = get(root, PROFILES)
    assert figures(page)["Queries"] == "6"
    assert "Estimated from 3 recorded profiles" in text_of(page)


def test_page_without_any_history_says_how_to_get_one(site: Site, root: Client) -> None:
    site.restart(profile_history=0)
    assert "No database keeps a history of profiles." in text_of(get(root, PROFILES))


def test_slow_is_what_the_database_calls_slow(site: Site, root: Client) -> None:
    site.restart(slow_ms=1.5)
    keep([BY_INDEX, AUTHORS])
    page = get(root, PROFILES, slow="on")
    assert methods(page) == ["ListArticles"]
    assert "from 1.5 ms on" in text_of(page)


def test_several_databases_are_shown_together_or_one_by_one(site: Site, root: Client) -> None:
    assert 'name="database"' not in get(root, PROFILES)
    with site.beside("second", OPTIONS=site.options(slow_ms=1000)):
        keep([BY_INDEX, SCAN])
        keep([AUTHORS, SCAN], database="second")
        page = get(root, PROFILES, o="method")
        of_second = get(root, PROFILES, o="method", database="second")
    assert methods(page) == ["GetAuthor", "ListArticles", "SearchTitles"]
    assert (figures(page)["Queries"], figures(page)["Slow"]) == ("4", "1")
    assert "Database second: the shared history" in text_of(page)
    assert "from 100 ms on, from 1,000 ms on" in text_of(page)
    assert methods(of_second) == ["GetAuthor", "SearchTitles"]
    assert "Database default:" not in text_of(of_second)


def test_profiles_of_a_project_that_calls_the_database_otherwise_are_shown_too(root: Client) -> None:
    history = history_of("default")
    history.keep(replace(BY_INDEX, database="documents"))
    history.flush()
    assert figures(get(root, PROFILES))["Queries"] == "1"
    assert figures(get(root, METHOD, name="ListArticles"))["Queries"] == "1"


def test_many_methods_are_shown_page_by_page(root: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "METHODS", 2)
    keep([BY_INDEX, SCAN, AUTHORS])
    first = get(root, PROFILES, o="method")
    assert methods(first) == ["GetAuthor", "ListArticles"]
    assert '<a href="?o=method&amp;p=2" rel="next">Next</a>' in first
    second = get(root, PROFILES, o="method", p="2")
    assert methods(second) == ["SearchTitles"]
    assert "Page 2 of 2" in text_of(second)


def test_page_takes_a_few_round_trips_and_reads_no_object(site: Site) -> None:
    keep([BY_INDEX] * 1200)
    with counting() as ops:
        found = find(ProfileFilter())
    assert len(found.kept) == 1200
    assert ops.redis.round_trips <= 4
    assert (ops.storage.total, ops.storage.system) == (0, 0)


def test_method_page_shows_its_own_figures_plans_and_latest_profiles(root: Client) -> None:
    keep([SCAN, BY_INDEX, FALLBACK])
    page = get(root, METHOD, name="ListArticles")
    assert figures(page)["Queries"] == "2"
    said = text_of(page)
    assert "Plan 1 2 statements, 46.0 ms on average, the last one" in said
    assert "articles: IndexLookup redis:articles-by-category, O(1)" in said
    assert "SearchTitles" not in said
    at = next(number for number, row in enumerate(rows_of(page)) if row[0] == "Started")
    latest = rows_of(page)[at + 1 :]
    assert [row[1] for row in latest] == ["90.0 ms", "2.0 ms"]
    assert latest[0][2:] == [
        "select articles.Article by category",
        "none:full-scan Redis unreachable Plan 1", "3", "3", "1,000 Redis: 1", "2.9 KB", "$0.00040",
    ]  # fmt: skip
    assert latest[0][0].endswith("full scan fallback")


def test_method_page_advises_an_index_and_says_what_it_would_save(root: Client) -> None:
    keep([SCAN] * 42)
    said = text_of(get(root, METHOD, name="SearchTitles"))
    assert (
        "Advice 42 full scans on title Add db_index=True to Article.title. Then run makemigrations, migrate and "
        "sb_reindex articles.Article. Estimated 9,988 fewer reads a query."
    ) in said


def test_method_page_tells_what_brings_a_lost_index_back(root: Client) -> None:
    keep([FALLBACK])
    said = text_of(get(root, METHOD, name="ListArticles"))
    assert "1 fallback: Redis unreachable Bring Redis back." in said
    assert "Estimated 997 fewer reads a query." in said


def test_method_page_has_no_advice_where_none_is_needed(root: Client) -> None:
    keep([BY_INDEX])
    assert "None: every statement found its rows by a primary key or an index." in text_of(
        get(root, METHOD, name="ListArticles")
    )


def test_advice_does_without_a_model_that_is_gone(root: Client) -> None:
    keep([replace(SCAN, model="articles.Gone"), replace(SCAN, model=None, operation="raw", filter_fields=())])
    said = text_of(get(root, METHOD, name="SearchTitles"))
    assert "1 full scan on title Add db_index=True to Gone.title." in said
    assert "1 full scan without a condition" in said


def test_method_may_be_called_anything(root: Client) -> None:
    name = "a/b <i>&é?\"' x"
    keep([replace(BY_INDEX, method=name)])
    page = get(root, PROFILES)
    assert f"/method/?name={quote(name, safe='')}" in page
    assert "<i>" not in page
    page = get(root, METHOD, name=name)
    assert "<i>" not in page
    assert figures(page)["Queries"] == "1"


def test_method_page_keeps_the_filters_on_the_way_there_and_back(root: Client) -> None:
    keep([BY_INDEX])
    page = get(root, PROFILES, period="1h", o="method", method="list")
    assert 'method/?period=1h&amp;name=ListArticles"' in page
    page = get(root, METHOD, name="ListArticles", period="1h")
    assert f'<a href="{PROFILES}?period=1h">Query profiles</a>' in page
    assert '<input type="hidden" name="name" value="ListArticles">' in page


def test_method_page_without_a_method_leads_to_all(root: Client) -> None:
    answer = root.get(METHOD)
    assert (answer.status_code, answer.headers["Location"]) == (302, PROFILES)


def test_method_page_without_profiles_says_so(root: Client) -> None:
    assert "There is no profile of this period." in text_of(get(root, METHOD, name="Unheard"))


def test_commit_has_no_plan(root: Client) -> None:
    keep([COMMIT])
    page = get(root, METHOD, name="Save")
    assert "No plan: the documents that a transaction had changed were written." in text_of(page)


def test_values_of_filters_are_shown_only_while_the_database_may_show_them(site: Site, root: Client) -> None:
    with_values = replace(BY_INDEX, filter_values=("category='a-secret'",))
    keep([with_values])
    for path, query in ((PROFILES, {}), (METHOD, {"name": "ListArticles"})):
        assert "a-secret" not in get(root, path, **query)
    site.restart(show_values=True)
    page = get(root, METHOD, name="ListArticles")
    assert "category='a-secret'" in text_of(page)


def test_profiles_of_real_queries_are_shown(site: Site, root: Client) -> None:
    from django_smarterbase.profiling import profile_queries

    author = Author.objects.create(name="Ada")
    Article.objects.create(author=author, title="Notes", category="engines")
    with profile_queries() as block:
        list(Article.objects.named("OfCategory").filter(category="engines"))
    keep(block.profiles)
    assert row_of(get(root, PROFILES), "OfCategory")[5:7] == ["O(1)", "redis:articles-by-category"]
    assert "articles: IndexLookup redis:articles-by-category, O(1)" in text_of(get(root, METHOD, name="OfCategory"))
    assert "engines" not in get(root, METHOD, name="OfCategory")
