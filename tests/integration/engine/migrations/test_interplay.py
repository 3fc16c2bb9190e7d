"""Migrations that meet tenants, savepoints, foreign keys and transactions whose process has died."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from django.apps import apps
from django.db import connection, migrations, models, transaction
from django.db.migrations.recorder import MigrationRecorder
from django.db.migrations.state import ProjectState
from django.db.utils import IntegrityError

from django_smarterbase.backend import resources
from django_smarterbase.backend.unit_of_work import UnitOfWork
from django_smarterbase.exceptions import ConflictError
from django_smarterbase.recent import Recent
from django_smarterbase.tenants import tenant
from testproject.articles.models import Article, Author
from tests.integration.commands.site import WRITE_DEADLINE, Site
from tests.integration.engine.equivalence.migrating import APP, History, model, python
from tests.integration.engine.faults.abandoned import Died

RENAME = migrations.RenameField("Thing", "name", "title")


@pytest.fixture
def thing(site: Site, history: History) -> History:
    """A table of one row."""
    history.apply(model("Thing", name=models.CharField(max_length=9, null=True)))
    history.create("Thing", name="precious")
    return history


def apply_in_vain(thing: History, step: Any = RENAME) -> None:
    with transaction.atomic():
        thing.apply(step)
        thing.rows("Thing").get()
        raise Died


def save_what_others_have_changed(thing: History) -> None:
    """Read a row, take a migration back, and save the row that another connection has changed meanwhile."""
    rows = thing.rows("Thing")

    def change() -> None:
        rows.update(name="of others")
        connection.close()

    with transaction.atomic():
        row = rows.get()
        with pytest.raises(Died):
            apply_in_vain(thing)
        other = threading.Thread(target=change)
        other.start()
        other.join()
        row.save()


def test_migration_of_a_tenant_is_whole_when_others_take_its_place_in_the_process(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources, "_of_tenants", Recent(2))

    def visit_others(*_: Any) -> None:
        def visit() -> None:
            for number in range(3):
                with tenant(f"t{number}"):
                    assert not Author.objects.exists()
            connection.close()

        visitor = threading.Thread(target=visit)
        visitor.start()
        visitor.join()

    with tenant("acme"):
        history = History("default")
        history.apply(model("Thing", name=models.CharField(max_length=9, null=True)))
        history.create("Thing", name="precious")
        more = migrations.AddField("Thing", "n", models.IntegerField(null=True))
        history.apply(RENAME, migrations.RunPython(visit_others), more)
    site.restart()
    with tenant("acme"):
        assert list(history.rows("Thing").values_list("title", "n")) == [("precious", None)]


def test_migration_that_a_savepoint_takes_back_is_forgotten(site: Site, thing: History) -> None:
    before, old = thing.state, thing.rows("Thing")
    with transaction.atomic():
        with pytest.raises(Died):
            apply_in_vain(thing)
        thing.state = before
        thing.apply(RENAME)
    site.restart()
    new = thing.rows("Thing")
    old.create(name="by old")
    new.create(title="by new")
    titles = ["by new", "by old", "precious"]
    assert sorted(new.values_list("title", flat=True)) == titles
    assert sorted(old.values_list("name", flat=True)) == titles
    assert connection.resources.history(f"{APP}_thing").version == 2


#: Each leaves less than there was: a later step cannot bring it back.
STEPS = {
    "rename": RENAME,
    "removal": migrations.RemoveField("Thing", "name"),
    "other type": migrations.AlterField("Thing", "name", models.IntegerField(null=True)),
}


@pytest.mark.parametrize("seen", [True, False], ids=["seen before", "seen in between"])
@pytest.mark.parametrize("step", STEPS)
def test_rows_are_what_they_were_when_a_savepoint_takes_a_migration_back_that_has_read_them(
    site: Site, history: History, step: str, *, seen: bool
) -> None:
    history.apply(model("Thing", name=models.CharField(max_length=9, null=True), n=models.IntegerField(null=True)))
    history.create("Thing", name="007")
    before, old = history.state, history.rows("Thing")
    with transaction.atomic():
        if seen:
            old.get()
        with pytest.raises(Died):
            apply_in_vain(history, STEPS[step])
        history.state = before
        assert old.get().name == "007"
        old.update(n=1)
    site.restart()
    assert list(old.values_list("name", "n")) == [("007", 1)]


def test_row_that_others_change_is_a_conflict_though_a_savepoint_has_taken_a_migration_back(
    site: Site, thing: History
) -> None:
    old = thing.rows("Thing")
    with pytest.raises(ConflictError):
        save_what_others_have_changed(thing)
    assert old.get().name == "of others"


def test_connection_is_whole_when_it_decides_a_transaction_on_a_table_of_no_model(
    site: Site, thing: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: Any, **__: Any) -> None:
        raise Died

    with monkeypatch.context() as patch:
        patch.setattr(UnitOfWork, "commit", die)
        with pytest.raises(Died), transaction.atomic():
            thing.rows("Thing").bulk_create(thing.model("Thing")(name=name) for name in "ab")
    for _ in range(2):  # one connection sees it, a later one decides it
        connection.close()
        time.sleep(WRITE_DEADLINE + 0.3)
        connection.ensure_connection()
        assert connection.session.workspace.sqlite is connection.connection
    Author.objects.create(name="x")
    assert list(Author.objects.values_list("name", flat=True)) == ["x"]


@pytest.mark.parametrize("recorded", [True, False])
def test_data_migration_that_leaves_a_reference_to_nothing_is_refused(site: Site, *, recorded: bool) -> None:
    site.restart(check_foreign_keys=True)
    Article.objects.create(author=Author.objects.create(name="x"), category="c", title="t")
    recorder = MigrationRecorder(connection)
    recorder.ensure_schema()
    state = ProjectState.from_apps(apps)
    delete = migrations.RunPython(
        lambda then, _: then.get_model("articles", "Author").objects.all()._raw_delete("default")
    )

    def migrate() -> None:
        with connection.schema_editor(atomic=True) as editor:
            delete.database_forwards("articles", editor, state, state)
            if recorded:
                recorder.record_applied("articles", "0002_delete")

    with pytest.raises(IntegrityError):
        migrate()
    assert Author.objects.count() == 1


def test_table_that_others_referred_to_is_dropped_with_their_references(site: Site, history: History) -> None:
    site.restart(check_foreign_keys=True)
    history.apply(
        model("Boss", name=models.CharField(max_length=9)),
        model("Item", boss=models.ForeignKey(f"{APP}.Boss", models.CASCADE)),
    )
    history.apply(python("Boss", lambda rows: rows.create(name="x")))
    history.create("Item", boss=history.rows("Boss").get())
    history.apply(migrations.RemoveField("Item", "boss"), migrations.DeleteModel("Boss"))
    assert history.rows("Item").count() == 1
