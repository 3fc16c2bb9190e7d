"""Iterators that read while they are iterated: what happens in between, and how they end."""

from __future__ import annotations

import gc
import io
import json
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.core.management import call_command
from django.db import connection, transaction
from django.db.models import F

from django_smarterbase.exceptions import CorruptDocument, ScanBudgetExceeded
from django_smarterbase.profiling import profile_queries
from testproject.articles.models import Article, Author
from tests.integration.commands.site import Site

from .conftest import ARTICLES, write_articles

pytestmark = pytest.mark.usefixtures("small_pieces")

ALL = list(range(ARTICLES))


def views(articles: Iterator[Article]) -> list[int]:
    return sorted(article.view_count for article in articles)


def descriptors() -> set[str]:
    """The files below the site's folder that this process has open."""
    links = Path("/proc/self/fd").iterdir()
    return {str(link.resolve()) for link in links if "objects" in str(link.resolve())}


def test_other_statements_run_between_the_rows(site: Site) -> None:
    seen = []
    for article in Article.objects.order_by().iterator(chunk_size=10):
        seen.append(article.view_count)
        if article.view_count % 40 == 0:
            assert Article.objects.get(pk=article.pk) == article
            assert Article.objects.filter(view_count=article.view_count + 1).count() == 1
            assert len(Article.objects.filter(title="title 9")) == 3
    assert sorted(seen) == ALL


def test_iterators_of_one_table_go_on_side_by_side(site: Site) -> None:
    pairs = zip(
        Article.objects.order_by("pk").iterator(chunk_size=10),
        Article.objects.order_by("-pk").iterator(chunk_size=10),
        strict=True,
    )
    assert [(one.view_count, other.view_count) for one, other in pairs] == list(zip(ALL, ALL[::-1], strict=True))


def test_rows_that_are_saved_meanwhile_come_once(site: Site) -> None:
    seen = []
    for article in Article.objects.filter(view_count__lt=100).order_by().iterator(chunk_size=10):
        seen.append(article.view_count)
        article.view_count += 10_000
        article.save(update_fields=["view_count"])
    assert sorted(seen) == list(range(100))
    assert Article.objects.filter(view_count__gte=10_000).count() == 100


def test_what_was_there_all_the_time_is_missed_by_no_iterator_while_others_write(site: Site) -> None:
    stop = threading.Event()

    def write() -> None:
        try:
            number = ARTICLES
            while not stop.is_set():
                Article.objects.filter(pk__in=[uuid.UUID(int=each) for each in range(0, 40, 4)]).update(body="changed")
                write_articles(range(number, number + 5))
                number += 5
        finally:
            connection.close()

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for query in (Article.objects.order_by(), Article.objects.order_by("pk"), Article.objects.order_by("title")):
            found = [article.view_count for article in query.iterator(chunk_size=10)]
            assert len(found) == len(set(found))
            assert set(ALL) <= set(found)
    finally:
        stop.set()
        thread.join()


def test_document_that_is_deleted_before_its_piece_is_read_is_not_given(site: Site) -> None:
    rows = Article.objects.order_by("pk").iterator(chunk_size=10)
    assert next(rows).view_count == 0
    Article.objects.filter(pk=uuid.UUID(int=150)).delete()
    assert [row.view_count for row in rows] == [number for number in ALL[1:] if number != 150]


def test_iterator_goes_on_with_what_is_committed_when_a_transaction_is_opened_and_rolled_back(site: Site) -> None:
    rows = Article.objects.order_by().iterator(chunk_size=10)
    seen = [next(rows).view_count]
    with transaction.atomic():
        Article.objects.filter(title="title 5").update(view_count=7777)
        seen += [next(rows).view_count for _ in range(75)]
        assert Article.objects.filter(view_count=7777).count() == 3
        transaction.set_rollback(True)
    seen += [row.view_count for row in rows]
    assert sorted(seen) == ALL


def test_transaction_keeps_its_changes_when_an_iterator_goes_on_in_it(site: Site) -> None:
    rows = Article.objects.order_by().iterator(chunk_size=10)
    next(rows)
    with transaction.atomic():
        Article.objects.filter(title="title 5").update(view_count=F("view_count") + 10_000)
        with transaction.atomic():
            assert len(list(rows)) == ARTICLES - 1
        Article.objects.filter(title="title 6").update(view_count=F("view_count") + 10_000)
    assert Article.objects.filter(view_count__gte=10_000).count() == 6


def test_iterator_in_a_transaction_sees_its_changes_and_reads_once(site: Site) -> None:
    with transaction.atomic():
        Article.objects.filter(title="title 5").update(view_count=7777)
        rows = Article.objects.order_by().iterator(chunk_size=10)
        first = next(rows)
        Article.objects.filter(title="title 6").update(view_count=8888)
        found = [first.view_count, *(row.view_count for row in rows)]
    assert (found.count(7777), found.count(8888)) == (3, 0)


def test_left_iterator_closes_what_it_has_open_and_tells_its_profile_once(site: Site) -> None:
    with profile_queries() as queries:
        rows = Article.objects.order_by().iterator(chunk_size=5)
        next(rows)
        assert descriptors()
        assert not queries.profiles
        del rows
        assert not descriptors()
    [profile] = queries.profiles
    assert (profile.storage_ops.reads, profile.candidates, profile.result_count) == (10, 10, 10)
    assert (profile.error, profile.index_used) == (None, "none:full-scan")
    assert profile.method.endswith("test_left_iterator_closes_what_it_has_open_and_tells_its_profile_once")


def test_read_iterator_tells_true_counts_at_its_end(site: Site) -> None:
    with profile_queries() as queries:
        rows = Article.objects.filter(title="title 5").order_by().iterator(chunk_size=1)
        next(rows)
        assert not queries.profiles
        assert len(list(rows)) == 2
    [profile] = queries.profiles
    assert (profile.storage_ops.reads, profile.storage_ops.lists) == (ARTICLES, 1)
    assert (profile.candidates, profile.result_count) == (3, 3)
    assert not descriptors()


def test_iterator_that_is_forgotten_in_a_cycle_ends_with_it(site: Site) -> None:
    cycle: list[Any] = [Article.objects.order_by().iterator(chunk_size=10)]
    next(cycle[0])
    cycle.append(cycle)
    with profile_queries() as queries:
        del cycle
        gc.collect()
    assert [profile.result_count for profile in queries.profiles] == [10]
    assert not descriptors()


def test_error_in_the_middle_ends_the_iterator_and_its_statement(site: Site) -> None:
    broken = site.folder / connection.resources.keys.document("articles", uuid.UUID(int=120).hex)
    broken.write_bytes(b"{")
    with profile_queries() as queries, pytest.raises(CorruptDocument):
        views(Article.objects.order_by("pk").iterator(chunk_size=10))
    assert [(profile.error, profile.result_count) for profile in queries.profiles] == [("CorruptDocument", 120)]
    assert not descriptors()
    site.restart(on_corrupt="skip")
    with profile_queries() as queries:
        assert views(Article.objects.order_by().iterator(chunk_size=10)) == [number for number in ALL if number != 120]
    assert [profile.skipped_documents for profile in queries.profiles] == [1]


def test_budget_of_a_scan_holds_for_an_iterator(site: Site) -> None:
    site.restart(max_scan_objects=200)
    for query in (Article.objects.order_by(), Article.objects.order_by("pk"), Article.objects.order_by("title")):
        with pytest.raises(ScanBudgetExceeded, match="more than 200 documents"):
            list(query.iterator(chunk_size=10))


def test_two_documents_with_one_unique_value_are_found_by_a_list_that_holds_both(site: Site) -> None:
    for name in ("ada", "bob"):
        Author.objects.create(name=name)
    keys = {
        author.name: connection.resources.keys.document("authors", author.pk.hex) for author in Author.objects.all()
    }
    path = site.folder / keys["bob"]
    path.write_bytes(path.read_bytes().replace(b'"bob"', b'"ada"'))
    with pytest.raises(CorruptDocument, match="UNIQUE constraint failed"):
        list(Author.objects.scan().order_by("pk"))
    site.restart(on_corrupt="skip")
    assert len(Author.objects.scan().order_by("pk")) == 1


def test_asynchronous_iterator_reads_while_it_is_iterated(site: Site) -> None:
    async def some() -> list[int]:
        found = []
        async for article in Article.objects.order_by().aiterator(chunk_size=10):
            found.append(article.view_count)
            if len(found) == 25:
                break
        return found

    async def everything() -> list[int]:
        return sorted([article.view_count async for article in Article.objects.order_by().aiterator()])

    with profile_queries() as queries:
        assert len(async_to_sync(some)()) == 25
        gc.collect()
        assert async_to_sync(everything)() == ALL
    first, second = queries.profiles
    assert first.storage_ops.reads < 100
    assert (second.storage_ops.reads, second.result_count) == (ARTICLES, ARTICLES)


def test_rows_are_prefetched_for_an_iterator(site: Site) -> None:
    Author.objects.bulk_create(Author(pk=uuid.UUID(int=number), name=f"author {number}") for number in range(7))
    rows = Article.objects.order_by("pk").prefetch_related("author").iterator(chunk_size=100)
    assert [row.author.name for row in rows] == [f"author {number % 7}" for number in ALL]


def test_dumpdata_writes_every_row_in_the_order_of_keys(site: Site) -> None:
    out = io.StringIO()
    call_command("dumpdata", "articles.article", stdout=out)
    assert [each["fields"]["view_count"] for each in json.loads(out.getvalue())] == ALL
