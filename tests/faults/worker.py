"""What the tests run in other processes. They are forked from a server that has imported this module already."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import random
import time
import uuid
from collections.abc import Callable, Sequence
from itertools import pairwise
from multiprocessing.process import BaseProcess
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Barrier
from typing import Any, Final

import boto3  # noqa: F401 - imported once, in the server that the processes are forked from
import django
import storages.backends.s3  # noqa: F401
from django.apps import apps
from django.db import IntegrityError, connection, transaction
from django.db.models import Case, F, Value, When

if not apps.ready:
    django.setup()

from django_smarterbase import steps
from django_smarterbase.backend import unit_of_work
from django_smarterbase.backend.unit_of_work import UnitOfWork
from django_smarterbase.exceptions import ConflictError
from django_smarterbase.packs import packing
from testproject.articles.models import Article, Author

from .actions import CATEGORIES, STATUSES
from .places import Place, move_in

DEADLINE: Final = 120.0  # seconds
AUTHORS: Final = 4
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload([__name__])


def start(target: Callable[..., None], *arguments: Any) -> BaseProcess:
    """Start ``target`` in a process of its own."""
    process = CONTEXT.Process(target=target, args=arguments, daemon=True)
    process.start()
    return process


def join(processes: Sequence[BaseProcess], deadline: float = DEADLINE) -> list[int | None]:
    """Wait for processes and return their exit codes; those that take too long are ended."""
    until = time.monotonic() + deadline
    for process in processes:
        process.join(max(0.0, until - time.monotonic()))
        if process.exitcode is None:
            process.kill()
            process.join()
    return [process.exitcode for process in processes]


def fill() -> None:
    """The documents that every job begins with."""
    authors = [Author(pk=pk_of(number), name=f"author {number}") for number in range(3)]
    Author.objects.bulk_create(authors)
    Article.objects.bulk_create(
        Article(
            pk=pk_of(10 + number),
            author=authors[number % 2],
            category=CATEGORIES[number % 4],
            title=f"title {number}",
            status=STATUSES[number % 3],
        )
        for number in range(8)
    )


def pk_of(number: int) -> uuid.UUID:
    """The primary key of the document with this number."""
    return uuid.UUID(int=number + 1)


def create() -> None:
    Article.objects.create(pk=pk_of(50), author_id=pk_of(1), category=CATEGORIES[0], title="new", status=STATUSES[0])


def update() -> None:
    Article.objects.filter(pk=pk_of(10)).update(
        category=CATEGORIES[1], status=STATUSES[2], view_count=F("view_count") + 1
    )


def delete() -> None:
    Article.objects.get(pk=pk_of(10)).delete()


def create_author() -> None:
    Author.objects.create(pk=pk_of(60), name="new")


def rename_author() -> None:
    Author.objects.filter(pk=pk_of(0)).update(name="renamed")


def delete_author() -> None:
    Author.objects.filter(pk=pk_of(2)).delete()  # who has written nothing


def update_many() -> None:
    Article.objects.filter(category=CATEGORIES[0]).update(category=CATEGORIES[1])


def transact() -> None:
    """Documents of two tables made, changed and deleted, and a unique name that goes from one to another."""
    with transaction.atomic():
        Author.objects.filter(pk=pk_of(0)).update(name="somebody else")
        Author.objects.create(pk=pk_of(60), name="author 0")
        Author.objects.filter(pk=pk_of(2)).delete()
        create()
        update()
        Article.objects.filter(pk=pk_of(11)).delete()


def pass_names_on() -> None:
    """Each author gets the name of the one before, in one statement outside of a transaction. The documents are written
    one by one and last first, so that two have one name until all are written."""
    unit_of_work._STRETCH = 1
    write = UnitOfWork._write
    UnitOfWork._write = lambda self, batch, until: write(self, batch[::-1], until)  # type: ignore[method-assign]
    names = ("somebody else", *(f"author {number}" for number in range(3)))
    moves = [When(name=name, then=Value(before)) for before, name in pairwise(names)]
    Author.objects.update(name=Case(*moves))


def take_name_passed_on() -> None:
    """A new author has the name that none has any more when all have passed theirs on."""
    Author.objects.create(pk=pk_of(61), name="author 2")


def fill_authors() -> None:
    Author.objects.bulk_create(Author(pk=pk_of(number), name=f"author {number}") for number in range(AUTHORS))


def fill_ten() -> None:
    author = Author.objects.create(pk=pk_of(0), name="author 0")
    Article.objects.bulk_create(
        Article(pk=pk_of(10 + number), author=author, category=f"c{number}", title="") for number in range(10)
    )


def rebuild() -> None:
    connection.resources.indexes.rebuild(connection.schema_of_model(Article))


def pack() -> None:
    """Every table, a document a pack."""
    packing.SIZE = 1
    for model in (Author, Article):
        connection.resources.store.pack(model._meta.db_table)


JOBS: dict[str, Callable[[], None]] = {
    function.__name__: function
    for function in (
        fill,
        fill_ten,
        fill_authors,
        create,
        update,
        delete,
        create_author,
        rename_author,
        delete_author,
        update_many,
        transact,
        pass_names_on,
        take_name_passed_on,
        rebuild,
        pack,
    )
}


def work(place: Place, job: str, step: str = "") -> None:
    """Do a job; with ``step`` the process kills itself when it gets there."""
    move_in(place)
    os.environ[steps.VARIABLE] = step
    importlib.reload(steps)  # which has read the variable in the server already
    JOBS[job]()


def add_up(place: Place, gate: Barrier, rows: int, times: int, number: int) -> None:
    """Add one to one of ``rows`` articles, so many times, in any order."""
    move_in(place)
    chance = random.Random(number)
    gate.wait(DEADLINE)
    for _ in range(times):
        which = pk_of(10 + chance.randrange(rows))
        while True:
            try:
                assert Article.objects.filter(pk=which).update(view_count=F("view_count") + 1) == 1
                break
            except ConflictError:  # said after several attempts, and nothing was applied: the caller's turn
                time.sleep(chance.random() * 0.1)


def claim_names(place: Place, gate: Barrier, rounds: int, number: int, wins: SimpleQueue[list[str]]) -> None:
    """Create an author of the same name as all others do, round after round; put the names that were won."""
    move_in(place)
    won = []
    for turn in range(rounds):
        gate.wait(DEADLINE)
        try:
            Author.objects.create(name=f"name {turn}")
            won.append(f"name {turn}")
        except IntegrityError:
            assert Author.objects.filter(name=f"name {turn}").count() == 1
    wins.put(won)
