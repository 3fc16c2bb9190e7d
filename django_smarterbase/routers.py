"""Which database a model belongs to, told by its default manager."""

from __future__ import annotations

from typing import Any, cast

from django.apps import apps
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import connections, router
from django.db.models import Model

from django_smarterbase.conf import ENGINE
from django_smarterbase.managers import SmarterBaseManager


def smarterbase_aliases() -> list[str]:
    """The databases with this engine, in the order of ``DATABASES``."""
    return [alias for alias, config in connections.settings.items() if config.get("ENGINE") == ENGINE]


def smarterbase_alias() -> str | None:
    """The database of the models that this router knows: the setting ``SMARTERBASE_DATABASE``, or the first one.

    None when there is no database with this engine. Raises ImproperlyConfigured when the setting names another one.
    """
    aliases = smarterbase_aliases()
    chosen: str | None = getattr(settings, "SMARTERBASE_DATABASE", None)
    if chosen is None:
        return aliases[0] if aliases else None
    if chosen not in aliases:
        raise ImproperlyConfigured(
            f"SMARTERBASE_DATABASE is {chosen!r}, which is no database with the engine {ENGINE}; those are: "
            f"{', '.join(aliases) or 'none'}."
        )
    return chosen


def is_smarterbase_model(model: type[Model]) -> bool:
    """Whether the default manager of ``model`` is a SmarterBaseManager.

    A proxy goes with its concrete model, and the table that Django makes for a many-to-many field with the model of
    the field.
    """
    maker = cast("type[Model] | None", model._meta.auto_created or None)
    owner = _present(maker or model)
    concrete = owner._meta.concrete_model or owner
    return isinstance(concrete._default_manager, SmarterBaseManager)


class SmarterBaseRouter:
    """Send models with a SmarterBaseManager to the smarterbase database; have no opinion on others, but that they are
    not where Django would look for them when it follows a relation from there.

    A router that is to decide otherwise for some model stands before this one in ``DATABASE_ROUTERS``.

    The models in the state of a migration have no managers, so the project's model of the same name decides for them.
    Once that is removed, a migration still finds its database if its manager was a subclass of SmarterBaseManager with
    ``use_in_migrations = True``; without, Django takes it for a model of the other databases.
    """

    def db_for_read(self, model: type[Model], **hints: Any) -> str | None:
        """The database of ``model``: that of the instance at hand when it is a smarterbase one."""
        instance = hints.get("instance")
        return router.db_for_read(model) if _leads_out(model, instance) else _database(model, instance)

    def db_for_write(self, model: type[Model], **hints: Any) -> str | None:
        """As ``db_for_read``."""
        instance = hints.get("instance")
        return router.db_for_write(model) if _leads_out(model, instance) else _database(model, instance)

    def allow_relation(self, obj1: Model, obj2: Model, **hints: Any) -> bool | None:
        """Allow relations among smarterbase models. Others are left to Django, which wants one database for both."""
        return True if is_smarterbase_model(type(obj1)) and is_smarterbase_model(type(obj2)) else None

    def allow_migrate(self, db: str, app_label: str, model_name: str | None = None, **hints: Any) -> bool | None:
        """Make the tables of smarterbase models in their database only, and no others there unless it is "default".

        An operation that names no model gets no opinion.
        """
        model = hints.get("model") or _registered(app_label, model_name)
        if model is None:
            return None
        if is_smarterbase_model(model):
            return db == smarterbase_alias()
        return False if db != "default" and db in smarterbase_aliases() else None


def _leads_out(model: type[Model], instance: Model | None) -> bool:
    """Whether a relation leads from ``instance``, in a smarterbase database, to a model that has no table there.

    Django takes both for neighbours. Without the instance, all routers are asked where the model is.
    """
    database = instance._state.db if instance is not None else None
    return database != "default" and database in smarterbase_aliases() and not is_smarterbase_model(model)


def _database(model: type[Model], instance: Model | None) -> str | None:
    if not is_smarterbase_model(model):
        return None
    if instance is not None and instance._state.db in smarterbase_aliases():
        return instance._state.db
    return smarterbase_alias()


def _present(model: type[Model]) -> type[Model]:
    """The project's model of today for one from the state of a migration; where there is none, that one itself."""
    if model._meta.apps is apps:
        return model
    return _registered(model._meta.app_label, model._meta.model_name) or model


def _registered(app_label: str, name: str | None) -> type[Model] | None:
    try:
        return apps.get_model(app_label, name, require_ready=False) if name is not None else None
    except LookupError:
        return None
