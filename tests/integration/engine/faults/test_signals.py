"""What statements and transactions tell of other writers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import F

from django_smarterbase.backend import locked_run, retrying
from django_smarterbase.backend.intents import Intent
from django_smarterbase.backend.recovery import recovery_of
from django_smarterbase.backend.unit_of_work import UnitOfWork
from django_smarterbase.exceptions import ConflictError
from django_smarterbase.profiling import profile_queries
from testproject.articles.models import Article, Author
from tests.conftest import Told
from tests.integration.commands.site import WRITE_DEADLINE

from .ledger import Ledger
from .test_contention import TITLES, create_and_update, in_thread, rival, views

__all__ = ["rival"]

Rival = Callable[..., list[threading.Thread]]
ARTICLE = {"database": "default", "operation": "update", "model": "articles.Article"}


def test_statement_that_meets_a_faster_writer_tells_that_it_begins_anew(rival: Rival, told: Told) -> None:
    rival(("title 2", 10), None)
    Article.objects.filter(title__in=TITLES).update(view_count=F("view_count") + 1)
    assert views() == [1, 11]
    assert told.arguments("statement_retried") == [{**ARTICLE, "attempt": 1}]
    assert told.arguments("conflict_raised") == []


def test_profile_of_a_statement_that_began_anew_is_of_its_last_attempt(rival: Rival, filled: Ledger) -> None:
    rival(("title 2", 10), None)
    with profile_queries() as queries:
        Article.objects.filter(title__in=TITLES).update(view_count=F("view_count") + 1)
    (profile,) = queries.profiles
    assert (profile.candidates, profile.index_used, len(profile.plan)) == (2, "none:full-scan", 1)


def test_statement_that_never_gets_through_tells_each_attempt_and_the_conflict(
    filled: Ledger, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retrying, "_LONGEST_PAUSE", 0.0)
    me, begin = threading.get_ident(), UnitOfWork._begin

    def overtaken(self: UnitOfWork, *args: Any) -> Any:
        if threading.get_ident() == me:
            in_thread(lambda: Article.objects.filter(title="title 1").update(view_count=F("view_count") + 1)).join()
        return begin(self, *args)

    monkeypatch.setattr(UnitOfWork, "_begin", overtaken)
    with pytest.raises(ConflictError) as raised:
        Article.objects.filter(title="title 1").update(view_count=F("view_count") + 1)
    attempts = [each["attempt"] for each in told.arguments("statement_retried")]
    assert attempts == list(range(1, retrying.MAX_ATTEMPTS))
    assert told.arguments("conflict_raised") == [{**ARTICLE, "error": raised.value.__cause__ or raised.value}]


def test_commit_that_meets_a_faster_writer_tells_the_conflict(rival: Rival, told: Told) -> None:
    rival(("title 2", 10), None)
    with pytest.raises(ConflictError), transaction.atomic():
        Article.objects.filter(title__in=TITLES).update(view_count=F("view_count") + 1)
    (conflict,) = told.arguments("conflict_raised")
    assert {name: conflict[name] for name in ARTICLE} == {**ARTICLE, "operation": "commit", "model": None}
    assert told.arguments("statement_retried") == []


def test_locked_rows_that_never_rest_tell_the_conflict(
    filled: Ledger, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locked_run, "_read_anew", lambda *_: True)
    with pytest.raises(ConflictError, match="changed 10 times") as raised, transaction.atomic():
        list(Article.objects.select_for_update().filter(title="title 1"))
    (conflict,) = told.arguments("conflict_raised")
    assert {name: conflict[name] for name in ARTICLE} == {**ARTICLE, "operation": "select"}
    assert str(conflict["error"]) == str(raised.value)


def test_value_that_another_writer_claims_first_is_told_without_the_value(
    filled: Ledger, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    take, rivals = UnitOfWork._take_claims, [lambda: Author.objects.create(name="new")]

    def overtaken(self: UnitOfWork, *args: Any) -> Any:
        if rivals:
            in_thread(rivals.pop()).join()
        return take(self, *args)

    monkeypatch.setattr(UnitOfWork, "_take_claims", overtaken)
    with pytest.raises(IntegrityError):
        Author.objects.create(name="new")
    (refused,) = told.arguments("claim_refused")
    (rule,) = (rule.name for rule in connection.schema_of_model(Author).unique if rule.columns == ("name",))
    assert refused == {"database": "default", "table": "authors", "rule": rule}


@pytest.mark.parametrize("completed", [True, False])
def test_transaction_of_a_dead_process_is_told_when_it_is_decided(
    filled: Ledger, told: Told, monkeypatch: pytest.MonkeyPatch, completed: bool
) -> None:
    class Died(BaseException):
        """The end of the process."""

    def die(self: Intent) -> None:
        write(self)
        raise Died

    write = Intent.write
    with monkeypatch.context() as patch:
        patch.setattr(Intent, "write", die)
        with pytest.raises(Died):
            create_and_update(view_count=7)
    connection.close()
    if not completed:
        store, keys = connection.resources.store, connection.resources.keys
        key = keys.document("articles", str(Article.objects.get(title="title 1").pk.hex))
        stored = store.get(key)
        assert stored is not None
        store.put(key, stored.body.replace(b"title 1", b"title X"))
    time.sleep(WRITE_DEADLINE * 1.1)
    assert recovery_of(connection.resources).recover(connection.catalog.find) == 1
    (recovered,) = told.arguments("transaction_recovered")
    assert recovered == {
        "database": "default",
        "transaction": recovered["transaction"],
        "documents": 3,
        "completed": completed,
    }
