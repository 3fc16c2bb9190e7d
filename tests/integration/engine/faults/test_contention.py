"""Statements and transactions that meet another writer in the middle of their writes."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from django.db import connection, transaction
from django.db.models import F

from django_smarterbase.backend.locking import TransactionLocks
from django_smarterbase.backend.recovery import recovery_of
from django_smarterbase.backend.unit_of_work import IntentLost, UnitOfWork
from django_smarterbase.exceptions import ConflictError
from django_smarterbase.profiling import profile_queries
from django_smarterbase.storage.codec import TRANSACTION
from testproject.articles.models import Article, Author
from tests.integration.commands.site import WRITE_DEADLINE, Site
from tests.integration.engine.background import in_thread

from .ledger import Ledger

TITLES = ("title 1", "title 2")
MINE = uuid.uuid4()
WHILE = 0.5  # seconds; a writer that has not ended by then waits for something


def add(title: str, views: int) -> threading.Thread:
    """Add views in a thread."""
    return in_thread(lambda: Article.objects.filter(title=title).update(view_count=F("view_count") + views))


def create_and_update(**values: Any) -> None:
    """A transaction of two tables."""
    with transaction.atomic():
        Author.objects.create(name="new")
        Article.objects.filter(title__in=TITLES).update(**values)


def create_and_rename() -> None:
    """A transaction of one table."""
    with transaction.atomic():
        Author.objects.create(name="new")
        Author.objects.filter(name="author 1").update(name="mine")


def views() -> list[int]:
    return [Article.objects.get(title=title).view_count for title in TITLES]


@pytest.fixture
def rival(patient: Ledger, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[threading.Thread]]:
    """``rival(before, undo)``: what it does once before this thread's writes, and once before they are taken back. It
    may have to wait for what is taken back."""
    me = threading.get_ident()
    Article.objects.filter(title__in=TITLES).update(view_count=0)

    def arrange(before: tuple[str, int], undo: tuple[str, int] | None) -> list[threading.Thread]:
        writers: list[threading.Thread] = []
        todo: dict[str, tuple[str, int] | None] = {"before": before, "undo": undo}

        def hook(owner: type, name: str, moment: str) -> None:
            original = getattr(owner, name)

            def method(self: Any, *args: Any) -> Any:
                if threading.get_ident() == me and (work := todo.pop(moment, None)) is not None:
                    writers.append(add(*work))
                    writers[-1].join(WHILE if moment == "undo" else None)
                return original(self, *args)

            monkeypatch.setattr(owner, name, method)

        hook(TransactionLocks, "reserve", "before")
        hook(UnitOfWork, "_begin", "before")
        hook(UnitOfWork, "_undo", "undo")
        return writers

    return arrange


def test_update_is_applied_once_to_each_document_when_one_was_changed_before(
    rival: Callable[..., list[threading.Thread]],
) -> None:
    rival(("title 2", 10), None)
    assert Article.objects.filter(title__in=TITLES).update(view_count=F("view_count") + 1) == 2
    assert views() == [1, 11]


def test_update_is_applied_once_to_a_document_that_another_writer_has_built_on(
    rival: Callable[..., list[threading.Thread]],
) -> None:
    rival(("title 2", 10), ("title 1", 100))
    assert Article.objects.filter(title__in=TITLES).update(view_count=F("view_count") + 1) == 2
    assert views() == [101, 11]


def test_transaction_that_meets_a_conflict_is_taken_back(rival: Callable[..., list[threading.Thread]]) -> None:
    rival(("title 2", 10), None)
    with pytest.raises(ConflictError, match="Nothing was applied of the transaction"), transaction.atomic():
        Article.objects.filter(title__in=TITLES).update(view_count=F("view_count") + 1)
    assert views() == [0, 10]


def test_transaction_is_taken_back_whole_when_another_writer_wants_to_build_on_it(
    rival: Callable[..., list[threading.Thread]],
) -> None:
    """The other writer has read a document of the transaction, and waits until that is decided."""
    writers = rival(("title 2", 10), ("title 1", 100))
    with pytest.raises(ConflictError, match="Nothing was applied of the transaction"), transaction.atomic():
        Article.objects.filter(title__in=TITLES).update(view_count=F("view_count") + 1)
    for writer in writers:
        writer.join()
    assert views() == [100, 10]


def test_update_reads_once_whether_the_transaction_that_it_builds_on_is_decided(filled: Ledger) -> None:
    with transaction.atomic():
        Article.objects.filter(title__in=TITLES).update(view_count=0)
    system = []
    for _ in range(2):
        with profile_queries() as queries:
            Article.objects.filter(title__in=TITLES).update(view_count=F("view_count") + 1)
        system.append(queries.profiles[0].storage_ops.system)
    assert system == [1, 0]
    assert views() == [2, 2]


def test_document_that_was_written_alone_names_its_last_transaction_no_more(site: Site, filled: Ledger) -> None:
    def transactions() -> list[str | None]:
        documents = (orjson.loads(body) for key, body in site.objects().items() if "/articles/" in key)
        return [document.get(TRANSACTION) for document in documents if document["title"] in TITLES]

    with transaction.atomic():
        Article.objects.filter(title__in=TITLES).update(view_count=0)
    assert None not in transactions()
    Article.objects.filter(title__in=TITLES).update(view_count=1)
    assert transactions() == [None, None]


def test_unique_value_of_a_transaction_that_is_taken_back_refuses_nobody(
    patient: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A writer meets the value while that transaction is not decided yet."""
    reserve, undo = TransactionLocks.reserve, UnitOfWork._undo
    writers, met, looked = list[threading.Thread](), list[int](), threading.Event()

    def create_mine() -> None:
        met.append(Author.objects.scan().filter(name="new").count())
        looked.set()
        Author.objects.create(pk=MINE, name="new")

    def rename_before(self: TransactionLocks, *args: Any) -> Any:
        monkeypatch.setattr(TransactionLocks, "reserve", reserve)
        in_thread(lambda: Author.objects.filter(name="author 1").update(name="theirs")).join()
        return reserve(self, *args)

    def create_before(self: UnitOfWork, *args: Any) -> Any:
        writers.append(in_thread(create_mine))
        assert looked.wait(30)
        writers[0].join(WHILE)
        return undo(self, *args)

    monkeypatch.setattr(TransactionLocks, "reserve", rename_before)
    monkeypatch.setattr(UnitOfWork, "_undo", create_before)
    with pytest.raises(ConflictError, match="Nothing was applied of the transaction"):
        create_and_rename()
    writers[0].join()
    assert met == [1]
    assert Author.objects.get(name="new").pk == MINE
    assert Author.objects.filter(name="theirs").count() == 1


def test_transaction_that_another_process_has_completed_takes_nothing_back(
    filled: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This process was so slow that its intent looked abandoned."""
    begin, begun = UnitOfWork._begin, []

    def complete_before_the_second(self: UnitOfWork, *args: Any) -> Any:
        opened = begin(self, *args)
        begun.append(args)
        if len(begun) == 2:
            time.sleep(WRITE_DEADLINE * 1.1)
            monkeypatch.undo()
            recovery_of(connection.resources).recover(connection.catalog.find)
        return opened

    monkeypatch.setattr(UnitOfWork, "_begin", complete_before_the_second)
    with pytest.raises(IntentLost, match="another process has taken it over"):
        create_and_update(view_count=7)
    assert views() == [7, 7]
    assert Author.objects.filter(name="new").count() == 1
    assert recovery_of(connection.resources).unfinished() == []
