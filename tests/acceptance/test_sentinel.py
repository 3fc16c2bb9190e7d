"""Redis behind Sentinel: the master is killed, a replica takes its place, and no answer is wrong meanwhile."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from testproject.services import LOOPBACK, RedisServer, free_port

ROOT = Path(__file__).resolve().parents[2]
DEADLINE = 90  # seconds


class Replica(RedisServer):
    """A replica of another server."""

    def __init__(self, master: RedisServer) -> None:
        super().__init__()
        self.master = master

    def command(self) -> list[str]:
        """As any server's, and whose replica it is."""
        return [*super().command(), "--replicaof", LOOPBACK, str(self.master.port)]


class Sentinel(RedisServer):
    """A Sentinel that alone decides, within seconds: not for a master that a busy machine lets stand still."""

    def __init__(self, master: RedisServer, folder: Path) -> None:
        super().__init__(free_port())
        self._config = folder / "sentinel.conf"
        self._config.write_text(
            f"bind {LOOPBACK}\nport {self.port}\n"
            f"sentinel monitor main {LOOPBACK} {master.port} 1\n"
            "sentinel down-after-milliseconds main 4000\nsentinel failover-timeout main 2000\n"
        )

    def command(self) -> list[str]:
        """The same program in its other role."""
        return [super().command()[0], str(self._config), "--sentinel"]


class Site:
    """The site in a process of its own."""

    def __init__(self, folder: Path, sentinel: Sentinel) -> None:
        command = [sys.executable, "-m", "tests.acceptance.sentinel_site", str(folder), str(sentinel.port)]
        self.process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )

    def ask(self, deed: str) -> Any:
        """Have it do something, and say what came of it."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{deed}\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self) -> None:
        """The end of its input is its end."""
        self.process.communicate(timeout=DEADLINE)


@pytest.fixture
def master() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture
def replica(master: RedisServer) -> Iterator[Replica]:
    with Replica(master) as server:
        yield server


@pytest.fixture
def site(master: RedisServer, replica: Replica, tmp_path: Path) -> Iterator[Site]:
    """A site, once Sentinel knows master and replica."""
    with Sentinel(master, tmp_path) as sentinel:
        client = redis.Redis(port=sentinel.port, decode_responses=True)
        await_that(lambda: bool(client.sentinel_slaves("main")))
        client.close()
        site = Site(tmp_path / "objects", sentinel)
        yield site
        site.close()


def await_that(happens: Any) -> None:
    until = time.monotonic() + DEADLINE
    while not happens():
        assert time.monotonic() < until
        time.sleep(0.1)


def test_failover_costs_scans_and_no_answer_when_the_master_is_killed(
    site: Site, master: RedisServer, replica: Replica
) -> None:
    assert site.ask("check") == 0
    assert site.ask("create ann") == 1
    assert site.ask("look ann") == [1, "redis:authors-by-name", None]
    master.kill()
    assert site.ask("look ann")[0] == 1
    assert site.ask("create bob") == 2
    client = redis.Redis(port=replica.port, decode_responses=True)
    await_that(lambda: client.role()[0] == "master")
    client.close()
    assert site.ask("look bob")[:2] == [1, "none:full-scan"]
    await_that(lambda: site.ask("reindex"))
    assert site.ask("look bob") == [1, "redis:authors-by-name", None]
    assert site.ask("look ann") == [1, "redis:authors-by-name", None]
