"""Many claims in a slow store: whoever takes, awaits or gives them back gets to an end, and stays alive meanwhile."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import F, Value
from django.db.models.functions import Concat

from django_smarterbase.backend.recovery import recovery_of
from django_smarterbase.storage.filesystem import FileSystemStore
from testproject.articles.models import Article, Author
from tests.integration.commands.site import WRITE_DEADLINE, Site

from .abandoned import abandon, die_before_writing, recover
from .ledger import Ledger
from .test_contention import in_thread

NEW = [f"new {number}" for number in range(6)]
LONGER = 3.0  # seconds of a write deadline within which its process gives a sign of life, on a busy machine too


def slow_claims(monkeypatch: pytest.MonkeyPatch, operation: str, seconds: float) -> list[str]:
    """Each such request for a claim takes so long in other threads than this one; gives the keys that were named."""
    me, request, named = threading.get_ident(), getattr(FileSystemStore, operation), list[str]()

    def send(self: FileSystemStore, key: str, *args: Any, **how: Any) -> Any:
        if "/unique/" in key and threading.get_ident() != me:
            named.append(key)
            time.sleep(seconds)
        return request(self, key, *args, **how)

    monkeypatch.setattr(FileSystemStore, operation, send)
    return named


def test_abandoned_transaction_is_decided_though_its_claims_take_longer_than_the_write_deadline(
    site: Site, filled: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    def work() -> None:
        Article.objects.update(view_count=F("view_count") + 1)
        Author.objects.update(name=Concat("name", Value(" the first")))

    abandon(monkeypatch, work)
    slow_claims(monkeypatch, "put", WRITE_DEADLINE * 0.15)
    decided = list[int]()
    in_thread(lambda: decided.append(recover())).join()
    assert decided == [1]
    assert sorted(Author.objects.values_list("name", flat=True)) == [f"author {n} the first" for n in range(6)]


def test_orphans_are_waited_for_together(site: Site, filled: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    site.restart(write_deadline=LONGER)
    for name in NEW:
        die_before_writing(monkeypatch, lambda name=name: Author.objects.create(name=name))
    began = time.monotonic()
    Author.objects.bulk_create(Author(name=name) for name in NEW)
    assert time.monotonic() - began < 3 * LONGER
    assert Author.objects.filter(name__in=NEW).count() == len(NEW)


def test_transaction_is_not_abandoned_while_it_gives_its_claims_back(
    site: Site, filled: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise another process completes it, after its own has been told that a value is taken."""
    made, taken, outcome = threading.Event(), threading.Event(), list[str]()

    def create() -> None:
        try:
            with transaction.atomic():
                Author.objects.bulk_create(Author(name=name) for name in NEW)
                made.set()
                taken.wait()
        except IntegrityError as error:
            outcome.append(str(error))

    site.restart(write_deadline=LONGER)
    monkeypatch.setattr("django_smarterbase.backend.claims._TOGETHER", 1)
    given_back = slow_claims(monkeypatch, "delete", LONGER * 0.3)
    writer, recovery, decided = in_thread(create), recovery_of(connection.resources), 0
    made.wait()
    rival = Author.objects.create(name=NEW[-1])
    taken.set()
    while writer.is_alive():
        if given_back:
            Author.objects.filter(pk=rival.pk).delete()
        decided += recovery._look(connection.catalog.find)
        writer.join(0.05)
    assert (decided, len(given_back), len(outcome)) == (0, len(NEW) - 1, 1)
    assert recovery.unfinished() == []
    assert not Author.objects.filter(name__in=NEW).exists()


def test_transaction_is_not_abandoned_while_it_waits_for_an_orphan(
    site: Site, filled: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.restart(write_deadline=LONGER)
    die_before_writing(monkeypatch, lambda: Author.objects.create(name=NEW[0]))

    def create() -> None:
        with transaction.atomic():
            Author.objects.bulk_create(Author(name=name) for name in NEW)

    writer, recovery, decided = in_thread(create), recovery_of(connection.resources), 0
    while writer.is_alive():
        decided += recovery._look(connection.catalog.find)
        writer.join(0.05)
    assert decided == 0
    assert Author.objects.filter(name__in=NEW).count() == len(NEW)
