"""Scans that look for a value of a column without an index: every document is read, and few are loaded."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from django.db import transaction
from django.db.models import Q, QuerySet

from django_smarterbase.backend.requests import Execution, Request
from django_smarterbase.backend.session import Session
from django_smarterbase.exceptions import CorruptDocument, ScanBudgetExceeded
from django_smarterbase.planner.plan import AccessPath, Scan
from django_smarterbase.profiling import profile_queries
from django_smarterbase.profiling.profile import QueryProfile
from django_smarterbase.tables import IndexCondition, IndexDefinition, IndexEntry
from testproject.articles.models import Article, Author
from tests.integration.commands.site import Site

from .test_requests import articles

COUNT = 30


@pytest.fixture
def filled(site: Site) -> Site:
    """The site with articles ``t0`` to ``t29``."""
    Article.objects.bulk_create(articles(COUNT))
    return site


Planned = Callable[[QuerySet[Article]], dict[str, AccessPath]]


@pytest.fixture
def planned(monkeypatch: pytest.MonkeyPatch) -> Planned:
    """Tells how each table of a query is found."""
    plans, run = [], Session.run

    def noted(self: Session, request: Request, execution: Execution) -> None:
        plans.append(request.plan)
        run(self, request, execution)

    monkeypatch.setattr(Session, "run", noted)

    def of(query: QuerySet[Article]) -> dict[str, AccessPath]:
        plans.clear()
        list(query)
        return {step.table: step.path for step in plans[0].steps}

    return of


def asked(query: QuerySet[Article]) -> tuple[list[str], QueryProfile]:
    """The titles that a query gives, and its profile."""
    with profile_queries() as queries:
        titles = [article.title for article in query]
    (profile,) = queries.profiles
    return titles, profile


def folder(site: Site) -> Path:
    return site.folder / site.name / "articles"


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (Q(title="t3"), ["t3"]),
        (Q(title__in=["t3", "t7", "none"]), ["t3", "t7"]),
        (Q(title="t3", view_count=0), ["t3"]),
        (Q(title="t3", view_count=1), []),
        (Q(title="t3") & Q(body__contains="b"), ["t3"]),
    ],
)
def test_scan_loads_what_has_the_value_and_reads_all(filled: Site, condition: Q, expected: list[str]) -> None:
    titles, profile = asked(Article.objects.filter(condition))
    assert sorted(titles) == expected
    assert profile.storage_ops.reads == COUNT
    assert profile.candidates == len(expected)
    assert (profile.complexity, profile.result_count) == ("O(n)", len(expected))


@pytest.mark.parametrize("condition", [Q(title="t3") | Q(title="t7"), ~Q(title="t3"), Q(title__gt="t3")])
def test_scan_loads_all_when_the_condition_is_another(filled: Site, condition: Q) -> None:
    assert asked(Article.objects.filter(condition))[1].candidates == COUNT


def test_scan_in_a_transaction_loads_all_since_later_statements_may_need_them(filled: Site) -> None:
    with transaction.atomic():
        titles, profile = asked(Article.objects.filter(title="t3"))
        assert profile.candidates == COUNT
        assert titles == ["t3"]
        assert asked(Article.objects.filter(title="t7"))[1].storage_ops.reads == 0


def test_plan_says_what_the_scan_looks_for(filled: Site, planned: Planned) -> None:
    entry = IndexEntry(IndexDefinition("title", ("title",)), ("t3",))
    assert planned(Article.objects.filter(title="t3")) == {"articles": Scan(IndexCondition(((entry,),)))}


def test_table_that_is_read_under_two_names_is_loaded_as_a_whole(filled: Site, planned: Planned) -> None:
    same = Article.objects.filter(title="t3").values("body")
    assert planned(Article.objects.filter(title="t7", body__in=same)) == {"articles": Scan()}
    assert [article.title for article in Article.objects.filter(title="t7", body__in=same)] == ["t7"]


def test_outer_joined_table_is_never_narrowed(filled: Site) -> None:
    author = Author.objects.create(name="ann")
    found = Author.objects.filter(Q(articles__title="none") | Q(name="ann")).distinct()
    assert list(found) == [author]
    missing = Author.objects.filter(articles__title__isnull=True)
    assert list(missing) == [author]


def test_update_and_delete_reach_what_the_scan_has_found(filled: Site) -> None:
    assert Article.objects.filter(title="t3").update(title="changed") == 1
    assert Article.objects.filter(title__in=["t4", "t5"]).delete()[0] == 2
    left = {f"t{number}" for number in range(COUNT)} - {"t3", "t4", "t5"}
    assert {article.title for article in Article.objects.all()} == left | {"changed"}


def test_budget_counts_what_is_read(filled: Site) -> None:
    filled.restart(max_scan_objects=COUNT - 1)
    with pytest.raises(ScanBudgetExceeded, match=str(COUNT - 1)):
        list(Article.objects.filter(title="t3"))
    filled.restart(max_scan_objects=COUNT)
    assert [article.title for article in Article.objects.filter(title="t3")] == ["t3"]


@pytest.mark.parametrize("body", [b"", b"no JSON"])
def test_unreadable_document_is_found_by_a_scan_that_does_not_want_it(filled: Site, body: bytes) -> None:
    (folder(filled) / "damaged.json").write_bytes(body)
    with pytest.raises(CorruptDocument, match="damaged"):
        list(Article.objects.filter(title="t3"))
    filled.restart(on_corrupt="skip")
    titles, profile = asked(Article.objects.filter(title="t3"))
    assert (titles, profile.skipped_documents) == (["t3"], 1)


def test_strangers_are_passed_over_and_counted(filled: Site) -> None:
    (folder(filled) / "README.txt").write_text("no document")
    (folder(filled) / "link.json").symlink_to(folder(filled) / "README.txt")
    os.mkfifo(folder(filled) / "pipe.json")
    titles, profile = asked(Article.objects.filter(title="t3"))
    assert (titles, profile.skipped_documents, profile.storage_ops.reads) == (["t3"], 1, COUNT + 1)


def test_document_larger_than_a_block_is_read_whole(filled: Site) -> None:
    large = articles(1)[0]
    large.title, large.body = "large", "x" * 300_000
    large.save(force_insert=True)
    assert [article.body for article in Article.objects.filter(title="large")] == ["x" * 300_000]
    assert asked(Article.objects.filter(title="t3"))[0] == ["t3"]
