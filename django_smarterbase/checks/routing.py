"""The check that models reach their database."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.core.checks import CheckMessage, Warning
from django.db import router
from django.db.models import Model

from django_smarterbase.checks.options import check_chosen_database
from django_smarterbase.routers import is_smarterbase_model, smarterbase_aliases


def check_router(**kwargs: Any) -> list[CheckMessage]:
    """W006: models that would end up in another database."""
    if not smarterbase_aliases() or check_chosen_database():
        return []
    strays = [model._meta.label for model in apps.get_models() if is_smarterbase_model(model) and _strays(model)]
    if not strays:
        return []
    return [
        Warning(
            f"Models with a SmarterBaseManager are not in a smarterbase database: {', '.join(strays)}.",
            hint="Add 'django_smarterbase.routers.SmarterBaseRouter' to DATABASE_ROUTERS.",
            id="smarterbase.W006",
        )
    ]


def _strays(model: type[Model]) -> bool:
    return router.db_for_write(model) not in smarterbase_aliases()
