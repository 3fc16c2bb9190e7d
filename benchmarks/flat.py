"""Whether a query takes as long over many documents as over few: all sizes in the same rounds, of one process.

The peers of each size are measured one size after the other, while the machine does now more and now less; a ratio of
times from different runs says little. ``python -m benchmarks.flat`` is the process.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks import dataset
from benchmarks.dataset import pick
from benchmarks.engines import WRITE_DEADLINE
from benchmarks.kept import data_folder
from benchmarks.operations import OPERATIONS, Operation
from benchmarks.rounds import Timing, rounds_of
from testproject.services import RedisServer

_LONGEST: Final = 2 * 3600.0  # seconds


@dataclass(frozen=True)
class Growth:
    """The medians of an operation in ms, ``{documents: median}``, of the same rounds."""

    key: str
    medians: dict[int, float]

    @property
    def ratio(self) -> float:
        """How much longer it takes over the most documents than over the fewest."""
        return self.medians[max(self.medians)] / self.medians[min(self.medians)]


def measured(cache: Path, sizes: list[int], keys: Iterable[str], rounds: int, budget: float) -> list[Growth]:
    """The growth of the operations among ``keys`` that are meant to be flat, over data that the peers have left."""
    flat = [operation.key for operation in OPERATIONS if operation.flat is not None and operation.key in keys]
    if len(sizes) < 2 or not flat:
        return []
    folders = {size: str(data_folder(cache, size) / "objects") for size in sizes}
    with RedisServer() as server:
        told = json.dumps({"url": server.url, "folders": folders, "keys": flat, "rounds": rounds, "budget": budget})
        command = [sys.executable, "-m", "benchmarks.flat", told]
        found = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=_LONGEST).stdout
    return [Growth(key, {int(size): time for size, time in medians.items()}) for key, medians in json.loads(found)]


def _alias(size: int) -> str:
    return f"of_{size}"


def _configure(url: str, folders: dict[int, str]) -> None:
    """A database for each size, each with a storage, and with a Redis database of its own, as all have one NAME."""
    import django
    from django.conf import settings

    server = url.rpartition("/")[0]
    databases: dict[str, Any] = {}
    caches: dict[str, Any] = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    storages: dict[str, Any] = {}
    for number, (size, folder) in enumerate(folders.items()):
        alias = _alias(size)
        options = {"storage": alias, "cache": alias, "write_deadline": WRITE_DEADLINE, "auto_reindex": False}
        databases[alias] = {"ENGINE": "django_smarterbase.backend", "NAME": "bench", "OPTIONS": options}
        caches[alias] = {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": f"{server}/{number}"}
        storages[alias] = {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": folder},
        }
    settings.configure(
        SECRET_KEY="benchmarks",
        USE_TZ=True,
        INSTALLED_APPS=["django_smarterbase", "testproject.articles"],
        DATABASES={"default": databases[_alias(min(folders))], **databases},
        CACHES=caches,
        STORAGES=storages,
    )
    django.setup()


def _median(operation: Operation, sizes: list[int], rounds: int, budget: float) -> dict[int, float]:
    samples: dict[int, list[float]] = defaultdict(list)
    end = time.monotonic() + budget
    for number in range(-1, rounds_of(operation, rounds)):
        if number > 0 and time.monotonic() > end:
            break
        first = number % len(sizes)
        for size in sizes[first:] + sizes[:first]:
            chosen, begun = pick(size, number), time.perf_counter()
            operation.run(_alias(size), chosen)
            samples[size].append((time.perf_counter() - begun) * 1000)
    return {size: Timing(tuple(samples[size][1:] or samples[size])).median for size in sizes}


def main() -> None:
    """The child process; prints ``[[key, {documents: median}]]``."""
    told = json.loads(sys.argv[1])
    folders = {int(size): folder for size, folder in told["folders"].items()}
    _configure(told["url"], folders)
    for size in folders:
        print(f"... building the index of {size:,} documents", file=sys.stderr, flush=True)
        dataset.rebuild(_alias(size))
    chosen = [operation for operation in OPERATIONS if operation.key in told["keys"]]
    medians = [[each.key, _median(each, list(folders), told["rounds"], told["budget"])] for each in chosen]
    print(json.dumps(medians))


if __name__ == "__main__":
    main()
