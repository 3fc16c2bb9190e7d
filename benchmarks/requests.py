"""The requests of queries over many documents on S3, counted by the engine itself: indexed ones, and scans of packs."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Final
from uuid import UUID

from benchmarks.bulk_writes import CREDENTIALS, configure
from benchmarks.dataset import article_fields
from benchmarks.s3_stand_in import BUCKET, StandIn
from testproject.services import RedisServer

_BATCH: Final = 5000
_WRITE_DEADLINE: Final = 2.5  # seconds, just above the default trust_seconds: a rebuild waits for it


@dataclass(frozen=True)
class Requests:
    """What one query asks the store and Redis for. ``packed`` are documents that a pack had; it is one of the reads."""

    query: str
    reads: int
    listings: int
    packs: int
    packed: int
    round_trips: int
    rows: int


def requests(documents: int) -> list[Requests]:
    """Counted in a child process, over so many articles."""
    with StandIn(0) as server, RedisServer() as redis:
        command = [sys.executable, "-m", "benchmarks.requests", server.endpoint_url, redis.url, str(documents)]
        said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=3600).stdout
    return [Requests(**each) for each in json.loads(said)]


def _count(documents: int) -> list[Requests]:
    from django.core.management import call_command

    from testproject.articles.models import Article

    for start in range(0, documents, _BATCH):
        numbers = range(start, min(documents, start + _BATCH))
        Article.objects.bulk_create(Article(pk=UUID(int=n + 1), **article_fields(n, documents)) for n in numbers)
    call_command("sb_reindex", "articles.Article", verbosity=0)
    articles, half = Article.objects, documents // 2
    middle = articles.order_by("created_at")[half].created_at
    found = [
        _asked("newest 20", lambda: list(articles.order_by("-created_at")[:20])),
        _asked(f"20 from the {half:,}th", lambda: list(articles.order_by("-created_at")[half : half + 20])),
        _asked("newest 20 published", lambda: list(articles.filter(status="published").order_by("-created_at")[:20])),
        _asked("count() of a range", lambda: [articles.filter(created_at__gte=middle).count()]),
        _asked("exists() in a range", lambda: [articles.filter(created_at__lt=middle).exists()]),
    ]
    call_command("sb_reindex", "articles.Article", pack=True, verbosity=0)
    title = article_fields(1, documents)["title"]
    found.append(_asked("scan by title, packed", lambda: list(articles.filter(title=title))))
    articles.filter(pk__in=[UUID(int=n) for n in (1, 2, 3)]).update(view_count=0)
    return [*found, _asked("the same, three documents changed", lambda: list(articles.filter(title=title)))]


def _asked(query: str, ask: Callable[[], list[Any]]) -> Requests:
    """Of the second time, when Redis knows the scripts and the process the packs."""
    from django_smarterbase.profiling import profile_queries

    ask()
    with profile_queries() as queries:
        rows = len(ask())
    (profile,) = queries.profiles
    ops = profile.storage_ops
    return Requests(query, ops.reads, ops.lists, ops.packs, ops.packed, profile.redis_ops.round_trips, rows)


if __name__ == "__main__":
    _, _endpoint, _redis, _documents = sys.argv
    _options = {"bucket_name": BUCKET, "endpoint_url": _endpoint, **CREDENTIALS}
    _storage = {"BACKEND": "storages.backends.s3.S3Storage", "OPTIONS": _options}
    configure({"s3": _storage}, _redis, write_deadline=_WRITE_DEADLINE)
    print(json.dumps([asdict(each) for each in _count(int(_documents))]))
