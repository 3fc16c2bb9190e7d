"""What a reindex costs after Redis has restarted with its data: no document that has not changed is read again."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, replace

import redis

from benchmarks.engines import OBJECTS, REBUILD, Place
from benchmarks.filling import write_objects
from testproject.services import RedisServer


@dataclass(frozen=True)
class Pass:
    """One reindex: documents in the index, how many of them were read and how many known by their ETag, requests."""

    documents: int
    read: int
    reused: int
    listings: int
    bytes_read: int
    seconds: float


@dataclass(frozen=True)
class Restart:
    """The first reindex of a table, and the one after the restart. ``loading``: seconds until Redis answered again."""

    first: Pass
    again: Pass
    loading: float


def restart(place: Place, server: RedisServer, documents: int) -> Restart:
    """Write a table of its own, index it, restart the server from a dump, and index it again.

    Each in a child process, which knows nothing of the one before. Redis has the keys that it had, and no others.
    """
    own = replace(place, name=f"restart-{documents}", postgres_port=None)
    _child("fill", own, documents)
    first = Pass(**json.loads(_child("reindex", own, documents)))
    with redis.Redis.from_url(server.url, socket_timeout=120) as client:
        client.save()
    server.kill()
    begun = time.perf_counter()
    server.start()
    loading = time.perf_counter() - begun
    server.dump_file.unlink()
    again = Pass(**json.loads(_child("reindex", own, documents)))
    if again.documents != documents:
        raise AssertionError(f"{again.documents} documents are in the index after the restart, not {documents}.")
    return Restart(first, again, loading)


def _child(task: str, place: Place, documents: int) -> str:
    command = [sys.executable, "-m", "benchmarks.restart", task, place.dump(), str(documents)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=1800).stdout


def _reindex() -> Pass:
    from django.db import connections

    from django_smarterbase.ops import counting
    from testproject.articles.models import Article

    connection = connections[REBUILD]
    schema = connection.schema_of_model(Article)  # type: ignore[attr-defined]
    with counting() as ops:
        report = connection.resources.indexes.rebuild(schema)  # type: ignore[attr-defined]
    storage = ops.storage
    if storage.reads != report.read:
        raise AssertionError(f"The report says {report.read} documents read, the store {storage.reads}.")
    return Pass(report.documents, report.read, report.reused, storage.lists, storage.bytes_read, report.seconds)


if __name__ == "__main__":
    _, _task, _place, _documents = sys.argv
    Place.load(_place).configure()
    if _task == "fill":
        write_objects(OBJECTS, int(_documents))
    else:
        print(json.dumps(asdict(_reindex())))
