"""Transactions that are taken back, by themselves or when they are abandoned: what was before is there again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.db.models import F

from django_smarterbase.backend.recovery import recovery_of
from django_smarterbase.exceptions import StorageUnavailable
from django_smarterbase.storage.base import Write, Written
from django_smarterbase.storage.filesystem import FileSystemStore
from testproject.articles.models import Article, Author
from tests.integration.commands.site import Site

from .abandoned import abandon, documents, edit, recover
from .ledger import Ledger

TITLES = ("title 1", "title 2", "title 3")


def update_articles_and_rename() -> None:
    Article.objects.filter(title__in=TITLES).update(view_count=F("view_count") + 1000)
    Author.objects.filter(name="author 1").update(name="renamed")


def test_no_document_is_lost_when_the_store_fails_while_a_transaction_is_taken_back(
    site: Site, filled: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some are as they were already, and the unit that took them back fails as a whole."""
    before = list(documents(site, "articles"))
    abandon(monkeypatch, update_articles_and_rename)
    edit(site, "authors", name="author 1")
    write_many = FileSystemStore.write_many

    def fail_from_the_second(self: FileSystemStore, writes: Any) -> Iterator[Written]:
        first, *others = list[Write](writes)
        yield from write_many(self, [first])
        yield from (Written(write, None, StorageUnavailable("out of order")) for write in others)

    with monkeypatch.context() as patch:
        patch.setattr(FileSystemStore, "write_many", fail_from_the_second)
        with pytest.raises(StorageUnavailable, match="out of order"):
            recover()
    assert len(list(documents(site, "articles"))) == len(before)
    recover()
    assert list(documents(site, "articles")) == before
    assert recovery_of(connection.resources).unfinished() == []
