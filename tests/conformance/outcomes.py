"""What one app's run came to, read from its file of events: plain data, no Django."""

from __future__ import annotations

import enum
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


class Outcome(enum.StrEnum):
    """The outcome of a test, from the worst to the best: of several events the worst one counts."""

    ERROR = "error"
    FAILED = "failed"
    UNEXPECTED_SUCCESS = "unexpected success"
    NOT_RUN = "not run"
    EXPECTED_FAILURE = "expected failure"
    SKIPPED = "skipped"
    PASSED = "passed"


FAILURES = (Outcome.ERROR, Outcome.FAILED, Outcome.UNEXPECTED_SUCCESS)
_BADNESS = {outcome: rank for rank, outcome in enumerate(reversed(Outcome))}


@dataclass(frozen=True)
class TestOutcome:
    """A test. ``subtests`` counts the subtests that passed; ``detail`` is a skip's reason or an error in one line."""

    __test__ = False  # the name is no invitation to pytest

    outcome: Outcome
    detail: str = ""
    traceback: str = ""
    subtests: int = 0


@dataclass(frozen=True)
class AppRun:
    """One app in one column.

    ``tests`` is ``{test id: TestOutcome}`` for every planned test; ``strays`` holds failures outside of any planned
    test, such as in tearDownClass; ``skips`` is the engine's ``{reason: test ids}``; ``statements`` says how the engine
    answered, by the names of ``census``; ``outages`` counts how often Redis was killed meanwhile; ``broken`` says why
    the process did not reach its end, or is empty; ``earlier`` says that the result is of an earlier state of the code.
    """

    app: str
    tests: Mapping[str, TestOutcome] = field(default_factory=dict)
    strays: Mapping[str, TestOutcome] = field(default_factory=dict)
    skips: Mapping[str, frozenset[str]] = field(default_factory=dict)
    statements: Mapping[str, int] = field(default_factory=dict)
    broken: str = ""
    seconds: float = 0.0
    outages: int = 0
    earlier: bool = False

    def counts(self) -> Counter[Outcome]:
        """``{outcome: number of planned tests}``."""
        return Counter(test.outcome for test in self.tests.values())


def read_run(app: str, events: Path, broken: str = "", seconds: float = 0.0) -> AppRun:
    """The run that left the file ``events`` (which may be missing or end early when ``broken`` says so)."""
    lines = events.read_text(encoding="utf-8").splitlines() if events.exists() else []
    return fold(app, map(json.loads, lines), broken, seconds)


def fold(app: str, records: Iterable[dict[str, Any]], broken: str = "", seconds: float = 0.0) -> AppRun:
    """Fold the records of ``tests.conformance.runner``, and of ``kept``, into one outcome a test."""
    planned: list[str] = []
    skips: dict[str, frozenset[str]] = {}
    seen: dict[str, TestOutcome] = {}
    statements: dict[str, int] = {}
    ended = False
    outages = 0
    for record in records:
        match record["kind"]:
            case "planned":
                planned = record["tests"]
            case "skips":
                skips = {reason: frozenset(tests) for reason, tests in record["reasons"].items()}
            case "statements":
                statements = record["figures"]
            case "event":
                seen[record["test"]] = _worse(seen.get(record["test"]), record)
            case "end":
                ended = True
            case "run":
                seconds, outages = record["seconds"], record["outages"]
    tests = {test: seen.pop(test, None) or _of_class(test, seen) for test in planned}
    strays = {test: found for test, found in seen.items() if found.outcome in FAILURES}
    broken = broken or ("" if ended else "it ended before its tests did")
    return AppRun(app, tests, strays, skips, statements, broken, seconds, outages)


def _worse(known: TestOutcome | None, record: Mapping[str, Any]) -> TestOutcome:
    outcome = Outcome(record["outcome"])
    passed_part = record["subtest"] is not None and outcome is Outcome.PASSED
    subtests = (known.subtests if known else 0) + passed_part
    if known is not None and _BADNESS[known.outcome] >= _BADNESS[outcome]:
        return TestOutcome(known.outcome, known.detail, known.traceback, subtests)
    detail = record["detail"] if record["subtest"] is None else f"{record['subtest']}: {record['detail']}"
    return TestOutcome(outcome, detail, record["traceback"], subtests)


def _of_class(test: str, seen: Mapping[str, TestOutcome]) -> TestOutcome:
    """The outcome of a test that had no event of its own: its class's or module's set-up failed or skipped it."""
    owner = test.rpartition(".")[0]
    while owner:
        for holder in (f"setUpClass ({owner})", f"setUpModule ({owner})"):
            if holder in seen:
                found = seen[holder]
                return TestOutcome(found.outcome, f"{holder}: {found.detail}", found.traceback)
        owner = owner.rpartition(".")[0]
    return TestOutcome(Outcome.NOT_RUN, "the process ended before this test had its turn")
