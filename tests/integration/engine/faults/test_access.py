"""The say that a caller has in how rows are found: budgets, refused scans, scans on demand."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection, transaction

from django_smarterbase.backend.account import Account
from django_smarterbase.backend.documents import Documents
from django_smarterbase.backend.snapshot import Snapshot
from django_smarterbase.exceptions import FullScanRefused, IndexUnavailable, ScanBudgetExceeded
from django_smarterbase.profiling import profile_queries
from testproject.articles.models import Article
from tests.integration.commands.site import Site

from .ledger import Ledger, Status
from .questions import CATEGORY, ONE


def titles(ledger: Ledger) -> set[str]:
    return {row.title for row in ledger.where(lambda row: row.category == CATEGORY)}


def test_scan_over_the_budget_is_refused_with_model_limit_and_remedy(site: Site, filled: Ledger) -> None:
    site.restart(max_scan_objects=39)
    with pytest.raises(ScanBudgetExceeded, match=r"articles\.Article.* 39 .*sb_reindex articles\.Article"):
        list(Article.objects.filter(view_count__gt=0))


def test_scan_within_the_budget_is_done(site: Site, filled: Ledger) -> None:
    site.restart(max_scan_objects=40)
    assert len(Article.objects.filter(view_count__gte=0)) == 40


def test_each_scan_of_a_transaction_has_the_whole_budget(site: Site, filled: Ledger) -> None:
    site.restart(max_scan_objects=40)
    wrapper: Any = connection
    wrapper.ensure_connection()
    documents = Documents(wrapper.resources, Snapshot(), Account())
    next(documents.stored(wrapper.schema_of_model(Article)))
    assert len(list(documents.stored(wrapper.schema_of_model(Article)))) == 40


def test_query_by_index_is_not_concerned_by_the_budget_until_the_index_is_lost(site: Site, filled: Ledger) -> None:
    site.restart(max_scan_objects=5)
    query = Article.objects.filter(category=CATEGORY)
    assert {article.title for article in query} == titles(filled)
    site.server.stop()
    with profile_queries() as queries, pytest.raises(ScanBudgetExceeded):
        list(query.all())
    assert (queries.profiles[0].error, queries.profiles[0].fallback) == ("ScanBudgetExceeded", True)
    site.server.start()
    call_command("sb_reindex", "articles", verbosity=0)
    assert {article.title for article in query.all()} == titles(filled)


def test_reindex_is_not_concerned_by_the_budget(site: Site, filled: Ledger) -> None:
    site.restart(max_scan_objects=5)
    call_command("sb_reindex", "articles", full=True, verbosity=0)
    assert site.state(Article).documents == 40


def test_writes_go_on_when_a_scan_is_over_the_budget(site: Site, filled: Ledger) -> None:
    site.restart(max_scan_objects=5)
    site.server.stop()
    article = filled.article(title="kept", author=ONE, category="new", status=Status.DRAFT, views=0)
    article.save()
    assert Article.objects.get(pk=article.pk).title == "kept"


def test_require_index_refuses_a_condition_without_index_before_it_reads(site: Site, filled: Ledger) -> None:
    with profile_queries() as queries, pytest.raises(FullScanRefused, match=r"articles\.Article.*no index"):
        list(Article.objects.filter(view_count__gt=3).require_index())
    assert queries.profiles[0].storage_ops.total == 0


def test_require_index_answers_by_index(site: Site, filled: Ledger) -> None:
    assert {a.title for a in Article.objects.require_index().filter(category=CATEGORY)} == titles(filled)


@pytest.mark.parametrize("ask", [list, lambda q: q.count(), lambda q: q.exists(), lambda q: q.update(view_count=1)])
def test_require_index_refuses_when_the_index_is_lost(site: Site, filled: Ledger, ask: object) -> None:
    site.server.stop()
    with profile_queries() as queries, pytest.raises(FullScanRefused, match=r"Redis unreachable.*sb_reindex"):
        ask(Article.objects.require_index().filter(category=CATEGORY))
    assert queries.profiles[0].storage_ops.total == 0


@pytest.mark.parametrize(
    "ask",
    [
        lambda q: len(q.filter(category=CATEGORY)),
        lambda q: q.filter(category=CATEGORY).count(),
        lambda q: len(q.filter(category=CATEGORY).values_list("pk")),
        lambda q: q.filter(author__name=ONE, category=CATEGORY).count() and q.filter(category=CATEGORY).count(),
    ],
)
def test_scan_asks_redis_nothing(site: Site, filled: Ledger, ask: object) -> None:
    with profile_queries() as queries:
        assert ask(Article.objects.scan()) == len(titles(filled))
    for profile in queries.profiles:
        assert (profile.redis_ops.round_trips, profile.redis_ops.commands) == (0, 0)
        assert (profile.full_scan, profile.fallback) == (True, False)


def test_scan_needs_no_redis(site: Site, filled: Ledger) -> None:
    site.server.stop()
    with profile_queries() as queries:
        assert {a.title for a in Article.objects.scan().filter(category=CATEGORY)} == titles(filled)
    assert not queries.profiles[0].fallback


def test_refuse_lets_no_write_by_while_redis_is_down(site: Site, filled: Ledger) -> None:
    """The option on_index_outage: rather no write than one that costs the index its trust."""
    site.restart(on_index_outage="refuse")
    site.server.stop()
    before = site.objects()
    with pytest.raises(IndexUnavailable, match=r"articles\.Article.*on_index_outage"):
        Article.objects.filter(category=CATEGORY).update(view_count=1)
    with pytest.raises(IndexUnavailable), transaction.atomic():
        Article.objects.filter(category=CATEGORY).delete()
    assert site.objects() == before
    assert {a.title for a in Article.objects.filter(category=CATEGORY)} == titles(filled)
