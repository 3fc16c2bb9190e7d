"""What pages, extremes and ranges of ordered indexes cost, exactly; how much of a table there is does not matter."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import Max, Min, Q, QuerySet
from django.db.models.functions import TruncYear
from django.utils import timezone

from django_smarterbase.exceptions import FullScanRefused
from django_smarterbase.indexes.service import IndexService
from django_smarterbase.profiling import profile_queries
from testproject.articles.models import Article, Author
from tests.integration.commands.site import Site

from .test_operations import Cost, cost

ARTICLES = 400
PAGE = 20


@pytest.fixture
def newest(site: Site) -> list[Article]:
    """Articles of four authors, a quarter of them published; the newest first."""
    authors = Author.objects.bulk_create(Author(name=f"author {number}") for number in range(4))
    Article.objects.bulk_create(
        Article(
            author=authors[number % 4],
            category="databases",
            title=f"title {number}",
            status=Article.Status.PUBLISHED if number % 4 == 0 else Article.Status.DRAFT,
        )
        for number in range(ARTICLES)
    )
    newest = list(Article.objects.order_by("-created_at", "-pk").scan())
    Article.objects.count()  # the server takes the text of a script once
    Article.objects.first()
    return newest


def test_newest_page_reads_its_rows_alone(newest: list[Article]) -> None:
    page, spent = cost(lambda: list(Article.objects.order_by("-created_at")[:PAGE]))
    assert (page, spent) == (newest[:PAGE], Cost(reads=PAGE, trips=1))


def test_later_page_reads_its_rows_alone(newest: list[Article]) -> None:
    page, spent = cost(lambda: list(Article.objects.order_by("-created_at")[200 : 200 + PAGE]))
    assert (page, spent) == (newest[200 : 200 + PAGE], Cost(reads=PAGE, trips=1))


def test_newest_page_of_some_reads_its_rows_alone(newest: list[Article]) -> None:
    published = [article for article in newest if article.status == "published"]
    page, spent = cost(lambda: list(Article.objects.filter(status="published").order_by("-created_at")[:PAGE]))
    assert (page, spent) == (published[:PAGE], Cost(reads=PAGE, trips=1))


def test_page_after_a_key_reads_its_rows_alone(newest: list[Article]) -> None:
    last = newest[99].created_at
    found = Article.objects.filter(created_at__lt=last).order_by("-created_at")
    page, spent = cost(lambda: list(found[:PAGE]))
    assert (page, spent) == (newest[100 : 100 + PAGE], Cost(reads=PAGE, trips=1))


def test_order_with_more_columns_reads_what_is_equal_at_the_end_of_the_page(newest: list[Article]) -> None:
    page, spent = cost(lambda: list(Article.objects.order_by("status", "title")[:3]))
    drafts = sorted((article for article in newest if article.status == "draft"), key=lambda each: each.title)
    assert (page, spent) == (drafts[:3], Cost(reads=ARTICLES * 3 // 4, trips=1))


def test_page_with_its_authors_reads_them_once(newest: list[Article]) -> None:
    found = Article.objects.select_related("author").order_by("-created_at", "-pk")
    list(found.values_list("author__name")[:1])  # the server takes the text of a script once
    page, spent = cost(lambda: [(article, article.author.name) for article in found[:PAGE]])
    assert [article for article, _ in page] == newest[:PAGE]
    assert spent == Cost(reads=PAGE, trips=2)  # the authors' columns are all indexed


def test_page_goes_on_behind_rows_whose_author_is_gone(newest: list[Article]) -> None:
    gone = newest[0].author_id
    Author.objects.filter(pk=gone)._raw_delete("default")
    left = [article for article in newest if article.author_id != gone]
    found = Article.objects.select_related("author").order_by("-created_at", "-pk")
    page, spent = cost(lambda: list(found[:PAGE]))
    assert (page, spent.lists) == (left[:PAGE], 0)
    assert spent.reads <= 2 * PAGE + 4


ONE: dict[str, Callable[[QuerySet[Article]], Any]] = {
    "first": lambda articles: articles.order_by("created_at").first(),
    "last": lambda articles: articles.order_by("created_at").last(),
    "latest": lambda articles: articles.latest("created_at"),
    "earliest": lambda articles: articles.earliest("created_at"),
    "first by the primary key": lambda articles: articles.order_by("pk").first(),
    "maximum": lambda articles: articles.aggregate(most=Max("created_at"))["most"],
    "minimum of some": lambda articles: articles.filter(status="published").aggregate(least=Min("created_at"))["least"],
}


@pytest.mark.parametrize("name", ONE)
def test_one_row_is_read_for(newest: list[Article], name: str) -> None:
    found, spent = cost(lambda: ONE[name](Article.objects.all()))
    assert spent == Cost(reads=1, trips=1)
    assert found == ONE[name](Article.objects.scan())


def test_extremes_of_both_ends_are_two_rows(newest: list[Article]) -> None:
    found, spent = cost(lambda: Article.objects.aggregate(Min("created_at"), Max("created_at")))
    assert found == {"created_at__min": newest[-1].created_at, "created_at__max": newest[0].created_at}
    assert spent == Cost(reads=2, trips=2)


COUNTS: dict[str, tuple[Callable[[list[Article]], Any], Any]] = {
    "count after a moment": (lambda rows: Article.objects.filter(created_at__gt=rows[50].created_at).count(), 50),
    "count of a range of some": (
        lambda rows: Article.objects.filter(status="draft", created_at__range=(rows[9].created_at, rows[0].created_at)),
        None,
    ),
    "exists": (lambda rows: Article.objects.filter(created_at__lt=rows[-1].created_at).exists(), False),
    "count of a year": (
        lambda rows: Article.objects.filter(created_at__year=rows[0].created_at.year).count(),
        ARTICLES,
    ),
    "count of those with a value": (lambda rows: Article.objects.filter(created_at__isnull=False).count(), ARTICLES),
}


@pytest.mark.parametrize("name", COUNTS)
def test_no_row_is_read_for(newest: list[Article], name: str) -> None:
    ask, expected = COUNTS[name]
    if expected is None:
        expected = sum(article.status == "draft" for article in newest[:10])
        found, spent = cost(lambda: ask(newest).count())
    else:
        found, spent = cost(lambda: ask(newest))
    assert (found, spent) == (expected, Cost(trips=1))


def test_page_in_a_transaction_reads_what_it_has_changed_in_addition(newest: list[Article]) -> None:
    with transaction.atomic():
        newest[5].title = "changed"
        newest[5].save()
        found = Article.objects.order_by("-created_at")
        page, spent = cost(lambda: list(found[:PAGE]))
        assert (page, spent) == (newest[:PAGE], Cost(reads=PAGE, trips=2))
        again, spent = cost(lambda: list(found[:PAGE]))
        assert (again, spent) == (newest[:PAGE], Cost(trips=2))


def test_page_is_the_same_while_redis_is_down(site: Site, newest: list[Article]) -> None:
    site.server.kill()
    assert list(Article.objects.order_by("-created_at")[40 : 40 + PAGE]) == newest[40 : 40 + PAGE]


MOMENTS = [datetime.datetime(2024, 12, 31, hour, tzinfo=datetime.UTC) for hour in range(24)] + [
    datetime.datetime(2026, month, 1, 3, tzinfo=datetime.UTC) for month in range(1, 13)
]


@pytest.fixture
def moments(site: Site) -> list[Article]:
    """An article of each moment, half of them published."""
    author = Author.objects.create(name="Ada")
    articles = Article.objects.bulk_create(
        Article(author=author, title=str(moment), status=Article.Status.values[number % 2])
        for number, moment in enumerate(MOMENTS)
    )
    for article, moment in zip(articles, MOMENTS, strict=True):
        article.created_at = moment
    Article.objects.bulk_update(articles, ["created_at"])
    return articles


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/Chicago"])
@pytest.mark.parametrize(("kind", "groups"), [("year", 2), ("month", 13), ("day", 13)])
def test_periods_are_told_by_the_first_and_the_last_of_each(
    moments: list[Article], zone: str, kind: str, groups: int
) -> None:
    with timezone.override(zone):
        expected = sorted({timezone.localtime(moment).strftime(FORMATS[kind]) for moment in MOMENTS})
        list(Article.objects.datetimes("created_at", "day"))  # the server takes the text of a script once
        found, spent = cost(lambda: list(Article.objects.datetimes("created_at", kind)))
    assert [each.strftime(FORMATS[kind]) for each in found] == expected
    assert (spent.trips, spent.lists) == (1, 0)
    assert spent.reads <= 2 * groups


FORMATS = {"year": "%Y", "month": "%Y-%m", "day": "%Y-%m-%d"}
BOUNDED = {
    "after": Q(created_at__gt=MOMENTS[3]),
    "from": Q(created_at__gte=MOMENTS[3]),
    "before": Q(created_at__lt=MOMENTS[30]),
    "between": Q(created_at__range=(MOMENTS[9], MOMENTS[14])),
    "not before": ~Q(created_at__lt=MOMENTS[20]),
    "of a kind": Q(created_at__gt=MOMENTS[3], status="published"),
}


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/Chicago"])
@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("bound", BOUNDED)
def test_period_is_told_that_has_documents_on_both_sides_of_a_bound(
    moments: list[Article], zone: str, kind: str, bound: str
) -> None:
    found = Article.objects.filter(BOUNDED[bound])
    with timezone.override(zone):
        expected = sorted({timezone.localtime(each.created_at).strftime(FORMATS[kind]) for each in found.scan()})
        with profile_queries() as seen:
            periods = [each.strftime(FORMATS[kind]) for each in found.datetimes("created_at", kind)]
    assert periods == expected
    assert [profile.fallback for profile in seen.profiles] == [False]


def test_periods_are_found_by_a_scan_when_a_text_among_them_is_no_moment(newest: list[Article]) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE articles SET created_at = '2026-99' WHERE id = %s", [newest[5].pk.hex])
    with profile_queries() as seen, connection.cursor() as cursor:
        found = Article.objects.annotate(year=TruncYear("created_at")).values_list("year", flat=True).distinct()
        sql, params = found.order_by("year").query.sql_with_params()
        list(Article.objects.filter(category="none").datetimes("created_at", "year"))
        assert Article.objects.filter(created_at__isnull=False).count() == ARTICLES
        cursor.execute(sql, params)
    (profile,) = [each for each in seen.profiles if each.operation == "raw"]
    assert profile.result_count == 2


def test_different_values_of_an_indexed_field_are_one_row_each(newest: list[Article]) -> None:
    ask = Article.objects.distinct().order_by("status").values_list("status", flat=True)
    list(ask)
    found, spent = cost(lambda: list(ask.all()))
    assert (found, spent) == (["draft", "published"], Cost(reads=2, trips=1))


def test_page_lacks_no_row_when_one_of_it_changes_before_it_is_read(
    newest: list[Article], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The row goes to the end of the order once the index has named it for the page."""
    walk, moved = IndexService.walk, newest[3]
    pages = []

    def walk_then_change(*args: Any, **kwargs: Any) -> Any:
        page = walk(*args, **kwargs)
        pages.append(page)
        if len(pages) == 1:
            elsewhere(lambda: Article.objects.filter(pk=moved.pk).update(created_at=MOMENTS[0]))
        return page

    monkeypatch.setattr(IndexService, "walk", walk_then_change)
    page = list(Article.objects.order_by("-created_at")[:PAGE])
    assert page == [*newest[:3], *newest[4 : PAGE + 1]]
    assert len(pages) == 2


def elsewhere(change: Callable[[], object]) -> None:
    """Do something on the connection of another thread."""

    def run() -> None:
        try:
            change()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as executor:
        executor.submit(run).result()


def test_page_that_is_too_far_to_find_says_so_and_reads_what_the_conditions_leave(
    newest: list[Article], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(IndexService, "walk", lambda *_args, **_kwargs: None)
    found = Article.objects.filter(status="published").order_by("-created_at")
    with profile_queries() as seen:
        page = list(found[:PAGE])
    assert page == [article for article in newest if article.status == "published"][:PAGE]
    (profile,) = seen.profiles
    assert (profile.storage_ops.reads, profile.complexity, profile.fallback) == (ARTICLES // 4, "O(1)", False)
    assert profile.plan[-1].startswith("The order was not followed: ")


def test_page_is_refused_without_its_index_when_no_scan_is_wanted(site: Site, newest: list[Article]) -> None:
    page = Article.objects.require_index().order_by("-created_at")[:PAGE]
    assert list(page) == newest[:PAGE]
    site.server.kill()
    with pytest.raises(FullScanRefused, match=r"articles\.Article"):
        list(page.all())
