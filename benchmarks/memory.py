"""What a reindex keeps in memory: a child process each for a small and a large table, and its peak."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks import dataset
from benchmarks.engines import OBJECTS, REBUILD, Place
from benchmarks.filling import write_objects


@dataclass(frozen=True)
class Footprint:
    """A reindex of ``documents``. Memory in MiB: before it began, at its peak, and what Redis keeps."""

    documents: int
    seconds: float
    before: float
    peak: float
    redis: float


def footprint(place: Place, documents: int) -> Footprint:
    """Write a table of its own and rebuild its index, each in a child process."""
    own = replace(place, name=f"memory-{documents}", postgres_port=None)
    _child("fill", own, documents)
    return Footprint(**json.loads(_child("reindex", own, documents)))


def _child(task: str, place: Place, documents: int) -> str:
    command = [sys.executable, "-m", "benchmarks.memory", task, place.dump(), str(documents)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=1800).stdout


def _reindex(documents: int) -> Footprint:
    from django.db import connections
    from django_redis import get_redis_connection

    connections[REBUILD].ensure_connection()
    redis = get_redis_connection("smarterbase")
    kept, before, begun = redis.info("memory")["used_memory"], _peak(), time.perf_counter()
    dataset.rebuild(REBUILD)
    seconds = time.perf_counter() - begun
    grown = redis.info("memory")["used_memory"] - kept
    return Footprint(documents, seconds, before, _peak(), grown / 2**20)


def _peak() -> float:
    """The peak of this process's resident memory, in MiB."""
    status = Path("/proc/self/status")
    if status.exists():
        # getrusage's figure outlives exec: a child would inherit the peak of the process that started it.
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) / 2**10
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


if __name__ == "__main__":
    _, _task, _place, _documents = sys.argv
    Place.load(_place).configure()
    if _task == "fill":
        write_objects(OBJECTS, int(_documents))
    else:
        print(json.dumps(vars(_reindex(int(_documents)))))
