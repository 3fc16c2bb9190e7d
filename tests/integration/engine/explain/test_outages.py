"""What ``explain()`` says while indexes cannot be trusted: why, what is executed in their place, and the remedy."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import call_command
from django.db import transaction
from django.db.models import QuerySet

from django_smarterbase.indexes import breaker
from django_smarterbase.outlook import FallbackReason
from django_smarterbase.profiling import profile_queries
from tests.conftest import Told
from tests.integration.commands.site import ALIAS, Site
from tests.integration.engine.equivalence.library.models import Article, Author

ARTICLES = Article.objects.order_by()


def news() -> QuerySet[Article]:
    return ARTICLES.filter(category="news").select_related("author")


def explained(queryset: QuerySet[Any]) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(queryset.explain(format="json"))
    return answer


def test_while_redis_is_down_numbers_are_unknown_and_the_plan_is_not(own_library: Site) -> None:
    own_library.server.stop()
    text, _, _ = news().explain().partition("\nSQLite, ")
    lines = text.splitlines()
    assert lines[:2] == [
        "library_article: IndexLookup redis:library_article-by-category [FALLBACK: Scan of every document, Redis "
        "unreachable], O(n), an unknown number of candidates",
        "library_author: JoinLookup by the values of library_article.author_id, key, O(1), an unknown number of "
        "candidates",
    ]
    assert lines[2].startswith("Index of library_article: not trusted now (Redis unreachable: ConnectionError: ")
    assert lines[3:] == [
        "Cost: unknown",
        "To make it O(1):",
        "  - Bring Redis back. If queries go on scanning then, run manage.py sb_reindex library.Article.",
    ]


def test_json_while_redis_is_down_says_null_where_nothing_is_known(own_library: Site) -> None:
    own_library.server.stop()
    answer = explained(ARTICLES.filter(category="news"))
    (step,) = answer["steps"]
    assert (step["path"], step["scans"], step["complexity"]) == ("IndexLookup", True, "O(n)")
    assert (step["candidates"], step["candidates_precision"], step["reads"]) == (None, "unknown", None)
    assert answer["storage_ops"] == {"total": None, "reads": None, "lists": None, "precision": "unknown"}
    assert (answer["cost_usd"], answer["fallback_reason"]) == (None, "Redis unreachable")
    assert answer["indexes"]["library_article"]["documents"] is None


def test_a_scan_of_unknown_size_is_advised_about_all_the_same(own_library: Site) -> None:
    own_library.server.stop()
    answer = explained(ARTICLES.filter(rating=1))
    assert (answer["fallback_reason"], answer["steps"][0]["candidates"]) == (None, None)
    assert answer["advice"][0].startswith("Add db_index=True to Article.rating.")


def test_a_redis_that_hangs_is_waited_for_once(own_library: Site, told: Told) -> None:
    question = ARTICLES.filter(author__name="Ada", author__mentor__name="Bob", tags__name="t1")
    question.explain()
    pid = own_library.server.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        with own_library.impatient():
            assert explained(question)["fallback_reason"] == "Redis unreachable"
    finally:
        os.kill(pid, signal.SIGCONT)
    assert [type(each["error"]).__name__ for each in told.arguments("redis_request_failed")] == ["TimeoutError"]


def damage(site: Site) -> None:
    with site.redis() as client:
        (key,) = [key for key in site.redis_keys("set:*") if key.endswith("library_article-by-category:tnews")]
        client.srem(key, client.srandmember(key))


def write_without_redis(site: Site) -> None:
    site.server.stop()
    Article.objects.filter(pk=1).update(rating=5)
    site.server.start()
    with site.redis() as client:
        assert client.ping()


def flush(site: Site) -> None:
    with site.redis() as client:
        client.flushall()


def do_without(site: Site) -> None:
    site.restart(cache=None)


def open_breaker(site: Site) -> None:
    for _ in range(breaker.FAILURES):
        breaker.breaker_of(ALIAS).failed("tests")


def evict(site: Site) -> None:
    site.restart()
    with site.redis() as client:
        client.config_set("maxmemory-policy", "allkeys-lru")


SITUATIONS: dict[FallbackReason, tuple[Callable[[Site], None], int | None]] = {
    FallbackReason.FLUSHED: (flush, None),
    FallbackReason.SUSPECT: (write_without_redis, None),
    FallbackReason.NO_CACHE: (do_without, None),
    FallbackReason.BREAKER_OPEN: (open_breaker, None),
    FallbackReason.DRIFT: (damage, 17),
    FallbackReason.EVICTING: (evict, 17),
}


@pytest.mark.parametrize("reason", SITUATIONS)
def test_the_reason_is_that_of_the_query_and_has_a_remedy(own_library: Site, reason: FallbackReason) -> None:
    bring_about, documents = SITUATIONS[reason]
    bring_about(own_library)
    try:
        answer = explained(ARTICLES.filter(category="news"))
        with profile_queries() as queries:
            list(ARTICLES.filter(category="news"))
        (profile,) = queries.profiles
    finally:
        evicting_no_more(own_library)
    assert (answer["fallback_reason"], answer["complexity"]) == (reason, "O(n)")
    assert (profile.fallback_reason, profile.complexity) == (reason, "O(n)")
    assert answer["steps"][0]["reads"] == documents
    assert documents in (None, profile.storage_ops.reads)
    assert len(answer["advice"]) == 1


def evicting_no_more(site: Site) -> None:
    with site.redis() as client:
        client.config_set("maxmemory-policy", "noeviction")


def test_what_is_advised_helps(own_library: Site) -> None:
    flush(own_library)
    (advice,) = explained(ARTICLES.filter(category="news"))["advice"]
    assert advice == "Run manage.py sb_reindex library.Article: Redis has lost its index."
    call_command("sb_reindex", "library.Article", verbosity=0)
    answer = explained(ARTICLES.filter(category="news"))
    assert (answer["complexity"], answer["advice"], answer["storage_ops"]["reads"]) == ("O(1)", [], 4)


def test_an_index_that_would_answer_alone_falls_back(own_library: Site) -> None:
    flush(own_library)
    question = Author.objects.order_by().values("pk")
    answer = explained(question)
    with profile_queries() as queries:
        list(question)
    assert (answer["index_only"], answer["fallback_reason"]) == (False, "Redis lost the index")
    assert (queries.profiles[0].complexity, queries.profiles[0].fallback_reason) == ("O(n)", "Redis lost the index")


def test_pending_documents_keep_the_index_from_answering_alone(own_library: Site) -> None:
    with transaction.atomic():
        Article.objects.filter(pk=1).update(rating=9)
        assert explained(ARTICLES.values("pk"))["index_only"] is False
        transaction.set_rollback(True)
    assert explained(ARTICLES.values("pk"))["index_only"] is True


def test_explaining_leaves_a_damaged_index_as_it_is(own_library: Site) -> None:
    damage(own_library)
    before = own_library.redis_keys("*")
    text = ARTICLES.filter(category="news").explain()
    assert "not trusted now (index damaged: 'library_article-by-category' has lost or gained members)" in text
    assert own_library.redis_keys("*") == before
