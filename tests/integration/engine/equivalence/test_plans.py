"""The exact plan of fixed queries: what explain() prints is what is executed."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.db.models import Exists, F, OuterRef, Q, QuerySet, Subquery

from django_smarterbase.profiling import profile_queries

from .library.models import Article, Author, Country, LongArticle, Note, Tag
from .rows import fill

SCAN = "Scan"


@pytest.fixture(scope="module", autouse=True)
def filled(databases: tuple[str, str]) -> None:
    """The engine with the library's rows."""
    fill("default")


def by_key(table: str, keys: int) -> tuple[str, ...]:
    return f"library_{table}", "KeyLookup", str(keys)


def by_index(table: str, *indexes: str, exact: bool = False) -> tuple[str, ...]:
    named = tuple(_clause(index) for index in indexes)
    return f"library_{table}", "IndexLookup", *named, *(("exact",) if exact else ())


def _clause(text: str) -> str:
    """ "NOT library_tag-by-name|key" as a plan names it: each index with what holds it in front."""
    return re.sub(r"(?<![\w:.-])(?=library_\w+-(?:by-|pk)|by-)", "redis:", text)


def by_order(table: str, *indexes: str) -> tuple[str, ...]:
    return f"library_{table}", "OrderedLookup", *_named(indexes)


def by_join(table: str, source: str, *indexes: str) -> tuple[str, ...]:
    return f"library_{table}", "JoinLookup", f"library_{source}", *_named(indexes)


def by_subquery(table: str, index: str) -> tuple[str, ...]:
    return f"library_{table}", "SubqueryLookup", *_named((index,))


def scan(table: str) -> tuple[str, ...]:
    return f"library_{table}", SCAN


def _named(indexes: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(index if index == "key" else f"redis:{index}" for index in indexes)


def plan(queryset: QuerySet[Any]) -> list[tuple[str, ...]]:
    return [_step(step) for step in json.loads(queryset.explain(format="json"))["steps"]]


def _step(step: dict[str, Any]) -> tuple[str, ...]:
    keys = (str(step["keys"]),) if "keys" in step else ()
    source = (step["source"],) if "source" in step else ()
    exact = ("exact",) if step.get("exact") else ()
    return step["table"], step["path"], *keys, *source, *step.get("indexes", ()), *exact


BY_AUTHOR = "library_article-by-author"
BY_CATEGORY = "library_article-by-category"
BY_SCORE = "library_article-by-score"
BY_STATUS = "library_article-by-status"
BOTH = "by-status-category"
ARTICLES, AUTHORS = Article.objects.order_by(), Author.objects.order_by()
KEYS = AUTHORS.values("pk")

PLANS: dict[str, tuple[Callable[[], QuerySet[Any]], list[tuple[str, ...]]]] = {
    "pk": (lambda: ARTICLES.filter(pk=1), [by_key("article", 1)]),
    "pk of text": (lambda: Country.objects.filter(pk="a/t"), [by_key("country", 1)]),
    "pks": (lambda: ARTICLES.filter(pk__in=[1, 2, 2, 3]), [by_key("article", 3)]),
    "pk and an index": (lambda: ARTICLES.filter(pk=1, category="news"), [by_key("article", 1)]),
    "foreign key": (lambda: ARTICLES.filter(author=1), [by_index("article", BY_AUTHOR, exact=True)]),
    "null": (lambda: ARTICLES.filter(score=None), [by_index("article", BY_SCORE, exact=True)]),
    "not null": (
        lambda: ARTICLES.filter(score__isnull=False),
        [by_index("article", f"NOT {BY_SCORE}", exact=True)],
    ),
    "boolean": (lambda: ARTICLES.filter(live=True), [by_index("article", "library_article-by-live", exact=True)]),
    "composite": (lambda: ARTICLES.filter(status="live", category="news"), [by_index("article", BOTH, exact=True)]),
    "first column of a composite": (
        lambda: ARTICLES.filter(status="live"),
        [by_index("article", BY_STATUS, exact=True)],
    ),
    "two indexes": (
        lambda: ARTICLES.filter(author=1, score=1),
        [by_index("article", BY_AUTHOR, BY_SCORE, exact=True)],
    ),
    "an index and more": (lambda: ARTICLES.filter(author=1, rating=1), [by_index("article", BY_AUTHOR)]),
    "an index and a negation": (
        lambda: ARTICLES.filter(~Q(score=1), author=1),
        [by_index("article", BY_AUTHOR, f"NOT {BY_SCORE}", exact=True)],
    ),
    "a negation": (lambda: ARTICLES.exclude(author=1), [by_index("article", f"NOT {BY_AUTHOR}", exact=True)]),
    "a negation of several values": (
        lambda: ARTICLES.exclude(category__in=["news", "essay"]),
        [by_index("article", f"NOT {BY_CATEGORY}", exact=True)],
    ),
    "two negations are one": (
        lambda: ARTICLES.exclude(author=1).exclude(score__isnull=True).exclude(pk=3),
        [by_index("article", f"NOT {BY_AUTHOR}|{BY_SCORE}|key", exact=True)],
    ),
    "a negated key": (lambda: ARTICLES.exclude(pk=1), [by_index("article", "NOT key", exact=True)]),
    "neither": (
        lambda: ARTICLES.filter(~(Q(author=1) | Q(category="news"))),
        [by_index("article", f"NOT {BY_AUTHOR}|{BY_CATEGORY}", exact=True)],
    ),
    "not both": (
        lambda: ARTICLES.filter(~(Q(author=1) & Q(category="news"))),
        [by_index("article", f"NOT {BY_AUTHOR}|NOT {BY_CATEGORY}", exact=True)],
    ),
    "not without an index": (lambda: ARTICLES.filter(~(Q(author=1) & Q(rating=1))), [scan("article")]),
    "not, not": (lambda: ARTICLES.filter(~~Q(author=1)), [by_index("article", BY_AUTHOR, exact=True)]),
    "either": (
        lambda: ARTICLES.filter(Q(author=1) | Q(score=1)),
        [by_index("article", f"{BY_AUTHOR}|{BY_SCORE}", exact=True)],
    ),
    "either of two pairs": (
        lambda: ARTICLES.filter(Q(author=1, score=1) | Q(score=2)),
        [by_index("article", f"{BY_SCORE}|({BY_AUTHOR} AND {BY_SCORE})", exact=True)],
    ),
    "a tree": (
        lambda: ARTICLES.filter(Q(author=1) & (Q(score=1) | Q(category="news") & ~Q(score=2)) | Q(pk=3)),
        [
            by_index(
                "article",
                f"({BY_SCORE}|({BY_CATEGORY} AND NOT {BY_SCORE}) AND {BY_AUTHOR})|key",
                exact=True,
            )
        ],
    ),
    "an index or more": (lambda: ARTICLES.filter(Q(author=1) | Q(rating=1)), [scan("article")]),
    "a key or an index": (
        lambda: ARTICLES.filter(Q(pk=1) | Q(author=1)),
        [by_index("article", f"{BY_AUTHOR}|key", exact=True)],
    ),
    "many keys": (lambda: ARTICLES.filter(pk__in=range(50_000)), [by_key("article", 50_000)]),
    "many keys and an index": (
        lambda: ARTICLES.filter(pk__in=range(10_000), author=1),
        [by_index("article", "key", BY_AUTHOR, exact=True)],
    ),
    "many values": (
        lambda: ARTICLES.filter(score__in=range(10_000)),
        [by_index("article", BY_SCORE, exact=True)],
    ),
    "keys or keys": (lambda: ARTICLES.filter(Q(pk=1) | Q(pk=2)), [by_key("article", 2)]),
    "one or the other": (lambda: ARTICLES.filter(Q(author=1) ^ Q(score=1)), [scan("article")]),
    "another column": (lambda: ARTICLES.filter(author=F("editor")), [scan("article")]),
    "a range": (
        lambda: ARTICLES.filter(score__gt=1),
        [by_index("article", "library_article-by-score", exact=True)],
    ),
    "a negated range": (
        lambda: ARTICLES.exclude(score__range=(1, 2)),
        [by_index("article", BY_SCORE, exact=True)],
    ),
    "two bounds are one range": (
        lambda: ARTICLES.filter(score__gt=1, score__lte=5, score__isnull=False),
        [by_index("article", "library_article-by-score", exact=True)],
    ),
    "a range after an equality": (
        lambda: ARTICLES.filter(status="live", category__gte="m"),
        [by_index("article", BOTH, exact=True)],
    ),
    "a range of the primary key": (
        lambda: ARTICLES.filter(pk__gt=3),
        [by_index("article", "library_article-pk", exact=True)],
    ),
    "a beginning": (
        lambda: ARTICLES.filter(category__startswith="ne"),
        [by_index("article", "library_article-by-category")],
    ),
    "a negated beginning": (lambda: ARTICLES.exclude(category__startswith="ne"), [scan("article")]),
    "a page": (lambda: ARTICLES.order_by("-score", "-pk")[5:10], [by_order("article", BY_SCORE)]),
    "a page of some": (
        lambda: ARTICLES.filter(category="news").order_by("score")[:5],
        [by_order("article", BY_SCORE, BY_CATEGORY)],
    ),
    "a page after an equality": (
        lambda: ARTICLES.filter(status="live").order_by("-category")[:5],
        [by_order("article", BOTH)],
    ),
    "a page by the key": (lambda: ARTICLES.order_by("pk")[:1], [by_order("article", "library_article-pk")]),
    "a page without an index": (lambda: ARTICLES.order_by("rating")[:5], [scan("article")]),
    "a page of what no index knows": (
        lambda: ARTICLES.filter(category="news", rating=1).order_by("score")[:5],
        [by_index("article", BY_CATEGORY)],
    ),
    "a range without an index": (lambda: ARTICLES.filter(rating__gt=1), [scan("article")]),
    "no condition": (lambda: ARTICLES, [scan("article")]),
    "select_related": (
        lambda: ARTICLES.filter(author=1).select_related("author", "editor"),
        [
            by_index("article", BY_AUTHOR),
            by_join("author", "article.author_id", "key"),
            by_join("author", "article.editor_id", "key"),
        ],
    ),
    "condition on a forward relation": (
        lambda: ARTICLES.filter(author__name="Ada"),
        [by_index("author", "library_author-by-name"), by_join("article", "author.id", BY_AUTHOR)],
    ),
    "condition on a backward relation": (
        lambda: AUTHORS.filter(articles__category="news"),
        [by_index("article", BY_CATEGORY), by_join("author", "article.author_id", "key")],
    ),
    "condition on both sides": (
        lambda: ARTICLES.filter(author__name="Ada", category="news"),
        [
            by_index("author", "library_author-by-name"),
            by_join("article", "author.id", BY_AUTHOR, BY_CATEGORY),
        ],
    ),
    "an outer join is narrowed by its key alone": (
        lambda: ARTICLES.filter(editor__name__isnull=True, author=1),
        [by_index("article", BY_AUTHOR), by_join("author", "article.editor_id", "key")],
    ),
    "many to many": (
        lambda: ARTICLES.filter(tags__name="t1"),
        [
            by_index("tag", "library_tag-by-name"),
            by_join("article_tags", "tag.id", "library_article_tags-by-tag"),
            by_join("article", "article_tags.article_id", "key"),
        ],
    ),
    "inherited table": (
        lambda: LongArticle.objects.filter(words=1),
        [
            by_index("longarticle", "library_longarticle-by-words"),
            by_join("article", "longarticle.article_ptr_id", "key"),
        ],
    ),
    "subquery": (
        lambda: ARTICLES.filter(author__in=AUTHORS.filter(name="Ada")),
        [by_index("author", "library_author-by-name", exact=True), by_subquery("article", BY_AUTHOR)],
    ),
    "subquery and an index": (
        lambda: ARTICLES.filter(author__in=AUTHORS.filter(name="Ada"), category="news"),
        [
            by_index("author", "library_author-by-name", exact=True),
            by_index("article", f"{BY_AUTHOR} by a subquery of library_author", BY_CATEGORY, exact=True),
        ],
    ),
    "subquery of keys and an index": (
        lambda: ARTICLES.filter(pk__in=LongArticle.objects.filter(words=1).values("pk"), category="news"),
        [
            by_index("longarticle", "library_longarticle-by-words", exact=True),
            by_index("article", "key by a subquery of library_longarticle", BY_CATEGORY, exact=True),
        ],
    ),
    "two subqueries": (
        lambda: ARTICLES.filter(author__in=AUTHORS.filter(name="Ada"), editor__in=AUTHORS.filter(name="Bob")),
        [
            by_index("author", "library_author-by-name", exact=True),
            by_index("author", "library_author-by-name", exact=True),
            by_index(
                "article",
                f"{BY_AUTHOR} by a subquery of library_author",
                "library_article-by-editor by a subquery of library_author",
                exact=True,
            ),
        ],
    ),
    "either of two subqueries": (
        lambda: ARTICLES.filter(Q(author__in=AUTHORS.filter(name="Ada")) | Q(score=1)),
        [
            by_index("author", "library_author-by-name", exact=True),
            by_index("article", f"{BY_SCORE}|{BY_AUTHOR} by a subquery of library_author", exact=True),
        ],
    ),
    "negated subquery": (
        lambda: ARTICLES.exclude(author__in=AUTHORS.filter(name="Ada")),
        [
            by_index("author", "library_author-by-name", exact=True),
            by_index("article", f"NOT {BY_AUTHOR} by a subquery of library_author", exact=True),
        ],
    ),
    "union as a subquery": (
        lambda: ARTICLES.filter(author__in=KEYS.filter(name="Ada").union(KEYS.filter(name="Bob"))),
        [
            by_index("author", "library_author-by-name", exact=True),
            by_index("author", "library_author-by-name", exact=True),
            by_subquery("article", BY_AUTHOR),
        ],
    ),
    "slice as a subquery": (
        lambda: ARTICLES.filter(author__in=AUTHORS.filter(name="Ada").order_by("pk")[:1]),
        [by_index("author", "library_author-by-name", exact=True), by_subquery("article", BY_AUTHOR)],
    ),
    "scalar subquery": (
        lambda: ARTICLES.filter(author=Subquery(AUTHORS.filter(name="Ada").order_by("pk").values("pk")[:1])),
        [by_index("author", "library_author-by-name", exact=True), by_subquery("article", BY_AUTHOR)],
    ),
    "random subquery": (
        lambda: ARTICLES.filter(author__in=AUTHORS.order_by("?")[:1]),
        [scan("article"), scan("author")],
    ),
    "correlated subquery": (
        lambda: AUTHORS.filter(Exists(ARTICLES.filter(author=OuterRef("pk"), category="news")), pk=1),
        [by_index("article", BY_CATEGORY), by_key("author", 1)],
    ),
    "a number cannot be looked up in a text column": (
        lambda: AUTHORS.filter(pk=1).values("notes__text"),
        [scan("note"), by_key("author", 1)],
    ),
    "text can be looked up in a column of numbers": (
        lambda: AUTHORS.filter(pk__in=Note.objects.filter(object_id="1").values("object_id")),
        [by_index("note", "library_note-by-object_id", exact=True), by_subquery("author", "key")],
    ),
    "NaN": (lambda: Tag.objects.filter(weight=float("nan")), [by_key("tag", 0)]),
    "SQL from outside": (
        lambda: AUTHORS.filter(pk=1).extra(where=["EXISTS (SELECT 1 FROM library_country)"]),
        [scan("author"), scan("country")],
    ),
    "one table by two paths is read by both": (
        lambda: AUTHORS.filter(name="Ada", mentor__name="Bob"),
        [
            by_index("author", "library_author-by-name"),
            by_join("author", "author.mentor_id", "key"),
        ],
    ),
    "one table by two paths is scanned for one": (
        lambda: AUTHORS.filter(name="Ada", mentor__in=AUTHORS.filter(born=1900)),
        [scan("author")],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PLANS)
def test_plan_is_exactly_this(name: str) -> None:
    question, expected = PLANS[name]
    assert plan(question()) == expected


@pytest.mark.parametrize("name", PLANS)
def test_plan_that_scans_no_table_reads_no_table_in_full(name: str) -> None:
    question, expected = PLANS[name]
    with profile_queries() as seen:
        list(question())
    assert bool(seen.full_scans()) == any(SCAN in step for step in expected)
    assert not seen.fallbacks()
