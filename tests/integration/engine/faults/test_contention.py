"""Statements and transactions that meet another writer in the middle of their writes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import F

from django_smarterbase.backend.unit_of_work import UnitOfWork
from django_smarterbase.exceptions import ConflictError
from testproject.articles.models import Article

from .ledger import Ledger

TITLES = ("title 1", "title 2")


def add(title: str, views: int) -> None:
    """Add views in a thread, and so over a connection, of their own."""

    def run() -> None:
        try:
            Article.objects.filter(title=title).update(view_count=F("view_count") + views)
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()


def views() -> list[int]:
    return [Article.objects.get(title=title).view_count for title in TITLES]


@pytest.fixture
def rival(filled: Ledger, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """``rival(before, undo)``: what it does once before this thread's writes, and once before they are taken back."""
    me = threading.get_ident()
    Article.objects.filter(title__in=TITLES).update(view_count=0)

    def arrange(before: tuple[str, int], undo: tuple[str, int] | None) -> None:
        todo: dict[str, tuple[str, int] | None] = {"_begin": before, "_undo": undo}

        def hooked(name: str) -> Callable[..., Any]:
            original = getattr(UnitOfWork, name)

            def method(self: UnitOfWork, *args: Any) -> Any:
                if threading.get_ident() == me and (work := todo.pop(name, None)) is not None:
                    add(*work)
                return original(self, *args)

            return method

        for name in ("_begin", "_undo"):
            monkeypatch.setattr(UnitOfWork, name, hooked(name))

    return arrange


def test_update_is_applied_once_to_each_document_when_one_was_changed_before(rival: Callable[..., None]) -> None:
    rival(("title 2", 10), None)
    assert Article.objects.filter(title__in=TITLES).update(view_count=F("view_count") + 1) == 2
    assert views() == [1, 11]


def test_update_is_applied_once_to_a_document_that_another_writer_has_built_on(rival: Callable[..., None]) -> None:
    rival(("title 2", 10), ("title 1", 100))
    assert Article.objects.filter(title__in=TITLES).update(view_count=F("view_count") + 1) == 2
    assert views() == [101, 11]


def test_transaction_that_meets_a_conflict_is_taken_back(rival: Callable[..., None]) -> None:
    rival(("title 2", 10), None)
    with pytest.raises(ConflictError, match="Nothing was applied of the transaction"), transaction.atomic():
        Article.objects.filter(title__in=TITLES).update(view_count=F("view_count") + 1)
    assert views() == [0, 10]


def test_transaction_says_what_it_could_not_take_back(rival: Callable[..., None]) -> None:
    rival(("title 2", 10), ("title 1", 100))
    with pytest.raises(ConflictError, match=r"Only the changes of \S+\.json were applied"), transaction.atomic():
        Article.objects.filter(title__in=TITLES).update(view_count=F("view_count") + 1)
    assert views() == [101, 10]
