"""Statements in autocommit that move a unique value from one document to another, and end in their midst or meet
others there: no two documents have one value, at once or as soon as the statement is decided."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction

from django_smarterbase.backend.unit_of_work import UnitOfWork
from django_smarterbase.exceptions import ConflictError
from tests.integration.commands.site import Site
from tests.integration.engine.background import in_thread
from tests.integration.engine.faults.abandoned import Died, recover
from tests.integration.engine.moving import names, orphans, pass_name_on

#: Which of the documents of a unit is written first: those of a batch are written side by side.
first_written = pytest.mark.parametrize("first", ["ann", "bob"])


@pytest.fixture
def people(site: Site) -> Site:
    """Ann and Bob, in a database without Redis, so that nobody waits for a lock."""
    site.restart(cache=None, write_deadline=0.5)
    for name in ("ann", "bob"):
        User.objects.create(username=name)
    return site


def in_two(monkeypatch: pytest.MonkeyPatch, first: str, between: Callable[[], None]) -> None:
    """The next batch of two is written one by one, and ``between`` is called when the document of ``first`` is."""
    write, stem = UnitOfWork._write, str(User.objects.get(username=first).pk)
    met: list[bool] = []

    def one_by_one(self: UnitOfWork, batch: Any, until: float) -> Any:
        if met or len(batch) < 2:
            return write(self, batch, until)
        met.append(True)
        outcome = write(self, [each for each in batch if each.stem == stem], until)
        between()
        others = write(self, [each for each in batch if each.stem != stem], until)
        outcome.done += others.done
        outcome.failures += others.failures
        return outcome

    monkeypatch.setattr(UnitOfWork, "_write", one_by_one)


def listed() -> list[str]:
    return list(User.objects.order_by("pk").values_list("username", flat=True))


def sorted_by_name() -> list[str]:
    return [user.username for user in User.objects.order_by("-username")]


def iterated() -> list[str]:
    return [user.username for user in User.objects.order_by("pk").iterator(chunk_size=10)]


def updated() -> list[str]:
    User.objects.update(first_name="changed")
    return listed()


def in_a_transaction() -> list[str]:
    """It is told that it has read too early, and runs again."""
    with pytest.raises(ConflictError, match="changed by another writer while"), transaction.atomic():
        listed()
    with transaction.atomic():
        return listed()


def change(pk: int) -> Callable[[], object]:
    """Change something else of somebody."""
    return lambda: User.objects.filter(pk=pk).update(first_name="changed")


@first_written
def test_value_that_was_moved_halfway_has_one_document_when_the_process_died(
    people: Site, monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    def die() -> None:
        raise Died

    in_two(monkeypatch, first, die)
    with pytest.raises(Died):
        pass_name_on()
    connection.close()
    assert recover() == 1
    assert names() == ["ann", "eve"]
    assert orphans() == 0


#: Whoever sees both documents at once.
asking = pytest.mark.parametrize("ask", [listed, sorted_by_name, iterated, updated, in_a_transaction])


@asking
@pytest.mark.parametrize("on_corrupt", ["raise", "skip"])
def test_table_is_whole_for_who_reads_it_while_a_value_is_moved(
    people: Site, monkeypatch: pytest.MonkeyPatch, ask: Callable[[], list[str]], on_corrupt: str
) -> None:
    people.restart(cache=None, write_deadline=5, on_corrupt=on_corrupt)
    readers, found = list[threading.Thread](), list[list[str]]()

    def another_reads() -> None:
        readers.append(in_thread(lambda: found.append(ask())))
        readers[0].join(0.2)
        assert found == []  # it waits

    in_two(monkeypatch, "bob", another_reads)
    pass_name_on()
    readers[0].join()
    assert found == [["eve", "ann"]]


@asking
def test_table_is_whole_for_who_reads_it_when_the_process_died_that_moved_a_value(
    people: Site, monkeypatch: pytest.MonkeyPatch, ask: Callable[[], list[str]]
) -> None:
    def die() -> None:
        raise Died

    in_two(monkeypatch, "bob", die)
    with pytest.raises(Died):
        pass_name_on()
    connection.close()
    assert ask() == ["eve", "ann"]
    assert orphans() == 0


@first_written
def test_value_has_one_document_when_others_change_both_while_it_is_moved(
    people: Site, monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    people.restart(cache=None, write_deadline=20)
    ann, bob = User.objects.order_by("pk")
    written, other = (ann, bob) if first == "ann" else (bob, ann)
    builders: list[threading.Thread] = []

    def others_come() -> None:
        in_thread(change(other.pk)).join()
        builders.append(in_thread(change(written.pk)))
        builders[0].join(0.1)

    in_two(monkeypatch, first, others_come)
    pass_name_on()
    builders[0].join()
    assert names() == ["ann", "eve"]
    assert set(User.objects.values_list("first_name", flat=True)) == {"changed"}
    assert orphans() == 0
