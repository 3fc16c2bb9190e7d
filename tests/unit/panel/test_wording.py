"""Numbers, dollars and durations, and that every state has words."""

from __future__ import annotations

import pytest
from django.utils.translation import override

from django_smarterbase.indexes.service import FallbackReason
from django_smarterbase.panel import wording
from django_smarterbase.panel.jobs import Kind, Status, Verdict
from django_smarterbase.panel.wording import dollars, figures_text, milliseconds, number, reason


@pytest.mark.parametrize(
    ("amount", "said"),
    [
        (0, "$0.00"),
        (0.00000012, "$0.00000012"),
        (0.000123, "$0.00012"),
        (0.0445, "$0.044"),
        (0.5, "$0.50"),
        (1.239, "$1.24"),
        (12345.6, "$12,345.60"),
    ],
)
def test_dollars_have_two_decimals_or_two_digits(amount: float, said: str) -> None:
    assert dollars(amount) == said


def test_numbers_are_rounded_and_grouped_as_the_language_does() -> None:
    assert number(1234567) == "1,234,567"
    assert milliseconds(1234.96) == "1,235.0 ms"
    with override("de"):
        assert number(1234567) == "1.234.567"
        assert dollars(0.5) == "$0,50"


def test_every_state_has_words() -> None:
    assert set(wording.REASONS) == set(FallbackReason)
    assert set(wording.KINDS) == set(Kind)
    assert set(wording.STATUSES) == set(Status)
    assert set(wording.VERDICTS) == set(Verdict)


def test_reason_of_another_version_is_shown_as_it_is() -> None:
    assert str(reason("Redis restarted")) == "Redis restarted"
    assert reason("Redis is on holiday") == "Redis is on holiday"
    assert reason(None) == ""


def test_figures_that_are_nought_are_left_out() -> None:
    assert figures_text({"read": 1, "reused": 2000, "mended": 0, "seconds": 1.5, "needs_full": 1.0}) == (
        "1 document read, 2,000 known by their ETag"
    )
    assert figures_text({"missing": 0.0, "drift": 0.0}) == ""
