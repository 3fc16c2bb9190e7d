"""Which tests are lost: passed by stock SQLite and not by the engine. Pure functions over ``outcomes``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.conformance.outcomes import FAILURES, AppRun, Outcome, TestOutcome


@dataclass(frozen=True)
class Lost:
    """A test that stock SQLite passes and the engine does not, or that the engine says it would fail and does not."""

    test: str
    outcome: Outcome
    detail: str
    traceback: str = ""


@dataclass(frozen=True)
class Comparison:
    """An app's run held against stock SQLite's.

    ``accepted`` is ``{reason: test ids}``. ``beyond`` are tests that fail on the engine where stock SQLite skips
    them: nothing is lost, but the engine says it can do what it cannot.
    """

    lost: tuple[Lost, ...]
    accepted: Mapping[str, Sequence[str]]
    beyond: tuple[Lost, ...] = ()


def compare(stock: AppRun, engine: AppRun) -> Comparison:
    """Hold ``engine`` against ``stock``, test by test.

    A skip is accepted when the engine's ``django_test_skips`` names the test and stock SQLite's does not; every other
    skip, a feature flag's included, is a loss. So is a test in which fewer subtests passed, and an unexpected success:
    what the engine's features say of it is not true.
    """
    reasons = accepted_reasons(stock, engine)
    lost: list[Lost] = []
    beyond: list[Lost] = []
    accepted: dict[str, list[str]] = {}
    for test, expected in stock.tests.items():
        found = engine.tests.get(test, TestOutcome(Outcome.NOT_RUN, "the engine's run did not plan this test"))
        if _holds(expected, found):
            if expected.outcome is Outcome.SKIPPED and found.outcome in FAILURES:
                beyond.append(Lost(test, found.outcome, found.detail, found.traceback))
        elif found.outcome is Outcome.SKIPPED and test in reasons:
            accepted.setdefault(reasons[test], []).append(test)
        else:
            lost.append(Lost(test, found.outcome, _explain(expected, found), found.traceback))
    for holder, found in engine.strays.items():
        if holder not in stock.strays and not holder.startswith(("setUpClass", "setUpModule")):
            lost.append(Lost(holder, found.outcome, found.detail, found.traceback))
    return Comparison(tuple(lost), accepted, tuple(beyond))


def accepted_reasons(stock: AppRun, engine: AppRun) -> Mapping[str, str]:
    """``{test id: reason}`` of the skips that the engine declares beyond stock SQLite's."""
    known = frozenset().union(*stock.skips.values())
    return {test: reason for reason, tests in engine.skips.items() for test in tests - known}


def unknown_skips(stock: AppRun, engine: AppRun) -> list[str]:
    """The tests of this app that the engine declares skips for, and that Django does not have (any more)."""
    return sorted(
        test
        for test in accepted_reasons(stock, engine)
        if test.startswith(f"{engine.app}.") and test not in engine.tests
    )


def _holds(expected: TestOutcome, found: TestOutcome) -> bool:
    if found.outcome is Outcome.UNEXPECTED_SUCCESS:
        return expected.outcome is Outcome.UNEXPECTED_SUCCESS
    if expected.outcome is Outcome.PASSED:
        return found.outcome is Outcome.PASSED and found.subtests >= expected.subtests
    if expected.outcome is Outcome.SKIPPED and expected.subtests:
        # Only some subtests were skipped: the others passed, and must do so here.
        return found.outcome in (Outcome.PASSED, Outcome.SKIPPED) and found.subtests >= expected.subtests
    return True


def _explain(expected: TestOutcome, found: TestOutcome) -> str:
    if found.outcome is Outcome.PASSED:
        return f"only {found.subtests} of {expected.subtests} subtests ran"
    return found.detail
