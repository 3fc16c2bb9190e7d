"""Servers for the tests, started once a run and only when a test asks for them; and the option ``--torture``."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import hypothesis
import pytest
from django.conf import settings
from django.db import connections, router
from django.dispatch import Signal

from django_smarterbase import signals
from django_smarterbase.indexes import auto, breaker, rebuild
from django_smarterbase.packs import packing
from django_smarterbase.profiling import recorder
from testproject.services import RedisServer, S3Server
from tests.faults.tally import TALLY

# How long an example takes, or is in the making, tells of the machine and not of the code.
hypothesis.settings.register_profile("tests", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("tests")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--torture", action="store_true", help="run the tests of faults and of servers at length")


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
        terminalreporter.section("what the tests of faults and of servers did")
        for line in lines:
            terminalreporter.line(line)


@pytest.fixture(scope="session")
def torture(request: pytest.FixtureRequest) -> bool:
    """Whether to take one's time."""
    return bool(request.config.getoption("--torture"))


class Told(list[tuple[str, dict[str, Any]]]):
    """The signals that were sent, as (name, arguments), in the order of their sending."""

    def of(self, *names: str) -> list[tuple[str, dict[str, Any]]]:
        """Those of these names."""
        return [each for each in self if each[0] in names]

    def arguments(self, name: str) -> list[dict[str, Any]]:
        """The arguments of those of one name."""
        return [arguments for each, arguments in self if each == name]


def pytest_configure() -> None:
    """Have Ctrl-C do what it does: a shell that runs this in the background ignores it, and our children would too."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def told() -> Iterator[Told]:
    """Every signal of the package that is sent during the test, in whatever thread."""
    told, receivers = Told(), []
    for name, sent in vars(signals).items():
        if isinstance(sent, Signal):

            def receiver(sender: type, signal: Signal, name: str = name, **arguments: Any) -> None:
                told.append((name, arguments))

            sent.connect(receiver, weak=False)
            receivers.append((sent, receiver))
    yield told
    for sent, receiver in receivers:
        sent.disconnect(receiver)


@pytest.fixture(scope="module", autouse=True)
def _nothing_is_left_to_other_modules() -> Iterator[None]:
    """Fail the module that leaves listeners, shortened pauses or routers behind, not one that comes upon them in some
    order."""
    before = _of_the_process()
    yield
    assert _of_the_process() == before


def _of_the_process() -> tuple[object, ...]:
    routers = [type(each).__qualname__ for each in router.routers]
    pauses = breaker.REST, rebuild.HOLD, auto.LOOK, auto.LEASE, packing.LEASE
    return routers, connections.settings, recorder._sinks, pauses


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
