"""Of which models SQL in a migration knows: those of that moment, and not those that the code has by now.

Django tells an operation of its states, but passes nothing of them on with SQL (``RunSQL``, ``schema_editor.execute``,
a cursor in ``RunPython``). They can be known all the same: by the migrations that are recorded as applied, and by the
models that the operations before the SQL, in the same migration, have given to the schema editor.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from django.apps.registry import Apps
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import ModelState, StateApps
from django.db.models import Model

if TYPE_CHECKING:
    from django_smarterbase.backend.base import DatabaseWrapper


class HistoricalModels:
    """The models of tables, as the migration under way on a connection has left them.

    The first question about a table that no operation of it has changed takes a scan of what is recorded, and the time
    that Django needs to render the models of all apps.
    """

    def __init__(self, wrapper: DatabaseWrapper) -> None:
        self._wrapper = wrapper
        self._recorded: Apps | None = None
        self._since: dict[str, Callable[[], type[Model] | None]] = {}

    def model_of(self, table: str) -> type[Model] | None:
        """The model of a table; None when there is none, or the migrations do not know it."""
        if table in self._since:
            return self._since[table]()
        if self._recorded is None:
            self._recorded = _recorded(self._wrapper)
        return self._wrapper.catalog.registered(self._recorded, table)

    def note(self, model: type[Model]) -> None:
        """An operation has left the table so."""
        self._since[model._meta.db_table] = lambda: model

    def note_removal(self, model: type[Model], remove: Callable[[ModelState], object]) -> None:
        """An operation has left the table so, but for what ``remove`` takes out of its state. A model that is of no
        state, but of the code, is looked for there."""
        table, apps = model._meta.db_table, model._meta.apps
        self._since.pop(table, None)
        if isinstance(apps, StateApps):
            self._since[table] = partial(_without, model, apps, remove)

    def note_end(self, table: str) -> None:
        """An operation has dropped the table, or given it another name."""
        self._since[table] = lambda: None


def _recorded(wrapper: DatabaseWrapper) -> Apps:
    """The models by the migrations that are recorded as applied; one that is being taken back still is."""
    with wrapper.unnoted():
        loader = MigrationLoader(wrapper)
    return loader.project_state([key for key in loader.applied_migrations if key in loader.graph.nodes]).apps


def _without(model: type[Model], apps: StateApps, remove: Callable[[ModelState], object]) -> type[Model]:
    """The model without something, in a registry of its own."""
    state, name = ModelState.from_model(model), (model._meta.app_label, model._meta.model_name or "")
    remove(state)
    own: StateApps = apps.clone()
    own.unregister_model(*name)
    own.render_multiple([state])
    return own.get_model(*name)
