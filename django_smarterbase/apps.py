"""The application: commands, checks and translations need it in ``INSTALLED_APPS``."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.db import connections, router
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _

from django_smarterbase.conf import ENGINE


class SmarterBaseConfig(AppConfig):
    """Registers the system checks and the history, keeps the content types of tenants apart, and sees to the indexes of
    new tables after ``migrate``."""

    name = "django_smarterbase"
    verbose_name = _("SmarterBase")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register the checks; they look at the settings when they run, not now."""
        from django_smarterbase import checks, contenttypes, history

        checks.register_all()
        history.install()
        contenttypes.separate_content_types()
        post_migrate.connect(_attend_tables, dispatch_uid="django_smarterbase.attend_tables")


def _attend_tables(sender: AppConfig, using: str, **_details: Any) -> None:
    """Give the new, empty tables of an app their indexes, now that their definitions are final."""
    connection: Any = connections[using]
    if connection.settings_dict["ENGINE"] != ENGINE:
        return
    for model in sender.get_models(include_auto_created=True):
        if router.allow_migrate_model(using, model) and model._meta.managed and not model._meta.proxy:
            connection.resources.indexes.attend(connection.schema_of_model(model))
