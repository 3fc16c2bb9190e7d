"""The articles that every engine holds: the same in each, and in every run."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, Final, NamedTuple
from uuid import UUID

from django.db import connections
from django.db.models import Model

from benchmarks.engines import OBJECTS, POSTGRES, SQLITE, SQLITE_UNSYNCED, SQLITE_WAL, UNSYNCED, Place
from django_smarterbase.storage.base import Write
from django_smarterbase.storage.keys import stem

BODY: Final = "".join(random.Random(7).choices("abcdefghijklmnopqrstuvwxyz     ", k=530))
ARTICLES_AN_AUTHOR: Final = 3
ARTICLES_A_CATEGORY: Final = 100
_STATUSES: Final = ("draft", "published", "archived")
_FIRST: Final = datetime(2026, 1, 1, tzinfo=UTC)
_PIECE: Final = 500


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


def fill_all(place: Place, documents: int) -> None:
    """Put the same rows in every engine."""
    for alias in (OBJECTS, UNSYNCED):
        write_objects(alias, documents)
        rebuild(alias)
    for alias in (SQLITE, POSTGRES):
        if alias in connections.settings:
            _fill_sql(alias, documents)
    connections[SQLITE].close()
    for alias in (SQLITE_WAL, SQLITE_UNSYNCED):
        shutil.copyfile(place.sqlite_file(SQLITE), place.sqlite_file(alias))


def write_objects(alias: str, documents: int) -> None:
    """Write the documents of a smarterbase database as files, without fsync and without an index."""
    from testproject.articles.models import Article, Author

    authors = (Author(pk=author_pk(n), name=f"Author {n:07}") for n in range(authors_of(documents)))
    _write_documents(alias, Author, authors)
    articles = (Article(pk=article_pk(n), **article_fields(n, documents)) for n in range(documents))
    _write_documents(alias, Article, articles)


def _write_documents(alias: str, model: type[Model], instances: Iterator[Model]) -> None:
    connection: Any = connections[alias]
    store = connections[UNSYNCED].resources.store  # type: ignore[attr-defined]
    schema = connection.schema_of_model(model)
    codec = connection.resources.codec(schema)
    fields: list[Any] = [model._meta.get_field(schema.field_names[column.name]) for column in schema.columns]
    while piece := list(islice(instances, _PIECE)):
        writes = []
        for instance in piece:
            row = [field.get_db_prep_save(getattr(instance, field.attname), connection) for field in fields]
            writes.append(Write(connection.resources.keys.document(schema.table, stem([row[0]])), codec.encode(row)))
        for written in store.write_many(writes):
            if written.error is not None:
                raise written.error


def rebuild(alias: str) -> float:
    """Build the index of the articles from all their documents; gives its seconds, waits included."""
    from testproject.articles.models import Article

    connection: Any = connections[alias]
    schema = connection.schema_of_model(Article)
    return float(connection.resources.indexes.rebuild(schema, full=True).seconds)


def _fill_sql(alias: str, documents: int) -> None:
    from testproject.articles.models import Article, Author

    with connections[alias].schema_editor() as editor:
        editor.create_model(Author)
        editor.create_model(Article)
    authors = [Author(pk=author_pk(n), name=f"Author {n:07}") for n in range(authors_of(documents))]
    Author.objects.using(alias).bulk_create(authors, batch_size=_PIECE)
    numbers = iter(range(documents))
    while piece := list(islice(numbers, _PIECE)):
        rows = [Article(pk=article_pk(n), **article_fields(n, documents)) for n in piece]
        Article.objects.using(alias).bulk_create(rows)
    with connections[alias].cursor() as cursor:
        cursor.execute("ANALYZE")
