"""What the panel counts, and what it takes for the same statement."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from django_smarterbase.contrib.debug_toolbar.report import Figures, Group, report_on
from django_smarterbase.ops import RedisOps, StorageOps
from django_smarterbase.profiling import QueryProfile

INDEXED = ("articles: IndexLookup redis:articles-by-author, O(1)",)
UNTRUSTED = (*INDEXED, "FALLBACK: the index is not trusted now (Redis unreachable); its steps are full scans, O(n).")


def profile(**changes: Any) -> QueryProfile:
    """An indexed select that read two documents in 1.5 ms, in all but what the test says."""
    facts: dict[str, Any] = {
        "method": "ListAuthorArticles",
        "model": "articles.Article",
        "database": "default",
        "operation": "select",
        "complexity": "O(1)",
        "index_used": "redis:articles-by-author",
        "started_at": datetime.datetime(2026, 3, 1, 12, 30, 0, 250, datetime.UTC),
        "duration": 1.5,
        "storage_ops": StorageOps(reads=2, bytes_read=500),
        "redis_ops": RedisOps(commands=3, round_trips=1),
        "candidates": 2,
        "result_count": 2,
        "plan": INDEXED,
        "fingerprint": "a",
    }
    return QueryProfile(**(facts | changes))


def fallback(**changes: Any) -> QueryProfile:
    """The same statement while Redis was down."""
    facts: dict[str, Any] = {
        "complexity": "O(n)",
        "index_used": "none:full-scan",
        "fallback": True,
        "fallback_reason": "Redis unreachable",
        "plan": UNTRUSTED,
    }
    return profile(**(facts | changes))


def test_report_of_no_profiles_counts_nothing() -> None:
    report = report_on([])
    assert report.figures == Figures(0, 0, 0, 0.0, 0, 0, 0, 0, 0.0, 0, 0, 0)
    assert report.groups == ()
    assert report.duplicates == 0


def test_figures_are_sums_over_all_profiles(settings: Any) -> None:
    settings.SMARTERBASE_PRICES = {"read": 1.0, "write": 2.0}
    write = profile(
        operation="insert",
        fingerprint="b",
        storage_ops=StorageOps(writes=1, system=1, bytes_written=300),
        result_count=None,
        error="IntegrityError",
    )
    assert report_on([profile(), write, fallback(fingerprint="c")]).figures == Figures(
        queries=3,
        candidates=6,
        results=4,
        duration=4.5,
        storage_ops=5,
        redis_round_trips=3,
        bytes_read=1000,
        bytes_written=300,
        cost_usd=pytest.approx(0.008),
        fallbacks=1,
        full_scans=1,
        errors=1,
    )


def test_executions_of_one_statement_are_one_group_where_the_first_stood() -> None:
    again, other = profile(duration=2.0), profile(fingerprint="b")
    report = report_on([profile(), other, again])
    assert report.groups == (Group((profile(), again)), Group((other,)))
    assert [group.count for group in report.groups] == [2, 1]
    assert report.duplicates == 1


def test_statements_of_different_databases_are_no_duplicates() -> None:
    assert report_on([profile(), profile(database="archive")]).duplicates == 0


def test_commits_are_no_duplicates_of_each_other() -> None:
    commit = profile(operation="commit", model=None, fingerprint="", plan=())
    assert report_on([commit, commit]).groups == (Group((commit,)), Group((commit,)))


def test_group_names_each_index_reason_error_and_plan_once() -> None:
    group = Group((profile(), fallback(), fallback(error="ScanBudgetExceeded"), profile()))
    assert group.indexes == ("redis:articles-by-author", "none:full-scan")
    assert group.fallback_reasons == ("Redis unreachable",)
    assert group.errors == ("ScanBudgetExceeded",)
    assert group.plans == (INDEXED, UNTRUSTED)


def test_headline_is_the_first_step_unless_the_index_was_of_no_use() -> None:
    assert Group((profile(plan=(*INDEXED, "authors: JoinLookup")),)).headline == INDEXED[0]
    assert Group((fallback(),)).headline == UNTRUSTED[1]
    assert Group((profile(operation="commit", plan=()),)).headline == ""
