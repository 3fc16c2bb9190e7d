"""Queries of every kind, each with the answer that plain Python gives."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Max, Q, Sum

from testproject.articles.models import Article, Author

from .ledger import Ledger, Row, Status

ONE = "author 1"
CATEGORY = "databases"


@dataclass(frozen=True)
class Question:
    """``ask`` the site; ``answer`` from the ledger. ``by_index``: an index would narrow it, if it were trusted."""

    name: str
    ask: Callable[[Ledger], Any]
    answer: Callable[[Ledger], Any]
    by_index: bool = True


def rows(articles: Iterable[Article]) -> set[Row]:
    """The rows of articles, none of them twice."""
    found = [Row.of(article) for article in articles]
    assert len(found) == len(set(found))
    return set(found)


def some(ledger: Ledger) -> Row:
    """One of the rows."""
    return min(ledger.rows.values(), key=lambda row: row.title)


def _where(which: Callable[[Row], bool]) -> Callable[[Ledger], set[Row]]:
    return lambda ledger: set(ledger.where(which))


def _filtered(name: str, which: Callable[[Row], bool], *conditions: Q, by_index: bool = True) -> Question:
    # The author is joined, so that comparing needs no queries of its own.
    return Question(
        name,
        lambda ledger: rows(Article.objects.select_related("author").filter(*conditions)),
        _where(which),
        by_index,
    )


def _pks(ledger: Ledger, which: Callable[[Row], bool]) -> set[Any]:
    return {row.pk for row in ledger.where(which)}


QUESTIONS = [
    Question("get", lambda ledger: Row.of(Article.objects.get(pk=some(ledger).pk)), some, by_index=False),
    Question("get by unique", lambda ledger: Author.objects.get(name=ONE).pk, lambda ledger: ledger.authors[ONE].pk),
    Question(
        "foreign key",
        lambda ledger: rows(Article.objects.select_related("author").filter(author=ledger.authors[ONE])),
        _where(lambda row: row.author == ONE),
    ),
    _filtered("indexed field", lambda row: row.category == CATEGORY, Q(category=CATEGORY)),
    _filtered(
        "two fields",
        lambda row: row.category == CATEGORY and row.status == Status.PUBLISHED,
        Q(category=CATEGORY, status=Status.PUBLISHED),
    ),
    _filtered(
        "in", lambda row: row.status in (Status.DRAFT, Status.ARCHIVED), Q(status__in=[Status.DRAFT, Status.ARCHIVED])
    ),
    _filtered(
        "or",
        lambda row: row.category == CATEGORY or row.status == Status.DRAFT,
        Q(category=CATEGORY) | Q(status=Status.DRAFT),
    ),
    _filtered("not", lambda row: row.category != CATEGORY, ~Q(category=CATEGORY), by_index=False),
    _filtered("no index", lambda row: row.views > 20, Q(view_count__gt=20), by_index=False),
    _filtered("nothing there", lambda row: False, Q(category="nowhere")),
    _filtered("across a join", lambda row: row.author == ONE, Q(author__name=ONE)),
    Question("count all", lambda ledger: Article.objects.count(), lambda ledger: len(ledger.rows)),
    Question(
        "count",
        lambda ledger: Article.objects.filter(status=Status.PUBLISHED).count(),
        lambda ledger: len(ledger.where(lambda row: row.status == Status.PUBLISHED)),
    ),
    Question("exists", lambda ledger: Article.objects.filter(category=CATEGORY).exists(), lambda ledger: True),
    Question("exists not", lambda ledger: Article.objects.filter(category="nowhere").exists(), lambda ledger: False),
    Question(
        "values_list pk",
        lambda ledger: set(Article.objects.filter(category=CATEGORY).order_by().values_list("pk", flat=True)),
        lambda ledger: _pks(ledger, lambda row: row.category == CATEGORY),
    ),
    Question(
        "index_counts",
        lambda ledger: Article.objects.index_counts("status"),
        lambda ledger: dict(Counter(row.status for row in ledger.rows.values())),
    ),
    Question(
        "aggregate",
        lambda ledger: Article.objects.filter(category=CATEGORY).aggregate(Sum("view_count"), Max("view_count")),
        lambda ledger: {
            "view_count__sum": sum(row.views for row in ledger.where(lambda row: row.category == CATEGORY)),
            "view_count__max": max(row.views for row in ledger.where(lambda row: row.category == CATEGORY)),
        },
    ),
    Question(
        "annotate",
        lambda ledger: dict(Author.objects.annotate(n=Count("articles")).values_list("name", "n")),
        lambda ledger: {name: len(ledger.where(lambda row, name=name: row.author == name)) for name in ledger.authors},
        by_index=False,
    ),
    Question(
        "top",
        lambda ledger: list(
            Article.objects.filter(category=CATEGORY).order_by("-view_count", "pk").values_list("title", flat=True)[:3]
        ),
        lambda ledger: [
            row.title
            for row in sorted(
                ledger.where(lambda row: row.category == CATEGORY), key=lambda row: (-row.views, str(row.pk))
            )
        ][:3],
    ),
    Question(
        "select_related",
        lambda ledger: {article.title: article.author.name for article in Article.objects.select_related("author")},
        lambda ledger: {row.title: row.author for row in ledger.rows.values()},
        by_index=False,
    ),
    Question(
        "prefetch_related",
        lambda ledger: {
            author.name: {article.title for article in author.articles.all()}
            for author in Author.objects.prefetch_related("articles")
        },
        lambda ledger: {
            name: {row.title for row in ledger.where(lambda row, name=name: row.author == name)}
            for name in ledger.authors
        },
    ),
    Question(
        "subquery",
        lambda ledger: set(
            Article.objects.filter(author__in=Author.objects.filter(name=ONE)).values_list("title", flat=True)
        ),
        lambda ledger: {row.title for row in ledger.where(lambda row: row.author == ONE)},
    ),
    Question(
        "in_bulk",
        lambda ledger: set(Article.objects.in_bulk(sorted(ledger.rows)[:5])),
        lambda ledger: set(sorted(ledger.rows)[:5]),
        by_index=False,
    ),
]
