"""The check that the verification of foreign keys finds what refers without reading whole tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.core.checks import CheckMessage
from django.db import router

from django_smarterbase.checks.databases import smarterbase_databases


def check_foreign_key_indexes(**kwargs: Any) -> list[CheckMessage]:
    """W010: with ``check_foreign_keys``, deletes that scan."""
    messages: list[CheckMessage] = []
    for database in smarterbase_databases():
        if not database.options.check_foreign_keys:
            continue
        if database.options.cache is None:
            messages.append(
                database.warning(
                    "The option check_foreign_keys is on and there is no cache, so each deletion of a row reads every "
                    "table that refers to its table.",
                    hint="Name a cache for the indexes in the option cache, or turn check_foreign_keys off.",
                    id="W010",
                )
            )
        elif fields := list(_without_index(database.alias)):
            messages.append(
                database.warning(
                    "The option check_foreign_keys is on, and these foreign keys have no index, so each deletion of a "
                    f"row that they may refer to reads their whole table: {', '.join(fields)}.",
                    hint="Leave db_index=False away, or give them db_constraint=False.",
                    id="W010",
                )
            )
    return messages


def _without_index(alias: str) -> Iterator[str]:
    for model in apps.get_models(include_auto_created=True):
        if router.allow_migrate_model(alias, model):
            for field in model._meta.local_concrete_fields:
                has_index = getattr(field, "db_index", False) or field.unique
                if getattr(field, "db_constraint", False) and not has_index:
                    yield f"{model._meta.label}.{field.name}"
