"""What is measured: the same ORM statement on every engine, and what a fair comparison for it is."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import orjson
from django.db import connections
from django.db.models import F

from benchmarks import dataset
from benchmarks.dataset import BODY, Pick
from benchmarks.engines import LOOP, OBJECTS, POSTGRES, REBUILD, SQLITE, SQLITE_UNSYNCED, SQLITE_WAL, UNSYNCED

READERS: Final = (OBJECTS, SQLITE, POSTGRES)
WRITERS: Final = (OBJECTS, UNSYNCED, SQLITE, SQLITE_WAL, SQLITE_UNSYNCED, POSTGRES)


@dataclass(frozen=True)
class Operation:
    """One row of the tables.

    ``run(alias, pick)`` does it and returns the answer, which must be equal on all ``engines`` when ``compared``.
    One round in ``every`` measures it: what is slow is measured less often. ``own`` replaces ``run`` for engines
    that need other code. ``target`` is the highest ratio aimed at, to the engine ``against``.
    """

    key: str
    title: str
    run: Callable[[str, Pick], Any]
    engines: tuple[str, ...] = READERS
    every: int = 1
    compared: bool = True
    own: Mapping[str, Callable[[str, Pick], Any]] | None = None
    target: float | None = None
    against: str = SQLITE

    def runner(self, alias: str) -> Callable[[str, Pick], Any]:
        """The function that does it on an engine."""
        return (self.own or {}).get(alias, self.run)


def articles(alias: str) -> Any:
    """The articles of an engine, as a queryset."""
    from testproject.articles.models import Article

    return Article.objects.using(alias)


def _get(alias: str, pick: Pick) -> Any:
    return articles(alias).get(pk=pick.pk).title


def _by_author(alias: str, pick: Pick) -> Any:
    return {article.pk for article in articles(alias).filter(author_id=pick.author)}


def _count(alias: str, pick: Pick) -> Any:
    return articles(alias).filter(status="published").count()


def _top(alias: str, pick: Pick) -> Any:
    return [each.pk for each in articles(alias).filter(category=pick.category).order_by("-view_count", "pk")[:10]]


def _scan(alias: str, pick: Pick) -> Any:
    return [article.pk for article in articles(alias).filter(title=pick.title)]


def _fallback(alias: str, pick: Pick) -> Any:
    return {article.pk for article in articles(alias).scan().filter(author_id=pick.author)}


def _author_by_loop(alias: str, pick: Pick) -> Any:
    return {UUID(document["id"]) for document in _documents() if document["author_id"] == str(pick.author)}


def _loop(alias: str, pick: Pick) -> Any:
    return [UUID(document["id"]) for document in _documents() if document["title"] == pick.title]


def _documents() -> Iterator[Any]:
    """The floor of every scan: list the folder, read each file, decode its JSON."""
    connection: Any = connections[OBJECTS]
    folder = f"{connection.resources.storage.location}/{connection.resources.keys.table_prefix('articles')}"
    with os.scandir(folder) as entries:
        for entry in entries:
            descriptor = os.open(entry.path, os.O_RDONLY)
            body = os.read(descriptor, 1 << 16)
            os.close(descriptor)
            yield orjson.loads(body)


def _create(alias: str, pick: Pick) -> Any:
    return articles(alias).create(
        author_id=dataset.author_pk(0), category="new", title=f"New {pick.number}", body=BODY, status="draft"
    )


def _update(alias: str, pick: Pick) -> Any:
    return articles(alias).filter(pk=pick.pk).update(view_count=F("view_count") + 1)


def _reindex(alias: str, pick: Pick) -> Any:
    dataset.rebuild(REBUILD)


def _reindex_sqlite(alias: str, pick: Pick) -> Any:
    _execute(alias, "REINDEX articles")


def _reindex_postgres(alias: str, pick: Pick) -> Any:
    _execute(alias, "REINDEX TABLE articles")


def _execute(alias: str, sql: str) -> None:
    with connections[alias].cursor() as cursor:
        cursor.execute(sql)


OPERATIONS: Final = (
    Operation("get", "get by primary key", _get),
    Operation("author", "an author's three articles", _by_author, target=3.0),
    Operation("count", "count of the published", _count),
    Operation("top", "top 10 of a category of 100", _top, every=5),
    Operation("create", "create", _create, WRITERS, every=5, compared=False),
    Operation("update", "update one: views + 1", _update, WRITERS, every=5),
    Operation(
        "scan",
        "full scan by title",
        _scan,
        (*READERS, LOOP),
        every=30,
        own={LOOP: _loop},
        target=1.43,
        against=LOOP,
    ),
    Operation(
        "fallback",
        "the author's articles without Redis",
        _fallback,
        (OBJECTS, LOOP),
        every=30,
        own={LOOP: _author_by_loop},
        target=1.43,
        against=LOOP,
    ),
    Operation(
        "reindex",
        "reindex",
        _reindex,
        every=100,
        compared=False,
        own={SQLITE: _reindex_sqlite, POSTGRES: _reindex_postgres},
    ),
)
