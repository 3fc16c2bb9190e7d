"""Without any Redis, a scan that reads of each document what the index would have asked misses no row either."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings

from django_smarterbase.backend import sieve
from django_smarterbase.profiling import profile_queries

from .library.models import Article, Author
from .questions import QUESTIONS, Question
from .rows import fill
from .test_traps import TRAPS

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning:django.db.models.sql")


@pytest.fixture(scope="module")
def filled(databases: tuple[str, str]) -> Iterator[tuple[str, str]]:
    """Both databases with the library's rows, the engine without a cache; few documents are enough for a sieve."""
    for db in databases:
        fill(db)
    options = connection.settings_dict["OPTIONS"]
    connection.close()
    connection.settings_dict["OPTIONS"] = {**options, "cache": None}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sieve, "FEW", 1)
        yield databases
    connection.close()
    connection.settings_dict["OPTIONS"] = options


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(question=QUESTIONS)
def test_engine_without_an_index_answers_as_stock_sqlite(filled: tuple[str, str], question: Question) -> None:
    engine, stock = filled
    expected = question.ask(stock)
    with profile_queries() as seen:
        assert question.ask(engine) == expected
    assert seen.summary().total == 0 or {profile.redis_ops.round_trips for profile in seen.profiles} == {0}


@pytest.mark.parametrize("name", TRAPS)
def test_trap_catches_no_row_without_an_index(filled: tuple[str, str], name: str) -> None:
    engine, stock = filled
    assert TRAPS[name](engine) == TRAPS[name](stock)


@pytest.mark.parametrize(
    ("field", "value"),
    [("author_id", 2**70), ("author_id", -(2**63) - 1), ("category", "\ud800"), ("score", 2**64), ("category", 5)],
)
def test_value_that_no_index_can_hold_is_what_stock_sqlite_makes_of_it(
    filled: tuple[str, str], field: str, value: object
) -> None:
    told = []
    for db in filled:
        try:
            told.append(Article.objects.using(db).filter(**{field: value}).count())
        except (OverflowError, UnicodeEncodeError) as error:
            told.append(type(error).__name__)
    assert told[0] == told[1]


def test_document_of_an_author_who_never_was_is_found_by_no_join(filled: tuple[str, str]) -> None:
    engine, stock = filled
    for db in filled:
        Article.objects.using(db).filter(pk=1).update(author=99)
    assert [Article.objects.using(db).filter(author__name__isnull=False).count() for db in (engine, stock)] == [16, 16]
    assert [Author.objects.using(db).filter(articles=1).count() for db in (engine, stock)] == [0, 0]
    for db in filled:
        Article.objects.using(db).filter(pk=1).update(author=2)
