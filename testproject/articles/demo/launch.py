"""A place of its own for each demonstration: folder, Redis and, if asked for, S3 server."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

from testproject.environment import VAR, Environment
from testproject.services import LOOPBACK, RedisServer, S3Server, free_port

MANAGE = VAR.parent / "manage.py"
RUN = "SMARTERBASE_DEMO"
BUCKET = "demo"
_PATIENCE = 5.0  # seconds that Redis may take: the story is about one that is gone, not about a busy machine


def is_launched() -> bool:
    """Whether this process was started by ``launch`` and so has the settings of a demonstration."""
    return os.environ.get(RUN) == str(os.getpid())


def launch(*, s3: bool) -> NoReturn:
    """Start this process anew with the environment of a fresh demonstration: settings are read once, at the start."""
    sweep()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SMARTERBASE_", "AWS_"))}
    sys.stdout.flush()
    os.execve(sys.executable, [sys.executable, str(MANAGE), "demo"], {**kept, **variables(s3=s3)})  # noqa: S606 - us again


def variables(*, s3: bool) -> dict[str, str]:
    """The environment variables of a fresh demonstration in this process, whose id stays when it starts anew."""
    environment = _on_s3() if s3 else _on_files()
    return {**environment.variables(), RUN: str(os.getpid()), "DJANGO_SETTINGS_MODULE": "testproject.settings"}


@contextmanager
def services(environment: Environment) -> Iterator[RedisServer]:
    """The demonstration's Redis, running, and the S3 server beside it if the environment names a bucket."""
    with ExitStack() as stack:
        if environment.s3_bucket is not None:
            server = stack.enter_context(S3Server(_port(environment.s3_endpoint_url)))
            server.create_bucket(environment.s3_bucket)
        yield stack.enter_context(RedisServer(_port(environment.redis_url)))


def sweep() -> None:
    """Remove what earlier demonstrations left, except of those that still run."""
    for folder in VAR.glob("demo-*"):
        pid = folder.name.removeprefix("demo-")
        if not (pid.isdecimal() and _runs(int(pid))):
            shutil.rmtree(folder, ignore_errors=True)


def _on_files() -> Environment:
    folder: Path = VAR / f"demo-{os.getpid()}"
    return Environment(
        redis_url=f"redis://{LOOPBACK}:{free_port()}/0",
        redis_timeout=_PATIENCE,
        name="demo",
        objects=folder / "objects",
        trust_seconds=0.3,
        write_deadline=1.0,
        auto_reindex=False,  # the story shows what an index that is not rebuilt costs
    )


def _on_s3() -> Environment:
    return Environment(
        redis_url=f"redis://{LOOPBACK}:{free_port()}/0",
        redis_timeout=_PATIENCE,
        name="demo",
        trust_seconds=0.5,
        write_deadline=3.0,  # a Python S3 server on a busy machine takes its time
        auto_reindex=False,
        s3_bucket=BUCKET,
        s3_endpoint_url=f"http://{LOOPBACK}:{free_port()}",
        s3_access_key=S3Server.access_key,
        s3_secret_key=S3Server.secret_key,
        s3_region=S3Server.region,
    )


def _port(url: str | None) -> int | None:
    return urlsplit(url).port if url is not None else None


def _runs(pid: int) -> bool:
    with suppress(ProcessLookupError):
        with suppress(PermissionError):  # somebody else's process is one that runs
            os.kill(pid, 0)
        return True
    return False
