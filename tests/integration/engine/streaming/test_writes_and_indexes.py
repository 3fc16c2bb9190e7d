"""What statements that write do in pieces, and iterators over what an index or the keys name: exact requests."""

from __future__ import annotations

import uuid

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection
from django.db.models import F, Value
from django.db.models.functions import Concat

from django_smarterbase.exceptions import FullScanRefused
from django_smarterbase.profiling import profile_queries
from testproject.articles.models import Article, Author
from tests.integration.commands.site import Site

from .conftest import ARTICLES

pytestmark = pytest.mark.usefixtures("small_pieces")


def test_update_reads_the_table_once_and_writes_what_matches(site: Site) -> None:
    call_command("sb_reindex", "articles.article", verbosity=0)
    with profile_queries() as queries:
        assert Article.objects.filter(title="title 5").update(view_count=F("view_count") + 1000) == 3
    [profile] = queries.profiles
    assert (profile.storage_ops.reads, profile.storage_ops.writes, profile.storage_ops.lists) == (ARTICLES, 3, 1)
    found = Article.objects.filter(view_count__gte=1000).order_by("pk").values_list("view_count", flat=True)
    assert list(found) == [1005, 1105, 1205]


def test_delete_removes_what_matches(site: Site) -> None:
    assert Article.objects.filter(title="title 5").delete() == (3, {"articles.Article": 3})
    assert Article.objects.filter(view_count__lt=100).count() == 99
    assert Article.objects.order_by()._raw_delete("default") == ARTICLES - 3
    assert not Article.objects.exists()


def test_update_is_refused_that_would_give_a_unique_value_twice(site: Site) -> None:
    Author.objects.bulk_create(Author(name=f"author {number:02}") for number in range(40))
    with pytest.raises(IntegrityError, match=r"UNIQUE constraint failed: authors\.name"):
        Author.objects.filter(name__endswith="01").update(name="author 30")
    assert Author.objects.filter(name__contains="1").update(name=Concat("name", Value("!"))) == 13
    assert Author.objects.filter(name__endswith="!").count() == 13


def test_iterator_over_an_index_reads_what_it_names(site: Site) -> None:
    call_command("sb_reindex", "articles.article", verbosity=0)
    for order in ([], ["pk"], ["-view_count"]):
        with profile_queries() as queries:
            rows = Article.objects.filter(category="category 1", view_count__lt=200).order_by(*order)
            found = list(rows.values_list("view_count", flat=True).iterator())
        [profile] = queries.profiles
        assert sorted(found) == list(range(1, 200, 3))
        assert (profile.index_used, profile.candidates) == ("redis:articles-by-category", 100)
        assert (profile.storage_ops.lists, profile.complexity) == (0, "O(1)")
        assert profile.storage_ops.reads == (100 if not order else 100 + 67)


def test_iterator_over_keys_reads_those(site: Site) -> None:
    keys = [uuid.UUID(int=number) for number in range(0, 60, 2)]
    with profile_queries() as queries:
        found = list(Article.objects.filter(pk__in=keys).order_by().values_list("pk", flat=True).iterator())
    [profile] = queries.profiles
    assert sorted(found) == keys
    assert (profile.storage_ops.reads, profile.storage_ops.lists, profile.index_used) == (30, 0, "key")


def test_iterator_that_would_scan_is_refused_before_it_reads(site: Site) -> None:
    for rows in (Article.objects.order_by(), Article.objects.order_by("pk"), Article.objects.order_by("title")):
        with profile_queries() as queries, pytest.raises(FullScanRefused):
            list(rows.filter(title="title 5").require_index().iterator())
        assert [(each.storage_ops.total, each.error) for each in queries.profiles] == [(0, "FullScanRefused")]


def test_profile_of_an_iterator_tells_the_values_of_its_own_conditions(site: Site) -> None:
    site.restart(show_values=True)
    with profile_queries() as queries:
        rows = Article.objects.filter(title="title 5").order_by().iterator(chunk_size=1)
        next(rows)
        Article.objects.filter(view_count=7).count()
        list(rows)
    assert [profile.filter_values for profile in queries.profiles] == [("view_count=7",), ("title='title 5'",)]


def test_iterator_ends_with_an_error_when_its_connection_is_closed(site: Site) -> None:
    rows = Article.objects.order_by().iterator(chunk_size=1)
    next(rows)
    connection.close()
    with pytest.raises(Exception, match="closed database"):
        list(rows)
    assert len(list(Article.objects.order_by().iterator())) == ARTICLES
