"""What the tests run in other processes. They are forked from a server that has imported this module already."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import time
import uuid
from collections.abc import Callable, Sequence
from multiprocessing.process import BaseProcess
from typing import Any, Final

import django
from django.apps import apps
from django.db import connection, transaction
from django.db.models import F

if not apps.ready:
    django.setup()

from django_smarterbase import steps
from testproject.articles.models import Article, Author

from .actions import CATEGORIES, STATUSES
from .places import Place, move_in

DEADLINE: Final = 120.0  # seconds
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload([__name__])


def start(target: Callable[..., None], *arguments: Any) -> BaseProcess:
    """Start ``target`` in a process of its own."""
    process = CONTEXT.Process(target=target, args=arguments)
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


def rebuild() -> None:
    connection.resources.indexes.rebuild(connection.schema_of_model(Article))


JOBS: dict[str, Callable[[], None]] = {
    function.__name__: function
    for function in (
        fill,
        create,
        update,
        delete,
        create_author,
        rename_author,
        delete_author,
        update_many,
        transact,
        rebuild,
    )
}


def work(place: Place, job: str, step: str = "") -> None:
    """Do a job; with ``step`` the process kills itself when it gets there."""
    move_in(place)
    os.environ[steps.VARIABLE] = step
    importlib.reload(steps)  # which has read the variable in the server already
    JOBS[job]()
