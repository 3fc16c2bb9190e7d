"""Whatever a transaction changes, it reads what stock SQLite would read; and what it rolls back never was."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import transaction
from django.db.models import F, Q
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .changes import CHANGES, Change, contents
from .library.models import Article, Author, Note
from .questions import QUESTIONS, Question
from .rows import fill

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning:django.db.models.sql")


@pytest.fixture(scope="module")
def filled(databases: tuple[str, str]) -> tuple[str, str]:
    """Both databases with the library's rows, which the tests leave as they were."""
    for db in databases:
        fill(db)
    return databases


@pytest.fixture(params=["0", "1"], ids=["kept", "reloaded"])
def workspace(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Whether a transaction's workspace is emptied after each statement, so that all comes back from documents."""
    monkeypatch.setenv("SMARTERBASE_RELOAD", request.param)
    return request.param


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    before=st.lists(CHANGES, min_size=1, max_size=3),
    within=st.lists(CHANGES, max_size=2),
    undone=st.booleans(),
    questions=st.tuples(QUESTIONS, QUESTIONS, QUESTIONS),
)
def test_transaction_reads_its_own_changes_and_not_those_of_a_savepoint_rolled_back(
    filled: tuple[str, str],
    workspace: str,
    before: list[Change],
    within: list[Change],
    undone: bool,
    questions: tuple[Question, Question, Question],
) -> None:
    found = {db: _told(db, before, within, undone, questions) for db in filled}
    engine, stock = filled
    assert found[engine] == found[stock]


def test_update_changes_what_a_select_finds_when_its_condition_reads_what_it_sets(
    filled: tuple[str, str], workspace: str
) -> None:
    of_namesakes = Article.objects.filter(editor__name=F("author__name")).values("author")
    condition = ~(~Q(articles=2) ^ (Q(pk__in=Note.objects.values("object_id")) | Q(pk__in=of_namesakes)))
    for db in filled:
        with transaction.atomic(using=db):
            wanted = Author.objects.using(db).filter(condition)
            assert set(wanted.values_list("pk", flat=True)) == {1, 2, 5, 6}
            assert wanted.update(name=F("country"), born=F("mentor")) == 4
            transaction.set_rollback(True, using=db)


def test_insert_takes_a_value_from_the_first_row_of_an_order_by_an_expression(filled: tuple[str, str]) -> None:
    for db in filled:
        with transaction.atomic(using=db):
            latest = Author.objects.using(db).annotate(next=F("born") + 1).order_by(F("next").desc(nulls_last=True))
            Author.objects.using(db).create(pk=77, name="new", born=latest.values("next")[:1])
            assert Author.objects.using(db).get(pk=77).born == 1951
            transaction.set_rollback(True, using=db)


def _told(
    db: str, before: list[Change], within: list[Change], undone: bool, questions: tuple[Question, Question, Question]
) -> list[object]:
    """All that a transaction answers, which is then rolled back."""
    first, second, third = questions
    with transaction.atomic(using=db):
        told = [first.ask(db), *(change.apply(db) for change in before), second.ask(db)]
        with transaction.atomic(using=db):
            told += [change.apply(db) for change in within]
            told.append(first.ask(db))
            transaction.set_rollback(undone, using=db)
        told += [second.ask(db), third.ask(db), third.ask(db, scan=True), contents(db)]
        transaction.set_rollback(True, using=db)
    return [*told, first.ask(db)]
