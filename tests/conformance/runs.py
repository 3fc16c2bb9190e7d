"""Runs an app of Django's test suite in a column: a subprocess with a deadline, and with a Redis of its own."""

from __future__ import annotations

import contextlib
import enum
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from testproject.services import RedisServer
from tests.conformance.outcomes import AppRun, read_run
from tests.conformance.source import ROOT


class Column(enum.StrEnum):
    """What an app is run on; the value is the column's heading."""

    PLAIN = "SQLite as it is"
    STOCK = "stock SQLite"
    REDIS = "engine, Redis"
    NO_CACHE = "engine, no cache"

    @property
    def engine(self) -> bool:
        """Whether the column is about this engine, rather than the yardstick."""
        return self in (Column.REDIS, Column.NO_CACHE)


@dataclass(frozen=True)
class Plan:
    """What is the same for every run: where Django's tests are, where output goes, and how the engine is set up."""

    tests: Path
    output: Path
    files: bool = False
    reload: bool = True
    timeout: float = 600.0


def run_app(plan: Plan, app: str, column: Column) -> AppRun:
    """Run one app in one column; failures and a missed deadline are in the result. Raises what RedisServer raises."""
    stem = f"{app}-{column.name.lower()}"
    events = plan.output / f"{stem}.jsonl"
    events.unlink(missing_ok=True)
    started = time.monotonic()
    with _environment(plan, column, events) as environment, (plan.output / f"{stem}.out").open("wb") as output:
        broken = _run(plan, app, column, environment, output)
    run = read_run(app, events, broken, time.monotonic() - started)
    if not run.broken:
        return run
    words = (plan.output / f"{stem}.out").read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return replace(run, broken=f"{run.broken}; its last words: {words[-1] if words else 'none'}")


@contextlib.contextmanager
def _environment(plan: Plan, column: Column, events: Path) -> Iterator[dict[str, str]]:
    """The run's environment. A Redis server and a directory of objects live as long as the block."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "CONFORMANCE_EVENTS": str(events),
        "CONFORMANCE_COMMIT_SETUP": "0" if column is Column.PLAIN else "1",
        "CONFORMANCE_REDIS_URL": "",
        "CONFORMANCE_FILES": "",
        "SMARTERBASE_RELOAD": "1" if column.engine and plan.reload else "0",
    }
    with contextlib.ExitStack() as stack:
        if column is Column.REDIS:
            environment["CONFORMANCE_REDIS_URL"] = stack.enter_context(RedisServer()).url
        if column.engine and plan.files:
            environment["CONFORMANCE_FILES"] = stack.enter_context(tempfile.TemporaryDirectory(prefix="conformance-"))
        yield environment


def _run(plan: Plan, app: str, column: Column, environment: Mapping[str, str], output: IO[bytes]) -> str:
    """Run Django's runner to its end or its deadline. Returns why it broke off, or nothing."""
    settings = "settings_engine" if column.engine else "settings_sqlite"
    command = [sys.executable, "runtests.py", "--noinput", "--parallel=1", f"--settings=tests.conformance.{settings}"]
    # A session of its own: the deadline ends whatever the tests started, too.
    process = subprocess.Popen(
        [*command, app], cwd=plan.tests, env=environment, stdout=output, stderr=output, start_new_session=True
    )
    try:
        status = process.wait(plan.timeout)
    except subprocess.TimeoutExpired:
        return f"it was ended after {plan.timeout:g} s"
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    # 1 is the runner's word for failed tests; what failed is in the events.
    return "" if status in (0, 1) else f"it ended with status {status}"
