"""The memory of a process that serves ten thousand requests, with Redis and without."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from testproject.services import RedisServer
from tests.faults.tally import TALLY
from tests.serving import ROOT

from .places import Place

TEST = "memory of one process"
REQUESTS = 10_000
WARMING_UP = 2_000  # by then the ring of profiles is full, and every statement has been met
MIB = 1 << 20
LIMIT = 4 * MIB  # 512 bytes a request


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


@pytest.mark.parametrize("how", ["one-thread", "thread-each"])
def test_memory_stays_flat_over_ten_thousand_requests(
    how: str, folder_place: Place, own_redis: RedisServer, torture: bool
) -> None:
    times = 10 if torture else 1
    with soaking(folder_place, how) as soak:
        for redis in ("up", "down"):
            if redis == "down":
                own_redis.kill()
            before = soak.serve(WARMING_UP)
            after = soak.serve((REQUESTS // 2 - WARMING_UP) * times)
            TALLY.note(TEST, f"{how}, Redis {redis}: {before / MIB:.1f} MiB, {(after - before) / 1024:+,.0f} KiB")
            assert after - before < LIMIT
