"""A new model works before ``migrate`` was run: its table is made from the model."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection
from django.test import modify_settings

from django_smarterbase.profiling import profile_queries
from tests.integration.commands.site import Site

APP = "tests.integration.engine.migrations.fresh"


@pytest.fixture
def site_with_app(site: Site) -> Iterator[Site]:
    """The site with an app that was never migrated."""
    with modify_settings(INSTALLED_APPS={"append": APP}):
        yield site


def _seen() -> list[tuple[int, str, int]]:
    from .fresh.models import Fresh

    return list(Fresh.objects.order_by("pk").values_list("pk", "code", "n"))


def _found_by_the_index(n: int) -> list[int]:
    from .fresh.models import Fresh

    with profile_queries() as profiled:
        found = [row.pk for row in Fresh.objects.filter(n=n).order_by("pk")]
    assert [profile.index_used for profile in profiled.profiles] == ["redis:fresh_fresh-by-n"]
    return found


def test_rows_claims_and_index_of_a_new_model_are_there_before_and_after_migrate(site_with_app: Site) -> None:
    from .fresh.models import Fresh

    for number in range(3):
        Fresh.objects.create(code=f"c{number}", n=number % 2)
    rows = [(1, "c0", 0), (2, "c1", 1), (3, "c2", 0)]
    assert (_seen(), _found_by_the_index(0)) == (rows, [1, 3])
    assert "fresh_fresh" not in connection.introspection.table_names()
    call_command("migrate", "fresh", verbosity=0)
    assert "fresh_fresh" in connection.introspection.table_names()
    site_with_app.restart()
    assert (_seen(), _found_by_the_index(0)) == (rows, [1, 3])
    with pytest.raises(IntegrityError):
        Fresh.objects.create(code="c1", n=5)
    assert Fresh.objects.create(code="c3", n=0).pk > 3
    assert _found_by_the_index(0)[:2] == [1, 3]


def test_code_that_is_ahead_of_its_migrations_finds_what_it_has_written_afterwards(site_with_app: Site) -> None:
    """The migrations make the table with another name of the field, and rename it then."""
    from .fresh.models import Renamed

    Renamed.objects.create(title="x")
    call_command("migrate", "fresh", verbosity=0)
    site_with_app.restart()
    assert list(Renamed.objects.values_list("title", flat=True)) == ["x"]
    assert Renamed.objects.filter(title="x").count() == 1


def test_flush_empties_tables_that_no_migration_has_made(site_with_app: Site) -> None:
    """As it empties every table of a model that there is, whoever has made it."""
    from .fresh.models import Fresh

    Fresh.objects.create(code="c1", n=1)
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE loose (n integer)")
        cursor.execute("INSERT INTO loose VALUES (1)")
    call_command("flush", interactive=False, verbosity=0)
    assert _seen() == []
    assert [key for key in site_with_app.objects() if "/fresh_fresh/" in key] == []
    assert Fresh.objects.create(code="c1", n=1).pk == 1
    with connection.cursor() as cursor:
        cursor.execute("SELECT n FROM loose")
        assert cursor.fetchall() == [(1,)]


def test_table_exists_for_django_when_it_was_made_or_has_documents(site_with_app: Site) -> None:
    from .fresh.models import Fresh

    names = connection.introspection.django_table_names
    assert "fresh_fresh" in names()
    assert names(only_existing=True) == []
    Fresh.objects.create(code="c1", n=1)
    assert names(only_existing=True) == ["fresh_fresh"]
    assert connection.introspection.table_names() == []
    call_command("migrate", "fresh", verbosity=0)
    assert sorted(names(only_existing=True)) == ["fresh_fresh", "fresh_renamed"]
