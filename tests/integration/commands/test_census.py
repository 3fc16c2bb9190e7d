"""Documents are counted in the background, for the time left of tables that no index counts."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection

from django_smarterbase.exceptions import StorageUnavailable
from django_smarterbase.management.census import Census
from django_smarterbase.storage.base import Listed
from testproject.articles.models import Article, Author
from tests.integration.commands.site import Site

DEADLINE = 30.0  # seconds


def counted(census: Census, table: str) -> int | None:
    """What the census says once it has had the time to count."""
    until = time.monotonic() + DEADLINE
    while (number := census.documents("default", table)) is None and time.monotonic() < until:
        time.sleep(0.01)
    return number


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "smarterbase-census"]


def test_documents_are_counted_once_they_are_asked_for(site: Site) -> None:
    for name in ("Ada", "Grace"):
        Author.objects.create(name=name)
    with Census() as census:
        assert threads() == []
        assert (counted(census, "authors"), counted(census, "articles")) == (2, 0)
        Author.objects.create(name="Alan")
        assert census.documents("default", "authors") == 2
        census.forget()
        assert counted(census, "authors") == 3
    assert threads() == []


def test_counting_ends_with_the_block(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def endless(_prefix: str, _start_after: str | None = None) -> Iterator[Listed]:
        while True:
            yield Listed("key", "", 0)
            time.sleep(0.001)

    monkeypatch.setattr(connection.resources.store, "list", endless)
    began = time.monotonic()
    with Census() as census:
        assert census.documents("default", "authors") is None
    assert time.monotonic() - began < DEADLINE
    assert threads() == []


def test_a_store_that_fails_leaves_the_number_unknown_and_others_counted(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    Author.objects.create(name="Ada")
    store = connection.resources.store
    real, failing = store.list, connection.resources.keys.table_prefix(Article._meta.db_table)

    def fail(prefix: str, start_after: str | None = None) -> Any:
        if prefix == failing:
            raise StorageUnavailable("no answer")
        return real(prefix, start_after)

    monkeypatch.setattr(store, "list", fail)
    with Census() as census:
        assert census.documents("default", "articles") is None
        assert counted(census, "authors") == 1
        assert census.documents("default", "articles") is None
