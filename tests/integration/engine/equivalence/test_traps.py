"""Questions that a planner is easily wrong about, with the answers of stock SQLite."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, connections, transaction
from django.db.models import (
    Case,
    CharField,
    Exists,
    ExpressionWrapper,
    F,
    FloatField,
    Func,
    JSONField,
    Max,
    OuterRef,
    Q,
    QuerySet,
    Value,
    When,
)
from django.db.models.expressions import RawSQL
from django.db.models.functions import Coalesce, Lower, Now

from django_smarterbase.indexes.service import Change
from django_smarterbase.profiling import profile_queries

from .library.models import Article, Author, Country, Note, Tag
from .rows import Word, fill


@pytest.fixture(scope="module")
def filled(databases: tuple[str, str]) -> tuple[str, str]:
    """Both databases with the library's rows."""
    for db in databases:
        fill(db)
    return databases


def rows(queryset: QuerySet[Any]) -> list[Any]:
    return sorted(queryset.values_list("pk", flat=True), key=repr)


def authors(db: str, *conditions: Any, **more: Any) -> QuerySet[Author]:
    return Author.objects.using(db).filter(*conditions, **more)


def articles(db: str, *conditions: Any, **more: Any) -> QuerySet[Article]:
    return Article.objects.using(db).filter(*conditions, **more)


TRAPS: dict[str, Callable[[str], Any]] = {
    "an outer join whose rows the condition wants to be missing": lambda db: rows(
        articles(db, editor__name__isnull=True)
    ),
    "an outer join whose rows the condition wants to be missing or to be NULL": lambda db: rows(
        articles(db, editor__country__isnull=True)
    ),
    "an exclusion over an outer join": lambda db: rows(Article.objects.using(db).exclude(editor__name="Ada")),
    "an exclusion over many": lambda db: rows(Article.objects.using(db).exclude(tags__name="t1")),
    "a count of branches with two indexed conditions each": lambda db: [
        articles(db, Q(category="news", score=1) | Q(category="essay", score=2)).count(),
        articles(db, Q(category="news", author=5) | Q(score=2)).count(),
        articles(db, Q(category="news") | Q(category="news", score=1)).count(),
    ],
    "a count of one value written in three ways": lambda db: [
        articles(db, score__in=[1, 1.0, True]).count(),
        articles(db, price__in=[Decimal("1"), Decimal("1.00")]).count(),
        Tag.objects.using(db).filter(weight__in=[1, 1.0]).count(),
    ],
    "a member of an enumeration that calls itself otherwise than SQLite does": lambda db: [
        rows(articles(db, category=Word.NEWS)),
        rows(articles(db, category__in=[Word.NEWS])),
        rows(articles(db, category__gte=Word.NEWS)),
    ],
    "a count of a column compared with two values at once": lambda db: articles(db, score=1).filter(score=2).count(),
    "NaN, which SQLite binds as NULL": lambda db: [
        Tag.objects.using(db).filter(weight=float("nan")).count(),
        Tag.objects.using(db).filter(weight__in=[float("nan"), 1.5]).count(),
        rows(Tag.objects.using(db).filter(Q(weight=float("nan")) | Q(name="t1"))),
    ],
    "an empty IN beside an indexed condition": lambda db: [
        rows(articles(db, Q(category__in=[]) | Q(score=1))),
        articles(db, Q(category__in=[]) | Q(score=1)).count(),
        articles(db, category__in=[]).aggregate(n=Coalesce(Max("rating"), Value(5))),
    ],
    "a text key joined to a number": lambda db: sorted(authors(db, id=1).values_list("pk", "notes__text")),
    "a text column in numbers": lambda db: rows(Note.objects.using(db).filter(object_id__in=authors(db).values("pk"))),
    "a text column in numbers that are called texts": lambda db: rows(
        Note.objects.using(db).filter(
            object_id__in=authors(db, pk=1).annotate(key=ExpressionWrapper(F("pk"), CharField())).values("key")
        )
    ),
    "a text column in texts that are made of others": lambda db: rows(
        authors(db, name__in=articles(db).annotate(text=Coalesce(Lower("category"), Value("ada"))).values("text"))
    ),
    "numbers in a text column": lambda db: rows(authors(db, pk__in=Note.objects.using(db).values("object_id"))),
    "a subquery with a percent sign": lambda db: rows(
        articles(db, author__in=authors(db).annotate(odd=F("id") % 2).filter(odd=1))
    ),
    "a subquery by the clock": lambda db: rows(
        articles(db, author__in=authors(db, articles__printed__lt=Now()).values("pk"))
    ),
    "SQL from outside beside a subquery that vanishes": lambda db: rows(
        authors(db, Q(name="Ada") | Q(Exists(Tag.objects.none()))).extra(
            where=["EXISTS (SELECT 1 FROM library_country)"]
        )
    ),
    "SQL from outside beside a branch that vanishes": lambda db: rows(
        authors(db)
        .annotate(x=Case(When(Q(Exists(Tag.objects.filter(name="t1"))) & Q(pk__in=[]), then=1), default=2))
        .extra(where=["id IN (SELECT author_id FROM library_article)"])
    ),
    "SQL from outside in parentheses": lambda db: rows(
        authors(db, pk=1).annotate(n=RawSQL("SELECT COUNT(*) FROM (library_country)", ())).filter(n=3)
    ),
    "a table of .extra()": lambda db: rows(
        authors(db).extra(tables=["library_country"], where=["library_country.code = library_author.country_id"])
    ),
    "a column of .extra()": lambda db: sorted(
        authors(db).extra(select={"n": "SELECT COUNT(*) FROM library_tag"}).values_list("pk", "n")
    ),
    "one value, whatever its type, of the first row": lambda db: [
        repr(authors(db).values_list(Value(value, output_field=field), flat=True)[:1].get())
        for value, field in (
            (uuid.UUID(int=5), None),
            (Decimal("1.50"), None),
            (date(2024, 2, 29), None),
            ({"a": 1}, JSONField()),
            (True, None),
            (7, None),
            ("x", None),
        )
    ],
    "a reference out of the subquery": lambda db: rows(
        articles(db, Exists(Article.objects.filter(author=OuterRef("editor"), category=OuterRef("category"))))
    ),
    "one table under three names": lambda db: sorted(
        authors(db, name="Ada").values_list("pk", "mentor__name", "pupils__name")
    ),
    "a window in SQL text, over more than a page": lambda db: list(
        articles(db).annotate(all=RawSQL("COUNT(*) OVER ()", ())).order_by("score", "pk").values_list("pk", "all")[:2]
    ),
    "an order by a window in SQL text": lambda db: list(
        articles(db).order_by("category", RawSQL("LAG(id) OVER (ORDER BY id DESC)", ())).values_list("pk")[:2]
    ),
    "an aggregate of one's own, over more than a page": lambda db: list(
        articles(db)
        .annotate(all=Func("pk", function="TOTAL", output_field=FloatField()))
        .order_by("-score", "pk")
        .values_list("all")[:2]
    ),
    "a slice in a subquery, of the same table": lambda db: rows(
        articles(db, pk__in=articles(db, category="news").order_by("-pk").values("pk")[:2])
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TRAPS)
def test_trap_catches_no_row(filled: tuple[str, str], name: str) -> None:
    engine, stock = filled
    assert TRAPS[name](engine) == TRAPS[name](stock)


@pytest.mark.parametrize("name", TRAPS)
def test_trap_catches_no_row_within_a_transaction_that_has_read_and_changed(filled: tuple[str, str], name: str) -> None:
    found = {}
    for db in filled:
        with transaction.atomic(using=db):
            list(articles(db))
            articles(db, category="news").update(score=1)
            authors(db, pk=7).delete()
            found[db] = TRAPS[name](db)
            transaction.set_rollback(True, using=db)
    engine, stock = filled
    assert found[engine] == found[stock]


def test_random_subquery_chooses_as_many_rows_as_it_was_told(filled: tuple[str, str]) -> None:
    for _ in range(20):
        wanted = random.randint(1, 5)
        chosen = authors("default", pk__lte=6).order_by("?")[:wanted]
        assert len({article.author_id for article in articles("default", author__in=chosen)}) == wanted


def test_documents_in_doubt_are_counted_once_though_a_transaction_has_read_them(filled: tuple[str, str]) -> None:
    expected = articles("default", category="news").count()
    article = articles("default", category="news").first()
    schema, indexes = connection.schema_of_model(Article), connection.resources.indexes
    row = {column.name: None for column in schema.columns} | {"id": article.pk, "category": "other"}
    opened = indexes.begin(schema, [Change(str(article.pk), row, existed=True)])
    try:
        with transaction.atomic():
            keys = rows(articles("default", category="news"))
            assert len(list(articles("default"))) == 17
            assert articles("default", category="news").count() == expected
            assert rows(articles("default", category="news")) == keys
            assert Article.objects.index_counts("category")["news"] == expected
            assert articles("default", category="news").exists()
    finally:
        opened.abort([str(article.pk)])


def test_sql_of_an_execute_wrapper_sees_all_its_rows_while_another_statement_runs(filled: tuple[str, str]) -> None:
    seen = []

    def wrapper(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        with context["connection"].cursor() as cursor:
            if not seen:
                seen.append(0)
                cursor.execute("SELECT COUNT(*) FROM library_country")
                seen.append(cursor.fetchone()[0])
        return execute(f"/* noted */ {sql}", params, many, context)

    with connection.execute_wrapper(wrapper), profile_queries() as profiles:
        assert authors("default", pk=1).get().name == "ada"
    assert seen == [0, len(Country.objects.all())]
    assert [profile.complexity for profile in profiles.profiles] == ["O(n)", "O(1)"]


def test_raw_savepoints_take_back_what_was_loaded_since(filled: tuple[str, str]) -> None:
    for db in filled:
        with transaction.atomic(using=db), connections[db].cursor() as cursor:
            cursor.execute("SAVEPOINT mine")
            authors(db, pk=1).update(name="changed")
            assert len(authors(db)) == 7
            cursor.execute("ROLLBACK TO SAVEPOINT mine")
            assert (len(authors(db)), authors(db, name="changed").count()) == (7, 0)
            cursor.execute("RELEASE SAVEPOINT mine")
            assert authors(db).count() == 7
