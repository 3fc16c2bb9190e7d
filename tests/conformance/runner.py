"""The test runner inside each run: ``TEST_RUNNER`` of the conformance settings.

It writes JSON lines to the file named by CONFORMANCE_EVENTS, each flushed at once so that a run that is killed leaves
what it knew:

- ``{"kind": "planned", "tests": [id, ...]}`` once,
- ``{"kind": "skips", "reasons": {reason: [id, ...]}}`` once: ``django_test_skips`` of the engine under test,
- ``{"kind": "event", "test": id, "subtest": text or null, "outcome": Outcome, "detail": line, "traceback": text}``
  for everything that unittest reports; a test may have several,
- ``{"kind": "statements", "figures": {name: number}}`` once: how the engine answered its statements; empty on SQLite,
- ``{"kind": "end"}`` once, when every test has had its turn.
"""

# ruff: noqa: N802  (unittest names the hooks)
from __future__ import annotations

import json
import os
import traceback
import unittest
from functools import cache
from pathlib import Path
from typing import Any

import django.test.signals  # noqa: F401  (its receivers must come before those of ``aliases``)
from django.db import connection
from django.test.runner import DiscoverRunner
from django.test.utils import iter_test_cases

from tests.conformance import aliases, commit_setup, haste
from tests.conformance.census import Census
from tests.conformance.outcomes import Outcome

EVENTS_VARIABLE = "CONFORMANCE_EVENTS"
COMMIT_VARIABLE = "CONFORMANCE_COMMIT_SETUP"
OUTAGES_VARIABLE = "CONFORMANCE_OUTAGES"


@cache
def events_file() -> Path:
    """The file of events. Read once: some of Django's tests empty the environment while they run."""
    return Path(os.environ[EVENTS_VARIABLE])


def write(record: dict[str, Any]) -> None:
    """Append one JSON line to the file of events."""
    with events_file().open("a", encoding="utf-8") as events:
        events.write(json.dumps(record) + "\n")


class RecordingResult(unittest.TextTestResult):
    """unittest's usual result, which also writes every event down."""

    def printErrors(self) -> None:
        """Print nothing: the events tell more, and describing a subtest may run queries outside of its test."""

    def addSuccess(self, test: unittest.TestCase) -> None:
        super().addSuccess(test)
        record(test, Outcome.PASSED)

    def addFailure(self, test: unittest.TestCase, err: Any) -> None:
        super().addFailure(test, err)
        record(test, Outcome.FAILED, err)

    def addError(self, test: unittest.TestCase, err: Any) -> None:
        super().addError(test, err)
        record(test, Outcome.ERROR, err)

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:
        super().addSkip(test, reason)
        record(test, Outcome.SKIPPED, detail=reason)

    def addExpectedFailure(self, test: unittest.TestCase, err: Any) -> None:
        super().addExpectedFailure(test, err)
        record(test, Outcome.EXPECTED_FAILURE, err)

    def addUnexpectedSuccess(self, test: unittest.TestCase) -> None:
        super().addUnexpectedSuccess(test)
        record(test, Outcome.UNEXPECTED_SUCCESS, detail="it was expected to fail")

    def addSubTest(self, test: unittest.TestCase, subtest: unittest.TestCase, err: Any) -> None:
        super().addSubTest(test, subtest, err)
        if err is None:
            record(subtest, Outcome.PASSED)
        else:
            failed = issubclass(err[0], test.failureException)
            record(subtest, Outcome.FAILED if failed else Outcome.ERROR, err)


def record(test: Any, outcome: Outcome, err: Any = None, detail: str = "") -> None:
    """Write one event; a subtest is recorded under the id of the test that it is part of."""
    part = isinstance(test, unittest.case._SubTest)
    write(
        {
            "kind": "event",
            "test": (test.test_case if part else test).id(),
            "subtest": parameters(test) if part else None,
            "outcome": outcome,
            "detail": last_line(err[1]) if err else detail,
            "traceback": "".join(traceback.format_exception(*err)) if err else "",
        }
    )


def parameters(subtest: Any) -> str:
    """What tells the subtest from its siblings. Only plain values are shown: the repr of a queryset runs a query."""
    message = [subtest._message] if isinstance(subtest._message, str) else []
    shown = (f"{name}={_show(value)}" for name, value in subtest.params.items())
    return ", ".join([*message, *shown])


def _show(value: Any) -> str:
    return repr(value) if isinstance(value, str | int | float | None) else f"<{type(value).__name__}>"


def last_line(error: BaseException) -> str:
    """The error in one line, with the place that raised it: a comparison's message spans many lines."""
    lines = "".join(traceback.format_exception_only(error)).strip().splitlines()
    frames = traceback.extract_tb(error.__traceback__)
    # unittest's own assert methods say nothing of where the test stood.
    own = [frame for frame in frames if "/unittest/" not in frame.filename] or list(frames)
    place = f" ({Path(own[-1].filename).name}:{own[-1].lineno})" if own else ""
    return f"{lines[0][:300]}{place}"


class RecordingRunner(DiscoverRunner):
    """Django's runner with the commit set-up installed and every event recorded."""

    def get_resultclass(self) -> type[RecordingResult]:
        return RecordingResult

    def setup_databases(self, **kwargs: Any) -> Any:
        aliases.keep()
        if os.environ.get(COMMIT_VARIABLE, "1") == "1":
            commit_setup.install()
        if os.environ.get(OUTAGES_VARIABLE) == "1":
            haste.make()
        return super().setup_databases(**kwargs)

    def run_suite(self, suite: unittest.TestSuite, **kwargs: Any) -> Any:
        skips = {reason: sorted(tests) for reason, tests in connection.features.django_test_skips.items()}
        write({"kind": "planned", "tests": [test.id() for test in iter_test_cases(suite)]})
        write({"kind": "skips", "reasons": skips})
        census = Census()
        census.begin()
        result = super().run_suite(suite, **kwargs)
        write({"kind": "statements", "figures": census.figures})
        write({"kind": "end"})
        return result
