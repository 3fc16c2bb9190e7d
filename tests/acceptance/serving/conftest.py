"""A filled site of a test's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from testproject.services import RedisServer, S3Server
from tests.faults.s3 import OneAtATime

from .places import Place, variables_of


@pytest.fixture(autouse=True)
def proc() -> None:
    """The tests look at processes by /proc."""
    if not Path("/proc/self/net/tcp").exists():
        pytest.skip("no /proc on this system")


@pytest.fixture
def folder_place(tmp_path: Path, own_redis: RedisServer) -> Place:
    """The objects in a folder, the indexes in a Redis of the test's own."""
    place = Place(tmp_path, variables_of(own_redis.url))
    place.fill()
    return place


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Server]:
    """An S3 server that keeps conditions under concurrent writes."""
    with OneAtATime() as server:
        yield server


@pytest.fixture
def bucket_place(tmp_path: Path, own_redis: RedisServer, s3: S3Server) -> Place:
    """The objects in a bucket, the indexes in a Redis of the test's own."""
    bucket = uuid4().hex
    s3.create_bucket(bucket)
    variables = {
        "SMARTERBASE_S3_BUCKET": bucket,
        "SMARTERBASE_S3_ENDPOINT_URL": s3.endpoint_url,
        "SMARTERBASE_S3_ACCESS_KEY": s3.access_key,
        "SMARTERBASE_S3_SECRET_KEY": s3.secret_key,
        "SMARTERBASE_S3_REGION": s3.region,
        "SMARTERBASE_WRITE_DEADLINE": "15",
    }
    place = Place(tmp_path, {**variables_of(own_redis.url), **variables}, s3.endpoint_url, bucket)
    place.fill()
    return place
