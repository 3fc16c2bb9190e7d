"""Migrations in files, carried out by Django's own executor: what it says is applied is what the documents are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.recorder import MigrationRecorder
from django.test import modify_settings, override_settings

from tests.integration.commands.site import Site

APP = "tests.integration.engine.migrations.shelf"


def modules(name: str) -> override_settings:
    """The migrations of the app: those that were ``first``, or ``squashed``."""
    return override_settings(MIGRATION_MODULES={"shelf": f"{APP}.{name}"})


@pytest.fixture
def shelf(site: Site) -> Iterator[Site]:
    """The site with the app, and books that its first migration has made the table of."""
    with modify_settings(INSTALLED_APPS={"append": APP}), modules("first"):
        migrate("0001")
        old = MigrationExecutor(connection).loader.project_state([("shelf", "0001_initial")]).apps
        for number in (1, 2, 2):
            old.get_model("shelf", "Book").objects.create(number=number)
        yield site


def migrate(*names: str) -> None:
    """Run the command."""
    call_command("migrate", "shelf", *names, verbosity=0)


def applied() -> list[str]:
    """The names of the app's migrations that are recorded."""
    return sorted(name for app, name in MigrationRecorder(connection).applied_migrations() if app == "shelf")


def mend() -> None:
    """Give the third book a number of its own."""
    old = MigrationExecutor(connection).loader.project_state([("shelf", "0001_initial")]).apps
    old.get_model("shelf", "Book").objects.filter(pk=3).update(number=3)


def books() -> list[Any]:
    """All books."""
    from .shelf.models import Book

    return list(Book.objects.order_by("pk").values_list("pk", "code", "pages"))


def test_migration_that_is_refused_is_not_applied_and_goes_on_when_the_documents_are_mended(shelf: Site) -> None:
    before = shelf.objects()
    for _ in range(2):
        with pytest.raises(IntegrityError, match=r"UNIQUE constraint failed: shelf_book.number"):
            migrate()
        assert (applied(), shelf.objects()) == (["0001_initial"], before)
        assert MigrationExecutor(connection).migration_plan([("shelf", "0002_unique")])[0][0].name == "0002_unique"
    mend()
    migrate()
    assert applied() == ["0001_initial", "0002_unique", "0003_text"]
    shelf.restart()
    assert books() == [(1, "1", 100), (2, "2", 100), (3, "3", 100)]


def test_migrations_that_are_taken_back_leave_the_documents_readable(shelf: Site) -> None:
    mend()
    migrate()
    migrate("0001")
    assert applied() == ["0001_initial"]
    old = MigrationExecutor(connection).loader.project_state([("shelf", "0001_initial")]).apps
    assert sorted(old.get_model("shelf", "Book").objects.values_list("number", flat=True)) == [1, 2, 3]
    migrate()
    assert books() == [(1, "1", 100), (2, "2", 100), (3, "3", 100)]


def test_squashed_migrations_find_the_documents_of_those_that_they_replace(shelf: Site) -> None:
    mend()
    migrate()
    with modules("squashed"):
        before = {key: body for key, body in shelf.objects().items() if "/shelf_book/" in key}
        migrate()
        assert "0001_squashed_0003_text" in applied()
        assert {key: body for key, body in shelf.objects().items() if "/shelf_book/" in key} == before
        assert books() == [(1, "1", 100), (2, "2", 100), (3, "3", 100)]


def test_migration_is_recorded_in_the_transaction_that_carries_it_out(
    shelf: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    mend()
    recorded: list[bool] = []
    record = MigrationRecorder.record_applied

    def watched(self: Any, app: str, name: str) -> None:
        recorded.append(connection.in_atomic_block)
        record(self, app, name)

    monkeypatch.setattr(MigrationRecorder, "record_applied", watched)
    migrate()
    assert recorded == [True, False]  # the second one has no transaction
