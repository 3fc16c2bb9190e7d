"""Databases of the fault tests' own, and the servers that these stop at will."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django.plugin import DjangoDbBlocker

from testproject.services import RedisServer, S3Server

from .places import PAUSES, Place
from .s3 import OneAtATime


@pytest.fixture(autouse=True)
def database_access(django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """The fault tests have databases of their own."""
    with django_db_blocker.unblock():
        yield


@pytest.fixture(scope="module", autouse=True)
def pauses_of_the_process() -> Iterator[None]:
    """What ``be_patient_for_tests`` shortens lasts as long again when the module has ended."""
    with pytest.MonkeyPatch.context() as before:
        for module, name in PAUSES:
            before.setattr(module, name, getattr(module, name))
        yield


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    """A Redis that the module's tests stop and empty at will."""
    with RedisServer() as server:
        yield server


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    """An S3 server with the bucket ``faults``, which keeps conditions under concurrent writes too."""
    with OneAtATime() as server:
        server.create_bucket("faults")
        yield server


@pytest.fixture
def place(tmp_path: Path, server: RedisServer) -> Place:
    """An empty database on files, its Redis running and empty."""
    server.restart_empty()
    return Place(tmp_path.name, str(tmp_path / "objects"), server.url)
