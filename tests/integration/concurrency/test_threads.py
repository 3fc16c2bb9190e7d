"""Threads that come and go: a server may start one for each request."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable

import pytest
from django.db import connection

from django_smarterbase.backend.workspace import Workspace
from testproject.articles.models import Author

pytestmark = pytest.mark.django_db(transaction=True)


def in_threads(function: Callable[[], object], times: int) -> None:
    """Call it in as many threads, one after the other."""
    for _ in range(times):
        thread = threading.Thread(target=function)
        thread.start()
        thread.join()


def test_connections_are_not_shared_between_threads() -> None:
    Author.objects.create(name="Ada")
    barrier, workspaces = threading.Barrier(8), set[Workspace]()

    def work() -> None:
        assert Author.objects.get().name == "Ada"
        workspaces.add(connection.session.workspace)
        barrier.wait(20)
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(workspaces) == 8
    assert connection.session.workspace not in workspaces


@pytest.mark.parametrize("closes", [True, False])
def test_workspace_goes_with_its_thread(closes: bool) -> None:
    workspaces = weakref.WeakSet[Workspace]()

    def work() -> None:
        assert not Author.objects.filter(name="nobody").exists()
        workspaces.add(connection.session.workspace)
        if closes:
            connection.close()

    in_threads(work, 20)
    gc.collect()
    assert len(workspaces) == 0
