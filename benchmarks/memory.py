"""What statements and commands keep in memory that go over a whole table: a child process each for a small and a large
one, and its peak."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from benchmarks import dataset
from benchmarks.engines import OBJECTS, REBUILD, Place
from benchmarks.filling import write_objects

FILL: Final = "fill"
REINDEX: Final = "reindex"
GROWTH: Final = 100  # MiB that the large table may take more than the small one


@dataclass(frozen=True)
class Footprint:
    """A task over ``documents``. Memory in MiB: before it began, at its peak, and what Redis keeps more than before."""

    task: str
    documents: int
    seconds: float
    before: float
    peak: float
    redis: float


def footprints(
    place: Place, sizes: tuple[int, int], say: Callable[[str], None], tasks: Iterable[str] | None = None
) -> Iterator[Footprint]:
    """Write a small and a large table, and do the tasks (all of them if none are named) to each in a child process of
    its own."""
    for documents in sizes:
        say(f"writing {documents} documents to go over")
        own = replace(place, name=f"memory-{documents}", postgres_port=None)
        _child(FILL, own, documents)
        for task in tasks or TASKS:
            say(f"{task} of {documents} documents in a process of its own")
            yield Footprint(**json.loads(_child(task, own, documents)))


def _child(task: str, place: Place, documents: int) -> str:
    command = [sys.executable, "-m", "benchmarks.memory", task, place.dump(), str(documents)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=3600).stdout


def _measured(task: str, documents: int) -> Footprint:
    from django.db import connections
    from django_redis import get_redis_connection

    connections[REBUILD if task == REINDEX else OBJECTS].ensure_connection()
    redis = get_redis_connection("smarterbase")
    kept, before, begun = redis.info("memory")["used_memory"], _peak(), time.perf_counter()
    TASKS[task]()
    seconds = time.perf_counter() - begun
    grown = redis.info("memory")["used_memory"] - kept
    return Footprint(task, documents, seconds, before, _peak(), grown / 2**20)


def _scan() -> None:
    from testproject.articles.models import Article

    for _article in Article.objects.filter(title="Article 0000007 and what it has to say"):
        pass


def _iterator() -> None:
    from testproject.articles.models import Article

    for _article in Article.objects.order_by().iterator():
        pass


def _sorted_iterator() -> None:
    from testproject.articles.models import Article

    for _article in Article.objects.order_by("-created_at", "title").iterator():
        pass


def _aggregate() -> None:
    from django.db.models import Avg, Max, Sum

    from testproject.articles.models import Article

    Article.objects.filter(title__startswith="Article").count()
    Article.objects.aggregate(Sum("view_count"), Avg("view_count"), Max("view_count"))


def _update() -> None:
    from testproject.articles.models import Article

    Article.objects.filter(title="Article 0000007 and what it has to say").update(view_count=1)


def _dumpdata() -> None:
    from django.core.management import call_command

    call_command("dumpdata", "articles.article", output=os.devnull)


def _check() -> None:
    from django.core.management import call_command

    with open(os.devnull, "w") as nowhere:
        call_command("sb_check", "articles.article", database=OBJECTS, stdout=nowhere)


def _peak() -> float:
    """The peak of this process's resident memory, in MiB."""
    status = Path("/proc/self/status")
    if status.exists():
        # getrusage's figure outlives exec: a child would inherit the peak of the process that started it.
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) / 2**10
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


TASKS: Final[dict[str, Callable[[], object]]] = {
    "filter(title=…)": _scan,
    "iterator()": _iterator,
    "iterator(), sorted": _sorted_iterator,
    "count(), aggregate()": _aggregate,
    "filter(title=…).update()": _update,
    "dumpdata": _dumpdata,
    REINDEX: lambda: dataset.rebuild(REBUILD),
    "sb_check": _check,
}

if __name__ == "__main__":
    _, _task, _place, _documents = sys.argv
    Place.load(_place).configure()
    if _task == FILL:
        write_objects(OBJECTS, int(_documents))
    else:
        print(json.dumps(vars(_measured(_task, int(_documents)))))
