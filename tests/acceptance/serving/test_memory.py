"""The memory of a process that serves ten thousand requests, with Redis and without."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from testproject.services import RedisServer
from tests.faults.tally import TALLY
from tests.serving import ROOT

from .places import Place

TEST = "memory of one process"
MIB = 1 << 20
LIMIT = 4 * MIB  # 1.2 KB a request


@dataclass(frozen=True)
class Course:
    """How many requests with Redis, and as many without; the first of each fill the ring of profiles and the caches."""

    how: str
    first: int
    then: int

    def __str__(self) -> str:
        return self.how


COURSES = (Course("one-thread", 1_500, 3_500), Course("thread-each", 400, 400))


class Soak:
    """The process."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def serve(self, requests: int) -> int:
        """Have it serve so many requests, each as expected. Its memory afterwards, in bytes."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(f"{requests}\n")
        stdin.flush()
        told: dict[str, Any] = json.loads(stdout.readline())
        assert told["answers"] == {"as expected": requests}
        resident: int = told["resident"]
        return resident


@contextmanager
def soaking(place: Place, how: str) -> Iterator[Soak]:
    """A process that serves requests as it is told; it ends without a word."""
    command = [sys.executable, "-m", "tests.acceptance.serving.soak", how]
    with subprocess.Popen(
        command, cwd=ROOT, env=place.environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield Soak(process)
            process.communicate(timeout=30)
            assert process.returncode == 0
        finally:
            process.kill()


@pytest.mark.timeout(3600)  # seconds: half a minute, where the machine has nothing else to do and it is no torture
@pytest.mark.parametrize("course", COURSES, ids=str)
def test_memory_stays_flat_over_ten_thousand_requests(
    course: Course, folder_place: Place, own_redis: RedisServer, torture: bool
) -> None:
    with soaking(folder_place, course.how) as soak:
        for redis in ("up", "down"):
            if redis == "down":
                own_redis.kill()
            before = soak.serve(course.first)
            after = soak.serve(course.then * (10 if torture else 1))
            TALLY.note(TEST, f"{course}, Redis {redis}: {before / MIB:.1f} MiB, {(after - before) / 1024:+,.0f} KiB")
            assert after - before < LIMIT
