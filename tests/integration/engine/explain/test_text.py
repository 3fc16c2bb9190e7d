"""What ``explain()`` prints for every access path, to the letter."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.db.models import Q, QuerySet

from tests.integration.commands.site import Site
from tests.integration.engine.equivalence.library.models import Article, Author

ARTICLES, AUTHORS = Article.objects.order_by(), Author.objects.order_by()

TEXTS: dict[str, tuple[Callable[[], QuerySet[Any]], str]] = {
    "primary keys": (
        lambda: ARTICLES.filter(pk__in=[1, 2, 2, 3]),
        """\
library_article: KeyLookup of 3 primary keys, O(1), 3 candidates
Cost: 3 storage operations (3 reads, 0 listings), $0.0000012""",
    ),
    "one index": (
        lambda: ARTICLES.filter(category="news"),
        """\
library_article: IndexLookup redis:library_article-by-category, O(1), 4 candidates
Index of library_article: trusted, 17 documents
Its count(), exists() and primary keys are answered by the index alone.
Cost: 4 storage operations (4 reads, 0 listings), $0.0000016""",
    ),
    "two indexes and a condition without one": (
        lambda: ARTICLES.filter(author=1, category="news", rating__gt=1),
        """\
library_article: IndexLookup redis:library_article-by-author AND redis:library_article-by-category, O(1), at \
most 2 candidates
Index of library_article: trusted, 17 documents
Cost: at most 2 storage operations (2 reads, 0 listings), $0.0000008""",
    ),
    "either of two indexes": (
        lambda: ARTICLES.filter(Q(author=1) | Q(score=1)),
        """\
library_article: IndexLookup redis:library_article-by-author|redis:library_article-by-score, O(1), at most 7 candidates
Index of library_article: trusted, 17 documents
Its count(), exists() and primary keys are answered by the index alone.
Cost: at most 7 storage operations (7 reads, 0 listings), $0.0000028""",
    ),
    "a join by the primary key": (
        lambda: ARTICLES.filter(category="news").select_related("editor"),
        """\
library_article: IndexLookup redis:library_article-by-category, O(1), 4 candidates
library_author: JoinLookup by the values of library_article.editor_id, key, O(1), at most 4 candidates
Index of library_article: trusted, 17 documents
Cost: at most 8 storage operations (8 reads, 0 listings), $0.0000032""",
    ),
    "a join by an index, narrowed by another": (
        lambda: ARTICLES.filter(author__name="Ada", score=1),
        """\
library_author: IndexLookup redis:library_author-by-name [rows from the index], O(1), 1 candidate
library_article: JoinLookup by the values of library_author.id, redis:library_article-by-author AND \
redis:library_article-by-score, O(1), about 3 candidates
Index of library_author: trusted, 7 documents
Index of library_article: trusted, 17 documents
Cost: about 3 storage operations (3 reads, 0 listings), $0.0000012""",
    ),
    "a subquery": (
        lambda: ARTICLES.filter(author__in=AUTHORS.filter(name="Ada")),
        """\
library_author AS U0: IndexLookup redis:library_author-by-name [rows from the index], O(1), 1 candidate
library_article: SubqueryLookup by the values that a subquery of library_author selects, \
redis:library_article-by-author, O(1), about 3 candidates
Index of library_author: trusted, 7 documents
Index of library_article: trusted, 17 documents
Cost: about 3 storage operations (3 reads, 0 listings), $0.0000012""",
    ),
    "a scan": (
        lambda: ARTICLES.filter(rating=1),
        """\
library_article: Scan of every document, O(n), 17 candidates
Index of library_article: trusted, 17 documents
Cost: 18 storage operations (17 reads, 1 listing), $0.0000118
To make it O(1):
  - Add db_index=True to Article.rating. Then run makemigrations, migrate and sb_reindex library.Article.""",
    ),
    "any of the rows": (
        lambda: ARTICLES.filter(rating=1)[:2],
        """\
library_article: Scan of every document, O(n), at most 17 candidates
Index of library_article: trusted, 17 documents
Cost: at most 18 storage operations (17 reads, 1 listing), $0.0000118
To make it O(1):
  - Add db_index=True to Article.rating. Then run makemigrations, migrate and sb_reindex library.Article.""",
    ),
    "keys that the index alone names": (
        lambda: ARTICLES.filter(category="news").values("pk"),
        """\
library_article: IndexLookup redis:library_article-by-category, O(1), 4 candidates
Index of library_article: trusted, 17 documents
The index alone answers: no document is read, but those with a write under way.
Cost: 0 storage operations (0 reads, 0 listings), $0""",
    ),
    "a negation": (
        lambda: ARTICLES.exclude(score=1).exclude(pk=2),
        """\
library_article: IndexLookup NOT redis:library_article-by-score|key, O(1), at most 17 candidates
Index of library_article: trusted, 17 documents
Its count(), exists() and primary keys are answered by the index alone.
Cost: at most 17 storage operations (17 reads, 0 listings), $0.0000068""",
    ),
    "columns that the index alone knows": (
        lambda: AUTHORS.filter(name="Ada").values_list("name", "country"),
        """\
library_author: IndexLookup redis:library_author-by-name, O(1), 1 candidate
Index of library_author: trusted, 7 documents
The index alone answers: no document is read, but those with a write under way.
Cost: 0 storage operations (0 reads, 0 listings), $0""",
    ),
    "rows that the index knows, beside documents": (
        lambda: AUTHORS.values("born", "articles__category"),
        """\
library_author: Scan of every document, O(n), 7 candidates
library_article: JoinLookup by the values of library_author.id, redis:library_article-by-author \
[rows from the index], O(1), about 17 candidates
Index of library_author: trusted, 7 documents
Index of library_article: trusted, 17 documents
Cost: 8 storage operations (7 reads, 1 listing), $0.0000078
To make it O(1):
  - Filter library.Author by the primary key or an indexed field (name, country, mentor): nothing narrows it.""",
    ),
    "all keys": (
        lambda: ARTICLES.values("pk"),
        """\
library_article: Scan that redis:library_article-all answers, O(1), 17 candidates
Index of library_article: trusted, 17 documents
The index alone answers: no document is read, but those with a write under way.
Cost: 0 storage operations (0 reads, 0 listings), $0""",
    ),
    "what cannot match": (lambda: ARTICLES.filter(pk__in=[]), "Nothing is read."),
    "scan()": (
        lambda: ARTICLES.filter(category="news").scan(),
        """\
library_article: IndexLookup redis:library_article-by-category [scan(): Scan of every document], O(n), 17 candidates
Index of library_article: trusted, 17 documents
Cost: 18 storage operations (17 reads, 1 listing), $0.0000118
To make it O(1):
  - Leave out scan(): the index of library.Article is not asked because of it.""",
    ),
    "require_index()": (
        lambda: ARTICLES.filter(rating=1).require_index(),
        """\
library_article: Scan of every document, O(n), 17 candidates
Index of library_article: trusted, 17 documents
Cost: 18 storage operations (17 reads, 1 listing), $0.0000118
Raises: FullScanRefused, as require_index() was asked for
To make it O(1):
  - Add db_index=True to Article.rating. Then run makemigrations, migrate and sb_reindex library.Article.""",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TEXTS)
def test_text_is_exactly_this(library: Site, name: str) -> None:
    question, expected = TEXTS[name]
    text, _, sqlite = question().explain().partition("\nSQLite, over the candidates:\n")
    assert text == expected
    assert [f"  {line}" for line in json.loads(question().explain(format="json"))["sqlite"]] == sqlite.splitlines()
    assert bool(sqlite) == (expected != "Nothing is read.")
