"""What each kind of statement costs, exactly, while the index is trusted. Requests are counted where they are made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission
from django.contrib.contenttypes.models import ContentType
from django.db import connection, transaction
from django.db.models import F

from django_smarterbase.profiling import profile_queries
from testproject.articles.models import Article, Author
from tests.integration.commands.site import Site

AUTHORS = 10
ARTICLES = 100
EACH = ARTICLES // AUTHORS


@dataclass(frozen=True)
class Cost:
    """Requests of one or several statements."""

    reads: int = 0
    writes: int = 0
    deletes: int = 0
    lists: int = 0
    trips: int = 0  # round trips to Redis


@pytest.fixture
def authors(site: Site) -> list[Author]:
    """Ten authors of ten articles each; all articles in one category, half of them published."""
    authors = Author.objects.bulk_create(Author(name=f"author {number}") for number in range(AUTHORS))
    Article.objects.bulk_create(
        Article(
            author=authors[number % AUTHORS],
            category="databases",
            title=f"title {number}",
            status=Article.Status.PUBLISHED if number % 2 else Article.Status.DRAFT,
        )
        for number in range(ARTICLES)
    )
    Article.objects.count()  # the server takes the text of a script once
    Article.objects.index_counts("status")
    assert len(Article.objects.filter(author=authors[0]).values("author__name")) == EACH
    return authors


def cost(ask: Callable[[], Any], *, statements: int = 1) -> tuple[Any, Cost]:
    """What ``ask`` returns and costs, its COMMIT included. None of its statements scans or falls back."""
    with profile_queries() as queries:
        answer = ask()
    assert len([profile for profile in queries.profiles if profile.operation != "commit"]) == statements
    assert not queries.full_scans()
    assert not queries.fallbacks()
    storage = [profile.storage_ops for profile in queries.profiles]
    redis = [profile.redis_ops for profile in queries.profiles]
    return answer, Cost(
        reads=sum(ops.reads for ops in storage),
        writes=sum(ops.writes for ops in storage),
        deletes=sum(ops.deletes for ops in storage),
        lists=sum(ops.lists for ops in storage),
        trips=sum(ops.round_trips for ops in redis),
    )


def test_get_by_pk_reads_one_object(authors: list[Author]) -> None:
    found, spent = cost(lambda: Author.objects.get(pk=authors[3].pk))
    assert (found.name, spent) == ("author 3", Cost(reads=1))


def test_get_of_a_missing_pk_asks_for_one_object(authors: list[Author]) -> None:
    found, spent = cost(lambda: Author.objects.filter(pk="00000000-0000-7000-8000-000000000000").first())
    assert (found, spent) == (None, Cost(reads=1))


def test_get_by_unique_field_reads_no_object_when_all_fields_are_indexed(authors: list[Author]) -> None:
    found, spent = cost(lambda: Author.objects.get(name="author 3"))
    assert (found.pk, spent) == (authors[3].pk, Cost(trips=1))


def test_author_query_reads_its_results_and_lists_nothing(authors: list[Author]) -> None:
    found, spent = cost(lambda: list(Article.objects.filter(author=authors[3])))
    assert (len(found), spent) == (EACH, Cost(reads=EACH, trips=1))


def test_two_indexes_are_intersected_in_one_round_trip(authors: list[Author]) -> None:
    found, spent = cost(lambda: list(Article.objects.filter(author=authors[3], status=Article.Status.PUBLISHED)))
    assert (len(found), spent) == (EACH, Cost(reads=EACH, trips=1))
    found, spent = cost(lambda: list(Article.objects.filter(author=authors[2], status=Article.Status.PUBLISHED)))
    assert (found, spent) == ([], Cost(trips=1))


def test_further_condition_without_index_reads_the_candidates_only(authors: list[Author]) -> None:
    found, spent = cost(lambda: list(Article.objects.filter(author=authors[3], title="title 13")))
    assert (len(found), spent) == (1, Cost(reads=EACH, trips=1))


@pytest.mark.parametrize(
    ("ask", "answer"),
    [
        (lambda: Article.objects.count(), ARTICLES),
        (lambda: Article.objects.filter(status=Article.Status.PUBLISHED).count(), ARTICLES // 2),
        (lambda: Article.objects.exists(), True),
        (lambda: Article.objects.filter(category="databases").exists(), True),
        (lambda: Article.objects.filter(category="nowhere").exists(), False),
        (lambda: len(Article.objects.filter(category="databases").order_by().values_list("pk", flat=True)), ARTICLES),
        (lambda: len(Article.objects.filter(category="databases").order_by("-pk").values_list("pk")[:7]), 7),
        (lambda: Article.objects.index_counts("status"), {"published": ARTICLES // 2, "draft": ARTICLES // 2}),
    ],
)
def test_answer_from_the_index_alone_reads_nothing(authors: list[Author], ask: Callable[[], Any], answer: Any) -> None:
    assert cost(ask) == (answer, Cost(trips=1))


def test_plan_of_an_answer_from_the_index_alone_says_so_and_during_an_outage_that_it_scans(
    site: Site, authors: list[Author]
) -> None:
    with profile_queries() as queries:
        assert Article.objects.count() == ARTICLES
        assert Article.objects.index_counts("category") == {"databases": ARTICLES}
        site.server.kill()
        assert Article.objects.count() == ARTICLES
    counted, by_value, scanned = (profile.plan for profile in queries.profiles)
    assert counted == ("articles: redis:articles-all alone, O(1)",)
    assert by_value == ("articles: redis:articles-by-category alone, O(1)",)
    assert scanned[0] == "articles: Scan of every document, O(n)"
    assert scanned[1].startswith("FALLBACK: ")


def test_create_writes_one_object_and_reads_none(authors: list[Author]) -> None:
    _, spent = cost(lambda: Article.objects.create(author=authors[0], category="new", title="new"))
    assert spent == Cost(writes=1, trips=2)  # begin and finish


def test_update_of_one_reads_one_and_writes_one(authors: list[Author]) -> None:
    pk = Article.objects.filter(author=authors[0]).first().pk
    changed, spent = cost(lambda: Article.objects.filter(pk=pk).update(view_count=F("view_count") + 1))
    assert (changed, spent) == (1, Cost(reads=1, writes=1, trips=2))


def test_save_of_one_reads_one_and_writes_one(authors: list[Author]) -> None:
    article = Article.objects.filter(author=authors[0]).first()
    article.title = "renamed"
    _, spent = cost(article.save)
    assert spent == Cost(reads=1, writes=1, trips=2)


def test_update_of_many_reads_and_writes_each_once(authors: list[Author]) -> None:
    changed, spent = cost(lambda: Article.objects.filter(author=authors[3]).update(category="moved"))
    assert (changed, spent) == (EACH, Cost(reads=EACH, writes=EACH, trips=3))


def test_update_that_finds_nothing_costs_the_look(authors: list[Author]) -> None:
    changed, spent = cost(lambda: Article.objects.filter(category="nowhere").update(view_count=1))
    assert (changed, spent) == (0, Cost(trips=1))


def test_delete_of_one_deletes_one_and_reads_one_at_most(authors: list[Author]) -> None:
    pk = Article.objects.filter(author=authors[0]).first().pk
    (deleted, _), spent = cost(lambda: Article.objects.filter(pk=pk).delete())
    assert deleted == 1
    assert spent == Cost(reads=1, deletes=1, trips=2)


def test_bulk_create_of_fifty_writes_fifty(authors: list[Author]) -> None:
    new = [Article(author=authors[0], category="new", title=str(number)) for number in range(50)]
    _, spent = cost(lambda: Article.objects.bulk_create(new))
    assert spent == Cost(writes=50, trips=2)


def test_select_related_reads_each_article_once_and_no_author_whose_fields_are_indexed(authors: list[Author]) -> None:
    found, spent = cost(
        lambda: [a.author.name for a in Article.objects.filter(category="databases").select_related("author")]
    )
    assert len(found) == ARTICLES
    assert spent == Cost(reads=ARTICLES, trips=2)


def test_prefetch_related_reads_each_object_once(authors: list[Author]) -> None:
    pks = [author.pk for author in authors[:4]]
    found, spent = cost(
        lambda: [len(a.articles.all()) for a in Author.objects.filter(pk__in=pks).prefetch_related("articles")],
        statements=2,
    )
    assert (found, spent) == ([EACH] * 4, Cost(reads=4 + 4 * EACH, trips=1))


def test_condition_on_a_joined_table_narrows_its_children(authors: list[Author]) -> None:
    found, spent = cost(lambda: list(Article.objects.filter(author__name="author 3")))
    assert (len(found), spent) == (EACH, Cost(reads=EACH, trips=2))


def test_condition_on_children_narrows_the_joined_table(authors: list[Author]) -> None:
    Article.objects.create(author=authors[7], category="rare", title="rare")
    found, spent = cost(lambda: [a.name for a in Author.objects.filter(articles__category="rare")])
    assert (found, spent) == (["author 7"], Cost(trips=2))


def test_subquery_is_run_first_and_narrows(authors: list[Author]) -> None:
    found, spent = cost(lambda: list(Article.objects.filter(author__in=Author.objects.filter(name="author 3"))))
    assert (len(found), spent) == (EACH, Cost(reads=EACH, trips=2))


def test_statements_of_a_transaction_read_an_object_once(authors: list[Author]) -> None:
    def ask() -> None:
        with transaction.atomic():
            for _ in range(3):
                article = Article.objects.select_related("author").get(title="title 13", author=authors[3])
            article.view_count = 5
            article.save()

    _, spent = cost(ask, statements=4)
    assert (spent.reads, spent.writes, spent.lists) == (EACH + 1, 1, 0)


@pytest.fixture
def groups(site: Site) -> list[Group]:
    """Three groups of which each has four of twelve permissions."""
    kind = ContentType.objects.create(app_label="tests", model="thing")
    permissions = Permission.objects.bulk_create(
        Permission(content_type=kind, codename=f"p{number}", name=str(number)) for number in range(12)
    )
    groups = [Group.objects.create(name=f"group {number}") for number in range(3)]
    for number, group in enumerate(groups):
        group.permissions.add(*permissions[number * 4 : number * 4 + 4])
    return groups


def test_many_to_many_is_narrowed_by_the_through_table(groups: list[Group]) -> None:
    found, spent = cost(lambda: {p.codename for p in Permission.objects.order_by().filter(group=groups[1])})
    assert found == {"p4", "p5", "p6", "p7"}
    assert (spent.reads, spent.lists) == (4, 0)  # the rows of the through table are made from the index


def test_many_to_many_manager_is_narrowed_by_the_through_table(groups: list[Group]) -> None:
    found, spent = cost(lambda: {p.codename for p in groups[2].permissions.order_by()})
    assert found == {"p8", "p9", "p10", "p11"}
    assert (spent.reads, spent.lists) == (4, 0)


def test_many_to_many_prefetch_is_narrowed_by_the_through_table(groups: list[Group]) -> None:
    pks = [group.pk for group in groups[:2]]
    found, spent = cost(
        lambda: [len(g.permissions.all()) for g in Group.objects.filter(pk__in=pks).prefetch_related("permissions")],
        statements=2,
    )
    assert found == [4, 4]
    assert (spent.reads, spent.lists) == (
        2 + 8,
        0,
    )  # the permissions' ordering joins their content type, of which the index knows all


def test_create_with_a_number_writes_one_object(groups: list[Group]) -> None:
    _, spent = cost(lambda: Group.objects.create(name="new"))
    assert (spent.reads, spent.writes, spent.lists) == (0, 1, 0)


def test_first_document_of_a_table_with_a_unique_field_is_no_fallback(site: Site) -> None:
    with profile_queries() as queries:
        Author.objects.create(name="first")
    assert [(profile.fallback, profile.index_used) for profile in queries.profiles] == [(False, "key")]
    assert site.state(Author).reason is None


@pytest.mark.parametrize(("verb", "reads"), [("INSERT", 0), ("INSERT OR REPLACE", 1), ("REPLACE", 1)])
def test_raw_insert_reads_none_of_the_rows_that_it_does_not_meet(groups: list[Group], verb: str, reads: int) -> None:
    def insert(number: int) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"{verb} INTO auth_group (id, name) VALUES (%s, %s)", (number, f"group {number}"))

    connection.close()
    for number in (101, 102, 103):  # the first of a connection makes the triggers, which SQLite tells of afterwards
        spent = cost(partial(insert, number))[1]
        assert (spent.reads, spent.lists) == (reads, 0)
