"""What ``explain(format="json")`` tells programs, whose values it shows, what it costs, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db.models import Model, Q, QuerySet
from django.test import override_settings

from django_smarterbase.ops import counting
from django_smarterbase.profiling import profile_queries
from tests.integration.commands.site import Site
from tests.integration.engine.equivalence.library.models import Article, Author, Country
from tests.integration.engine.equivalence.test_plans import PLANS

ARTICLES, AUTHORS = Article.objects.order_by(), Author.objects.order_by()
TRUSTED = {"trusted": True, "reason": None, "detail": ""}


def explained(queryset: QuerySet[Any]) -> dict[str, Any]:
    """The explanation without SQLite's own, which differs between its versions."""
    answer = json.loads(queryset.explain(format="json"))
    assert all(isinstance(line, str) for line in answer.pop("sqlite"))
    return answer


def test_json_tells_of_steps_indexes_requests_and_cost(library: Site) -> None:
    assert explained(ARTICLES.filter(author__name="Ada", score=1)) == {
        "complexity": "O(1)",
        "steps": [
            {
                "table": "library_author",
                "alias": "library_author",
                "model": "library.Author",
                "path": "IndexLookup",
                "indexes": ["redis:library_author-by-name"],
                "exact": False,
                "complexity": "O(1)",
                "scans": False,
                "fallback_reason": None,
                "scan_chosen": None,
                "from_index": True,
                "candidates": 1,
                "candidates_precision": "exact",
                "reads": 0,
            },
            {
                "table": "library_article",
                "alias": "library_article",
                "model": "library.Article",
                "path": "JoinLookup",
                "source": "library_author.id",
                "indexes": ["redis:library_article-by-author", "redis:library_article-by-score"],
                "complexity": "O(1)",
                "scans": False,
                "fallback_reason": None,
                "scan_chosen": None,
                "from_index": False,
                "candidates": 3,
                "candidates_precision": "about",
                "reads": 3,
            },
        ],
        "indexes": {
            "library_author": {**TRUSTED, "documents": 7},
            "library_article": {**TRUSTED, "documents": 17},
        },
        "index_only": False,
        "filter_fields": ["score", "name"],
        "fallback_reason": None,
        "storage_ops": {"total": 3, "reads": 3, "lists": 0, "precision": "about"},
        "cost_usd": 1.2e-06,
        "raises": None,
        "advice": [],
    }


def test_json_of_a_scan_tells_what_it_reads_and_what_would_help(library: Site) -> None:
    assert explained(ARTICLES.filter(rating=1)) == {
        "complexity": "O(n)",
        "steps": [
            {
                "table": "library_article",
                "alias": "library_article",
                "model": "library.Article",
                "path": "Scan",
                "complexity": "O(n)",
                "scans": True,
                "fallback_reason": None,
                "scan_chosen": None,
                "from_index": False,
                "candidates": 17,
                "candidates_precision": "exact",
                "reads": 17,
            }
        ],
        "indexes": {"library_article": {**TRUSTED, "documents": 17}},
        "index_only": False,
        "filter_fields": ["rating"],
        "fallback_reason": None,
        "storage_ops": {"total": 18, "reads": 17, "lists": 1, "precision": "exact"},
        "cost_usd": 1.18e-05,
        "raises": None,
        "advice": [
            "Add db_index=True to Article.rating. Then run makemigrations, migrate and sb_reindex library.Article."
        ],
    }


def test_json_of_what_cannot_match_has_no_steps(library: Site) -> None:
    answer = explained(Article.objects.none())
    assert (answer["steps"], answer["indexes"], answer["storage_ops"]["total"], answer["cost_usd"]) == ([], {}, 0, 0)


@pytest.mark.parametrize("name", PLANS)
def test_what_is_explained_is_what_is_executed(library: Site, name: str) -> None:
    question, _ = PLANS[name]
    foretold = explained(question())
    with profile_queries() as queries:
        list(question().all())
    (profile,) = queries.profiles
    assert foretold["complexity"] == profile.complexity
    assert foretold["fallback_reason"] is profile.fallback_reason is None
    assert foretold["filter_fields"] == list(profile.filter_fields)
    foretold_ops, ops = foretold["storage_ops"], profile.storage_ops
    assert foretold_ops["lists"] in (None, ops.lists)
    if foretold_ops["precision"] == "exact":
        assert foretold_ops["reads"] == ops.reads
    elif foretold_ops["precision"] == "at most":
        assert foretold_ops["reads"] >= ops.reads


@pytest.mark.parametrize("conditions", [{}, {"category": "news"}])
def test_an_index_that_answers_alone_is_foretold(library: Site, conditions: dict[str, str]) -> None:
    question = ARTICLES.filter(**conditions).values("pk")
    foretold = explained(question)
    with profile_queries() as queries:
        list(question)
    assert (foretold["index_only"], foretold["complexity"]) == (True, "O(1)")
    assert foretold["storage_ops"]["total"] == queries.profiles[0].storage_ops.total == 0


def test_explaining_asks_redis_once_a_table_and_reads_no_document(library: Site) -> None:
    question = ARTICLES.filter(author__name="Ada", author__mentor__name="Bob", score=1)
    explained(question)
    with counting() as ops, pytest.MonkeyPatch.context() as patch:
        patch.setattr("django_smarterbase.backend.explaining.counting", lambda: nullcontext(ops))
        explained(question)
    assert ops.redis.round_trips == 2
    assert ops.storage.total == 0
    assert ops.storage.system <= 1


def test_redis_is_not_asked_for_primary_keys(library: Site) -> None:
    assert explained(ARTICLES.filter(pk=1).select_related("editor"))["indexes"] == {}


SECRETS: list[Callable[[], QuerySet[Any]]] = [
    lambda: Country.objects.filter(pk="secret"),
    lambda: AUTHORS.filter(name="secret"),
    lambda: AUTHORS.filter(Q(name="secret") | Q(mentor=7777)),
    lambda: ARTICLES.filter(status="secret", category="secret"),
    lambda: ARTICLES.filter(author__name="secret", category="secret"),
    lambda: ARTICLES.filter(author__in=AUTHORS.filter(name="secret")),
    lambda: ARTICLES.filter(rating=7777),
    lambda: ARTICLES.filter(category__contains="secret"),
    lambda: ARTICLES.extra(where=["category = %s"], params=["secret"]),
]


@pytest.mark.parametrize("question", SECRETS)
def test_no_value_is_shown_unless_the_option_says_so(library: Site, question: Callable[[], QuerySet[Any]]) -> None:
    for format in ("text", "json"):
        text = question().explain(format=format)
        assert "secret" not in text
        assert "7777" not in text


@pytest.fixture
def showing(library: Site) -> Iterator[None]:
    """The library with the option ``show_values``."""
    library.restart(show_values=True)
    yield
    library.restart()


def first_line(queryset: QuerySet[Any]) -> str:
    return queryset.explain().splitlines()[0]


@pytest.mark.usefixtures("showing")
def test_values_are_shown_with_the_option() -> None:
    assert "KeyLookup of 2 primary keys: 'é', 'at'," in first_line(Country.objects.filter(pk__in=["é", "at"]))
    assert "redis:library_author-by-name ('Ada')," in first_line(AUTHORS.filter(name="Ada"))
    assert "redis:by-status-category (('live', 'news'))," in first_line(ARTICLES.filter(status="live", category="news"))
    assert "by-author|redis:library_article-by-score (1, None)," in first_line(
        ARTICLES.filter(Q(author=1) | Q(score=None))
    )
    join = ARTICLES.filter(author__name="Ada", score__in=[1, 2]).explain()
    assert "redis:library_article-by-author AND redis:library_article-by-score (1, 2)," in join


@pytest.mark.usefixtures("showing")
def test_long_values_and_lists_are_cut_in_text_and_whole_in_json() -> None:
    many = AUTHORS.filter(name__in=["x" * 60, *map(str, range(20))])
    assert f"('{'x' * 39}…, '0', '1'," in first_line(many)
    assert "'8' and 11 more)," in first_line(many)
    (clause,) = explained(many)["steps"][0]["values"]
    assert clause == [
        {"index": "library_author-by-name", "values": [value]} for value in ["x" * 60, *map(str, range(20))]
    ]
    assert explained(Country.objects.filter(pk="at"))["steps"][0]["values"] == [["at"]]


def test_prices_are_those_of_the_settings(library: Site) -> None:
    with override_settings(SMARTERBASE_PRICES={"read": 1.0, "list": 10.0}):
        assert explained(ARTICLES.filter(rating=1))["cost_usd"] == 0.027


def test_a_scan_beyond_its_limit_is_foretold(library: Site) -> None:
    library.restart(max_scan_objects=16)
    try:
        assert explained(ARTICLES.filter(rating=1))["raises"] == (
            "ScanBudgetExceeded, as the option max_scan_objects is 16"
        )
        assert explained(AUTHORS.filter(born=1))["raises"] is None
    finally:
        library.restart()


@pytest.mark.parametrize("format", ["json", "JSON", "Json"])
def test_the_case_of_the_format_does_not_matter(library: Site, format: str) -> None:
    assert json.loads(ARTICLES.explain(format=format))["complexity"] == "O(n)"
    assert ARTICLES.explain(format="TEXT") == ARTICLES.explain(format="text") == ARTICLES.explain()


def test_an_unknown_format_is_refused(library: Site) -> None:
    with pytest.raises(ValueError, match=r"^XML is not a recognized format\. Allowed formats: JSON, TEXT$"):
        ARTICLES.explain(format="xml")


def test_options_are_refused_with_what_there_is_instead(library: Site) -> None:
    with pytest.raises(
        ValueError, match=r"^Unknown options: analyze, verbose\. explain\(\) runs nothing and takes none"
    ):
        ARTICLES.explain(analyze=True, verbose=True)


def test_it_can_be_awaited(library: Site) -> None:
    assert async_to_sync(ARTICLES.filter(pk=1).aexplain)() == ARTICLES.filter(pk=1).explain()


def test_the_query_set_can_still_be_run(library: Site) -> None:
    question: QuerySet[Model] = ARTICLES.filter(pk=1)
    question.explain()
    assert [article.pk for article in question] == [1]
