"""Whatever is committed, a new process reads what stock SQLite would have made of it."""

from __future__ import annotations

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from django_smarterbase.backend.resources import close_resources

from .changes import CHANGES, Change, contents
from .questions import QUESTIONS, Question
from .rows import clear, fill

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning:django.db.models.sql")


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(changes=st.lists(st.tuples(st.booleans(), CHANGES), min_size=1, max_size=4), question=QUESTIONS)
def test_committed_changes_are_what_a_new_process_reads(
    databases: tuple[str, str], changes: list[tuple[bool, Change]], question: Question
) -> None:
    engine, stock = databases
    answers = {}
    for db in databases:
        clear(db)
        fill(db)
        answers[db] = [change.apply(db) if atomic else change.apply_in_autocommit(db) for atomic, change in changes]
    assert answers[engine] == answers[stock]
    connection.close()
    close_resources(connection.settings_dict["NAME"])
    expected = question.ask(stock)
    assert question.ask(engine) == expected
    assert question.ask(engine, scan=True) == expected
    assert contents(engine) == contents(stock)
