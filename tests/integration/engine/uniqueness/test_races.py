"""``update_or_create`` and ``get_or_create`` by several connections at once: one row a value, and no error."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial
from random import Random
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from django_smarterbase.backend.unit_of_work import UnitOfWork
from django_smarterbase.exceptions import ConflictError
from django_smarterbase.storage.filesystem import FileSystemStore
from testproject.articles.models import Author
from testproject.services import RedisServer
from tests.integration.commands.site import Site

NAMES = 3
THREADS = 4
ROUNDS = 25
DEADLINE = 20.0  # seconds after which a claim is an orphan's


def contend(seed: int, gate: threading.Barrier, problems: list[Exception], created: list[str]) -> None:
    """Have the same few authors as all others do, round after round."""
    chance = Random(seed)
    try:
        for turn in range(ROUNDS):
            if turn % 5 == 0:
                gate.wait(60)
            name = f"{turn // 5} {chance.randrange(NAMES)}"
            method = chance.choice((Author.objects.get_or_create, Author.objects.update_or_create))
            if method(name=name)[1]:
                created.append(name)
    except Exception as problem:  # noqa: BLE001 - the test looks at it
        problems.append(problem)
        gate.abort()
    finally:
        connection.close()


@pytest.mark.parametrize("redis", ["there", "gone", "killed again and again"])
def test_value_has_one_row_and_nobody_meets_an_error_when_many_want_it(
    site: Site, server: RedisServer, redis: str
) -> None:
    site.restart(write_deadline=5)
    problems, created = list[Exception](), list[str]()
    gate = threading.Barrier(THREADS)
    if redis != "there":
        server.stop()
    threads = [threading.Thread(target=contend, args=(seed, gate, problems, created)) for seed in range(THREADS)]
    for thread in threads:
        thread.start()
    while redis == "killed again and again" and any(thread.is_alive() for thread in threads):
        server.start()
        time.sleep(0.3)
        server.kill()
    for thread in threads:
        thread.join()
    server.start()
    assert problems == []
    assert len(created) == len(set(created))
    assert sorted(Author.objects.values_list("name", flat=True)) == sorted(created)


def faster(monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    """Somebody else changes the author right before each of the next so many commits."""
    commit, left = UnitOfWork.commit, [times]

    def second(self: UnitOfWork, *args: Any, **options: Any) -> None:
        if left[0]:
            left[0] -= 1
            with monkeypatch.context() as patch:
                patch.setattr(UnitOfWork, "commit", commit)
                thread = threading.Thread(target=in_thread(lambda: Author.objects.get(name="ann").save()))
                thread.start()
                thread.join()
        commit(self, *args, **options)

    monkeypatch.setattr(UnitOfWork, "commit", second)


def called(calls: list[str], value: str) -> str:
    """``value``, and a note that it was asked for."""
    calls.append(value)
    return value


def in_thread(work: Callable[[], object]) -> Callable[[], None]:
    def run() -> None:
        try:
            work()
        finally:
            connection.close()

    return run


def test_update_or_create_is_run_again_when_another_was_faster(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.restart(cache=None)
    Author.objects.create(name="ann")
    faster(monkeypatch, 2)
    author, created = Author.objects.update_or_create(name="ann", defaults={"name": "eve"})
    assert (author.name, created) == ("eve", False)
    assert list(Author.objects.values_list("name", flat=True)) == ["eve"]


def test_update_or_create_says_at_once_what_sqlite_refuses(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ann", "bob"):
        Author.objects.create(name=name)
    calls = list[str]()
    with pytest.raises(IntegrityError, match=r"UNIQUE constraint failed: authors\.name"):
        Author.objects.update_or_create(name="ann", defaults={"name": lambda: called(calls, "bob")})
    assert len(calls) == 1


def test_update_or_create_is_left_to_the_transaction_that_it_is_part_of(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.restart(cache=None)
    Author.objects.create(name="ann")
    calls = list[str]()
    faster(monkeypatch, 1)
    with pytest.raises(ConflictError, match="another writer changed"), transaction.atomic():
        Author.objects.update_or_create(name="ann", defaults={"name": lambda: called(calls, "eve")})
    assert len(calls) == 1


def after_the_first_claim(monkeypatch: pytest.MonkeyPatch, gate: threading.Barrier) -> None:
    """Each thread waits at the gate when it has taken the first of its claims."""
    put, met = FileSystemStore.put, set[int]()

    def first_waits(self: FileSystemStore, key: str, *args: Any, **how: Any) -> str:
        etag = put(self, key, *args, **how)
        if "/unique/" in key and threading.get_ident() not in met:
            met.add(threading.get_ident())
            gate.wait(60)
        return etag

    monkeypatch.setattr(FileSystemStore, "put", first_waits)


def create_in_a_statement(names: list[str]) -> None:
    Author.objects.bulk_create(Author(name=name) for name in names)


def create_in_a_transaction(names: list[str]) -> None:
    with transaction.atomic():
        for name in names:
            Author.objects.create(name=name)


@pytest.mark.parametrize("create", [create_in_a_statement, create_in_a_transaction])
def test_one_of_two_has_all_values_at_once_when_each_has_claimed_what_the_other_wants_next(
    site: Site, monkeypatch: pytest.MonkeyPatch, create: Callable[[list[str]], None]
) -> None:
    site.restart(cache=None, write_deadline=DEADLINE)
    after_the_first_claim(monkeypatch, threading.Barrier(2))
    outcomes = list[str]()

    def contend(names: list[str]) -> None:
        try:
            create(names)
            outcomes.append("created")
        except IntegrityError as error:
            outcomes.append(str(error))

    began = time.monotonic()
    contenders = (["ann", "bob", "cyd"], ["cyd", "bob", "ann"])
    threads = [threading.Thread(target=in_thread(partial(contend, names))) for names in contenders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert time.monotonic() - began < DEADLINE
    refused, created = sorted(outcomes)
    assert created == "created"
    assert refused.startswith("UNIQUE constraint failed: authors.name")
    assert sorted(Author.objects.values_list("name", flat=True)) == ["ann", "bob", "cyd"]
    assert len([key for key in site.objects() if "/unique/" in key]) == 3
