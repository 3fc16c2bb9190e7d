"""Which tables the commands are about."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.core.management.base import CommandError
from django.db import connections
from django.test import modify_settings
from pytest_django import Settings

from django_smarterbase.management.tables import chosen_databases, chosen_models, tables_of
from tests.integration.commands.site import Site

PRESS = "tests.integration.commands.press"


@pytest.fixture(autouse=True)
def press(site: Site) -> Iterator[None]:
    """The app is installed."""
    with modify_settings(INSTALLED_APPS={"append": PRESS}):
        yield


@pytest.fixture
def second(site: Site) -> Iterator[str]:
    """The alias of another smarterbase database."""
    with site.beside("second"):
        yield "second"


def tables(*labels: str, alias: str = "default") -> list[str]:
    return [schema.table for schema in tables_of(alias, chosen_models(labels))]


def test_tables_are_those_of_all_models_each_once() -> None:
    found = tables()
    assert len(found) == len(set(found))
    assert {"articles", "authors", "auth_user", "auth_user_groups", "django_session"} <= set(found)
    assert sorted(table for table in found if table.startswith("press")) == [
        "press_book",
        "press_book_publishers",
        "press_legacy",
        "press_novel",
        "press_publisher",
    ]


def test_shared_table_is_seen_as_django_manages_it() -> None:
    (schema,) = [schema for schema in tables_of("default", None) if schema.table == "press_book"]
    assert (schema.label, [index.columns for index in schema.indexes]) == ("press.Book", [("year",)])


def test_app_label_means_the_tables_of_the_app() -> None:
    assert set(tables("articles", "press")) == {
        "articles",
        "authors",
        "press_book",
        "press_book_publishers",
        "press_legacy",
        "press_novel",
        "press_publisher",
    }


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("articles.Article", {"articles"}),
        ("articles.article", {"articles"}),
        ("press.Book", {"press_book", "press_book_publishers"}),
        ("press.Book_publishers", {"press_book_publishers"}),
        ("press.Novel", {"press_novel"}),
        ("press.OldBook", {"press_book"}),
        ("press.BookView", {"press_book"}),
    ],
)
def test_model_label_means_its_table_and_its_many_to_many_tables(label: str, expected: set[str]) -> None:
    assert set(tables(label)) == expected


def test_labels_that_overlap_name_a_table_once() -> None:
    assert tables("articles.Article", "articles", "articles.Article") == ["authors", "articles"]


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ("artciles", "'artciles'. Did you mean 'articles'"),
        ("articles.Artcle", "Did you mean 'articles.Article'"),
        ("Articles", "Did you mean 'articles'"),
        ("article", "Did you mean 'articles'"),
        ("zzz.Qqq", "No installed app or model is called 'zzz.Qqq'."),
        ("articles.", "Did you mean 'articles'"),
        ("", "No installed app or model is called ''."),
    ],
)
def test_unknown_label_is_an_error_that_names_near_ones(label: str, message: str) -> None:
    with pytest.raises(CommandError) as raised:
        chosen_models([label])
    assert message in str(raised.value)


def test_app_without_models_is_an_error_of_its_own() -> None:
    with pytest.raises(CommandError, match="'django_smarterbase' has no models"):
        chosen_models(["django_smarterbase"])


def test_migrations_have_a_table_once_one_was_recorded(site: Site) -> None:
    from django.db.migrations.recorder import MigrationRecorder

    assert "django_migrations" not in tables()
    recorder = MigrationRecorder(connections["default"])
    recorder.ensure_schema()
    recorder.record_applied("press", "0001_initial")
    assert "django_migrations" in tables()
    assert tables("migrations") == ["django_migrations"]


def test_databases_are_those_of_the_engine(second: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connections.settings, "sql", {"ENGINE": "django.db.backends.sqlite3"})
    assert chosen_databases([]) == ["default", "second"]
    assert chosen_databases(["second"]) == ["second"]
    assert chosen_databases(["second", "default", "second"]) == ["second", "default"]
    with pytest.raises(CommandError, match=r"'sql' is no database with the engine .* Those are: default, second\."):
        chosen_databases(["sql"])
    with pytest.raises(CommandError, match="Did you mean 'second'"):
        chosen_databases(["secnd"])


def test_no_database_of_the_engine_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connections.settings, "default", {"ENGINE": "django.db.backends.sqlite3"})
    with pytest.raises(CommandError, match=r"No database in DATABASES has the engine 'django_smarterbase\.backend'"):
        chosen_databases([])


def test_model_that_the_router_keeps_elsewhere_has_no_table_here(second: str, settings: Settings) -> None:
    settings.DATABASE_ROUTERS = [UsersInSecond()]
    assert "auth_user" not in tables()
    assert tables("auth.User") == []
    users = {"auth_user", "auth_user_groups", "auth_user_user_permissions"}
    assert set(tables("auth.User", alias="second")) == users


class UsersInSecond:
    """Keeps users and their many-to-many tables in the database ``second``."""

    def allow_migrate(self, db: str, app_label: str, model_name: str | None = None, **hints: object) -> bool | None:
        return db == "second" if (model_name or "").startswith("user") else None
