"""Profiles to work with, made with as few words as possible."""

import datetime
from collections.abc import Callable
from typing import Any

import pytest

from django_smarterbase.profiling import QueryProfile


@pytest.fixture
def make_profile() -> Callable[..., QueryProfile]:
    """A profile of an indexed select, in all but what the test says."""

    def make(**changes: Any) -> QueryProfile:
        facts: dict[str, Any] = {
            "method": "ListAuthorArticles",
            "model": "articles.Article",
            "database": "default",
            "operation": "select",
            "complexity": "O(1)",
            "index_used": "redis:articles-by-author",
            "started_at": datetime.datetime(2025, 3, 1, 12, 30, 0, 250, datetime.UTC),
            "duration": 1.234,
        }
        return QueryProfile(**(facts | changes))

    return make
