"""The history of processes that end and fork."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import testproject
from django_smarterbase.history import ProfileHistory
from testproject.articles.models import Author
from tests.faults.wire import Line, Wire
from tests.integration.commands.site import Site
from tests.serving import REDIS_TIMEOUT

ROOT = Path(testproject.__file__).parents[1]


def worker(site: Site, what: str, *, line: Wire | None = None) -> subprocess.CompletedProcess[str]:
    """Run the worker to its end. Where it has a line of its own to Redis, which may fail, it waits no longer for that
    than any process does."""
    patience = {"PATIENTLY": "60", "SMARTERBASE_REDIS_TIMEOUT": REDIS_TIMEOUT} if line is None else {}
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("SMARTERBASE_", "DJANGO_"))},
        "REDIS_URL": site.server.url if line is None else line.url,
        "SMARTERBASE_NAME": site.name,
        "SMARTERBASE_OBJECTS": str(site.folder),
        "SMARTERBASE_WRITE_DEADLINE": "1",
        "SMARTERBASE_TRUST_SECONDS": "0.15",
        "SMARTERBASE_AUTO_REINDEX": "0",
        **patience,
    }
    command = [sys.executable, "-m", "tests.integration.history.worker", what]
    return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=120)


@pytest.fixture(autouse=True)
def authors(site: Site) -> None:
    """A table to ask."""
    Author.objects.create(name="Ada")


@pytest.fixture
def wire(site: Site) -> Iterator[Wire]:
    """A line to the site's Redis."""
    wire = Wire(site.server.port)
    yield wire
    wire.close()


def methods(history: ProfileHistory) -> Counter[str]:
    return Counter(profile.method for profile in history.read().profiles)


def test_process_that_exits_sends_its_last_profiles(site: Site, history: ProfileHistory) -> None:
    done = worker(site, "leave")

    assert (done.returncode, done.stderr) == (0, "")
    assert methods(history) == {"Leave": 1}


@pytest.mark.parametrize("line", [Line.CUT, Line.SILENT, Line.DEAF])
def test_process_exits_in_time_when_redis_does_not_answer(site: Site, wire: Wire, line: Line) -> None:
    wire.become(line)
    begun = time.monotonic()
    done = worker(site, "leave", line=wire)

    assert done.returncode == 0
    assert "Traceback" not in done.stderr
    assert time.monotonic() - begun < 60


def test_forked_process_sends_its_own_profiles_and_not_those_of_its_parent(site: Site, history: ProfileHistory) -> None:
    done = worker(site, "fork")

    assert (done.returncode, done.stderr) == (0, "")
    assert methods(history) == {"Before": 1, "Child": 1, "Parent": 1}


def test_forked_process_has_a_thread_of_its_own(site: Site, history: ProfileHistory) -> None:
    """The child never exits while it is looked at: only a thread can have sent what it recorded."""
    done = worker(site, "fork_and_live")

    assert (done.returncode, done.stderr) == (0, "")
    found = methods(history)
    assert found["Before"] == 1
    assert found["Child"] > 0
