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

from benchmarks import dataset, everything, s3
from benchmarks.dataset import BODY, Pick
from benchmarks.engines import (
    BOTO,
    EVERYTHING,
    LOOP,
    OBJECTS,
    OUTAGE,
    POSTGRES,
    REBUILD,
    S3,
    SQLITE,
    SQLITE_UNSYNCED,
    SQLITE_WAL,
    UNSYNCED,
)

READERS: Final = (OBJECTS, SQLITE, POSTGRES, EVERYTHING, S3)
WRITERS: Final = (OBJECTS, UNSYNCED, SQLITE, SQLITE_WAL, SQLITE_UNSYNCED, POSTGRES, EVERYTHING, S3, BOTO)


@dataclass(frozen=True)
class Target:
    """The highest ratio of medians aimed at, to the engine ``against``."""

    ratio: float
    against: str


@dataclass(frozen=True)
class Operation:
    """One row of the tables.

    ``run(alias, pick)`` does it and returns the answer, which must be equal on all ``engines`` when ``compared``.
    One round in ``every`` measures it: what is slow is measured less often. ``own`` replaces ``run`` for engines
    that need other code, and ``writes`` says that it changes articles, which are then put back. ``flat`` is the highest
    ratio of smarterbase's median over the most documents to that over the fewest that is aimed at.
    ``milliseconds`` and ``microseconds`` are what a round of all engines takes at least, and for each document: for the
    estimate before a run.
    """

    key: str
    title: str
    run: Callable[[str, Pick], Any]
    milliseconds: float
    microseconds: float = 0.0
    engines: tuple[str, ...] = READERS
    every: int = 1
    compared: bool = True
    writes: bool = False
    own: Mapping[str, Callable[[str, Pick], Any]] | None = None
    targets: tuple[Target, ...] = ()
    flat: float | None = None

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


def _newest(alias: str, pick: Pick) -> Any:
    return [each.pk for each in articles(alias).order_by("-created_at")[:20]]


def _scan(alias: str, pick: Pick) -> Any:
    return [article.pk for article in articles(alias).filter(title=pick.title)]


def _in_outage(alias: str, pick: Pick) -> Any:
    return _by_author(OUTAGE, pick)


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


def put_back(alias: str, documents: int, rounds: int) -> None:
    """Undo what ``create`` and ``update`` have done to an engine's articles in so many rounds."""
    if alias in (EVERYTHING, LOOP, BOTO):
        return  # it is filled anew for each run, reads what smarterbase has, or writes beside it
    articles(alias).filter(category="new").delete()
    for number in range(-1, rounds):
        chosen = dataset.pick(documents, number)
        views = dataset.article_fields(dataset.number_of(chosen.pk), documents)["view_count"]
        articles(alias).filter(pk=chosen.pk).update(view_count=views)


_DATABASES: Final = (OBJECTS, SQLITE, POSTGRES)
_EVERYWHERE: Final = (*READERS, LOOP, BOTO)

OPERATIONS: Final = (
    Operation(
        "get",
        "get by primary key",
        _get,
        15,
        engines=(*READERS, BOTO),
        own={EVERYTHING: everything.get, BOTO: s3.get},
        targets=(Target(1.5, SQLITE),),
    ),
    Operation(
        "author",
        "an author's three articles",
        _by_author,
        25,
        own={EVERYTHING: everything.by_author},
        targets=(Target(1.0, POSTGRES),),
        flat=1.3,
    ),
    Operation("count", "count of the published", _count, 10, 0.1, own={EVERYTHING: everything.count}),
    Operation("top", "top 10 of a category of 100", _top, 150, every=5, own={EVERYTHING: everything.top}),
    Operation(
        "newest",
        "page 1 of the newest",
        _newest,
        50,
        100,
        every=5,
        own={EVERYTHING: everything.newest},
        targets=(Target(1.0, POSTGRES),),
        flat=1.3,
    ),
    Operation(
        "create",
        "create",
        _create,
        60,
        engines=WRITERS,
        every=5,
        compared=False,
        writes=True,
        own={EVERYTHING: everything.create, BOTO: s3.create},
    ),
    Operation(
        "update",
        "update one: views + 1",
        _update,
        80,
        engines=WRITERS,
        every=5,
        writes=True,
        own={EVERYTHING: everything.update, BOTO: s3.update},
    ),
    Operation(
        "scan",
        "full scan by title",
        _scan,
        10,
        130,
        engines=_EVERYWHERE,
        every=30,
        own={LOOP: _loop, EVERYTHING: everything.scan, BOTO: s3.scan},
        targets=(Target(1 / 0.7, LOOP),),
    ),
    Operation(
        "outage",
        "an author's articles, Redis unreachable",
        _by_author,
        10,
        130,
        engines=(OBJECTS, LOOP, BOTO),
        every=30,
        own={OBJECTS: _in_outage, LOOP: _author_by_loop, BOTO: s3.by_author},
        targets=(Target(1 / 0.7, LOOP),),
    ),
    Operation(
        "reindex",
        "reindex",
        _reindex,
        500,
        400,
        engines=_DATABASES,
        every=100,
        compared=False,
        own={SQLITE: _reindex_sqlite, POSTGRES: _reindex_postgres},
    ),
)
