"""Data migrations: their models are those of an earlier time, while the installed ones are further already."""

from __future__ import annotations

import uuid
from decimal import Decimal
from typing import Any

import orjson
import pytest
from django.db import connection, models, transaction
from django.db.migrations import AddField, CreateModel
from django.db.migrations.state import ProjectState

from tests.integration.commands.site import Site


@pytest.fixture
def authors(site: Site) -> tuple[Any, ProjectState]:
    """The author of long ago, with an attribute that it has no more and without a name, and its state."""
    key = models.UUIDField(primary_key=True, default=uuid.uuid4)
    debts = models.DecimalField(max_digits=8, decimal_places=2)
    create, empty = CreateModel("Author", [("id", key), ("debts", debts)], {"db_table": "authors"}), ProjectState()
    state = empty.clone()
    create.state_forwards("articles", state)
    with connection.schema_editor() as editor:
        create.database_forwards("articles", editor, empty, state)
    return state.apps.get_model("articles", "Author"), state


def stored(site: Site) -> list[dict[str, Any]]:
    documents = [orjson.loads(body) for key, body in site.objects().items() if key.startswith(f"{site.name}/authors/")]
    return [{name: value for name, value in each.items() if not name.startswith("_")} for each in documents]


def test_transaction_commits_rows_that_the_installed_model_could_not_read(
    site: Site, authors: tuple[Any, ProjectState]
) -> None:
    author, _state = authors
    with transaction.atomic():
        author.objects.create(debts=Decimal("2.50"))
    with transaction.atomic():
        row = author.objects.select_for_update().get()
        row.debts += 1
        row.save()
    assert stored(site) == [{"id": str(row.pk), "debts": "3.50"}]
    with transaction.atomic():
        author.objects.create(debts=Decimal("1.50"))
        author.objects.filter(pk=row.pk).delete()
    assert [each["debts"] for each in stored(site)] == ["1.50"]


def test_transaction_commits_rows_that_it_changed_before_the_table(
    site: Site, authors: tuple[Any, ProjectState]
) -> None:
    author, state = authors
    author.objects.create(debts=Decimal("2.50"))
    later = state.clone()
    add = AddField("Author", "born", models.IntegerField(default=1900))
    add.state_forwards("articles", later)
    with connection.schema_editor(atomic=True) as editor:
        author.objects.update(debts=Decimal("4.50"))
        add.database_forwards("articles", editor, state, later)
    assert [(each.debts, each.born) for each in later.apps.get_model("articles", "Author").objects.all()] == [
        (Decimal("4.50"), 1900)
    ]
