"""What the index sets answer beyond equalities: how many documents are read for it, how often Redis is asked, and that
the rows are those of stock SQLite."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import transaction
from django.db.models import Count, F, Max, Q, QuerySet, Sum
from django.db.models.lookups import Exact, GreaterThan, In, IsNull
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from django_smarterbase.backend.resources import Resources
from django_smarterbase.profiling import profile_queries
from django_smarterbase.profiling.profile import QueryProfile

from .library.models import Article, Author, Country, Tag
from .questions import ARTICLE_CONDITIONS, trees
from .rows import NAMES, fill
from .stock import STOCK

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning:django.db.models.sql")
ARTICLES, AUTHORS, TAGS = Article.objects.order_by(), Author.objects.order_by(), Tag.objects.order_by()
Rows = Callable[[str], Any]


@pytest.fixture(scope="module", autouse=True)
def filled(databases: tuple[str, str]) -> None:
    """Both databases with the library's rows."""
    for db in databases:
        fill(db)
    assert [Author.objects.values_list("name").count(), len(Author.objects.values_list("name"))] == [7, 7]
    assert len(ARTICLES.values_list("category").distinct()) == 4
    assert len(TAGS.filter(articles__in=[1, 2]).values("name", "articles")) > 0
    # From here on Redis knows the scripts: one that it is told for the first time takes two round trips.


def listed(question: Callable[[], QuerySet[Any]]) -> Rows:
    """The rows of a query set as a list that can be compared."""
    return lambda db: sorted(map(repr, question().using(db)))


def counted(question: Callable[[], QuerySet[Any]]) -> Rows:
    return lambda db: (question().using(db).count(), question().using(db).exists())


#: What is asked, how many documents the engine reads for it in all, and how often it asks Redis.
ASKED: dict[str, tuple[Rows, int, int]] = {
    "a negation": (listed(lambda: ARTICLES.exclude(score=1)), 12, 1),
    "a negation counted": (counted(lambda: ARTICLES.exclude(score=1)), 0, 2),
    "a negation of a column without NULLs counted": (counted(lambda: ARTICLES.exclude(category="news")), 0, 2),
    "what is not NULL counted": (counted(lambda: ARTICLES.filter(score__isnull=False)), 0, 2),
    "a negation of several values counted": (counted(lambda: ARTICLES.exclude(category__in=["news", "essay"])), 0, 2),
    "a negation of many values counted": (counted(lambda: ARTICLES.exclude(score__in=range(2, 5000))), 0, 2),
    "a negated key counted": (counted(lambda: ARTICLES.exclude(pk=1)), 0, 2),
    # As an expression a lookup has no "IS NOT NULL" beside it when it is negated.
    "a negated lookup of NULLs counted": (counted(lambda: ARTICLES.filter(~Q(Exact(F("score"), 1)))), 0, 2),
    "a negated list counted": (counted(lambda: ARTICLES.filter(~Q(In(F("score"), [1, 2])))), 0, 2),
    "a negated comparison counted": (counted(lambda: ARTICLES.filter(~Q(GreaterThan(F("score"), 1)))), 0, 2),
    "a negated subquery of NULLs": (
        listed(lambda: ARTICLES.filter(~Q(In(F("editor"), AUTHORS.filter(name="ada").values("pk").query)))), 7, 2,
    ),
    "a negated range counted": (counted(lambda: ARTICLES.exclude(score__gt=1)), 0, 2),
    "two sets and a negation counted": (counted(lambda: ARTICLES.filter(author=2, live=False).exclude(score=1)), 0, 2),
    "two sets counted": (counted(lambda: ARTICLES.filter(author=2, live=False)), 0, 2),
    "neither counted": (counted(lambda: ARTICLES.exclude(Q(author=1) | Q(category="news"))), 0, 2),
    "not both counted": (counted(lambda: ARTICLES.exclude(author=1, category="news")), 0, 2),
    "a key or an index": (listed(lambda: ARTICLES.filter(Q(pk=1) | Q(author=2))), 3, 1),
    "a tree counted": (
        counted(lambda: ARTICLES.filter(Q(author=2) & (Q(score=2) | ~Q(category="news")) | Q(pk=5))), 0, 2,
    ),
    "many values": (listed(lambda: ARTICLES.filter(score__in=range(2, 5000))), 8, 1),
    "many values counted": (counted(lambda: ARTICLES.filter(score__in=range(2, 5000))), 0, 2),
    "many keys and an index": (listed(lambda: ARTICLES.filter(pk__in=range(10, 5000), author=2)), 1, 1),
    "a subquery and an index": (
        listed(lambda: ARTICLES.filter(author__in=AUTHORS.filter(name="Ada"), category="news")), 0, 2,
    ),
    "a negated subquery": (listed(lambda: ARTICLES.exclude(author__in=AUTHORS.filter(name="ada"))), 12, 2),
    "a negated subquery without values": (
        listed(lambda: ARTICLES.exclude(author__in=AUTHORS.filter(name="no"))), 17, 2,
    ),
    "a negated subquery with a NULL": (
        listed(lambda: ARTICLES.exclude(editor__in=AUTHORS.filter(mentor=None).values("mentor"))), 6, 2,
    ),
    "the smaller side first": (listed(lambda: AUTHORS.filter(name="Bob", articles__live=False)), 2, 4),
    "columns that the index knows": (
        listed(lambda: ARTICLES.values_list("pk", "category", "score", "price", "printed")), 0, 1,
    ),
    "columns that a composite index knows": (listed(lambda: ARTICLES.filter(live=True).values("status")), 0, 1),
    "distinct values": (listed(lambda: ARTICLES.values_list("category", flat=True).distinct()), 4, 1),
    "a condition that no set answers, on columns that the index knows": (
        counted(lambda: ARTICLES.filter(category__iexact="NEWS")), 0, 2,
    ),
    "one or the other": (listed(lambda: ARTICLES.filter(Q(author=1) ^ Q(score=1)).values("pk")), 0, 1),
    "groups": (listed(lambda: ARTICLES.values("status").annotate(n=Count("*"), m=Max("score"))), 0, 1),
    "sums": (lambda db: ARTICLES.using(db).aggregate(Sum("price"), Max("printed"), n=Count("score")), 0, 1),
    "a few columns of instances": (
        lambda db: sorted((each.pk, each.printed) for each in ARTICLES.using(db).only("printed")), 0, 1,
    ),
    "rows of a relation": (listed(lambda: TAGS.filter(articles__in=[1, 2]).values("name", "articles")), 0, 2),
    "prefetched": (
        lambda db: sorted(
            (each.pk, sorted(tag.name for tag in each.tags.all()))
            for each in ARTICLES.using(db).filter(author=2).prefetch_related("tags")
        ), 3, 3,
    ),
    "counts of a relation": (listed(lambda: AUTHORS.values("name").annotate(n=Count("articles"))), 0, 2),
}  # fmt: skip


def asked(rows: Rows) -> tuple[Any, list[QueryProfile]]:
    with profile_queries() as seen:
        found = rows("default")
    assert not seen.fallbacks()
    return found, list(seen.profiles)


@pytest.mark.parametrize("name", ASKED)
def test_index_answers_with_so_many_documents_and_round_trips(name: str) -> None:
    rows, documents, round_trips = ASKED[name]
    found, profiles = asked(rows)
    assert found == rows(STOCK)
    assert sum(profile.storage_ops.reads for profile in profiles) == documents
    assert sum(profile.storage_ops.lists for profile in profiles) == 0
    assert sum(profile.redis_ops.round_trips for profile in profiles) == round_trips


_VALUES = st.one_of(st.integers(0, 4), st.none())
_BARE = st.one_of(
    st.builds(lambda name, value: Q(Exact(F(name), value)), st.sampled_from(["score", "editor"]), st.integers(0, 4)),
    st.builds(lambda name, values: Q(In(F(name), values)), st.sampled_from(["score", "editor"]), st.lists(_VALUES)),
    st.builds(lambda name, value: Q(GreaterThan(F(name), value)), st.sampled_from(["score", "pk"]), st.integers(0, 4)),
    st.builds(lambda value: Q(IsNull(F("score"), value)), st.booleans()),
    st.sampled_from(NAMES).map(lambda name: Q(In(F("editor"), AUTHORS.filter(name=name).values("mentor").query))),
)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    condition=st.one_of(ARTICLE_CONDITIONS, trees(_BARE)),
    columns=st.sets(st.sampled_from(["pk", "score", "author", "price", "live"])),
)
def test_counts_and_columns_are_those_of_stock_sqlite_whatever_is_negated_and_nested(
    condition: Q, columns: set[str]
) -> None:
    def answers(db: str) -> Any:
        rows = ARTICLES.using(db)
        both = rows.filter(condition), rows.exclude(condition)
        chosen = [sorted(map(repr, each.values_list(*sorted(columns), "category"))) for each in both]
        return [each.count() for each in both], [each.exists() for each in both], chosen

    with profile_queries() as seen:
        found = answers("default")
    assert found == answers(STOCK)
    assert not seen.fallbacks()


def test_rows_of_the_index_are_not_left_for_the_next_statement() -> None:
    assert len(ARTICLES.values_list("category")) == 17
    assert {article.rating for article in ARTICLES} == {None, 0, 1, 2, 3}


def test_transaction_reads_documents_where_a_statement_alone_would_not() -> None:
    with transaction.atomic():
        found, profiles = asked(listed(lambda: ARTICLES.filter(author=2).values("category")))
    assert found == listed(lambda: ARTICLES.filter(author=2).values("category"))(STOCK)
    assert [profile.storage_ops.reads for profile in profiles if profile.operation == "select"] == [3]


def test_document_is_read_whose_value_the_index_does_not_tell(databases: tuple[str, str]) -> None:
    author = Author.objects.create(name="x" * 30, born=1)
    long = Country.objects.create(code="y" * 20, size=1)
    try:
        Author.objects.filter(pk=author.pk).update(name="é" * 40, country=long)
        found, (profile,) = asked(lambda db: list(AUTHORS.using(db).filter(country=long.pk).values_list("name")))
        assert found == [("é" * 40,)]
        assert profile.storage_ops.reads == 1
    finally:
        Author.objects.filter(pk=author.pk).delete()
        long.delete()


def test_plan_names_the_order_that_was_taken_and_why_no_document_was_read() -> None:
    _, (profile,) = asked(listed(lambda: AUTHORS.filter(name="Bob", articles__live=False)))
    explained = AUTHORS.filter(name="Bob", articles__live=False).explain().splitlines()
    assert [line.split()[0] for line in explained[:2]] == ["library_author:", "library_article:"]
    assert profile.plan == (
        "library_author: IndexLookup redis:library_author-by-name, O(1)",
        "library_article: JoinLookup by the values of library_author.id, redis:library_article-by-author AND "
        "redis:library_article-by-live, O(1)",
    )
    _, (profile,) = asked(listed(lambda: ARTICLES.values("category")))
    assert (profile.complexity, profile.index_used) == ("O(1)", "redis:library_article-all")
    assert profile.plan == ("library_article: redis:library_article-all alone, O(1)",)


@pytest.fixture
def cheap_scans(monkeypatch: pytest.MonkeyPatch) -> None:
    """A scan of any table takes three requests."""
    monkeypatch.setattr(Resources, "scan_requests", lambda self, schema: 3)


@pytest.mark.usefixtures("cheap_scans")
def test_scan_is_chosen_when_the_index_names_more_than_it_takes_requests() -> None:
    rows = listed(lambda: ARTICLES.exclude(score=1))
    found, (profile,) = asked(rows)
    assert found == rows(STOCK)
    assert (profile.complexity, profile.fallback, profile.candidates) == ("O(n)", False, 12)
    assert (profile.storage_ops.lists, profile.redis_ops.round_trips) == (1, 1)
    assert profile.plan[-1] == (
        "library_article: Scan chosen: the index names 12 of 17 documents, a scan takes about 3 requests"
    )
    assert ARTICLES.exclude(score=1).explain().splitlines()[0] == (
        "library_article: IndexLookup NOT redis:library_article-by-score [Scan chosen: the index names 12 of 17 "
        "documents, a scan takes about 3 requests], O(n), 12 candidates"
    )


@pytest.mark.usefixtures("cheap_scans")
@pytest.mark.parametrize(
    ("question", "reads"),
    [
        pytest.param(lambda: ARTICLES.filter(author=2), 3, id="few candidates"),
        pytest.param(lambda: ARTICLES.exclude(score=1).require_index(), 12, id="scans are refused"),
        pytest.param(lambda: ARTICLES.exclude(score=1).values("score"), 0, id="the index knows all that is read"),
    ],
)
def test_scan_is_not_chosen(question: Callable[[], QuerySet[Any]], reads: int) -> None:
    def rows(db: str) -> list[Any]:
        return list(question().using(db))

    _, (profile,) = asked(rows)
    assert (profile.storage_ops.lists, profile.storage_ops.reads, profile.complexity) == (0, reads, "O(1)")
