"""Fields of a project's own, whose columns SQLite compares or selects otherwise than those of Django's fields."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import IntegrityError, connections, models, transaction
from django.db.models.expressions import Col
from django.test.utils import isolate_apps
from pytest_django import DjangoDbBlocker

from django_smarterbase.backend.table_references import verify_tables
from django_smarterbase.planner.scopes import Statement
from testproject.services import RedisServer
from tests.integration.commands.site import site_in

from .stock import STOCK, stock_sqlite

Rows = Any


class TypedNoCase(models.CharField):  # type: ignore[type-arg]
    """Its type tells SQLite to be blind to the case of letters."""

    def db_type(self, connection: Any) -> str:
        return f"varchar({self.max_length}) COLLATE NOCASE"


class NoCase(models.CharField):  # type: ignore[type-arg]
    """It says the same to Django."""

    def db_parameters(self, connection: Any) -> Any:
        return {**super().db_parameters(connection), "collation": "NOCASE"}


class Loud(models.CharField):  # type: ignore[type-arg]
    """It is selected in capitals, and compared as it stands."""

    def select_format(self, compiler: Any, sql: str, params: Any) -> tuple[str, Any]:
        return f"UPPER({sql})", params


class InitialCol(Col):
    """The column in the SQL of a query: its first letter."""

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, Any]:
        sql, params = super().as_sql(compiler, connection)
        return f"SUBSTR({sql}, 1, 1)", params


class Initial(models.CharField):  # type: ignore[type-arg]
    """A query sees its first letter, as it would see what a field of secrets decrypts."""

    def get_col(self, alias: str, output_field: Any = None) -> Col:
        return InitialCol(alias, self, output_field)


@pytest.fixture(scope="module")
def own(
    tmp_path_factory: pytest.TempPathFactory, django_db_blocker: DjangoDbBlocker
) -> Iterator[dict[str, type[models.Model]]]:
    """Models by name, with the same rows in the engine and in stock SQLite."""
    with isolate_apps("django_smarterbase"):

        class Name(models.Model):
            text = TypedNoCase(max_length=9, primary_key=True)

            class Meta:
                app_label = "django_smarterbase"
                db_table = f"name_{secrets.token_hex(3)}"

        class Person(models.Model):
            name = models.ForeignKey(Name, models.CASCADE)
            typed = TypedNoCase(max_length=9, db_index=True)
            told = NoCase(max_length=9, db_index=True)
            plain = models.CharField(max_length=9)

            class Meta:
                app_label = "django_smarterbase"
                db_table = f"person_{secrets.token_hex(3)}"

        class Shout(models.Model):
            text = Loud(max_length=9, primary_key=True)
            other = Loud(max_length=9)
            initial = Initial(max_length=9, db_index=True)
            number = models.IntegerField(db_index=True)

            class Meta:
                app_label = "django_smarterbase"
                db_table = f"shout_{secrets.token_hex(3)}"

        class Numbered(models.Model):
            code = models.CharField(max_length=9, unique=True)
            rowid = models.IntegerField(null=True)
            name = models.ForeignKey(Name, models.CASCADE, null=True)

            class Meta:
                app_label = "django_smarterbase"
                db_table = f"numbered_{secrets.token_hex(3)}"

    tables = {"Name": Name, "Person": Person, "Shout": Shout, "Numbered": Numbered}
    with (
        django_db_blocker.unblock(),
        RedisServer() as server,
        site_in(tmp_path_factory.mktemp("objects"), server),
        stock_sqlite(list(tables.values())),
    ):
        with connections["default"].schema_editor() as editor:
            for model in tables.values():
                editor.create_model(model)
        for db in ("default", STOCK):
            for table, rows in ROWS.items():
                rows_of(tables, table, db).bulk_create(tables[table](**row) for row in rows)
        yield tables


_TEXTS = ("a", "A", "b", "C")
ROWS: dict[str, list[dict[str, Any]]] = {
    "Name": [{"text": text} for text in ("a", "B")],
    "Person": [{"name_id": text, "typed": text, "told": text, "plain": text} for text in _TEXTS],
    "Shout": [
        {"text": text, "other": text, "initial": initial, "number": number}
        for number, (text, initial) in enumerate((("b", "bx"), ("C", "az"), ("a", "ay")))
    ],
}


ROWS["Numbered"] = [{"code": text, "rowid": number} for text, number in (("a", None), ("b", 7), ("c", 1))]


def rows_of(tables: dict[str, type[models.Model]], table: str, db: str) -> models.QuerySet[Any]:
    return tables[table]._default_manager.using(db)


QUESTIONS: dict[str, tuple[str, Callable[[models.QuerySet[Any]], Rows]]] = {
    "a text by another case": ("Person", lambda rows: sorted(rows.filter(typed="a").values_list("plain"))),
    "the count of others": ("Person", lambda rows: (rows.exclude(told="A").count(), rows.filter(told="A").count())),
    "an order that likens texts": ("Person", lambda rows: [row.plain for row in rows.order_by("typed", "pk")[:3]]),
    "a range": ("Person", lambda rows: rows.filter(told__gt="a").count()),
    "a key by another case": ("Name", lambda rows: rows.get(pk="b").pk),
    "keys by another case": ("Name", lambda rows: sorted(row.pk for row in rows.filter(pk__in=["A", "b"]))),
    "a join of keys by another case": (
        "Person",
        lambda rows: sorted(rows.filter(name__text="A").values_list("plain", "name__text")),
    ),
    "the other side of that join": ("Name", lambda rows: sorted(rows.filter(person__plain="b").values_list("pk"))),
    "formatted keys": ("Shout", lambda rows: sorted(rows.values_list("pk"))),
    "formatted keys of an index": ("Shout", lambda rows: sorted(rows.filter(number__gt=0).values_list("pk"))),
    "an order by formatted keys": ("Shout", lambda rows: list(rows.order_by("pk").values_list("pk")[:2])),
    "an order by keys as they stand": (
        "Shout",
        lambda rows: [row.number for row in rows.order_by("pk").only("number")],
    ),
    "a page by another column, of formatted keys": (
        "Shout",
        lambda rows: [row.pk for row in rows.order_by("other")[:2]],
    ),
    "a page by another column that is formatted": (
        "Shout",
        lambda rows: list(rows.order_by("other").values_list("other", flat=True)[:2]),
    ),
    "a column of one's own": ("Shout", lambda rows: sorted(rows.filter(initial="a").values_list("number", "initial"))),
    "others than that": ("Shout", lambda rows: rows.exclude(initial="a").count()),
    "a range of it": ("Shout", lambda rows: rows.filter(initial__lte="a", initial__startswith="a").count()),
    "an order by it": ("Shout", lambda rows: [row.number for row in rows.order_by("initial", "number")[:1]]),
    "a column called as SQLite calls the number of a row": (
        "Numbered",
        lambda rows: (sorted(rows.values_list("code", "rowid")), rows.filter(rowid=None).count()),
    ),
    "bit by bit": ("Shout", lambda rows: [row.pk for row in rows.order_by("-other").iterator()]),
}


@pytest.mark.parametrize("asked", QUESTIONS.values(), ids=list(QUESTIONS))
def test_rows_are_those_of_stock_sqlite(
    own: dict[str, type[models.Model]], asked: tuple[str, Callable[[models.QuerySet[Any]], Rows]]
) -> None:
    table, question = asked
    assert question(rows_of(own, table, "default")) == question(rows_of(own, table, STOCK))


@pytest.mark.parametrize("db", ["default", STOCK])
def test_key_in_another_case_is_taken(own: dict[str, type[models.Model]], db: str) -> None:
    names = rows_of(own, "Name", db)
    with pytest.raises(IntegrityError, match="UNIQUE"):
        names.create(text="A")
    assert names.get_or_create(text="b")[1] is False
    assert names.count() == 2


@pytest.mark.parametrize("db", ["default", STOCK])
def test_rows_are_written_by_their_number_though_a_column_is_called_so(
    own: dict[str, type[models.Model]], db: str
) -> None:
    rows = rows_of(own, "Numbered", db)
    model, fields = own["Numbered"], {"unique_fields": ["code"], "update_fields": ["rowid"]}
    with transaction.atomic(using=db):
        rows.filter(code="b").update(rowid=None)
        rows.bulk_create([model(code="c"), model(code="d", rowid=9)], update_conflicts=True, **fields)
        rows.filter(code="a").delete()
        assert sorted(rows.values_list("code", "rowid")) == [("b", None), ("c", None), ("d", 9)]
        transaction.set_rollback(True, using=db)


def test_row_that_refers_to_nothing_is_named_though_a_column_is_called_as_its_number(
    own: dict[str, type[models.Model]],
) -> None:
    connection: Any = connections["default"]
    lost = rows_of(own, "Numbered", "default").create(code="lost", rowid=1, name_id="nobody")
    refusal = pytest.raises(IntegrityError, match=f"primary key {lost.pk} has 'nobody' in name")
    with connection.catalog.seen_from(Statement(model=own["Numbered"])), refusal:
        verify_tables(connection, [lost._meta.db_table])
    lost.delete()
