"""The articles that every engine holds: the same in each, and in every run."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

from django.db import connections

BODY: Final = "".join(random.Random(7).choices("abcdefghijklmnopqrstuvwxyz     ", k=530))
ARTICLES_AN_AUTHOR: Final = 3
ARTICLES_A_CATEGORY: Final = 100
_STATUSES: Final = ("draft", "published", "archived")
_FIRST: Final = datetime(2026, 1, 1, tzinfo=UTC)


class Pick(NamedTuple):
    """What the operations of one round are about; the same for every engine."""

    number: int
    pk: UUID
    author: UUID
    category: str
    title: str


def author_pk(number: int) -> UUID:
    """The key of an author."""
    return UUID(int=(0x0190 << 112) | (7 << 76) | (2 << 62) | number)


def article_pk(number: int) -> UUID:
    """The key of an article."""
    return UUID(int=(0x0191 << 112) | (7 << 76) | (2 << 62) | number)


def number_of(article: UUID) -> int:
    """The number of the article with this key."""
    return article.int & ((1 << 62) - 1)


def article_fields(number: int, documents: int) -> dict[str, Any]:
    """The values of one article, about 1 KiB as a document. Three articles have the same author."""
    moment = _FIRST + timedelta(minutes=number, microseconds=number)
    return {
        "author_id": author_pk(number % authors_of(documents)),
        "category": f"category-{number % categories_of(documents):05}",
        "title": f"Article {number:07} and what it has to say",
        "body": BODY,
        "status": _STATUSES[number % 3],
        "view_count": (number * 7919) % 100_003,
        "created_at": moment,
        "updated_at": moment,
    }


def authors_of(documents: int) -> int:
    """How many authors there are."""
    return max(1, documents // ARTICLES_AN_AUTHOR)


def categories_of(documents: int) -> int:
    """How many categories there are."""
    return max(1, documents // ARTICLES_A_CATEGORY)


def pick(documents: int, number: int) -> Pick:
    """A random choice for round ``number``; the same in every run."""
    chosen = random.Random(number).randrange(documents)
    fields = article_fields(chosen, documents)
    return Pick(number, article_pk(chosen), fields["author_id"], fields["category"], fields["title"])


def rebuild(alias: str) -> float:
    """Build the index of the articles from all their documents; gives its seconds, waits included."""
    from testproject.articles.models import Article

    connection: Any = connections[alias]
    schema = connection.schema_of_model(Article)
    return float(connection.resources.indexes.rebuild(schema, full=True).seconds)
