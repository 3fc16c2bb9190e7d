"""What the documents do not admit fails before anything has changed, and says which document, and what to do."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from django.db import DatabaseError, connection, migrations, models, transaction
from django.db.models import Q
from django.db.utils import DataError, IntegrityError, NotSupportedError, OperationalError

from tests.integration.commands.site import Site
from tests.integration.engine.equivalence.migrating import APP, History, model, python

NOTHING = "Nothing was changed."


def _filled(history: History) -> None:
    """A table whose documents can be in the way of anything."""
    history.apply(
        model(
            "Thing",
            n=models.IntegerField(null=True),
            text=models.CharField(max_length=20),
            code=models.IntegerField(unique=True),
        ),
        model("Other", n=models.IntegerField()),
    )
    for n, text in ((None, "x"), (5, "12"), (5, "y")):
        history.create("Thing", n=n, text=text, code=history.rows("Thing").count())
    history.create("Other", n=-1)


REFUSALS: dict[str, tuple[Callable[[], Any], type[DatabaseError], tuple[str, ...]]] = {
    "a field without a value": (
        lambda: migrations.AddField("Thing", "m", models.IntegerField()),
        IntegrityError,
        ("NOT NULL constraint failed", f"{APP}.Thing.m", "/history_thing/", "Give the field a default"),
    ),
    "a unique field with one value for all": (
        lambda: migrations.AddField("Thing", "m", models.IntegerField(default=3, unique=True)),
        IntegrityError,
        ("UNIQUE constraint failed: history_thing.m", f"{APP}.Thing", "/history_thing/", "Mend the document"),
    ),
    "a field that becomes unique": (
        lambda: migrations.AlterField("Thing", "n", models.IntegerField(null=True, unique=True)),
        IntegrityError,
        ("UNIQUE constraint failed: history_thing.n", "/history_thing/", "Mend the document"),
    ),
    "a field that may not be null any more": (
        lambda: migrations.AlterField("Thing", "n", models.IntegerField()),
        IntegrityError,
        ("NOT NULL constraint failed: history_thing.n", "/history_thing/1.json", "Mend the document"),
    ),
    "a unique constraint": (
        lambda: migrations.AddConstraint("Thing", models.UniqueConstraint(fields=["n"], name="once")),
        IntegrityError,
        ("UNIQUE constraint failed: history_thing.n", "/history_thing/"),
    ),
    "a unique constraint with a condition": (
        lambda: migrations.AddConstraint(
            "Thing", models.UniqueConstraint(fields=["n"], condition=Q(n__gt=1), name="once")
        ),
        IntegrityError,
        ("UNIQUE constraint failed: history_thing.n", "/history_thing/"),
    ),
    "fields that are unique together": (
        lambda: migrations.AlterUniqueTogether("Thing", {("n",)}),
        IntegrityError,
        ("UNIQUE constraint failed: history_thing.n", "/history_thing/"),
    ),
    "a check constraint": (
        lambda: migrations.AddConstraint("Thing", models.CheckConstraint(condition=Q(code__lt=2), name="small")),
        IntegrityError,
        ("CHECK constraint failed: small", "/history_thing/"),
    ),
    "a type with a check": (
        lambda: migrations.AlterField("Other", "n", models.PositiveIntegerField(db_column="m")),
        IntegrityError,
        ("CHECK constraint failed: m", f"{APP}.Other", "/history_other/1.json", "Mend the document"),
    ),
    "a number that is none": (
        lambda: migrations.AlterField("Thing", "text", models.IntegerField()),
        DataError,
        (f"{APP}.Thing.text", "/history_thing/1.json", "'x', which is no integer value", "Mend the document"),
    ),
    "a date that is none": (
        lambda: migrations.AlterField("Thing", "text", models.DateField()),
        DataError,
        (f"{APP}.Thing.text", "'x', which is no date value"),
    ),
    "a primary key that was another field": (
        lambda: migrations.AlterField("Thing", "code", models.IntegerField(primary_key=True)),
        NotSupportedError,
        (f"{APP}.Thing", "'code' cannot become or cease to be the primary key", "Make a new model"),
    ),
    "a model with the name of another's table": (
        lambda: migrations.AlterModelTable("Thing", "history_other"),
        OperationalError,
        ("'history_thing' cannot be renamed to 'history_other'", "/history_other/1.json", "Choose another db_table"),
    ),
    "a model whose table there is": (
        lambda: model("Another", n=models.IntegerField(), options={"db_table": "history_other"}),
        OperationalError,
        ('table "history_other" already exists',),
    ),
}


@pytest.mark.parametrize("atomic", [True, False], ids=["atomic", "not atomic"])
@pytest.mark.parametrize("name", REFUSALS)
def test_migration_fails_before_anything_has_changed(site: Site, history: History, name: str, atomic: bool) -> None:
    _filled(history)
    operation, error, words = REFUSALS[name]
    before = site.objects()
    with pytest.raises(error) as refused:
        history.apply(operation(), atomic=atomic)
    assert [word for word in words if word not in str(refused.value)] == []
    assert NOTHING in str(refused.value) or error is OperationalError
    assert site.objects() == before
    site.restart()
    assert [(row.n, row.text, row.code) for row in history.rows("Thing").order_by("pk")] == [
        (None, "x", 0),
        (5, "12", 1),
        (5, "y", 2),
    ]
    assert history.create("Thing", n=6, text="z", code=3).pk == 4


@pytest.mark.parametrize("name", [name for name in REFUSALS if "unique" in name or "check" in name or "type" in name])
def test_operations_before_the_one_that_fails_are_taken_back_with_their_claims(
    site: Site, history: History, name: str
) -> None:
    _filled(history)
    before = site.objects()
    with pytest.raises(REFUSALS[name][1]):
        history.apply(
            migrations.AlterField("Other", "n", models.IntegerField(unique=True)),
            migrations.AddField("Thing", "added", models.IntegerField(default=1)),
            REFUSALS[name][0](),
        )
    assert site.objects() == before
    history.create("Other", n=1)


def test_documents_that_the_migration_itself_has_mended_are_admitted(site: Site, history: History) -> None:
    _filled(history)
    history.apply(
        python("Thing", lambda rows: rows.filter(n=None).update(n=7)),
        python("Thing", lambda rows: rows.filter(code=2).update(n=6)),
        migrations.AlterField("Thing", "n", models.IntegerField(unique=True)),
    )
    assert sorted(history.rows("Thing").values_list("n", flat=True)) == [5, 6, 7]
    with pytest.raises(IntegrityError):
        history.create("Thing", n=7, text="", code=9)


def test_documents_that_the_migration_itself_has_made_are_asked_too(site: Site, history: History) -> None:
    _filled(history)
    before = site.objects()
    with pytest.raises(IntegrityError, match=r"NOT NULL.*that the migration has made|NOT NULL.*/history_empty/"):
        history.apply(
            model("Empty", n=models.IntegerField(null=True)),
            python("Empty", lambda rows: rows.create(n=None)),
            migrations.AlterField("Empty", "n", models.IntegerField()),
        )
    passing = ("manifest.json", "history_empty.json")  # the sequence of the table, and that it has an index
    assert {key: body for key, body in site.objects().items() if not key.endswith(passing)} == {
        key: body for key, body in before.items() if not key.endswith("manifest.json")
    }


def test_empty_table_gets_fields_without_default_and_another_primary_key(site: Site, history: History) -> None:
    history.apply(model("Thing", n=models.IntegerField()))
    history.apply(migrations.AddField("Thing", "m", models.IntegerField()))
    history.apply(
        migrations.RemoveField("Thing", "id"),
        migrations.AlterField("Thing", "n", models.IntegerField(primary_key=True)),
    )
    history.create("Thing", n=3, m=1)
    assert list(history.rows("Thing").values_list("pk", "m")) == [(3, 1)]


@pytest.mark.parametrize(
    ("text", "field", "value"),
    [
        ("2026-01-31", models.DateField(), date(2026, 1, 31)),
        ("2026-01-31", models.DateTimeField(), datetime(2026, 1, 31, tzinfo=UTC)),
        ("12:30", models.TimeField(), time(12, 30)),
        ("1", models.BooleanField(), True),
        ("12.5", models.DecimalField(max_digits=5, decimal_places=2), Decimal("12.5")),
        ("00000000000000000000000000000001", models.UUIDField(), UUID(int=1)),
        ("[1]", models.JSONField(), [1]),
    ],
)
def test_values_that_the_new_type_can_read_are_admitted(
    site: Site, history: History, text: str, field: models.Field[Any, Any], value: object
) -> None:
    history.apply(model("Thing", text=models.CharField(max_length=40)))
    history.create("Thing", text=text)
    history.apply(migrations.AlterField("Thing", "text", field))
    (row,) = history.rows("Thing")
    assert row.text == value
    row.save()
    assert history.rows("Thing").get().text == value


def test_transaction_of_the_caller_goes_on_after_a_migration_that_was_refused(site: Site, history: History) -> None:
    _filled(history)
    with transaction.atomic():
        with pytest.raises(IntegrityError), transaction.atomic():
            history.apply(migrations.AddField("Thing", "m", models.IntegerField()))
        history.create("Other", n=2)
    assert sorted(history.rows("Other").values_list("n", flat=True)) == [-1, 2]
    assert connection.resources.refresh_history("history_thing").version == 1


@pytest.mark.parametrize(
    "operation",
    [
        migrations.AddField("Thing", "m", models.IntegerField(default=1, db_index=True)),
        migrations.AddField("Thing", "m", models.IntegerField(null=True, unique=True)),
        migrations.AlterField("Thing", "n", models.IntegerField(default=1)),
        migrations.AlterField("Thing", "code", models.IntegerField(null=True)),
        migrations.AlterField("Thing", "text", models.CharField(max_length=50, db_index=True)),
        migrations.RenameField("Thing", "code", "number"),
        migrations.RemoveField("Thing", "n"),
        migrations.AddIndex("Thing", models.Index(fields=["n"], name="by_n")),
    ],
    ids=lambda operation: operation.describe(),
)
def test_documents_that_cannot_break_it_are_not_read(
    site: Site, history: History, operation: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    _filled(history)
    before = {key: body for key, body in site.objects().items() if "/history_thing/" in key}
    monkeypatch.setattr(type(connection.resources.store), "scan", _refuse)
    history.apply(operation)
    monkeypatch.undo()
    assert {key: body for key, body in site.objects().items() if "/history_thing/" in key} == before


def _refuse(*_arguments: object) -> None:
    raise AssertionError("the table was scanned")
