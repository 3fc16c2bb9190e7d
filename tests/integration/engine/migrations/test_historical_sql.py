"""SQL in migrations is about the models of its moment, as on any database, whatever the code has by now."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from django.apps.registry import Apps
from django.core.management import call_command
from django.db import connection, connections, migrations, models
from django.db.migrations.loader import MigrationLoader
from django.db.utils import OperationalError
from django.test import modify_settings, override_settings
from pytest_django import DjangoDbBlocker

from django_smarterbase.backend import historical
from tests.integration.commands.site import Site
from tests.integration.engine.equivalence.migrating import History, model
from tests.integration.engine.equivalence.stock import STOCK, stock_sqlite

APP = "tests.integration.engine.migrations.attic"
ENGINE = "default"
CHAIRS: list[dict[str, Any]] = [
    {"name": "ann", "oak": True, "data": {"legs": [4]}, "price": Decimal("1.50"), "weight": 1.0},
    {"name": "bob", "oak": False, "data": None, "price": Decimal("20.00"), "weight": None},
]
SEATS = [
    (1, "ANN!", True, {"legs": [4]}, Decimal("3.00"), 2.0),
    (2, "bob!", False, None, Decimal("40.00"), None),
]


def modules(name: str) -> override_settings:
    """The migrations of the app: those that were ``first``, or ``squashed``."""
    return override_settings(MIGRATION_MODULES={"attic": f"{APP}.{name}"})


@pytest.fixture(params=["own", None], ids=["with Redis", "without"])
def attic(request: pytest.FixtureRequest, site: Site, django_db_blocker: DjangoDbBlocker) -> Iterator[Site]:
    """The site with the app, of which no migration has run, beside an empty stock SQLite."""
    site.restart(cache=request.param)
    installed = modify_settings(INSTALLED_APPS={"append": APP})
    with installed, modules("first"), django_db_blocker.unblock(), stock_sqlite(()):
        yield site


def migrate(db: str, *names: str, **options: Any) -> None:
    """Run the command, in a connection of its own on the engine."""
    call_command("migrate", "attic", *names, database=db, verbosity=0, **options)
    if db == ENGINE:
        connection.close()


def apps_of(db: str) -> Apps:
    """The models as the migrations have left them that are applied."""
    loader = MigrationLoader(connections[db])
    return loader.project_state([key for key in loader.applied_migrations if key in loader.graph.nodes]).apps


def rows(db: str, model: str) -> list[tuple[Any, ...]]:
    """All rows of a model of that moment."""
    return list(apps_of(db).get_model("attic", model)._base_manager.using(db).order_by("pk").values_list())


def fill(db: str) -> None:
    """The first migration, and chairs."""
    migrate(db, "0001")
    for chair in CHAIRS:
        apps_of(db).get_model("attic", "Chair")._base_manager.using(db).create(**chair)


@pytest.mark.parametrize("db", [ENGINE, STOCK])
def test_rows_go_through_sql_about_a_model_that_the_code_has_no_more(attic: Site, db: str) -> None:
    fill(db)
    migrate(db)
    assert rows(db, "Seat") == SEATS


@pytest.mark.parametrize("db", [ENGINE, STOCK])
def test_rows_come_back_through_sql_when_the_migrations_are_taken_back(attic: Site, db: str) -> None:
    fill(db)
    before = rows(db, "Chair")
    migrate(db)
    migrate(db, "0001")
    assert rows(db, "Chair") == before


@pytest.mark.parametrize("names", ["first", "squashed"])
def test_migrations_with_sql_run_on_an_empty_database(attic: Site, names: str) -> None:
    with modules(names):
        migrate(ENGINE)
        assert rows(ENGINE, "Seat") == []
        migrate(ENGINE, "zero")
        assert [key for key in attic.objects() if "/attic_" in key] == []


@pytest.mark.parametrize("db", [ENGINE, STOCK])
def test_migration_that_was_faked_counts_as_carried_out(attic: Site, db: str) -> None:
    fill(db)
    migrate(db, "0002", fake=True)
    migrate(db)
    quiet = [(pk, code.lower(), oak, data, price) for pk, code, oak, data, price, _weight in SEATS]
    assert [row[:-1] for row in rows(db, "Seat")] == quiet
    assert [row[-1] for row in rows(db, "Seat")] == [1.0, None]


def test_sql_knows_what_the_operation_before_it_has_removed(history: History) -> None:
    once = models.UniqueConstraint(fields=["n"], name="once")
    history.apply(model("Thing", n=models.IntegerField(), flag=models.BooleanField(), options={"constraints": [once]}))
    history.create("Thing", n=1, flag=True)
    history.apply(
        migrations.RemoveConstraint("Thing", "once"),
        migrations.RunSQL("INSERT INTO history_thing (n, flag) VALUES (1, 0)"),
        migrations.RemoveField("Thing", "n"),
        migrations.RunSQL("UPDATE history_thing SET flag = NOT flag"),
        migrations.RunSQL("INSERT INTO history_thing (flag) VALUES (1)"),
    )
    assert list(history.rows("Thing").order_by("pk").values_list()) == [(1, False), (2, True), (3, True)]


def test_sql_knows_the_name_that_the_operation_before_it_has_given(history: History) -> None:
    history.apply(model("Thing", flag=models.BooleanField()))
    history.create("Thing", flag=True)
    history.apply(
        migrations.RenameModel("Thing", "Item"),
        migrations.RunSQL("UPDATE history_item SET flag = 0"),
        migrations.AlterModelTable("Item", "goods"),
        migrations.RunSQL("INSERT INTO goods (flag) SELECT NOT flag FROM goods"),
    )
    assert list(history.rows("Item").order_by("pk").values_list("flag", flat=True)) == [False, True]


def test_index_by_sql_leaves_the_table_as_the_operation_before_it_has_made_it(history: History) -> None:
    history.apply(
        model("Thing", n=models.IntegerField(db_index=True)),
        migrations.RunSQL("CREATE INDEX by_sql ON history_thing (n)"),
    )
    with connection.cursor() as cursor:
        found = connection.introspection.get_constraints(cursor, "history_thing").values()
    assert [each["columns"] for each in found if each["index"]] == [["n"], ["n"]]


def test_sql_about_a_table_that_was_dropped_finds_none(history: History) -> None:
    history.apply(model("Thing", flag=models.BooleanField()))
    with pytest.raises(OperationalError, match="no such table: history_thing"):
        history.apply(migrations.DeleteModel("Thing"), migrations.RunSQL("SELECT * FROM history_thing"))


def test_models_of_all_apps_are_rendered_for_sql_alone(attic: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    rendered: list[str] = []
    monkeypatch.setattr(historical, "MigrationLoader", lambda db: rendered.append(db.alias) or MigrationLoader(db))
    migrate(ENGINE, "0001")
    assert rendered == []
    migrate(ENGINE)
    assert rendered == [ENGINE] * 2  # SQL is all that the second does; the third had its table from an operation
