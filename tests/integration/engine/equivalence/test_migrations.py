"""Migrations never rewrite a document, and yet its rows are what stock SQLite would have made of them."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, connections, migrations, models
from django.db.migrations.state import ProjectState
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from django_smarterbase.exceptions import ConflictError

from .migrating import APP, History, model, python

_numbers = itertools.count(1)

# Each is (name, how to make it, a value). Values that a conversion would lose are in, those that no field can read not.
FIELDS: dict[str, tuple[Callable[[], models.Field[Any, Any]], Any]] = {
    "integer": (lambda: models.IntegerField(default=5), 7),
    "integer or null": (lambda: models.IntegerField(null=True), None),
    "float": (lambda: models.FloatField(default=1.5), 2.0),
    "float or null": (lambda: models.FloatField(null=True), 0.25),
    "text": (lambda: models.CharField(max_length=40, default="12"), "3.50"),
    "text or null": (lambda: models.TextField(null=True), "007"),
    "decimal": (lambda: models.DecimalField(max_digits=9, decimal_places=2, default=Decimal("1.10")), Decimal("2.50")),
    "default of the database": (lambda: models.IntegerField(db_default=9), 8),
    "indexed": (lambda: models.IntegerField(default=1, db_index=True), 4),
    "blank": (lambda: models.CharField(max_length=40, blank=True), ""),
}
_NAMES = st.sampled_from(["a", "b", "c"])
_KINDS = st.sampled_from(sorted(FIELDS))
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), _NAMES, _KINDS),
        st.tuples(st.just("alter"), _NAMES, _KINDS),
        st.tuples(st.just("remove"), _NAMES, st.just("")),
        st.tuples(st.just("rename"), _NAMES, _NAMES),
        st.tuples(st.just("insert"), st.just(""), st.just("")),
        st.tuples(st.just("save"), st.just(""), st.just("")),
    ),
    min_size=1,
    max_size=7,
)


class Table:
    """A table under migration in one database; ``kinds`` are its columns, ``{name: key of FIELDS}``."""

    def __init__(self, db: str, number: int) -> None:
        self.db = db
        self.editor: Any = None
        self.kinds: dict[str, str] = {"a": "integer or null", "b": "text"}
        self.name = f"Thing{number}"
        self.state = ProjectState()
        fields = [(name, FIELDS[kind][0]()) for name, kind in self.kinds.items()]
        self.apply(migrations.CreateModel(self.name, [("id", models.BigAutoField(primary_key=True)), *fields]))
        self.insert()

    @property
    def model(self) -> type[Any]:
        return self.state.apps.get_model(APP, self.name)

    def apply(self, operation: Any) -> None:
        before, after = self.state, self.state.clone()
        operation.state_forwards(APP, after)
        if self.editor is not None:
            operation.database_forwards(APP, self.editor, before, after)
        else:
            with connections[self.db].schema_editor() as editor:
                operation.database_forwards(APP, editor, before, after)
        self.state = after

    @contextmanager
    def one_migration(self) -> Iterator[None]:
        """Apply all that follows in one transaction, as the operations of one migration are."""
        with connections[self.db].schema_editor() as self.editor:
            yield
        self.editor = None

    def insert(self) -> None:
        model = self.model
        model.objects.using(self.db).create()
        model.objects.using(self.db).create(**{name: FIELDS[kind][1] for name, kind in self.kinds.items()})

    def save(self) -> None:
        """Write the oldest document again, in today's version."""
        row = self.model.objects.using(self.db).order_by("pk").first()
        row.save()

    def step(self, what: str, name: str, other: str) -> None:
        if what in {"insert", "save"}:
            getattr(self, what)()
        elif what == "add" and name not in self.kinds:
            self.kinds[name] = other
            self.apply(migrations.AddField(self.name, name, FIELDS[other][0]()))
        elif what == "alter" and name in self.kinds and _converts(self.kinds[name], other):
            self.kinds[name] = other
            self.apply(migrations.AlterField(self.name, name, FIELDS[other][0]()))
        elif what == "remove" and name in self.kinds and len(self.kinds) > 1:
            del self.kinds[name]
            self.apply(migrations.RemoveField(self.name, name))
        elif what == "rename" and name in self.kinds and other not in self.kinds:
            self.kinds[other] = self.kinds.pop(name)
            self.apply(migrations.RenameField(self.name, name, other))

    def rows(self) -> list[Any]:
        fields = sorted(self.kinds)
        return [
            (row, [repr(value) for value in row])
            for row in self.model.objects.using(self.db).order_by("pk").values_list("pk", *fields)
        ]

    def found(self) -> list[Any]:
        """The rows that each value is found by, which asks the index."""
        rows = self.model.objects.using(self.db).order_by("pk")
        return [
            [
                list(rows.filter(**{name: value}).values_list("pk", flat=True))
                for value in rows.values_list(name, flat=True)
            ]
            for name in sorted(self.kinds)
        ]


def _converts(before: str, after: str) -> bool:
    """Numbers may become text, and text may get or lose its NULLs."""
    numbers = {"integer", "integer or null", "default of the database", "indexed", "float", "float or null", "decimal"}
    texts = {"text", "text or null", "blank"}
    return (before in numbers and after in numbers | texts) or (before in texts and after in texts)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=STEPS)
def test_migrated_documents_read_as_migrated_rows(
    databases: tuple[str, str], steps: list[tuple[str, str, str]]
) -> None:
    number = next(_numbers)
    engine, stock = (Table(db, number) for db in databases)
    for step in steps:
        for table in (engine, stock):
            table.step(*step)
        assert engine.rows() == stock.rows()
    engine.insert()
    stock.insert()
    assert engine.rows() == stock.rows()
    assert engine.found() == stock.found()


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@example(steps=[("insert", "", ""), ("add", "c", "decimal")])
@given(steps=STEPS)
def test_data_migrated_between_the_steps_of_one_migration_is_what_it_would_be_in_rows(
    databases: tuple[str, str], steps: list[tuple[str, str, str]]
) -> None:
    number = next(_numbers)
    engine, stock = (Table(db, number) for db in databases)
    for table in (engine, stock):
        with table.one_migration():
            table.rows()
            for step in steps:
                table.step(*step)
                table.save()
                table.rows()
    assert engine.rows() == stock.rows()


@pytest.mark.parametrize(
    "steps",
    [
        [("remove", "b", ""), ("add", "b", "text")],
        [("rename", "b", "c"), ("add", "b", "text")],
        [("rename", "a", "c"), ("remove", "c", ""), ("insert", "", ""), ("save", "", ""), ("add", "a", "integer")],
        [("add", "c", "integer or null"), ("alter", "c", "integer")],
        [("alter", "a", "integer"), ("alter", "a", "integer or null"), ("alter", "a", "indexed")],
        [("rename", "a", "c"), ("rename", "b", "a"), ("rename", "c", "b")],
    ],
)
def test_migrated_documents_read_as_migrated_rows_where_names_change_hands(
    databases: tuple[str, str], steps: list[tuple[str, str, str]]
) -> None:
    number = next(_numbers)
    engine, stock = (Table(db, number) for db in databases)
    for step in steps:
        engine.step(*step)
        stock.step(*step)
    assert engine.rows() == stock.rows()


CHAINS: dict[str, Callable[[], models.Field[Any, Any]]] = {
    "float": lambda: models.FloatField(null=True, db_index=True),
    "integer": lambda: models.IntegerField(null=True, db_index=True),
    "text": lambda: models.CharField(max_length=40, null=True, db_index=True),
    "decimal": lambda: models.DecimalField(max_digits=30, decimal_places=2, null=True, db_index=True),
    "filled float": lambda: models.FloatField(default=7, db_index=True),
    "filled text": lambda: models.CharField(max_length=40, default="8.0", db_index=True),
}
OF_KIND: dict[str, tuple[Any, ...]] = {
    "float": (1.0, 2.5, -0.0, 1e20, 2.0**53, None),
    "integer": (1, 0, -(2**53) - 1, None),
    "text": ("1", "007", "1.0", "2.50", "1e3", None),
    "decimal": (Decimal("1.00"), Decimal("2.50"), None),
}


@pytest.mark.parametrize(
    "kinds",
    [
        ("float", "integer", "text"),
        ("float", "decimal", "text"),
        ("float", "text", "integer", "text"),
        ("integer", "float", "text"),
        ("integer", "float", "integer", "text"),
        ("text", "integer", "text"),
        ("text", "float", "text"),
        ("text", "float", "integer", "float", "text"),
        ("decimal", "float", "text"),
        ("integer", "filled float", "text"),
        ("integer", "filled float", "integer", "text"),
        ("float", "filled text", "integer", "text"),
    ],
    ids=" to ".join,
)
def test_values_are_what_each_type_in_turn_has_made_of_them(databases: tuple[str, str], kinds: tuple[str, ...]) -> None:
    number, seen = next(_numbers), []
    for db in databases:
        history, name = History(db), f"Chain{number}"
        history.apply(model(name, n=CHAINS[kinds[0]]()))
        seen.append([])
        for kind in kinds[1:]:
            for value in OF_KIND.get(before := kinds[len(seen[-1])], ()):
                history.create(name, n=value)
            history.apply(migrations.AlterField(name, "n", CHAINS[kind]()))
            rows = history.rows(name).order_by("pk")
            values = list(rows.values_list("pk", "n"))
            found = [list(rows.filter(n=value).values_list("pk", flat=True)) for _pk, value in values]
            seen[-1].append((before, [(pk, repr(value)) for pk, value in values], found))
        history.apply(migrations.AddField(name, "late", models.FloatField(default=3)))
        history.apply(migrations.AlterField(name, "late", models.IntegerField(default=4)))
        history.apply(migrations.AlterField(name, "late", models.CharField(max_length=9, default="5")))
        seen[-1].append(list(history.rows(name).order_by("pk").values_list("pk", "late")))
    assert seen[0] == seen[1]


def test_many_to_many_links_follow_the_models_and_fields_that_are_renamed(databases: tuple[str, str]) -> None:
    for db in databases:
        history = History(db)
        history.apply(model("Pupil"), model("Club", pupils=models.ManyToManyField(f"{APP}.Pupil")))
        club = history.model("Club").objects.using(db).create()
        club.pupils.add(history.model("Pupil").objects.using(db).create())
        history.apply(migrations.RenameModel("Club", "Team"))
        history.apply(migrations.RenameModel("Pupil", "Player"), migrations.RenameField("Team", "pupils", "players"))
        assert [team.players.count() for team in history.model("Team").objects.using(db).all()] == [1]
        assert history.model("Player").objects.using(db).get().team_set.count() == 1
        for name in ("Team", "Player"):
            history.apply(migrations.DeleteModel(name))


def test_rows_that_a_migration_has_made_move_with_the_table_that_it_renames(databases: tuple[str, str]) -> None:
    for db in databases:
        history = History(db)
        history.apply(model("Before", n=models.IntegerField(unique=True)))
        for n in (1, 2, 3):
            history.model("Before").objects.using(db).create(n=n)
        history.apply(
            python("Before", lambda rows: rows.create(n=4)),
            python("Before", lambda rows: rows.filter(n=1).delete()),
            python("Before", lambda rows: rows.filter(n=2).update(n=20)),
            migrations.RenameModel("Before", "After"),
            python("After", lambda rows: rows.filter(n=3).update(n=30)),
        )
        rows = history.model("After").objects.using(db)
        assert sorted(rows.values_list("n", flat=True)) == [4, 20, 30]
        assert (rows.filter(n=20).count(), rows.filter(n=2).count()) == (1, 0)
        with pytest.raises(IntegrityError):
            rows.create(n=30)
        rows.create(n=3)
        history.apply(migrations.DeleteModel("After"))


@pytest.mark.parametrize("operation", [migrations.DeleteModel("Kept"), migrations.RenameModel("Kept", "Lost")])
def test_migration_that_fails_at_its_end_loses_no_document_and_no_claim(
    databases: tuple[str, str], operation: Any
) -> None:
    engine, _stock = databases
    history = History(engine)
    history.apply(model("Kept", n=models.IntegerField(unique=True)))
    kept = history.model("Kept").objects.using(engine)
    for n in range(5):
        kept.create(n=n)

    def overtake(_apps: Any, _editor: Any) -> None:
        thread = threading.Thread(target=_change, args=(kept.all(),))
        thread.start()
        thread.join()

    with pytest.raises(ConflictError):
        history.apply(operation, migrations.RunPython(overtake))
    assert sorted(kept.values_list("n", flat=True)) == [0, 1, 2, 4, 30]
    with pytest.raises(IntegrityError):
        kept.create(n=4)
    history.apply(migrations.DeleteModel("Kept"))


def _change(rows: Any) -> None:
    try:
        rows.filter(n=3).update(n=30)
    finally:
        connections.close_all()
