"""The option ``--torture``, and a report of what was done at the end of the run.

The option is known when this folder is named on the command line (``make torture``).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pytest_django.plugin import DjangoDbBlocker

from testproject.services import RedisServer, S3Server

from .places import Place
from .s3 import OneAtATime
from .tally import TALLY


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--torture", action="store_true", help="run the fault tests at length")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Of several processes each tells what it did to the one that reports."""
    to_reporter = getattr(session.config, "workeroutput", None)
    if to_reporter is not None:
        to_reporter["tally"] = TALLY.as_dict()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    TALLY.add(getattr(node, "workeroutput", {}).get("tally", {"counts": {}, "notes": {}}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    lines = TALLY.lines()
    if lines:
        terminalreporter.section("what the fault tests did")
        for line in lines:
            terminalreporter.line(line)


@pytest.fixture(scope="session")
def torture(request: pytest.FixtureRequest) -> bool:
    """Whether to take one's time."""
    return bool(request.config.getoption("--torture", default=False))


@pytest.fixture(autouse=True)
def database_access(django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """The fault tests have databases of their own."""
    with django_db_blocker.unblock():
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
