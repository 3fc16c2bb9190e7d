"""Servers for the tests, started once a run and only when a test asks for them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from django.conf import settings

from testproject.services import RedisServer, S3Server


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """The Redis that the cache alias ``smarterbase`` of the test settings names; ``REDIS_URL`` if it is set.

    It is shared: a test uses keys of its own, and takes ``own_redis`` when it stops or empties the server.
    """
    if os.environ.get("REDIS_URL"):
        yield settings.REDIS_URL
        return
    with RedisServer(urlsplit(settings.REDIS_URL).port):
        yield settings.REDIS_URL


@pytest.fixture(scope="session")
def django_db_setup(redis_url: str, django_db_setup: None) -> None:
    """The test database, with its indexes in the Redis of ``redis_url``."""


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    """A running Redis of the test's own, which it may stop, kill and empty."""
    with RedisServer() as server:
        yield server


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """A running S3 server; a test creates a bucket of its own."""
    with S3Server() as server:
        yield server
