"""Queries of every access path, each of which must have one answer wherever it is asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from django.db.models import Count, Q, Sum

from testproject.articles.models import Article, Author

from .actions import CATEGORIES, NAMES, STATUSES

FIELDS = ("pk", "author_id", "category", "title", "status", "view_count")
Question = Callable[[str], Any]
Contents = dict[tuple[str, Any], tuple[Any, ...]]


def rows(*conditions: Q) -> Question:
    """All columns of the articles that meet the conditions."""
    return lambda using: sorted(Article.objects.using(using).filter(*conditions).order_by().values_list(*FIELDS))


def index_counts(using: str) -> dict[str, int]:
    """How many articles there are of each status."""
    if using == "oracle":
        return dict(Counter(Article.objects.using(using).values_list("status", flat=True)))
    return Article.objects.using(using).index_counts("status")


def prefetched(using: str) -> dict[str, list[Any]]:
    """The articles of each author."""
    authors = Author.objects.using(using).prefetch_related("articles")
    return {author.name: sorted(article.pk for article in author.articles.all()) for author in authors}


#: Those that an index may answer come first, so that they meet what has just been written under an old lease.
QUESTIONS: dict[str, Question] = {
    "category": rows(Q(category=CATEGORIES[0])),
    "category and status": rows(Q(category=CATEGORIES[1], status=STATUSES[0])),
    "in": rows(Q(status__in=STATUSES[1:])),
    "or": rows(Q(category=CATEGORIES[2]) | Q(status=STATUSES[2])),
    "empty value": rows(Q(category=CATEGORIES[3])),
    "author's name": rows(Q(author__name=NAMES[0])),
    "get by unique": lambda using: list(Author.objects.using(using).filter(name=NAMES[1]).values_list("pk")),
    "count": lambda using: [Article.objects.using(using).filter(category=text).count() for text in CATEGORIES],
    "count all": lambda using: Article.objects.using(using).count(),
    "exists": lambda using: [Article.objects.using(using).filter(status=text).exists() for text in STATUSES],
    "keys": lambda using: set(Article.objects.using(using).filter(status=STATUSES[0]).values_list("pk", flat=True)),
    "index_counts": index_counts,
    "sum": lambda using: Article.objects.using(using).filter(category=CATEGORIES[0]).aggregate(Sum("view_count")),
    "annotated": lambda using: dict(
        Author.objects.using(using).annotate(n=Count("articles")).values_list("name", "n").order_by()
    ),
    "prefetched": prefetched,
    "all": rows(),
    "authors": lambda using: sorted(Author.objects.using(using).values_list("pk", "name")),
}


def contents(using: str, *, scan: bool = False) -> Contents:
    """``{(table, pk): values}`` of everything; with ``scan`` without a look at any index."""
    articles, authors = Article.objects.using(using).order_by(), Author.objects.using(using).order_by()
    if scan:
        articles, authors = articles.scan(), authors.scan()
    found = {("articles", row[0]): row for row in articles.values_list(*FIELDS)}
    return found | {("authors", row[0]): row for row in authors.values_list("pk", "name")}
