"""What many documents cost at once: requests to the store and round trips to Redis."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.db import IntegrityError

from django_smarterbase.backend.unit_of_work import UnitOfWork
from django_smarterbase.ops import StorageOps
from django_smarterbase.profiling import profile_queries
from testproject.articles.models import Article, Author
from tests.integration.commands.site import Site

from .conftest import CONCURRENCY, PATIENT

MANY = 10_000
SOME = 1_000
BATCH = 200  # documents of one announcement
LOCKED_AT_ONCE = 1000  # rows


def articles(count: int) -> list[Article]:
    """Articles that are not saved."""
    return [
        Article(pk=uuid4(), author_id=uuid4(), category="science", title=f"t{number}", body="b", status="draft")
        for number in range(count)
    ]


def cost(act: Callable[[], Any]) -> tuple[StorageOps, int]:
    """The requests to the store and the round trips to Redis of all statements; bytes apart."""
    with profile_queries() as queries:
        act()
    total = StorageOps()
    for profile in queries.profiles:
        for name in ("reads", "writes", "deletes", "lists", "system"):
            setattr(total, name, getattr(total, name) + getattr(profile.storage_ops, name))
    return total, sum(profile.redis_ops.round_trips for profile in queries.profiles)


@pytest.fixture
def indexed(patient: Site) -> Site:
    """The site, with an index of articles and of authors; all that a process reads once has been read."""
    Article.objects.bulk_create(articles(2))
    Author.objects.create(name="the first")
    Article.objects.filter(category="science").update(view_count=1)
    Article.objects.filter(category="science").delete()
    return patient


def test_bulk_create_costs_a_write_each_and_two_round_trips_for_two_hundred(indexed: Site) -> None:
    made = articles(MANY)
    ops, round_trips = cost(lambda: Article.objects.bulk_create(made))
    assert ops == StorageOps(writes=MANY, system=2)  # the intent of the transaction is written and removed
    assert round_trips == 2 * MANY // BATCH


def test_update_and_delete_cost_a_read_and_a_write_each(indexed: Site) -> None:
    Article.objects.bulk_create(articles(SOME))
    update = cost(lambda: Article.objects.filter(category="science").update(view_count=7))
    delete = cost(lambda: Article.objects.filter(category="science").delete())
    # The index is asked once, and a thousand rows are locked and unlocked at once. A document bears the mark of the
    # transaction that made it, which is looked for once, until it is written by none.
    round_trips = 1 + 2 * SOME // BATCH + 2 * SOME // LOCKED_AT_ONCE
    assert update == (StorageOps(reads=SOME, writes=SOME, system=1), round_trips)
    assert delete == (StorageOps(reads=SOME, deletes=SOME, system=2), round_trips)


def test_bulk_update_reads_and_writes_each_document_once(indexed: Site) -> None:
    made = articles(SOME)
    Article.objects.bulk_create(made)
    for article in made:
        article.view_count = 3
    ops, round_trips = cost(lambda: Article.objects.bulk_update(made, ["view_count"]))
    assert ops == StorageOps(reads=SOME, writes=SOME, system=2 + 1)
    assert round_trips == 2 * SOME // BATCH + 2 * SOME // LOCKED_AT_ONCE


def test_unique_values_cost_a_request_each(indexed: Site) -> None:
    made = [Author(name=f"author {number}") for number in range(400)]
    ops, round_trips = cost(lambda: Author.objects.bulk_create(made))
    assert ops == StorageOps(writes=400, system=400 + 2)
    assert round_trips == 2 * 2 + 1  # the index tells whether the names are taken
    # Django selects the rows before it deletes them. A claim is read and removed; the mark is looked for once.
    ops, _ = cost(lambda: Author.objects.filter(name__startswith="author").delete())
    assert (ops.deletes, ops.system) == (400, 2 * 400 + 2 + 1)


@pytest.mark.parametrize("request_name", ["put", "delete"])
def test_writes_and_claims_go_side_by_side(
    indexed: Site, most_at_once: Callable[[str], Callable[[], int]], request_name: str
) -> None:
    indexed.restart(**PATIENT, fsync=True, concurrency=CONCURRENCY)
    made = [Author(name=f"author {number}") for number in range(3 * CONCURRENCY)]
    if request_name == "put":
        most = most_at_once("put")
        Author.objects.bulk_create(made)
    else:
        Author.objects.bulk_create(made)
        most = most_at_once("delete")
        Author.objects.filter(pk__in=[author.pk for author in made]).delete()
    assert most() == CONCURRENCY


def test_claims_alone_go_side_by_side(
    indexed: Site, most_at_once: Callable[[str], Callable[[], int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    indexed.restart(**PATIENT, fsync=True, concurrency=CONCURRENCY)
    most, taken = most_at_once("put"), []
    take = UnitOfWork._take_claims

    def noted(self: UnitOfWork, *arguments: Any) -> float:
        until = take(self, *arguments)
        taken.append(most())
        return until

    monkeypatch.setattr(UnitOfWork, "_take_claims", noted)
    Author.objects.bulk_create([Author(name=f"author {number}") for number in range(3 * CONCURRENCY)])
    assert taken == [CONCURRENCY]


def test_bulk_create_is_refused_as_a_whole_when_one_of_its_values_is_taken(indexed: Site) -> None:
    made = [Author(name=f"author {number}") for number in range(20)]
    with pytest.raises(IntegrityError):
        Author.objects.bulk_create([*made, Author(name="the first")])
    assert [author.name for author in Author.objects.all()] == ["the first"]
    Author.objects.bulk_create(made)  # their claims are free again
    assert Author.objects.count() == 21


def test_unique_values_can_go_round_within_one_update(indexed: Site) -> None:
    ann, bob, cid = (Author.objects.create(name=name) for name in ("ann", "bob", "cid"))
    ann.name, bob.name, cid.name = "ann-", "bob-", "cid-"
    Author.objects.bulk_update([ann, bob, cid], ["name"])
    Author.objects.create(name="ann")
    with pytest.raises(IntegrityError):
        Author.objects.create(name="bob-")
