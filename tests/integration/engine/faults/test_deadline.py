"""Writes that are so slow that they might take effect after their deadline are announced anew, or given up."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db.models import F

from django_smarterbase.exceptions import StorageUnavailable
from django_smarterbase.profiling import profile_queries
from django_smarterbase.storage import files
from testproject.articles.models import Article
from tests.integration.commands.site import WRITE_DEADLINE, Site

from .ledger import Ledger

Slow = Callable[[float], list[str]]


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[Slow]:
    """``slow(times)``: the disk takes longer than the write deadline for so many bodies; gives those it took."""
    create, written = files.create, list[str]()

    def arrange(times: float) -> list[str]:
        def create_late(folder: str, body: bytes, **how: Any) -> tuple[str, str]:
            if b'"_v"' in body:
                written.append(body.decode())
                if len(written) <= times:
                    time.sleep(WRITE_DEADLINE * 1.2)
            return create(folder, body, **how)

        monkeypatch.setattr(files, "create", create_late)
        return written

    yield arrange
    monkeypatch.undo()


def test_write_that_is_late_is_announced_anew_and_applied_once(site: Site, filled: Ledger, slow: Slow) -> None:
    Article.objects.filter(title="title 1").update(view_count=0)
    written = slow(1)
    assert Article.objects.filter(title="title 1").update(view_count=F("view_count") + 1, category="moved") == 1
    assert len(written) == 2
    with profile_queries() as queries:
        assert [article.view_count for article in Article.objects.filter(category="moved")] == [1]
    assert queries.profiles[0].index_used == "redis:articles-by-category"
    assert site.state(Article).pending == 0


def test_write_that_is_late_every_time_is_given_up_and_leaves_nothing(site: Site, filled: Ledger, slow: Slow) -> None:
    slow(float("inf"))
    with pytest.raises(StorageUnavailable, match="raise the option write_deadline"):
        Article.objects.filter(title="title 1").update(category="moved")
    assert Article.objects.filter(category="moved").count() == 0
    assert Article.objects.scan().filter(category="moved").count() == 0
    assert site.state(Article).pending == 0
    assert site.state(Article).reason is None


def test_unique_value_is_free_when_the_write_that_wanted_it_was_late_every_time(site: Site, slow: Slow) -> None:
    slow(float("inf"))
    with pytest.raises(StorageUnavailable):
        User.objects.create(username="ann")
    assert [key for key in site.objects() if "/unique/" in key] == []
