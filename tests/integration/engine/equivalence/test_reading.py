"""Whatever is asked, the index, a scan and stock SQLite give the same rows."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings

from django_smarterbase.profiling import profile_queries

from .questions import QUESTIONS, Question
from .rows import fill

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning:django.db.models.sql")


@pytest.fixture(scope="module")
def filled(databases: tuple[str, str]) -> tuple[str, str]:
    """Both databases with the library's rows."""
    for db in databases:
        fill(db)
    return databases


@settings(max_examples=600, deadline=None, suppress_health_check=list(HealthCheck))
@given(question=QUESTIONS)
def test_engine_answers_as_stock_sqlite_with_the_index_and_by_scanning(
    filled: tuple[str, str], question: Question
) -> None:
    engine, stock = filled
    expected = question.ask(stock)
    with profile_queries() as seen:
        assert question.ask(engine) == expected
    assert not seen.fallbacks()
    assert question.ask(engine, scan=True) == expected
