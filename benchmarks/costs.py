"""What each operation costs on S3: requests as the engine counts them where they are made, at the prices of profiles.

``python -m benchmarks.costs`` prints the table that docs/explanation/costs.md has.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, fields
from itertools import count, islice
from typing import Any, Final

from django.core.management import call_command
from django.db import connections

from benchmarks.dataset import article_fields, article_pk, author_pk
from benchmarks.text import markdown, table
from django_smarterbase.ops import StorageOps
from testproject.services import RedisServer, S3Server

DOCUMENTS: Final = 1000
INDEXED: Final = "indexed"
PLAIN: Final = "plain"
PACKED: Final = "packed"
#: Writes of a database without indexes, which has documents of its own: others trust the indexes of the first.
_APART: Final = "apart"
TITLES: Final = {INDEXED: "with indexes", PLAIN: "without indexes", PACKED: "without indexes, packed"}
_MILLION: Final = 1_000_000
_FEW: Final = 20
_BATCH: Final = 200
_numbers: Final = count()
_KINDS: Final = {
    "reads": "read",
    "writes": "write",
    "deletes": "delete",
    "lists": "listing",
    "system": "system request",
}


@dataclass(frozen=True)
class Cost:
    """One operation in one variant: its requests, and US dollars for a million of it."""

    key: str
    title: str
    variant: str
    reads: int
    writes: int
    deletes: int
    lists: int
    system: int
    dollars: float

    @property
    def requests(self) -> str:
        """``1 read, 1 write``; ``none``."""
        found = [(getattr(self, kind), name) for kind, name in _KINDS.items() if getattr(self, kind)]
        return ", ".join(f"{number:,} {name}{'s' if number > 1 else ''}" for number, name in found) or "none"


@dataclass(frozen=True)
class Case:
    """An operation whose requests are counted: ``run(alias)`` is one statement, or several."""

    key: str
    title: str
    run: Callable[[str], object]
    writes: bool = False


def measured(documents: int = DOCUMENTS) -> list[Cost]:
    """The costs, counted in a process of its own, on moto's S3 server and with a Redis of its own."""
    with RedisServer() as redis, S3Server() as s3:
        s3.create_bucket("costs")
        command = [sys.executable, "-m", "benchmarks.costs", redis.url, s3.endpoint_url, str(documents)]
        found = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=1800).stdout
    return [Cost(**each) for each in json.loads(found)]


def as_table(costs: Sequence[Cost]) -> str:
    """The table for a terminal."""
    return table(_rows(costs, f"A million times, {DOCUMENTS:,} articles"))


def as_markdown(costs: Sequence[Cost]) -> str:
    """The table of docs/explanation/costs.md."""
    return markdown(_rows(costs, "a million times"))


def _rows(costs: Sequence[Cost], corner: str) -> list[list[str]]:
    variants = list(dict.fromkeys(cost.variant for cost in costs))
    by_place = {(cost.title, cost.variant): cost for cost in costs}
    rows = [[corner, *(word for each in variants for word in (f"requests {TITLES[each]}", "dollars"))]]
    for title in dict.fromkeys(cost.title for cost in costs):
        found = [by_place.get((title, each)) for each in variants]
        rows.append([title, *(word for each in found for word in _words(each))])
    return rows


def _words(cost: Cost | None) -> tuple[str, str]:
    return ("", "") if cost is None else (cost.requests, f"{cost.dollars:,.2f}")


def _models() -> tuple[Any, Any]:
    from testproject.articles.models import Article, Author

    return Article, Author


def _articles(alias: str) -> Any:
    return _models()[0].objects.using(alias)


def _create(alias: str) -> object:
    return _articles(alias).create(author_id=author_pk(0), category="new", title="New", status="draft")


def _create_author(alias: str) -> object:
    return _models()[1].objects.using(alias).create(name=f"Author {next(_numbers)}")


def _bulk_create(alias: str) -> object:
    article = _models()[0]
    made = [article(author_id=author_pk(0), category="new", title=f"Of many {n}", status="draft") for n in range(100)]
    return _articles(alias).bulk_create(made)


def _another(alias: str) -> Any:
    """An article that no case has written yet."""
    return _articles(alias).filter(pk=article_pk(next(_numbers)))


CASES: Final = (
    Case("get", "`get(pk=…)`", lambda alias: _articles(alias).get(pk=article_pk(1))),
    Case("author", "an author's list of three", lambda alias: list(_articles(alias).filter(author_id=author_pk(1)))),
    Case(
        "count", "`count()`, `exists()` on an index", lambda alias: _articles(alias).filter(status="published").count()
    ),
    Case(
        "top",
        "the top 10 of a category of 100",
        lambda alias: list(_articles(alias).filter(category="category-00001").order_by("-view_count")[:10]),
    ),
    Case("newest", "page 1 of the newest", lambda alias: list(_articles(alias).order_by("-created_at")[:20])),
    Case("scan", "a query that no index helps", lambda alias: list(_articles(alias).filter(body="nobody wrote this"))),
    Case("create", "`create()` with a UUID key", _create, writes=True),
    Case("unique", "`create()` with a unique field", _create_author, writes=True),
    Case("bulk", "`bulk_create()` of 100", _bulk_create, writes=True),
    Case("update", "`update()` of one document", lambda alias: _another(alias).update(view_count=1), writes=True),
    Case("delete", "`delete()` of one document", lambda alias: _another(alias).delete(), writes=True),
)


def _configure(redis_url: str, s3_url: str) -> None:
    import django
    from django.conf import settings

    from django_smarterbase.packs import shelf

    cache = {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": redis_url}
    keys = {"access_key": S3Server.access_key, "secret_key": S3Server.secret_key, "region_name": S3Server.region}
    bucket = {"bucket_name": "costs", "endpoint_url": s3_url, "addressing_style": "path", **keys}
    settings.configure(
        SECRET_KEY="benchmarks",
        USE_TZ=True,
        INSTALLED_APPS=["django_smarterbase", "testproject.articles"],
        DATABASES={
            "default": _database("costs"),
            INDEXED: _database("costs"),
            PLAIN: _database("costs", cache=None),
            _APART: _database("apart", cache=None),
        },
        CACHES={"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}, "smarterbase": cache},
        STORAGES={"smarterbase": {"BACKEND": "storages.backends.s3.S3Storage", "OPTIONS": bucket}},
    )
    django.setup()
    # As the lease, so that what is asked once in a while is asked once, before anything is counted.
    shelf.LOOK = 600.0


def _database(name: str, **options: Any) -> dict[str, Any]:
    # The lease lasts for longer than the run, so that the manifest is read once: what that costs depends on time only.
    common = {"trust_seconds": 600, "write_deadline": 601, "auto_reindex": False, "profile_history": 0}
    return {"ENGINE": "django_smarterbase.backend", "NAME": name, "OPTIONS": common | options}


def _fill(documents: int) -> None:
    article = _models()[0]
    made = (article(pk=article_pk(n), **article_fields(n, documents)) for n in range(documents))
    while piece := list(islice(made, _BATCH)):
        article.objects.bulk_create(piece)
    for number in range(_FEW):
        article.objects.using(_APART).create(pk=article_pk(number), **article_fields(number, documents))


def _look_for_packs(alias: str) -> None:
    """Begin a scan: then a process looks, once in a while, whether there are packs."""
    connection: Any = connections[alias]
    resources = connection.resources
    with closing(resources.store.scan(resources.keys.table_prefix("articles"))) as scan:
        next(scan)


def _count(documents: int) -> Iterator[Cost]:
    """The costs, in an order in which none is changed by what came before."""
    _fill(documents)
    reading, writing = [case for case in CASES if not case.writes], [case for case in CASES if case.writes]
    for alias in (INDEXED, PLAIN):
        _look_for_packs(alias)
    yield from _counted(reading, INDEXED, INDEXED)
    yield from _counted(reading, PLAIN, PLAIN)
    call_command("sb_reindex", "articles.Article", "--pack", "--database", PLAIN, verbosity=0, stdout=sys.stderr)
    yield from _counted(reading, PACKED, PLAIN)
    for variant, alias in ((INDEXED, INDEXED), (PLAIN, _APART)):
        for case in writing:
            case.run(alias)  # what a process asks of a store or a table once, it has asked by then
        yield from _counted(writing, variant, alias)


def _counted(cases: Iterable[Case], variant: str, alias: str) -> Iterator[Cost]:
    for case in cases:
        yield _cost(case, variant, _requests(case, alias))


def _requests(case: Case, alias: str) -> StorageOps:
    from django_smarterbase.profiling import profile_queries

    with profile_queries() as queries:
        case.run(alias)
    total = StorageOps()
    for profile in queries.profiles:
        for field in fields(StorageOps):
            setattr(total, field.name, getattr(total, field.name) + getattr(profile.storage_ops, field.name))
    return total


def _cost(case: Case, variant: str, ops: StorageOps) -> Cost:
    from django_smarterbase.profiling.prices import prices

    counted = {kind: getattr(ops, kind) for kind in _KINDS}
    return Cost(case.key, case.title, variant, **counted, dollars=prices().cost(ops) * _MILLION)


if __name__ == "__main__":
    if len(sys.argv) == 1:
        print(as_markdown(measured()))
    else:
        _configure(*sys.argv[1:3])
        print(json.dumps([asdict(each) for each in _count(int(sys.argv[3]))]))
