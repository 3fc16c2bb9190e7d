"""Every operation that a migration can have, over documents that were written before, between and after."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from django.db import migrations, models
from django.db.models import F, Q
from django.db.models.functions import Lower

from .migrating import APP, History, model, python

Scenario = Callable[[History], None]
SCENARIOS: Final[dict[str, Scenario]] = {}


def scenario(function: Scenario) -> Scenario:
    """Add it to the list."""
    SCENARIOS[function.__name__] = function
    return function


def _key(to: str, **options: Any) -> Any:
    return models.ForeignKey(f"{APP}.{to}", models.CASCADE, **options)


def _integer(**options: Any) -> Any:
    return models.IntegerField(**options)


def _text(**options: Any) -> Any:
    return models.CharField(max_length=40, **options)


@scenario
def create_and_delete_model(h: History) -> None:
    h.apply(model("Thing", n=_integer()), model("Other", n=_integer(unique=True)))
    h.create("Thing", n=1)
    h.create("Other", n=1)
    h.apply(migrations.DeleteModel("Other"))
    h.apply(model("Other", n=_integer(unique=True)))
    h.create("Other", n=1)


@scenario
def rename_model(h: History) -> None:
    h.apply(
        model("Thing", n=_integer(unique=True), parent=_key("Thing", null=True)),
        model("Part", thing=_key("Thing"), things=models.ManyToManyField(f"{APP}.Thing", related_name="+")),
    )
    first = h.create("Thing", n=1)
    second = h.create("Thing", n=2, parent=first)
    h.create("Part", thing=second).things.add(first, second)
    h.apply(migrations.RenameModel("Thing", "Item"))
    third = h.create("Item", n=3, parent_id=second.pk)
    h.create("Part", thing=third).things.add(third)


@scenario
def rename_model_backwards(h: History) -> None:
    h.apply(model("Thing", n=_integer(unique=True)), model("Part", thing=_key("Thing")))
    h.create("Part", thing=h.create("Thing", n=1))
    h.apply(migrations.RenameModel("Thing", "Item"))
    h.create("Part", thing=h.create("Item", n=2))
    h.unapply()
    h.create("Part", thing=h.create("Thing", n=3))


@scenario
def add_fields(h: History) -> None:
    h.apply(model("Thing", n=_integer()))
    h.create("Thing", n=1)
    h.apply(
        migrations.AddField("Thing", "null", _integer(null=True, db_index=True)),
        migrations.AddField("Thing", "constant", _text(default="x", db_index=True)),
        migrations.AddField("Thing", "called", models.JSONField(default=list)),
        migrations.AddField("Thing", "blank", _text(blank=True)),
        migrations.AddField("Thing", "decimal", models.DecimalField(max_digits=6, decimal_places=2, default="1.50")),
        migrations.AddField("Thing", "date", models.DateField(default=datetime.date(2026, 1, 31))),
        migrations.AddField("Thing", "one_off", _integer(default=7), preserve_default=False),
        migrations.AddField("Thing", "parent", _key("Thing", null=True)),
        migrations.AddField("Thing", "single", models.OneToOneField(f"{APP}.Thing", models.CASCADE, null=True)),
    )
    h.create("Thing", n=2, one_off=8, parent_id=1)


@scenario
def add_field_backwards(h: History) -> None:
    h.apply(model("Thing", n=_integer()))
    h.create("Thing", n=1)
    h.apply(migrations.AddField("Thing", "text", _text(default="x", db_index=True)))
    h.create("Thing", n=2, text="y")
    h.unapply()
    h.create("Thing", n=3)


@scenario
def defaults_of_the_database(h: History) -> None:
    h.apply(model("Thing", n=_integer()))
    h.create("Thing", n=1)
    h.apply(
        migrations.AddField("Thing", "five", _integer(db_default=5, db_index=True)),
        migrations.AddField("Thing", "computed", _integer(db_default=models.Value(2) + models.Value(3))),
    )
    h.create("Thing", n=2)
    h.create("Thing", n=3, five=6)
    h.apply(migrations.AlterField("Thing", "five", _integer(db_default=9, db_index=True)))
    h.create("Thing", n=4)


@scenario
def generated_fields(h: History) -> None:
    h.apply(model("Thing", n=_integer()))
    h.create("Thing", n=1)
    double = models.GeneratedField(expression=F("n") * 2, output_field=_integer(), db_persist=True)
    h.apply(migrations.AddField("Thing", "double", double))
    h.create("Thing", n=2)
    h.apply(migrations.RemoveField("Thing", "double"))
    h.create("Thing", n=3)


@scenario
def remove_a_field_and_add_another_of_its_name(h: History) -> None:
    h.apply(model("Thing", n=_integer(db_index=True), m=_integer(unique=True)))
    h.create("Thing", n=7, m=1)
    h.apply(migrations.RemoveField("Thing", "n"), migrations.RemoveField("Thing", "m"))
    h.create("Thing")
    h.apply(
        migrations.AddField("Thing", "n", _integer(default=1, db_index=True)),
        migrations.AddField("Thing", "m", _integer(unique=True, null=True)),
    )
    h.create("Thing", n=7, m=1)


@scenario
def rename_fields(h: History) -> None:
    h.apply(model("Thing", a=_integer(db_index=True), b=_text(unique=True), c=_key("Thing", null=True)))
    h.create("Thing", a=1, b="x")
    h.apply(
        migrations.RenameField("Thing", "a", "n"),
        migrations.RenameField("Thing", "b", "code"),
        migrations.RenameField("Thing", "c", "parent"),
    )
    h.create("Thing", n=2, code="y", parent_id=1)
    h.apply(migrations.AlterField("Thing", "n", _integer(db_index=True, db_column="number")))
    h.create("Thing", n=3, code="z")


@scenario
def fields_that_change_names(h: History) -> None:
    h.apply(model("Thing", a=_integer(db_index=True), b=_integer(db_index=True)))
    h.create("Thing", a=1, b=2)
    h.apply(
        migrations.RenameField("Thing", "a", "c"),
        migrations.RenameField("Thing", "b", "a"),
        migrations.RenameField("Thing", "c", "b"),
    )
    h.create("Thing", a=2, b=3)


@scenario
def alter_types(h: History) -> None:
    h.apply(
        model(
            "Thing",
            number=_integer(db_index=True),
            digits=_text(),
            date=models.DateField(),
            flag=models.BooleanField(),
            text=_text(unique=True),
            day=_text(),
        )
    )
    values: dict[str, Any] = {"date": datetime.date(2026, 1, 31), "flag": True, "day": "2026-01-31"}
    h.create("Thing", number=5, digits="12", text="a", **values)
    h.apply(
        migrations.AlterField("Thing", "number", _text(db_index=True)),
        migrations.AlterField("Thing", "digits", _integer(db_index=True)),
        migrations.AlterField("Thing", "date", models.DateTimeField()),
        migrations.AlterField("Thing", "flag", _integer()),
        migrations.AlterField("Thing", "text", models.TextField(unique=True)),
        migrations.AlterField("Thing", "day", models.DateField()),
    )
    values = {"date": datetime.datetime(2026, 2, 1, 12, 30, tzinfo=datetime.UTC), "flag": 3}
    h.create("Thing", number="x", digits=13, text="b", day=datetime.date(2026, 2, 1), **values)


@scenario
def alter_types_there_and_back(h: History) -> None:
    h.apply(model("Thing", n=_integer(db_index=True)))
    h.create("Thing", n=5)
    h.apply(migrations.AlterField("Thing", "n", _text(db_index=True)))
    h.create("Thing", n="6")
    h.apply(migrations.AlterField("Thing", "n", _integer(db_index=True)))
    h.create("Thing", n=7)


@scenario
def nulls_that_get_a_value(h: History) -> None:
    h.apply(model("Thing", n=_integer(null=True, db_index=True)))
    h.create("Thing", n=None)
    h.create("Thing", n=5)
    h.apply(migrations.AlterField("Thing", "n", _integer(default=5, db_index=True)))
    h.create("Thing")


@scenario
def nulls_that_get_a_value_and_may_be_again(h: History) -> None:
    h.apply(model("Thing", n=_integer(null=True, db_index=True)))
    h.create("Thing", n=None)
    h.apply(migrations.AlterField("Thing", "n", _integer(default=5, db_index=True)))
    h.apply(migrations.AlterField("Thing", "n", _integer(null=True, db_index=True)))
    h.create("Thing", n=None)


@scenario
def unique_field_of_another_type(h: History) -> None:
    h.apply(model("Thing", n=_integer(unique=True)))
    h.create("Thing", n=5)
    h.apply(migrations.AlterField("Thing", "n", _text(unique=True)))
    h.create("Thing", n="6")
    h.apply(migrations.AlterField("Thing", "n", models.TextField()))
    h.create("Thing", n="6")


@scenario
def primary_key_of_another_type(h: History) -> None:
    h.apply(
        model("Thing", id=models.IntegerField(primary_key=True), parent=_key("Thing", null=True)),
        model("Only", thing=models.OneToOneField(f"{APP}.Thing", models.CASCADE, primary_key=True)),
        model("Part", thing=_key("Thing"), links=models.ManyToManyField(f"{APP}.Thing", related_name="+")),
    )
    h.create("Thing", id=1)
    h.create("Thing", id=2, parent_id=1)
    h.create("Only", thing_id=1)
    h.create("Part", thing_id=2).links.add(1, 2)
    h.apply(migrations.AlterField("Thing", "id", _text(primary_key=True)))
    h.create("Thing", id="x", parent_id="2")
    h.create("Only", thing_id="x")
    h.create("Part", thing_id="x").links.add("1", "x")


@scenario
def automatic_primary_key_of_another_type(h: History) -> None:
    h.apply(model("Thing", id=models.AutoField(primary_key=True)), model("Part", thing=_key("Thing")))
    h.create("Part", thing=h.create("Thing"))
    h.apply(migrations.AlterField("Thing", "id", models.BigAutoField(primary_key=True)))
    h.create("Part", thing=h.create("Thing"))


@scenario
def primary_key_of_another_name(h: History) -> None:
    h.apply(
        model("Thing", code=_text(primary_key=True)),
        model("Part", thing=_key("Thing"), links=models.ManyToManyField(f"{APP}.Thing")),
    )
    h.create("Part", thing=h.create("Thing", code="a")).links.add("a")
    h.apply(migrations.RenameField("Thing", "code", "slug"))
    h.create("Part", thing=h.create("Thing", slug="b")).links.add("a", "b")


@scenario
def foreign_key_to_another_field(h: History) -> None:
    h.apply(model("Thing", code=_text(unique=True)), model("Part", thing=_key("Thing", to_field="code")))
    h.create("Part", thing=h.create("Thing", code="7"))
    h.apply(migrations.AlterField("Thing", "code", models.SlugField(unique=True)))
    h.apply(migrations.RenameField("Thing", "code", "slug"))
    h.create("Part", thing=h.create("Thing", slug="8"))


@scenario
def foreign_key_that_becomes_single_and_a_number(h: History) -> None:
    h.apply(model("Thing"), model("Part", thing=_key("Thing")))
    h.create("Part", thing=h.create("Thing"))
    h.apply(migrations.AlterField("Part", "thing", models.OneToOneField(f"{APP}.Thing", models.CASCADE)))
    h.create("Part", thing=h.create("Thing"))
    h.apply(migrations.AlterField("Part", "thing", _integer()))
    h.create("Part", thing=99)


@scenario
def foreign_key_that_becomes_a_many_to_many(h: History) -> None:
    h.apply(model("Thing"), model("Part", thing=_key("Thing", related_name="parts")))
    h.create("Part", thing=h.create("Thing"))

    def copy(apps: Any, editor: Any) -> None:
        for part in apps.get_model(APP, "Part").objects.using(editor.connection.alias).all():
            part.things.add(part.thing_id)

    h.apply(
        migrations.AddField("Part", "things", models.ManyToManyField(f"{APP}.Thing", related_name="+")),
        migrations.RunPython(copy),
        migrations.RemoveField("Part", "thing"),
    )
    h.create("Part").things.add(h.create("Thing"), 1)


@scenario
def alter_table_name(h: History) -> None:
    h.apply(model("Thing", n=_integer(unique=True)), model("Part", things=models.ManyToManyField(f"{APP}.Thing")))
    h.create("Part").things.add(h.create("Thing", n=1))
    h.apply(migrations.AlterModelTable("Thing", "things"), migrations.AlterModelTable("Part", "history_parts"))
    h.create("Part").things.add(h.create("Thing", n=2), 1)
    h.apply(migrations.AlterModelTable("Thing", None))
    h.create("Thing", n=3)


@scenario
def model_that_takes_the_place_of_another(h: History) -> None:
    h.apply(model("Thing", n=_integer(unique=True)), model("Other", n=_integer(unique=True)))
    h.create("Thing", n=1)
    h.create("Other", n=1)
    h.create("Other", n=2)
    h.apply(migrations.DeleteModel("Thing"), migrations.RenameModel("Other", "Thing"))
    h.create("Thing", n=3)


def _rename_by_sql(old: str, new: str, *state: Any) -> Any:
    forwards, backwards = (f"ALTER TABLE {APP}_{a} RENAME TO {APP}_{b}" for a, b in ((old, new), (new, old)))
    return migrations.SeparateDatabaseAndState([migrations.RunSQL(forwards, backwards)], list(state))


@scenario
def table_renamed_by_sql(h: History) -> None:
    h.apply(model("Thing", n=_integer(unique=True, db_index=True), u=models.UUIDField(null=True)))
    h.create("Thing", n=1, u=UUID(int=1))
    h.apply(migrations.AddField("Thing", "m", _integer(default=5)))
    h.apply(_rename_by_sql("thing", "item", migrations.RenameModel("Thing", "Item")))
    h.create("Item", n=2, u=UUID(int=2))
    h.unapply()
    h.create("Thing", n=3)


@scenario
def through_model_by_sql(h: History) -> None:
    """As Django's how-to for migrations gives it to a many-to-many field that had none."""
    h.apply(model("Thing"), model("Part", things=models.ManyToManyField(f"{APP}.Thing")))
    h.create("Part").things.add(h.create("Thing"), h.create("Thing"))
    link = model("Link", part=_key("Part"), thing=_key("Thing"))
    altered = migrations.AlterField("Part", "things", models.ManyToManyField(f"{APP}.Thing", through=f"{APP}.Link"))
    h.apply(_rename_by_sql("part_things", "link", link, altered))
    h.apply(migrations.AddField("Link", "is_primary", models.BooleanField(default=False)))
    h.create("Link", part_id=1, thing=h.create("Thing"), is_primary=True)


@scenario
def table_made_anew_by_sql(h: History) -> None:
    h.apply(model("Thing", n=_integer(unique=True)))
    h.create("Thing", n=1)
    h.apply(
        migrations.RunSQL("CREATE TABLE spare (id integer PRIMARY KEY AUTOINCREMENT, n integer UNIQUE)"),
        migrations.RunSQL(f"INSERT INTO spare (id, n) SELECT id, n + 10 FROM {APP}_thing"),
        migrations.RunSQL(f"DROP TABLE {APP}_thing"),
        migrations.RunSQL(f"ALTER TABLE spare RENAME TO {APP}_thing"),
    )
    h.create("Thing", n=1)


@scenario
def unique_together(h: History) -> None:
    h.apply(model("Thing", a=_integer(), b=_integer()))
    h.create("Thing", a=1, b=1)
    h.apply(migrations.AlterUniqueTogether("Thing", {("a", "b")}))
    h.create("Thing", a=1, b=2)
    h.apply(migrations.RenameField("Thing", "a", "c"))
    h.create("Thing", c=1, b=3)
    h.apply(migrations.AlterUniqueTogether("Thing", set()))
    h.create("Thing", c=1, b=3)


@scenario
def indexes(h: History) -> None:
    h.apply(model("Thing", a=_integer(), b=_integer()))
    h.create("Thing", a=1, b=1)
    h.apply(migrations.AddIndex("Thing", models.Index(fields=["a", "b"], name="by_both")))
    h.create("Thing", a=1, b=2)
    h.apply(migrations.RenameIndex("Thing", old_name="by_both", new_name="by_a_and_b"))
    h.create("Thing", a=2, b=2)
    h.apply(migrations.RemoveIndex("Thing", "by_a_and_b"))
    h.apply(migrations.AddIndex("Thing", models.Index(Lower("a"), name="by_expression")))
    h.create("Thing", a=3, b=3)


@scenario
def constraints(h: History) -> None:
    h.apply(model("Thing", a=_integer(), name=_text()))
    h.create("Thing", a=1, name="x")
    h.apply(
        migrations.AddConstraint("Thing", models.UniqueConstraint(fields=["a"], condition=Q(a__gt=0), name="once")),
        migrations.AddConstraint("Thing", models.UniqueConstraint(Lower("name"), name="case")),
        migrations.AddConstraint("Thing", models.CheckConstraint(condition=Q(a__lt=9), name="small")),
    )
    h.create("Thing", a=0, name="y")
    h.create("Thing", a=0, name="z")
    h.create("Thing", a=2, name="w")
    h.apply(
        migrations.RemoveConstraint("Thing", "once"),
        migrations.RemoveConstraint("Thing", "case"),
        migrations.RemoveConstraint("Thing", "small"),
    )
    h.create("Thing", a=2, name="W")
    h.create("Thing", a=99, name="v")


@scenario
def many_to_many(h: History) -> None:
    h.apply(model("Thing"), model("Part"))
    thing = h.create("Thing")
    h.apply(migrations.AddField("Part", "things", models.ManyToManyField(f"{APP}.Thing")))
    h.create("Part").things.add(thing.pk)
    h.apply(migrations.RenameField("Part", "things", "items"))
    h.create("Part").items.add(thing.pk)
    renamed = models.ManyToManyField(f"{APP}.Thing", db_table="history_links")
    h.apply(migrations.AlterField("Part", "items", renamed))
    h.create("Part").items.add(thing.pk, h.create("Thing").pk)
    h.apply(migrations.RemoveField("Part", "items"))
    h.create("Part")


@scenario
def many_to_many_that_gets_a_model_of_its_own(h: History) -> None:
    h.apply(model("Thing"), model("Part", things=models.ManyToManyField(f"{APP}.Thing")))
    h.create("Part").things.add(h.create("Thing"))
    through = model("Link", part=_key("Part"), thing=_key("Thing"), options={"db_table": f"{APP}_part_things"})
    altered = migrations.AlterField("Part", "things", models.ManyToManyField(f"{APP}.Thing", through=f"{APP}.Link"))
    h.apply(migrations.SeparateDatabaseAndState(state_operations=[through, altered]))
    h.apply(migrations.AddField("Link", "weight", _integer(default=1)))
    h.create("Link", part=h.create("Part"), thing_id=1, weight=2)


@scenario
def data_migrations(h: History) -> None:
    h.apply(model("Thing", n=_integer(unique=True)))
    h.create("Thing", n=1)
    h.apply(
        migrations.AddField("Thing", "m", _integer(null=True)),
        python("Thing", lambda rows: rows.update(m=F("n") * 10), lambda rows: rows.update(n=F("m") + 1)),
        migrations.AlterField("Thing", "m", _integer(db_index=True)),
        python("Thing", lambda rows: rows.create(n=2, m=5), lambda rows: rows.filter(n=2).delete()),
    )
    h.create("Thing", n=3, m=6)
    h.unapply()
    h.create("Thing", n=4)


@scenario
def raw_sql(h: History) -> None:
    h.apply(model("Thing", n=_integer(unique=True)))
    h.create("Thing", n=1)
    h.create("Thing", n=2)
    h.apply(
        migrations.RunSQL(
            f"UPDATE {APP}_thing SET n = n + 10", reverse_sql=[(f"UPDATE {APP}_thing SET n = n - %s", [10])]
        ),
        migrations.RunSQL(f"INSERT INTO {APP}_thing (n) SELECT n + 100 FROM {APP}_thing", migrations.RunSQL.noop),
    )
    h.create("Thing", n=1)
    h.apply(migrations.RunSQL(f"DELETE FROM {APP}_thing WHERE n > 100"))
    h.create("Thing", n=3)


@scenario
def state_without_database(h: History) -> None:
    h.apply(model("Thing", a=_integer(), b=_integer(null=True)))
    h.create("Thing", a=1, b=2)
    h.apply(
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.AlterField("Thing", "a", _integer(db_column="z"))],
            state_operations=[migrations.AlterField("Thing", "a", _integer(db_column="z"))],
        ),
        migrations.SeparateDatabaseAndState(state_operations=[migrations.RemoveField("Thing", "b")]),
    )
    h.create("Thing", a=2)


@scenario
def model_that_moves_to_another_app(h: History) -> None:
    h.apply(model("Thing", n=_integer(unique=True)))
    h.create("Thing", n=1)
    moved = model("Thing", n=_integer(unique=True), options={"db_table": f"{APP}_thing"})
    h.apply(migrations.SeparateDatabaseAndState(state_operations=[migrations.DeleteModel("Thing")]))
    h.apply(migrations.SeparateDatabaseAndState(state_operations=[moved]), app="elsewhere")
    h.apply(migrations.AlterModelTable("Thing", "elsewhere_thing"), app="elsewhere")
    h.model("Thing", "elsewhere")._base_manager.using(h.db).create(n=2)
    h.apply(migrations.AddField("Thing", "m", _integer(default=4)), app="elsewhere")
    h.model("Thing", "elsewhere")._base_manager.using(h.db).create(n=3)


@scenario
def inheritance(h: History) -> None:
    h.apply(model("Place", name=_text(db_index=True)))
    h.create("Place", name="park")
    parent = models.OneToOneField(
        f"{APP}.Place", models.CASCADE, parent_link=True, auto_created=True, primary_key=True, serialize=False
    )
    h.apply(model("Inn", bases=(f"{APP}.Place",), place_ptr=parent, stars=_integer()))
    h.create("Inn", name="lion", stars=3)
    h.apply(
        migrations.AddField("Place", "size", _integer(default=1)),
        migrations.RenameField("Inn", "stars", "beds"),
        migrations.AddField("Inn", "open", models.BooleanField(default=True, db_index=True)),
    )
    h.create("Inn", name="bear", beds=2, size=5, open=False)
    h.apply(migrations.RenameField("Place", "name", "title"), migrations.RenameModel("Inn", "Pub"))
    h.create("Pub", title="crown", beds=1)


@scenario
def options_that_change_no_document(h: History) -> None:
    h.apply(model("Thing", n=_integer()), model("Part", thing=_key("Thing")))
    h.create("Part", thing=h.create("Thing", n=2))
    h.apply(
        migrations.AlterModelOptions("Thing", {"ordering": ["-n"], "verbose_name": "item"}),
        migrations.AlterModelManagers("Thing", [("things", models.Manager())]),
        model("Proxy", bases=(f"{APP}.Thing",), options={"proxy": True}),
        migrations.AlterField("Thing", "n", _integer(choices=[(1, "one")], help_text="how many")),
        migrations.AlterOrderWithRespectTo("Part", "thing"),
    )
    h.create("Part", thing=h.create("Thing", n=1))
    h.create("Part", thing_id=1)
    h.apply(migrations.AlterOrderWithRespectTo("Part", None))


@scenario
def decimals_that_change_places(h: History) -> None:
    h.apply(model("Thing", price=models.DecimalField(max_digits=8, decimal_places=2, db_index=True)))
    h.create("Thing", price=Decimal("1.50"))
    h.apply(migrations.AlterField("Thing", "price", models.DecimalField(max_digits=9, decimal_places=3, db_index=True)))
    h.create("Thing", price=Decimal("1.505"))
    h.apply(migrations.AlterField("Thing", "price", models.FloatField(db_index=True)))
    h.create("Thing", price=1.5)
