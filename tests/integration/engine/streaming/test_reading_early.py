"""Who wants a few rows does not wait for a whole table to be read: requests are counted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from django.core.exceptions import ObjectDoesNotExist
from django.db import connection, transaction

from django_smarterbase.backend.pieces import FIRST
from django_smarterbase.ops import StorageOps
from django_smarterbase.profiling import profile_queries
from testproject.articles.models import Article
from tests.integration.commands.site import Site

from .conftest import MANY


def ops(ask: Callable[[], Any], statements: int = 1) -> tuple[Any, StorageOps]:
    """What ``ask`` answers, and what the last of its statements asks of the store."""
    with profile_queries() as queries:
        answer = ask()
    assert len(queries.profiles) == statements
    return answer, replace(queries.profiles[-1].storage_ops, system=0)  # every half a minute one looks for packs


UNORDERED = Article.objects.order_by()


@pytest.mark.parametrize(
    ("ask", "answer"),
    [
        (lambda: len(UNORDERED.filter(view_count__gte=0)[:10]), 10),
        (lambda: len(UNORDERED.filter(view_count__gte=0).values_list("title")[20:30]), 10),
        (lambda: UNORDERED.filter(view_count__gte=0).exists(), True),
        (lambda: len([row for row, _ in zip(UNORDERED.iterator(chunk_size=5), range(5), strict=False)]), 5),
    ],
    ids=["slice", "later slice", "exists", "iterator that is left"],
)
def test_first_rows_take_a_piece_of_the_table(large_site: Site, ask: Callable[[], Any], answer: Any) -> None:
    assert ops(ask) == (answer, StorageOps(reads=FIRST, lists=1, bytes_read=ops(ask)[1].bytes_read))


def test_slice_reads_on_until_it_has_its_rows(large_site: Site) -> None:
    found, spent = ops(lambda: list(UNORDERED.filter(title="title 7").values_list("view_count", flat=True)[:3]))
    assert len(found) == 3
    assert all(views % 100 == 7 for views in found)
    assert FIRST <= spent.reads < MANY


def test_first_rows_take_a_piece_in_a_transaction_too_and_the_next_what_is_there(large_site: Site) -> None:
    rows = UNORDERED.filter(view_count__gte=0)
    with transaction.atomic():
        first, spent = ops(lambda: list(rows[:10]))
        assert (len(first), spent.reads) == (10, FIRST)
        again, spent = ops(lambda: list(rows[5:20]))
        assert (again[:5], len(again), spent.reads) == (first[5:], 15, 0)
        assert ops(lambda: len(rows.filter(title="nothing")[:1]))[1].reads == MANY
        assert ops(lambda: (len(rows), rows.filter(title="nothing").exists()), 2) == ((MANY, False), StorageOps())


def test_slice_of_what_is_not_there_reads_everything_once(large_site: Site) -> None:
    assert ops(lambda: list(UNORDERED.filter(title="nothing")[:3]))[1].reads == MANY
    with pytest.raises(ObjectDoesNotExist):
        Article.objects.get(title="nothing")


def test_slice_in_order_reads_everything_since_the_last_may_be_the_first(large_site: Site) -> None:
    found, spent = ops(lambda: list(Article.objects.order_by("-view_count").values_list("view_count", flat=True)[:3]))
    assert (found, spent.reads, spent.lists) == ([1999, 1998, 1997], MANY, 1)


def test_iterator_by_key_lists_the_table_once_and_reads_it_once(large_site: Site) -> None:
    found, spent = ops(
        lambda: [views for (views,) in Article.objects.order_by("pk").values_list("view_count").iterator()]
    )
    assert (found, spent.reads, spent.lists) == (list(range(MANY)), MANY, 1)


@pytest.mark.usefixtures("small_pieces")
def test_iterator_in_another_order_reads_its_rows_a_second_time(large_site: Site) -> None:
    query = Article.objects.filter(title="title 7").order_by("-view_count").values_list("view_count", flat=True)
    found, spent = ops(lambda: list(query.iterator()))
    assert (found, spent.reads, spent.lists) == (list(range(1907, 0, -100)), MANY + 20, 1)


def test_few_rows_that_the_index_knows_are_not_refused_where_no_scan_is_wanted(large_site: Site) -> None:
    connection.resources.indexes.rebuild(large_site.schema(Article))
    assert ops(lambda: len(UNORDERED.values_list("category")[:3]))[1].reads == FIRST
    found, spent = ops(lambda: list(UNORDERED.require_index().values_list("category")[:3]))
    assert (len(found), spent.reads) == (3, 0)
