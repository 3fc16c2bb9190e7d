"""One store of each adapter, and an S3 server."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from django.core.files.base import File
from django.core.files.storage import FileSystemStorage, InMemoryStorage, Storage
from moto.server import ThreadedMotoServer
from storages.backends.s3 import S3Storage

from django_smarterbase.conf import Options
from django_smarterbase.storage.base import ObjectStore
from django_smarterbase.storage.opening import open_store

KINDS = ("memory", "files", "s3", "s3 through boto3", "generic")
CREDENTIALS = {"aws_access_key_id": "tests", "aws_secret_access_key": "tests", "region_name": "us-east-1"}


class ThroughBoto3(S3Storage):
    """Made by a class that makes its connections itself, so that nobody but boto3 knows how to read it."""

    @property
    def connection(self):
        return super().connection


class PlainStorage(Storage):
    """A storage that the package knows nothing of: files, reached through the public methods."""

    def __init__(self, location: Path) -> None:
        self.inner = FileSystemStorage(location=location)

    def _open(self, name: str, mode: str = "rb") -> File:
        return self.inner.open(name, mode)

    def _save(self, name: str, content: File) -> str:
        return self.inner.save(name, content)

    def delete(self, name: str) -> None:
        self.inner.delete(name)

    def exists(self, name: str) -> bool:
        return self.inner.exists(name)

    def listdir(self, path: str) -> tuple[list[str], list[str]]:
        return self.inner.listdir(path)


@pytest.fixture(scope="session")
def endpoint() -> Iterator[str]:
    """The address of a running S3 server."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(endpoint: str) -> str:
    """A new bucket."""
    name = f"b{uuid.uuid4().hex}"
    boto3.client("s3", endpoint_url=endpoint, **CREDENTIALS).create_bucket(Bucket=name)
    return name


@pytest.fixture
def make_s3(endpoint: str, bucket: str) -> Callable[..., S3Storage]:
    """Makes an S3Storage in the new bucket; arguments are its own, ``kind`` a subclass."""

    def make(kind: type[S3Storage] = S3Storage, **settings: Any) -> S3Storage:
        return kind(
            **{
                "bucket_name": bucket,
                "endpoint_url": endpoint,
                "access_key": "tests",
                "secret_key": "tests",
                "region_name": "us-east-1",
                **settings,
            }
        )

    return make


@pytest.fixture
def make_storage(tmp_path: Path, request: pytest.FixtureRequest) -> Callable[[str], Storage]:
    """Makes the Django storage of a kind of ``KINDS``."""

    def make(kind: str) -> Storage:
        if kind == "memory":
            return InMemoryStorage()
        if kind == "files":
            return FileSystemStorage(location=tmp_path / "objects")
        if kind == "s3":
            return request.getfixturevalue("make_s3")(location="some/where")
        if kind == "s3 through boto3":
            return request.getfixturevalue("make_s3")(ThroughBoto3, location="some/where")
        return PlainStorage(tmp_path / "plain")

    return make


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """The adapter under test."""
    return request.param


@pytest.fixture
def store(kind: str, make_storage: Callable[[str], Storage]) -> ObjectStore:
    """An empty store of each kind in turn."""
    return open_store(make_storage(kind), Options(concurrency=4, fsync=False))
