"""Constraints across migrations: held by old and new models, judged by the one in the query, told by introspection."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection, migrations, models
from django.db.models import Q

from testproject.articles.models import Article, Author
from tests.integration.commands.site import Site
from tests.integration.engine.equivalence.migrating import APP, History, model, python


@pytest.fixture(params=["Redis", "no Redis"])
def renamed(request: pytest.FixtureRequest, site: Site, history: History) -> tuple[Any, Any]:
    """The rows of a table with a unique field before and after that is renamed."""
    history.apply(model("Thing", code=models.CharField(max_length=10, unique=True)))
    history.create("Thing", code="old")
    before = history.rows("Thing")
    history.apply(migrations.RenameField("Thing", "code", "slug"))
    site.restart(cache=None) if request.param == "no Redis" else site.restart()
    return before, history.rows("Thing")


def test_unique_value_from_before_a_renaming_is_not_given_again(renamed: tuple[Any, Any]) -> None:
    _before, after = renamed
    with pytest.raises(IntegrityError):
        after.create(slug="old")
    after.create(slug="new")
    with pytest.raises(IntegrityError):
        after.create(slug="new")


def test_unique_value_is_contested_by_old_and_new_code_across_a_renaming(renamed: tuple[Any, Any]) -> None:
    before, after = renamed
    after.create(slug="by new")
    with pytest.raises(IntegrityError):
        before.create(code="by new")
    before.create(code="by old")
    with pytest.raises(IntegrityError):
        after.create(slug="by old")
    after.filter(slug="by old").update(slug="freed")
    before.create(code="by old")
    with pytest.raises(IntegrityError):
        before.create(code="freed")


def test_unique_values_of_another_type_are_claimed_anew_by_the_migration(site: Site, history: History) -> None:
    history.apply(model("Thing", n=models.IntegerField(unique=True)))
    history.create("Thing", n=5)
    history.apply(migrations.AlterField("Thing", "n", models.CharField(max_length=10, unique=True)))
    site.restart(cache=None)
    with pytest.raises(IntegrityError):
        history.create("Thing", n="5")
    history.create("Thing", n="05")


def test_check_constraints_are_those_of_the_model_in_the_query(site: Site, history: History) -> None:
    history.apply(model("Thing", n=models.IntegerField()))
    free = history.rows("Thing")
    constraint = models.CheckConstraint(condition=Q(n__gt=0), name="positive")
    history.apply(
        python("Thing", lambda rows: rows.create(n=1)),
        migrations.AddConstraint("Thing", constraint),
        python("Thing", lambda rows: rows.create(n=2)),
    )
    bound = history.rows("Thing")
    for _ in range(2):
        with pytest.raises(IntegrityError, match="positive"):
            bound.create(n=-1)
        free.create(n=-2).delete()
    history.apply(migrations.RemoveConstraint("Thing", "positive"))
    assert history.create("Thing", n=-3).n == -3


def test_check_of_a_field_is_that_of_the_model_in_the_query(site: Site, history: History) -> None:
    history.apply(model("Thing", n=models.IntegerField()))
    history.create("Thing", n=1)
    history.apply(migrations.AlterField("Thing", "n", models.PositiveIntegerField()))
    with pytest.raises(IntegrityError):
        history.create("Thing", n=-1)


def test_introspection_tells_the_indexes_of_models(site: Site) -> None:
    call_command("migrate", verbosity=0)
    with connection.cursor() as cursor:
        told = connection.introspection.get_constraints(cursor, Article._meta.db_table)
        authors = connection.introspection.get_constraints(cursor, Author._meta.db_table)
    indexed = {tuple(each["columns"]) for each in told.values() if each["index"]}
    declared = {(field.column,) for field in Article._meta.local_fields if field.db_index}
    assert {("author_id",), ("category",)} <= declared <= indexed
    assert [each["columns"] for each in authors.values() if each["primary_key"]] == [["id"]]
    assert list(Article.objects.all()) == []


def test_table_that_raw_sql_creates_is_known_to_every_connection(site: Site, history: History) -> None:
    history.apply(
        migrations.RunSQL("CREATE TABLE loose (id integer PRIMARY KEY, n integer)"),
        migrations.RunSQL("INSERT INTO loose (n) VALUES (1)"),
    )
    with connection.cursor() as cursor:
        cursor.execute("SELECT n FROM loose")
        assert cursor.fetchall() == [(1,)]
    site.restart()
    with connection.cursor() as cursor:
        cursor.execute("SELECT n FROM loose")
        assert cursor.fetchall() == [(1,)]
    history.apply(model("Loose", n=models.IntegerField(), options={"db_table": "loose", "managed": False}))
    assert list(history.rows("Loose").values_list("pk", "n")) == [(1, 1)]


def test_table_that_raw_sql_drops_in_the_transaction_that_filled_it_is_gone(site: Site, history: History) -> None:
    history.apply(model("Thing", n=models.IntegerField()))
    history.create("Thing", n=1)
    history.apply(
        migrations.RunSQL(f"UPDATE {APP}_thing SET n = 2"),
        migrations.RunSQL(f"INSERT INTO {APP}_thing (n) VALUES (3)"),
        migrations.RunSQL(f"DROP TABLE {APP}_thing"),
    )
    assert [key for key in site.objects() if f"/{APP}_thing" in key] == []


def test_foreign_keys_to_foreign_keys_follow_a_primary_key_of_another_type(site: Site, history: History) -> None:
    """Where SQLite leaves numbers in columns that are texts by their models."""
    single = models.OneToOneField(f"{APP}.Thing", models.CASCADE, primary_key=True)
    history.apply(
        model("Thing", id=models.IntegerField(primary_key=True)),
        model("Only", thing=single),
        model("Part", only=models.ForeignKey(f"{APP}.Only", models.CASCADE)),
    )
    history.create("Thing", id=1)
    history.create("Only", thing_id=1)
    history.create("Part", only_id=1)
    history.apply(migrations.AlterField("Thing", "id", models.CharField(max_length=10, primary_key=True)))
    site.restart()
    assert list(history.rows("Part").values_list("only_id", "only__thing_id", "only__thing__id")) == [("1", "1", "1")]
    assert history.rows("Part").filter(only_id="1").count() == 1
    with pytest.raises(IntegrityError):
        history.create("Only", thing_id="1")


@pytest.mark.parametrize("cache", ["own", None])
def test_unique_value_that_old_code_does_not_know_stays_claimed_when_it_saves(
    site: Site, history: History, cache: str | None
) -> None:
    history.apply(model("Thing", n=models.IntegerField()))
    old = history.rows("Thing")
    history.apply(migrations.AddField("Thing", "code", models.CharField(max_length=10, null=True, unique=True)))
    site.restart(cache=cache)
    history.create("Thing", n=1, code="x")
    row = old.get(n=1)
    row.n = 2
    row.save()
    with pytest.raises(IntegrityError):
        history.create("Thing", n=3, code="x")
    assert history.rows("Thing").get(code="x").n == 2
    old.filter(n=2).delete()
    history.create("Thing", n=3, code="x")


@pytest.mark.parametrize("condition", [None, Q(n__gt=0)], ids=["plain", "conditional"])
def test_constraint_that_comes_back_heeds_the_values_of_now(site: Site, history: History, condition: Q | None) -> None:
    constraint = models.UniqueConstraint(fields=["n"], condition=condition, name="once")
    history.apply(model("Thing", n=models.IntegerField()), migrations.AddConstraint("Thing", constraint))
    history.create("Thing", n=1)
    history.apply(migrations.RemoveConstraint("Thing", "once"))
    history.rows("Thing").update(n=2)
    history.create("Thing", n=1)
    history.apply(migrations.AddConstraint("Thing", constraint))
    for taken in (1, 2):
        with pytest.raises(IntegrityError):
            history.create("Thing", n=taken)
    history.create("Thing", n=3)
