"""Runs an app of Django's test suite in a column: a subprocess with a deadline, and with a Redis of its own."""

from __future__ import annotations

import contextlib
import enum
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from testproject.services import RedisServer, S3Server
from tests.conformance.outages import Outages
from tests.conformance.outcomes import AppRun, read_run
from tests.conformance.source import ROOT

BUCKET = "conformance"

_running: set[subprocess.Popen[bytes]] = set()


class Column(enum.StrEnum):
    """What an app is run on; the value is the column's heading."""

    PLAIN = "SQLite as it is"
    STOCK = "stock SQLite"
    REDIS = "engine, Redis"
    NO_CACHE = "engine, no cache"
    OUTAGES = "engine, outages"

    @property
    def engine(self) -> bool:
        """Whether the column is about this engine, rather than the yardstick."""
        return self in (Column.REDIS, Column.NO_CACHE, Column.OUTAGES)


class Storage(enum.StrEnum):
    """Where the engine's objects lie."""

    MEMORY = "memory"
    FILES = "files"
    S3 = "s3"


@dataclass(frozen=True)
class Plan:
    """What is the same for every run: where Django's tests are, where output goes, and how the engine is set up."""

    tests: Path
    output: Path
    storage: Storage = Storage.MEMORY
    reload: bool = True
    timeout: float = 600.0


def run_app(plan: Plan, app: str, column: Column) -> AppRun:
    """Run one app in one column; failures and a missed deadline are in the result. Raises ServiceError."""
    events = events_of(plan, app, column)
    written = events.with_suffix(".out")
    events.unlink(missing_ok=True)
    outages = 0
    started = time.monotonic()
    with contextlib.ExitStack() as stack, written.open("wb") as output:
        server = stack.enter_context(RedisServer()) if column in (Column.REDIS, Column.OUTAGES) else None
        environment = {**_environment(plan, column, events, server), **_storage(plan, column, stack)}
        if column is Column.OUTAGES and server is not None:
            with Outages(server, events) as striking:
                broken = _run(plan, app, column, environment, output)
            outages = striking.number
        else:
            broken = _run(plan, app, column, environment, output)
    run = replace(read_run(app, events, broken, time.monotonic() - started), outages=outages)
    if not run.broken:
        return run
    words = written.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return replace(run, broken=f"{run.broken}; its last words: {words[-1] if words else 'none'}")


def events_of(plan: Plan, app: str, column: Column) -> Path:
    """The file of events of a run."""
    return plan.output / f"{app}-{column.name.lower()}.jsonl"


def _environment(plan: Plan, column: Column, events: Path, server: RedisServer | None) -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": str(_python_path(plan)),
        "CONFORMANCE_EVENTS": str(events),
        "CONFORMANCE_COMMIT_SETUP": "0" if column is Column.PLAIN else "1",
        "CONFORMANCE_REDIS_URL": "" if server is None else server.url,
        "CONFORMANCE_OUTAGES": "1" if column is Column.OUTAGES else "0",
        "CONFORMANCE_FILES": "",
        "CONFORMANCE_S3": "",
        "SMARTERBASE_RELOAD": "1" if column.engine and plan.reload else "0",
    }


def _storage(plan: Plan, column: Column, stack: contextlib.ExitStack) -> dict[str, str]:
    """What names the place of the objects, which lives as long as ``stack``."""
    if column.engine and plan.storage is Storage.FILES:
        return {"CONFORMANCE_FILES": stack.enter_context(tempfile.TemporaryDirectory(prefix="conformance-"))}
    if column.engine and plan.storage is Storage.S3:
        server = stack.enter_context(S3Server())
        server.create_bucket(BUCKET)
        options = {
            "bucket_name": BUCKET,
            "endpoint_url": server.endpoint_url,
            "access_key": server.access_key,
            "secret_key": server.secret_key,
            "region_name": server.region,
        }
        return {"CONFORMANCE_S3": json.dumps(options)}
    return {}


def _python_path(plan: Plan) -> Path:
    """A folder with nothing but what a run imports of this project.

    Django's tests of ``startproject`` have the folder of the engine on their path, and give their project the name of
    the example site.
    """
    folder = plan.output.resolve() / "path"
    folder.mkdir(exist_ok=True)
    for package in ("django_smarterbase", "tests"):
        with contextlib.suppress(FileExistsError):
            (folder / package).symlink_to(ROOT / package)
    return folder


def _run(plan: Plan, app: str, column: Column, environment: Mapping[str, str], output: IO[bytes]) -> str:
    """Run Django's runner to its end or its deadline. Returns why it broke off, or nothing."""
    settings = "settings_engine" if column.engine else "settings_sqlite"
    command = [sys.executable, "runtests.py", "--noinput", "--parallel=1", f"--settings=tests.conformance.{settings}"]
    # A session of its own: the deadline ends whatever the tests started, too.
    process = subprocess.Popen(
        [*command, app], cwd=plan.tests, env=environment, stdout=output, stderr=output, start_new_session=True
    )
    _running.add(process)
    try:
        status = process.wait(plan.timeout)
    except subprocess.TimeoutExpired:
        return f"it was ended after {plan.timeout:g} s"
    finally:
        _end(process)
        _running.discard(process)
    # 1 is the runner's word for failed tests; what failed is in the events.
    return "" if status in (0, 1) else f"it ended with status {status}"


def end_all() -> None:
    """End the runs that other threads have under way: somebody does not want to wait for them."""
    for process in list(_running):
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
