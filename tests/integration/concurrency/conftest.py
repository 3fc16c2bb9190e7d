"""A database in a folder, or in a bucket, with a Redis of its own, for processes beside the tests."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from testproject.services import RedisServer
from tests.faults.s3 import OneAtATime
from tests.serving import ROOT

BUCKET = "forks"


@dataclass(frozen=True)
class Ground:
    """``variables`` of the environment lead the example site there."""

    variables: dict[str, str]

    def run(self, what: str) -> subprocess.CompletedProcess[str]:
        """Have a process do something, and wait for its end."""
        command = [sys.executable, "-m", "tests.integration.concurrency.forking", what]
        environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "testproject.settings", **self.variables}
        return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """An S3 server that keeps conditions, with a bucket."""
    with OneAtATime() as server:
        server.create_bucket(BUCKET)
        yield server.endpoint_url


@pytest.fixture
def ground(tmp_path: Path, own_redis: RedisServer, request: pytest.FixtureRequest) -> Ground:
    """On files, unless the test is parametrized with ``s3``."""
    variables = {
        # The site's own limits are for one whose Redis hangs, not for one on a machine that stands still.
        "REDIS_URL": f"{own_redis.url}?socket_timeout=20&socket_connect_timeout=20",
        "SMARTERBASE_OBJECTS": str(tmp_path),
        "SMARTERBASE_WRITE_DEADLINE": "5",
        "SMARTERBASE_TRUST_SECONDS": "0.3",
    }
    if getattr(request, "param", "files") == "s3":
        variables |= {
            "SMARTERBASE_S3_BUCKET": BUCKET,
            "SMARTERBASE_S3_ENDPOINT_URL": request.getfixturevalue("s3_endpoint"),
            "SMARTERBASE_S3_ACCESS_KEY": "testing",
            "SMARTERBASE_S3_SECRET_KEY": "testing",
            "SMARTERBASE_S3_REGION": "us-east-1",
            "SMARTERBASE_NAME": tmp_path.name,
        }
    return Ground(variables)
