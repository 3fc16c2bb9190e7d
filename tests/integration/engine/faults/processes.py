"""What the tests run in other processes. It imports no model before Django is set up there."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, NamedTuple

import django

SPAWN = multiprocessing.get_context("spawn")  # a fork would copy the threads' locks of the test run
DEADLINE = 60.0  # seconds
INSERTS = 100
VIEWS = 20


class Place(NamedTuple):
    """Where a site is, and how long its processes wait for one another."""

    folder: str
    name: str
    port: int
    write_deadline: float


def start(target: Callable[..., None], *arguments: Any) -> BaseProcess:
    """Run ``target`` in a process of its own."""
    process = SPAWN.Process(target=target, args=arguments)
    process.start()
    return process


def join(*processes: BaseProcess) -> None:
    """Wait for the processes, which must have gone well."""
    for process in processes:
        process.join(DEADLINE)
        if process.exitcode is None:
            process.terminate()
    assert [process.exitcode for process in processes] == [0] * len(processes)


def insert_groups(place: Place, prefix: str) -> None:
    """Insert groups one by one, each with a number of the sequence."""
    _connect(place)
    from django.contrib.auth.models import Group

    for number in range(INSERTS):
        Group.objects.create(name=f"{prefix}{number}")


def add_views(place: Place, author: str) -> None:
    """Count views of an author's articles."""
    _connect(place)
    from django.db.models import F

    from testproject.articles.models import Article

    for _ in range(VIEWS):
        Article.objects.filter(author__name=author).update(view_count=F("view_count") + 1)


def _connect(place: Place) -> None:
    """Lead ``default`` to a site of the test."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    django.setup()
    from testproject.services import RedisServer
    from tests.integration.commands.site import Site

    site = Site(Path(place.folder), RedisServer(place.port))
    site.name = place.name
    site.open()
    site.restart(write_deadline=place.write_deadline)
