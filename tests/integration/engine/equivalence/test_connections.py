"""What Django and its users do with a connection beside asking the ORM, and what stock SQLite makes of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from unittest import mock

import pytest
from django.apps import apps
from django.contrib.auth.models import Group
from django.core.management import call_command
from django.core.management.color import no_style
from django.db import NotSupportedError, OperationalError, connection, connections, models, transaction
from django.test import modify_settings
from django.test.utils import CaptureQueriesContext, isolate_apps

from django_smarterbase.backend.base import DatabaseWrapper

from .conftest import LIBRARY
from .library.models import Author, Tag
from .stock import STOCK


@pytest.fixture
def tags(databases: tuple[str, str]) -> Iterator[tuple[str, str]]:
    """Both databases, in which a test may leave tags."""
    yield databases
    for db in databases:
        Tag.objects.using(db).all().delete()


def test_transaction_is_logged_from_begin_to_commit(tags: tuple[str, str]) -> None:
    logged = {}
    for db in tags:
        with CaptureQueriesContext(connections[db]) as queries, transaction.atomic(using=db):
            Tag.objects.using(db).create(name="logged")
        logged[db] = [query["sql"].split()[0] for query in queries.captured_queries]
    engine, stock = tags
    assert logged[engine] == logged[stock] == ["BEGIN", "INSERT", "COMMIT"]


def test_connection_is_not_usable_when_its_workspace_was_closed(databases: tuple[str, str]) -> None:
    Tag.objects.exists()
    assert connection.is_usable()
    connection._close()
    assert not connection.is_usable()
    connection.close()
    assert not Tag.objects.exists()


def test_raw_sql_writes_a_table_whose_app_is_not_installed_at_the_moment(tags: tuple[str, str]) -> None:
    # Tests of other sites may have left a storage without schema objects, but with content types.
    call_command("flush", verbosity=0, interactive=False, inhibit_post_migrate=True)
    call_command("migrate", verbosity=0)
    connection.close()  # the next one has no scratch table yet
    for db in tags:
        with modify_settings(INSTALLED_APPS={"remove": LIBRARY}):
            assert not apps.is_installed(LIBRARY)
            with connections[db].cursor() as cursor:
                cursor.executemany("INSERT INTO library_tag (name) VALUES (%s)", [("one",), ("two",)])
        assert sorted(Tag.objects.using(db).values_list("name", flat=True)) == ["one", "two"]


@pytest.mark.parametrize("in_transaction", [False, True])
def test_script_of_raw_sql_is_kept(tags: tuple[str, str], *, in_transaction: bool) -> None:
    script = """
        -- 100%; of both
        INSERT INTO library_tag (name) VALUES ('one;'), ('two');
        UPDATE library_tag SET name = name || '%' WHERE name = 'two'
    """
    for db in tags:
        with transaction.atomic(using=db) if in_transaction else nullcontext():
            connections[db].cursor().executescript(script)
        if db != STOCK:
            connections[db].close()  # what is no document is gone
        assert sorted(Tag.objects.using(db).values_list("name", flat=True)) == ["one;", "two%"]


def test_view_of_raw_sql_is_in_the_list_of_tables(databases: tuple[str, str]) -> None:
    with connection.cursor() as cursor:
        cursor.execute("CREATE VIEW seven AS SELECT 7 AS n")
        listed = connection.introspection.get_table_list(cursor)
        cursor.execute("DROP VIEW seven")
    assert [info.type for info in listed if info.name == "seven"] == ["v"]
    assert not [info.name for info in listed if info.name.startswith("_sb_")]


def test_list_of_tables_is_one_query(databases: tuple[str, str]) -> None:
    for db in databases:
        with CaptureQueriesContext(connections[db]) as queries:
            connections[db].introspection.table_names()
        assert len(queries) == 1, db


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", ["auth_group", '"auth_group"'])
def test_raw_sql_cannot_make_the_table_of_a_model_once_more(name: str) -> None:
    # Tests of other sites may have left a storage without schema objects, but with content types.
    call_command("flush", verbosity=0, interactive=False, inhibit_post_migrate=True)
    call_command("migrate", verbosity=0)
    connection.close()  # the next one has no scratch table yet
    with connection.cursor() as cursor:
        with pytest.raises(OperationalError, match="already exists"):
            cursor.execute(f"CREATE TABLE {name} (id INTEGER)")
        cursor.execute(f"CREATE TABLE IF NOT EXISTS {name} (id INTEGER)")
    assert Group.objects.create(name="is kept").pk


@pytest.mark.parametrize("cascade", [False, True])
def test_flush_empties_referring_tables_when_it_may_cascade(databases: tuple[str, str], *, cascade: bool) -> None:
    flushed = {}
    for db in databases:
        statements = connections[db].ops.sql_flush(no_style(), [Author._meta.db_table], allow_cascade=cascade)
        flushed[db] = {statement for statement in statements if "library" in statement}
    engine, stock = databases
    assert flushed[engine] == flushed[stock]
    assert len(flushed[engine]) == (4 if cascade else 1)  # articles refer to authors, and tags and long ones to these


def test_flush_cascades_past_models_that_refer_to_apps_which_are_not_installed(databases: tuple[str, str]) -> None:
    with isolate_apps("testproject.articles"):

        class Orphan(models.Model):
            parent = models.ForeignKey("nowhere.Parent", models.CASCADE)

            class Meta:
                app_label = "articles"

    engine, _ = databases
    with mock.patch.dict(apps.all_models["articles"], orphan=Orphan):
        statements = connections[engine].ops.sql_flush(no_style(), [Author._meta.db_table], allow_cascade=True)
    assert len([statement for statement in statements if "library" in statement]) == 4


def test_connection_names_sqlite_when_its_version_is_too_old(databases: tuple[str, str]) -> None:
    with (
        mock.patch.object(DatabaseWrapper, "get_database_version", return_value=(3, 30)),
        pytest.raises(NotSupportedError, match=r"SQLite 3\.31 or later is required \(found 3\.30\)\."),
    ):
        connection.check_database_version_supported()


def test_copy_for_a_parallel_test_process_is_named_as_that_of_stock_sqlite() -> None:
    with mock.patch.dict(connection.settings_dict, NAME="library.v2"):
        assert connection.creation.get_test_db_clone_settings("1")["NAME"] == "library_1.v2"
