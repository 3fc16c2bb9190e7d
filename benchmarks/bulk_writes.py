"""Many documents written at once, beside one after the other: on S3, in a process of its own."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Final
from uuid import uuid4

import django
from django.conf import settings

from benchmarks.dataset import article_fields
from benchmarks.s3_stand_in import BUCKET, StandIn
from testproject.services import RedisServer

LATENCIES: Final = (0.0, 20.0)  # ms a request; S3 takes some 20 ms for a PUT within its region
TARGET: Final = 5.0  # times the rate of single statements
_ROUNDS: Final = 3
_BULK: Final = 1000
_SINGLE: Final = 30
CREDENTIALS: Final = {"access_key": "benchmarks", "secret_key": "benchmarks", "region_name": "us-east-1"}


@dataclass(frozen=True)
class Rate:
    """Documents a second, medians over rounds and the slowest and fastest of them; ``latency`` in ms."""

    operation: str
    latency: float
    single: float
    bulk: float
    spread: tuple[float, float]

    @property
    def ratio(self) -> float:
        """How much faster many at once are."""
        return self.bulk / self.single


def bulk_writes() -> list[Rate]:
    """All operations at each latency, each latency in a child process of its own."""
    found = []
    for latency in LATENCIES:
        with StandIn(latency) as server, RedisServer() as redis:
            command = [sys.executable, "-m", "benchmarks.bulk_writes", server.endpoint_url, redis.url]
            said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=1800).stdout
        found += [Rate(**{**each, "latency": latency, "spread": tuple(each["spread"])}) for each in json.loads(said)]
    return found


def configure(storages: dict[str, Any], redis_url: str, **options: Any) -> None:
    """Set up Django with one database for each of the storages, under its alias."""
    files = {"BACKEND": "django.core.files.storage.InMemoryStorage"}
    cache = {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": redis_url}
    settings.configure(
        SECRET_KEY="benchmarks",
        USE_TZ=True,
        INSTALLED_APPS=["django_smarterbase", "testproject.articles"],
        CACHES={"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}, "smarterbase": cache},
        STORAGES={"default": files, "staticfiles": files, **storages},
        DATABASES={
            alias: {
                "ENGINE": "django_smarterbase.backend",
                "NAME": "bench",
                "OPTIONS": {"storage": name, "auto_reindex": False, "profile_history": 0, **options},
            }
            for alias, name in zip(["default", *list(storages)[1:]], storages, strict=True)
        },
    )
    django.setup()


def _measure() -> list[Rate]:
    from testproject.articles.models import Article

    def made(count: int) -> list[Any]:
        return [Article(pk=uuid4(), **article_fields(number, _BULK)) for number in range(count)]

    Article.objects.bulk_create(made(10))
    samples: dict[str, tuple[list[float], list[float]]] = {}
    for _ in range(_ROUNDS):
        few, many = made(_SINGLE), made(_BULK)
        pairs: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
            "create": (
                lambda few=few: [each.save(force_insert=True) for each in few],
                lambda many=many: Article.objects.bulk_create(many),
            ),
            "update": (
                lambda few=few: [Article.objects.filter(pk=each.pk).update(view_count=1) for each in few],
                lambda many=many: Article.objects.filter(pk__in=[each.pk for each in many]).update(view_count=1),
            ),
            "save, bulk_update": (
                lambda few=few: [each.save(update_fields=["view_count"]) for each in few],
                lambda many=many: Article.objects.bulk_update(many, ["view_count"]),
            ),
            "delete": (
                lambda few=few: [Article.objects.filter(pk=each.pk).delete() for each in few],
                lambda many=many: Article.objects.filter(pk__in=[each.pk for each in many]).delete(),
            ),
        }
        for name, (singly, at_once) in pairs.items():
            single, bulk = samples.setdefault(name, ([], []))
            single.append(_SINGLE / _seconds(singly))
            bulk.append(_BULK / _seconds(at_once))
    return [
        Rate(name, 0.0, statistics.median(single), statistics.median(bulk), (min(bulk), max(bulk)))
        for name, (single, bulk) in samples.items()
    ]


def _seconds(act: Callable[[], Any]) -> float:
    begun = time.perf_counter()
    act()
    return time.perf_counter() - begun


if __name__ == "__main__":
    _, _endpoint, _redis = sys.argv
    _options = {"bucket_name": BUCKET, "endpoint_url": _endpoint, **CREDENTIALS}
    configure({"s3": {"BACKEND": "storages.backends.s3.S3Storage", "OPTIONS": _options}}, _redis)
    print(json.dumps([asdict(each) for each in _measure()]))
