"""A bucket behind a line that fails on command."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import boto3
import pytest
from botocore.config import Config
from storages.backends.s3 import S3Storage

from django_smarterbase.conf import Options
from django_smarterbase.storage.base import ObjectStore
from django_smarterbase.storage.opening import open_store
from testproject.services import S3Server

from .proxy import FaultyProxy

WRITE_DEADLINE = 8.0  # seconds


@pytest.fixture(scope="session")
def upstream() -> Iterator[S3Server]:
    """The S3 server itself."""
    with S3Server() as server:
        yield server


@pytest.fixture
def proxy(upstream: S3Server) -> Iterator[FaultyProxy]:
    """The line to it, whole to begin with."""
    proxy = FaultyProxy(upstream.port)
    yield proxy
    proxy.heal()
    proxy.close()


@pytest.fixture
def bucket(upstream: S3Server) -> str:
    """A new bucket."""
    name = f"b{uuid.uuid4().hex}"
    upstream.create_bucket(name)
    return name


@pytest.fixture
def client(upstream: S3Server):
    """A client of the server itself, past proxy and package."""
    client = boto3.client(
        "s3",
        endpoint_url=upstream.endpoint_url,
        aws_access_key_id=upstream.access_key,
        aws_secret_access_key=upstream.secret_key,
        region_name=upstream.region,
        config=Config(proxies={}),
    )
    yield client
    client.close()


@pytest.fixture
def store(proxy: FaultyProxy, bucket: str) -> ObjectStore:
    """The adapter as it configures itself, its probe over."""
    storage = S3Storage(
        bucket_name=bucket, endpoint_url=proxy.url, access_key="testing", secret_key="testing", region_name="us-east-1"
    )
    store = open_store(storage, Options(write_deadline=WRITE_DEADLINE, concurrency=4))
    assert store.verify_conditions()
    proxy.seen.clear()
    return store
