"""Columns that hold values of every type, and texts that a collation likens: pages and ranges are those of SQLite."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connections, models
from django.db.models import Max, Min, Q, QuerySet
from django.test.utils import isolate_apps
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_django import DjangoDbBlocker

from django_smarterbase.profiling import profile_queries
from testproject.services import RedisServer
from tests.integration.commands.site import site_in

from .stock import STOCK, stock_sqlite

VALUES: list[Any] = [
    *(None, "", "a", "A", "b ", "b", "B", "é", "x" * 64, "x" * 64 + "a", "x" * 64 + "b", "a\0b", "A\0c", "10", "9"),
    *(0, -1, 2**53 + 1, 2.0**53, 1.5, -1.5, 2**63 - 1, -(2**63), b"", b"a", b"\xff", b"x" * 70, b"x" * 71),
]
BOUNDS = ["", "a", "B", "b ", "x" * 64, "x" * 65, "x" * 70, "é", "10"]


class Untyped(models.Field):  # type: ignore[type-arg]
    """A column of texts whose values are left as they are."""

    def db_type(self, connection: Any) -> str:
        return "text"


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory, django_db_blocker: DjangoDbBlocker) -> Iterator[type[models.Model]]:
    """A model with a row of each value in each of its columns, in the engine and in stock SQLite."""
    folder: Path = tmp_path_factory.mktemp("objects")
    with isolate_apps("django_smarterbase"):

        class Mixed(models.Model):
            plain = models.CharField(max_length=100, null=True, db_index=True)
            folded = models.CharField(max_length=100, null=True, db_index=True, db_collation="NOCASE")
            trimmed = models.CharField(max_length=100, null=True, db_index=True, db_collation="RTRIM")
            number = models.IntegerField(null=True, db_index=True)
            real = models.FloatField(null=True, db_index=True)
            untyped = Untyped(null=True, db_index=True)

            class Meta:
                app_label = "django_smarterbase"
                db_table = f"mixed_{secrets.token_hex(3)}"

    with (
        django_db_blocker.unblock(),
        RedisServer() as server,
        site_in(folder, server),
        stock_sqlite((Mixed,)),
    ):
        with connections["default"].schema_editor() as editor:
            editor.create_model(Mixed)
        for db in ("default", STOCK):
            with connections[db].cursor() as cursor:
                columns = ", ".join(COLUMNS)
                for pk, value in enumerate(VALUES):
                    cursor.execute(
                        f"INSERT INTO {Mixed._meta.db_table} (id, {columns}) VALUES (%s, %s, %s, %s, %s, %s, %s)",
                        [pk, *[value] * len(COLUMNS)],
                    )
        # Raw SQL knows no model of the table, and so none of its indexes.
        connection: Any = connections["default"]
        connection.resources.indexes.rebuild(connection.schema_of_model(Mixed))
        yield Mixed


COLUMNS = ("plain", "folded", "trimmed", "number", "real", "untyped")


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    column=st.sampled_from(COLUMNS[:3]),
    lookup=st.sampled_from(["gt", "gte", "lt", "lte", "startswith", "istartswith", "exact"]),
    bound=st.sampled_from(BOUNDS),
    order=st.sampled_from(COLUMNS),
    backwards=st.booleans(),
    start=st.integers(0, 12),
)
def test_ranges_and_pages_are_those_of_stock_sqlite(
    mixed: type[models.Model], column: str, lookup: str, bound: str, order: str, backwards: bool, start: int
) -> None:
    def ask(db: str) -> list[Any]:
        rows: QuerySet[Any] = mixed._default_manager.using(db)
        found = rows.filter(**{f"{column}__{lookup}": bound})
        sign = "-" if backwards else ""
        return [
            sorted(found.values_list("pk", flat=True)),
            found.count(),
            keys(found.order_by(f"{sign}{order}", "pk")[start : start + 4]),
            keys(rows.order_by(f"{sign}{order}", f"{sign}pk")[start : start + 4]),
        ]

    assert ask("default") == ask(STOCK)


def keys(page: QuerySet[Any]) -> list[int]:
    """The keys of a page, which the index alone does not answer."""
    return [pk for pk, _ in page.annotate(one=models.Value(1)).values_list("pk", "one")]


@pytest.mark.parametrize("column", COLUMNS)
def test_order_is_that_of_stock_sqlite_and_of_the_index(mixed: type[models.Model], column: str) -> None:
    def ask(db: str) -> list[int]:
        return keys(mixed._default_manager.using(db).order_by(column, "pk")[: len(VALUES)])

    with profile_queries() as seen:
        found = ask("default")
    assert found == ask(STOCK)
    assert seen.profiles[0].index_used == f"redis:{mixed._meta.db_table}-by-{column}"


def test_extremes_of_text_are_those_of_stock_sqlite(mixed: type[models.Model]) -> None:
    def ask(db: str) -> dict[str, Any]:
        rows: QuerySet[Any] = mixed._default_manager.using(db).filter(plain__gte="", plain__lt="zz")
        return rows.aggregate(Min("plain"), Max("plain"))

    assert ask("default") == ask(STOCK)


@pytest.mark.parametrize(("column", "alike"), [("folded", ["sub", "SUB"]), ("trimmed", ["sub", "sub "])])
def test_subquery_of_texts_that_a_collation_likens_is_that_of_stock_sqlite(
    mixed: type[models.Model], column: str, alike: list[str]
) -> None:
    def ask(db: str) -> list[int]:
        rows: QuerySet[Any] = mixed._default_manager.using(db)
        texts_of = [(name, text) for name in (column, "plain") for text in alike]
        rows.bulk_create(mixed(pk=pk, **{name: text}) for pk, (name, text) in enumerate(texts_of, 100))
        try:
            texts = rows.filter(**{f"{column}__in": alike}).values(column)
            return keys(rows.filter(plain__in=texts).order_by("pk"))
        finally:
            rows.filter(pk__gte=100).delete()

    assert ask("default") == ask(STOCK) == [102, 103]


@pytest.mark.parametrize(
    "condition",
    [
        Q(untyped=1) | Q(untyped=1.0),
        Q(untyped__gt=1.0) | Q(untyped__gt=1),
        ~Q(untyped=1.0) & ~Q(untyped=1),
        Q(untyped=1, pk__gte=0) & Q(untyped=1.0),
    ],
    ids=["one of both", "what follows", "neither", "both"],
)
def test_numbers_that_are_equal_and_their_texts_are_not_are_those_of_stock_sqlite(
    mixed: type[models.Model], condition: Q
) -> None:
    def ask(db: str) -> tuple[list[int], int]:
        rows: QuerySet[Any] = mixed._default_manager.using(db)
        rows.bulk_create(mixed(pk=pk, untyped=text) for pk, text in enumerate(["1", "1.0"], 100))
        try:
            return keys(rows.filter(condition).order_by("pk")), rows.filter(condition).count()
        finally:
            rows.filter(pk__gte=100).delete()

    assert ask("default") == ask(STOCK)
