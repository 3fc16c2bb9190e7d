"""Which tables a command is about: those of every smarterbase database, or of the apps and models that are named."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, cast

from django.apps import apps
from django.core.management.base import CommandError
from django.db import connections, router
from django.db.migrations.recorder import MigrationRecorder
from django.db.models import Model

from ..conf import ENGINE
from ..models import Tableless
from ..routers import smarterbase_aliases
from ..tables import TableSchema

if TYPE_CHECKING:
    from ..backend.base import DatabaseWrapper

_NEAR: Final = 3

Models = dict[type[Model], None]  # a set in the order of the apps


def chosen_databases(names: str | Sequence[str]) -> list[str]:
    """The aliases ``names``, each once; without any, every smarterbase database. Raises CommandError.

    It may be one name, as ``call_command()`` passes it.
    """
    names = [names] if isinstance(names, str) else names
    ours = smarterbase_aliases()
    if not ours:
        raise CommandError(f"No database in DATABASES has the engine {ENGINE!r}.")
    for name in names:
        if name not in ours:
            raise CommandError(
                f"{name!r} is no database with the engine {ENGINE!r}.{did_you_mean(name, ours)} "
                f"Those are: {', '.join(ours)}."
            )
    return list(dict.fromkeys(names)) or ours


def connection_of(alias: str) -> DatabaseWrapper:
    """The connection of a smarterbase database."""
    return cast("DatabaseWrapper", connections[alias])


def chosen_models(labels: Sequence[str]) -> Models | None:
    """The models of the apps and models that ``labels`` name, None without labels. Raises CommandError.

    A model brings the tables that Django makes for its many-to-many fields. The case of a model's name does not matter.
    """
    if not labels:
        return None
    named = _models_by_name()
    chosen: Models = {}
    for label in labels:
        app, dot, model = label.partition(".")
        models = named.get(f"{app}.{model.lower()}" if dot else app)
        if models is None:
            raise CommandError(_unknown(label, named))
        chosen |= models
    return chosen


def label_of_model(name: str) -> str:
    """The label of the model that is called so, as profiles have it; the case does not matter. Raises CommandError."""
    labels = {model._meta.label_lower: model._meta.label for model in _all_models()}
    if name.lower() not in labels:
        raise CommandError(f"No installed model is called {name!r}.{did_you_mean(name, list(labels.values()))}")
    return labels[name.lower()]


def models_of_tables(tables: Collection[str]) -> Models:
    """The models whose documents lie in these tables."""
    return {model: None for model in _all_models() if _concrete(model)._meta.db_table in tables}


def tables_of(alias: str, chosen: Models | None) -> list[TableSchema]:
    """The tables of a database, each once, in the order of the apps; only those of ``chosen`` models if it is given."""
    connection, found = connection_of(alias), dict[str, TableSchema]()
    # Where several models share a table, the one that Django manages says what it looks like.
    for model in sorted(_all_models(), key=lambda model: not model._meta.managed):
        if (chosen is None or model in chosen) and _lives_in(alias, model):
            schema = connection.schema_of_model(model)
            found.setdefault(schema.table, schema)
    return list(found.values())


def _all_models() -> Iterator[type[Model]]:
    for model in apps.get_models(include_auto_created=True):
        if not issubclass(model, Tableless):
            yield model
    yield MigrationRecorder.Migration  # it is in no app, but each database that was migrated has its table


def _lives_in(alias: str, model: type[Model]) -> bool:
    if model is MigrationRecorder.Migration:
        connection = connection_of(alias)
        return connection.resources.indexes.state(connection.schema_of_model(model)).entry is not None
    return bool(router.allow_migrate_model(alias, model))


def _concrete(model: type[Model]) -> type[Model]:
    return model._meta.concrete_model or model


def _models_by_name() -> dict[str, Models]:
    """``{"app": its models, "app.model": the model and its many-to-many tables}``."""
    named: dict[str, Models] = {}
    for model in _all_models():
        meta = model._meta
        named.setdefault(meta.app_label, {})[model] = None
        named.setdefault(f"{meta.app_label}.{meta.model_name}", {})[model] = None
        if meta.auto_created:
            owner = cast("Any", meta.auto_created)._meta
            named.setdefault(f"{owner.app_label}.{owner.model_name}", {})[model] = None
    return named


def _unknown(label: str, named: dict[str, Models]) -> str:
    if label in apps.app_configs:
        return f"The app {label!r} has no models, so there is nothing to do for it."
    shown = [model._meta.label for model in _all_models()]
    return f"No installed app or model is called {label!r}.{did_you_mean(label, [*apps.app_configs, *shown])}"


def did_you_mean(name: str, known: Sequence[str]) -> str:
    """`` Did you mean ...?`` with the nearest of the ``known`` names, "" when none is near."""
    by_lower = {each.lower(): each for each in known}
    near = difflib.get_close_matches(name.lower(), by_lower, n=_NEAR)
    return f" Did you mean {' or '.join(repr(by_lower[each]) for each in near)}?" if near else ""
