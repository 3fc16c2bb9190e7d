"""Documents of S3 for each second of CPU time that the client takes: through obstore and through boto3.

Beside them a loop that is written for it, a pool of threads and a boto3 client, so that nothing is said of the engine's
own threads that is not so. What decodes the documents and puts them in the workspace takes the same time either way,
and is shown apart.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import boto3
import orjson
from botocore.config import Config
from django.conf import settings
from storages.backends.s3 import S3Storage

from benchmarks.bulk_writes import configure
from benchmarks.dataset import BODY
from benchmarks.rclone import KEY, Rclone
from testproject.services import RedisServer

DOCUMENTS: Final = 1000
TARGET: Final = 4.0  # times the documents per CPU second of a pool of boto3
FAST: Final = "get_many, obstore"
POOL: Final = "boto3 in a pool of threads"
_BUCKET: Final = "bench"
_CONCURRENCY: Final = 16
ROUNDS: Final = 5


class ThroughBoto3(S3Storage):
    """A storage whose class makes its connections itself, which only boto3 can read."""

    @property
    def connection(self) -> Any:
        """As ever."""
        return super().connection


@dataclass(frozen=True)
class Reading:
    """Documents for each second of CPU time, and of the clock: medians, and the least and most of the former."""

    way: str
    per_cpu_second: float
    per_second: float
    spread: tuple[float, float]


def bulk_reads(rounds: int = ROUNDS) -> list[Reading]:
    """All ways, in a child process of their own."""
    with tempfile.TemporaryDirectory(prefix="smarterbase-bench-") as folder, RedisServer() as redis:
        _fill(Path(folder))
        with Rclone(Path(folder)) as server:
            command = [sys.executable, "-m", "benchmarks.bulk_reads", server.url, redis.url, str(rounds)]
            said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=900).stdout
    return [Reading(**{**each, "spread": tuple(each["spread"])}) for each in json.loads(said)]


def _fill(folder: Path) -> None:
    """Write the articles as the engine does."""
    place = folder / _BUCKET / "bench" / "articles"
    place.mkdir(parents=True)
    for number in range(DOCUMENTS):
        pk = uuid4()
        document = {
            "id": str(pk),
            "author_id": str(uuid4()),
            "category": f"category-{number % 100:05}",
            "title": f"Article {number:07}",
            "body": BODY,
            "status": "draft",
            "view_count": number,
            "created_at": "2026-01-01T00:00:00.000000Z",
            "updated_at": "2026-01-01T00:00:00.000000Z",
            "_v": 1,
            "_rev": str(uuid4()),
        }
        (place / f"{pk.hex}.json").write_bytes(orjson.dumps(document))


def _measure(rounds: int) -> list[Reading]:
    from django.db import connections

    from testproject.articles.models import Article

    fast, slow = (connections[alias].resources.store for alias in ("default", "boto3"))  # type: ignore[attr-defined]
    keys = [listed.key for listed in fast.list("bench/articles/")]
    client = boto3.client("s3", config=Config(max_pool_connections=_CONCURRENCY), **_boto3_options())
    pool = ThreadPoolExecutor(_CONCURRENCY)

    def one(key: str) -> bytes:
        body: bytes = client.get_object(Bucket=_BUCKET, Key=key)["Body"].read()
        return body

    ways: dict[str, Callable[[], int]] = {
        FAST: lambda: sum(1 for _ in fast.get_many(keys)),
        "get_many, boto3": lambda: sum(1 for _ in slow.get_many(keys)),
        POOL: lambda: sum(1 for _ in pool.map(one, keys)),
        "scan with its listing, obstore": lambda: sum(1 for _ in fast.scan("bench/articles/")),
        "scan with its listing, boto3": lambda: sum(1 for _ in slow.scan("bench/articles/")),
        "query of all articles, obstore": lambda: len(Article.objects.all()),
        "query of all articles, boto3": lambda: len(Article.objects.using("boto3")),
    }
    samples: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
    for number in range(-1, rounds):
        names = list(ways)[number % len(ways) :] + list(ways)[: number % len(ways)]
        for way in names:
            found, taken = _taken(ways[way])
            if found != DOCUMENTS:
                raise AssertionError(f"{way} read {found} documents of {DOCUMENTS}.")
            if number >= 0:
                samples[way].append(taken)
    return [_reading(way, samples[way]) for way in ways]


def _boto3_options() -> dict[str, Any]:
    options = settings.STORAGES["s3"]["OPTIONS"]
    return {
        "endpoint_url": options["endpoint_url"],
        "aws_access_key_id": options["access_key"],
        "aws_secret_access_key": options["secret_key"],
        "region_name": options["region_name"],
    }


def _taken(act: Callable[[], int]) -> tuple[int, tuple[float, float]]:
    begun, cpu = time.perf_counter(), time.process_time()
    found = act()
    return found, (found / (time.process_time() - cpu), found / (time.perf_counter() - begun))


def _reading(way: str, samples: list[tuple[float, float]]) -> Reading:
    per_cpu = [each for each, _ in samples]
    return Reading(
        way, statistics.median(per_cpu), statistics.median(each for _, each in samples), (min(per_cpu), max(per_cpu))
    )


if __name__ == "__main__":
    _, _endpoint, _redis, _rounds = sys.argv
    _options = {
        "bucket_name": _BUCKET,
        "endpoint_url": _endpoint,
        "access_key": KEY,
        "secret_key": KEY,
        "region_name": "us-east-1",
    }
    _storages = {
        "s3": {"BACKEND": "storages.backends.s3.S3Storage", "OPTIONS": _options},
        "boto3": {"BACKEND": "benchmarks.bulk_reads.ThroughBoto3", "OPTIONS": _options},
    }
    configure(_storages, _redis, concurrency=_CONCURRENCY)
    print(json.dumps([asdict(each) for each in _measure(int(_rounds))]))
