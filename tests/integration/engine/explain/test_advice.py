"""Why a query scans, and what it is advised, for everything that can stand between a condition and an index."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from django.db.models import Exists, F, OuterRef, Q, QuerySet, Value
from django.db.models.functions import Coalesce, Lower

from django_smarterbase.backend.explaining import advice_of
from django_smarterbase.profiling import QueryProfile, profile_queries
from testproject.articles.models import Article as Press
from tests.integration.commands.site import Site
from tests.integration.engine.equivalence.library.models import Article, Author, Country, LongArticle

ARTICLES, AUTHORS = Article.objects.order_by(), Author.objects.order_by()
INDEXED = "(author, editor, category, score, price, printed, live, status)"
BESIDE = f"Add a condition by exact, in or a range on an indexed field {INDEXED}"
THEN = "Then run makemigrations, migrate and sb_reindex"
BY_ORM = (
    "Ask by the ORM, by conditions that compare a field with a value: SQL text, functions and EXISTS are not narrowed."
)
EACH_BRANCH = "An OR narrows only when each of its branches does."
TOO_MANY = "in several queries: more than 50,000 values are not looked up in an index at once."
ANOTHER_TABLE = "Ask in several queries, or join them by union(): a branch is about another table."
NOT_BY_ITSELF = (
    "Run the subquery that Article.author is compared with first, and pass its values: this one cannot be run by "
    "itself, or not twice with the same result."
)
OF_ALL_AUTHORS = (
    "Filter library.Author by the primary key or an indexed field (name, country, mentor): nothing narrows it."
)

ADVICE: dict[str, tuple[Callable[[], QuerySet[Any]], list[str]]] = {
    "nothing": (lambda: ARTICLES.filter(category="news"), []),
    "no condition": (
        lambda: AUTHORS,
        [OF_ALL_AUTHORS],
    ),
    "no condition, and no index either": (
        lambda: Country.objects.all(),
        ["Filter library.Country by the primary key or an indexed field: nothing narrows it."],
    ),
    "a field without an index": (
        lambda: ARTICLES.filter(rating=1),
        [f"Add db_index=True to Article.rating. {THEN} library.Article."],
    ),
    "two fields without an index": (
        lambda: Press.objects.filter(view_count=1, title="x"),
        [
            "Add models.Index(fields=['title', 'view_count']) to the indexes of Article.Meta, or db_index=True to one "
            f"of them. {THEN} articles.Article."
        ],
    ),
    "the second field of an index": (
        lambda: LongArticle.objects.order_by().filter(rating__isnull=True),
        [f"Add db_index=True to Article.rating. {THEN} library.Article."],
    ),
    "fields of two models": (
        lambda: ARTICLES.filter(rating=1, author__born=1900),
        [
            f"Add db_index=True to Article.rating. {THEN} library.Article.",
            f"Add db_index=True to Author.born. {THEN} library.Author.",
        ],
    ),
    "a range": (lambda: ARTICLES.filter(score__gt=1), []),
    "a range without an index": (
        lambda: ARTICLES.filter(rating__gt=1),
        [f"Add db_index=True to Article.rating. {THEN} library.Article."],
    ),
    "a year without an index": (
        lambda: Press.objects.filter(updated_at__year=2024),
        [f"Add db_index=True to Article.updated_at. {THEN} articles.Article."],
    ),
    "a pattern": (
        lambda: ARTICLES.filter(category__contains="n"),
        [f"{BESIDE}: no index answers Article.category__contains."],
    ),
    "not null": (lambda: ARTICLES.filter(score__isnull=False), []),
    "a negation": (
        lambda: ARTICLES.exclude(rating=1, author=1),
        [f"{EACH_BRANCH} Add db_index=True to Article.rating. {THEN} library.Article."],
    ),
    "one or the other": (
        lambda: ARTICLES.filter(Q(author=1) ^ Q(score=1)),
        [
            "Say which values of Article.author, Article.score are wanted, by & and | and ~: conditions joined by ^ "
            "are not narrowed."
        ],
    ),
    "a transform": (
        lambda: ARTICLES.filter(printed__month=12),
        [
            "Keep what Article.printed__month computes in a field of its own with db_index=True, and filter by that: a "
            "transform is not narrowed."
        ],
    ),
    "a transform that was annotated": (
        lambda: ARTICLES.annotate(lower=Lower("category")).filter(lower__startswith="n"),
        [
            "Keep what Article.category__lower__startswith computes in a field of its own with db_index=True, and "
            "filter by that: a transform is not narrowed."
        ],
    ),
    "a function": (lambda: ARTICLES.annotate(n=Coalesce("score", Value(0))).filter(n=1), [BY_ORM]),
    "EXISTS": (lambda: AUTHORS.filter(Exists(ARTICLES.filter(author=OuterRef("pk"), category="news"))), [BY_ORM]),
    "SQL from outside": (lambda: ARTICLES.extra(where=["rating > 1"]), [BY_ORM]),
    "SQL from outside with tables": (
        lambda: ARTICLES.filter(pk=1).extra(where=["EXISTS (SELECT 1 FROM library_country)"]),
        [BY_ORM],
    ),
    "tables from outside": (lambda: ARTICLES.filter(pk=1).extra(tables=["library_country"]), [BY_ORM]),
    "another column": (
        lambda: ARTICLES.filter(author=F("editor")),
        ["Compare Article.author with a value: what it is compared with is known only when the rows are read."],
    ),
    "an OR with a field without an index": (
        lambda: ARTICLES.filter(Q(author=1) | Q(rating=1)),
        [f"{EACH_BRANCH} Add db_index=True to Article.rating. {THEN} library.Article."],
    ),
    "an OR with another table": (
        lambda: ARTICLES.filter(Q(author=1) | Q(editor__name="Ada")),
        [f"{EACH_BRANCH} {ANOTHER_TABLE}"],
    ),
    "an OR of too many values": (
        lambda: ARTICLES.filter(Q(author__in=range(25_001)) | Q(score__in=range(25_001))),
        [f"Ask for Article.author, Article.score {TOO_MANY}"],
    ),
    "too many values": (
        lambda: ARTICLES.filter(score__in=range(50_001)),
        [f"Ask for Article.score {TOO_MANY}"],
    ),
    "a random subquery": (
        lambda: ARTICLES.filter(author__in=AUTHORS.order_by("?")[:1]),
        [OF_ALL_AUTHORS, NOT_BY_ITSELF],
    ),
    "a correlated subquery": (
        lambda: ARTICLES.filter(author__in=AUTHORS.filter(name=OuterRef("category"))),
        [
            "Compare Author.name with a value: what it is compared with is known only when the rows are read.",
            NOT_BY_ITSELF,
        ],
    ),
    "a join of text with a number": (
        lambda: AUTHORS.filter(pk=1).values("notes__text"),
        [
            "Give Note.object_id the type of the field with which it is joined: SQLite converts one of them to compare "
            "them, so no index finds them."
        ],
    ),
    "a condition on a row that may be missing": (
        lambda: AUTHORS.filter(mentor__name__isnull=True),
        [OF_ALL_AUTHORS],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ADVICE)
def test_advice_is_exactly_this(library: Site, name: str) -> None:
    question, expected = ADVICE[name]
    explained = json.loads(question().explain(format="json"))
    assert explained["advice"] == expected
    assert (explained["complexity"] == "O(n)") == bool(expected)


def recorded(queryset: QuerySet[Any]) -> QueryProfile:
    with profile_queries() as queries:
        list(queryset)
    (profile,) = queries.profiles
    return profile


def test_a_recorded_profile_is_advised_by_the_models_as_they_are_now(library: Site) -> None:
    assert advice_of(recorded(ARTICLES.filter(rating=1))) == [
        f"Add db_index=True to Article.rating. {THEN} library.Article."
    ]
    assert advice_of(recorded(ARTICLES.filter(category="news"))) == []
    (text,) = advice_of(recorded(ARTICLES.filter(Q(score=1) ^ Q(author=1))))
    assert text.startswith("Filter or exclude Article.author, Article.score by exact, in, isnull or a range,")


def test_a_recorded_profile_of_a_model_or_database_that_is_gone_is_advised_all_the_same(library: Site) -> None:
    profile = recorded(ARTICLES.filter(rating=1))
    gone = [replace(profile, model="library.Gone"), replace(profile, database="gone")]
    assert [len(advice_of(each)) for each in gone] == [1, 1]
