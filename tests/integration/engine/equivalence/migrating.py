"""Migrations of one database, applied operation by operation, and what is in it afterwards."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import connections, migrations, models
from django.db.migrations.state import ProjectState

APP = "history"


class History:
    """Migrations of one database, each applied as a whole or not at all."""

    def __init__(self, db: str) -> None:
        self.db = db
        self.state = ProjectState()
        self._applied: list[tuple[ProjectState, tuple[Any, ...]]] = []

    def apply(self, *operations: Any, app: str = APP, atomic: bool = True) -> None:
        """One migration."""
        state = self.state
        with connections[self.db].schema_editor(atomic=atomic) as editor:
            for operation in operations:
                before, state = state, state.clone()
                operation.state_forwards(app, state)
                operation.database_forwards(app, editor, before, state)
        self._applied.append((self.state, operations))
        self.state = state

    def unapply(self) -> None:
        """Take the last migration back."""
        start, operations = self._applied.pop()
        states = [start]
        for operation in operations:
            states.append(states[-1].clone())
            operation.state_forwards(APP, states[-1])
        with connections[self.db].schema_editor() as editor:
            for number, operation in reversed(list(enumerate(operations))):
                operation.database_backwards(APP, editor, states[number + 1], states[number])
        self.state = start

    def model(self, name: str, app: str = APP) -> type[Any]:
        """A model as it is now."""
        return self.state.apps.get_model(app, name)

    def rows(self, name: str) -> Any:
        """The rows of a model in this database."""
        return self.model(name)._base_manager.using(self.db)

    def create(self, name: str, /, **values: Any) -> Any:
        """Insert a row."""
        return self.rows(name).create(**values)

    def contents(self) -> dict[str, list[Any]]:
        """Every row of every model, links included, and by which keys each value of each column finds them."""
        seen = {}
        for model in self.state.apps.get_models(include_auto_created=True):
            rows = model._base_manager.using(self.db).order_by("pk")
            names = [field.attname for field in model._meta.concrete_fields]
            found = {}
            for name in names:
                values = {repr(value): value for value in rows.values_list(name, flat=True)}
                found[name] = {
                    said: list(rows.filter(_equals(name, value)).values_list("pk", flat=True))
                    for said, value in values.items()
                }
            seen[model._meta.label] = [[repr(row) for row in rows.values_list(*names)], rows.count(), found]
        return seen

    def save_all(self) -> None:
        """Write every row again, as the newest code does."""
        for model in self.state.apps.get_models():
            for row in model._base_manager.using(self.db).order_by("pk"):
                row.save(using=self.db)


def _equals(name: str, value: Any) -> models.Q:
    return models.Q(**{f"{name}__isnull": True}) if value is None else models.Q(**{name: value})


def model(name: str, /, *, bases: tuple[Any, ...] = (models.Model,), options: Any = None, **fields: Any) -> Any:
    """A CreateModel with an id, unless a field is the primary key or a parent has one."""
    has_key = any(field.primary_key for field in fields.values()) or bases != (models.Model,)
    id = [] if has_key else [("id", models.BigAutoField(primary_key=True))]
    return migrations.CreateModel(name, [*id, *fields.items()], options=options or {}, bases=bases)


def python(name: str, do: Callable[[Any], Any], undo: Callable[[Any], Any] | None = None) -> Any:
    """A RunPython over the rows of a model."""

    def of(change: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
        return lambda apps, editor: change(apps.get_model(APP, name).objects.using(editor.connection.alias))

    return migrations.RunPython(of(do), of(undo) if undo is not None else None)
