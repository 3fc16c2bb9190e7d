"""The smarterbase databases as the checks see them: their settings, and what the settings lead to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.core.checks import Error, Warning
from django.core.exceptions import ImproperlyConfigured
from django.core.files.storage import InvalidStorageError, Storage, storages
from django.db import connections

from django_smarterbase.conf import Options
from django_smarterbase.routers import smarterbase_aliases
from django_smarterbase.storage.keys import Keyspace

#: What ``storages[alias]`` raises for a missing alias, an unknown class and arguments that the class refuses.
STORAGE_ERRORS = (InvalidStorageError, ImproperlyConfigured, TypeError)


@dataclass(frozen=True)
class Database:
    """A smarterbase database whose options could be read."""

    alias: str
    keys: Keyspace
    options: Options

    @property
    def cache(self) -> Mapping[str, Any] | None:
        """The configuration of its cache alias; None without one."""
        config: Mapping[str, Any] | None = settings.CACHES.get(self.options.cache or "")
        return config

    @property
    def storage(self) -> Storage | None:
        """Its storage; None when that cannot be opened (E003 says why)."""
        try:
            return storages[self.options.storage]
        except STORAGE_ERRORS:
            return None

    def error(self, message: str, *, hint: str, id: str) -> Error:
        """An Error about this database."""
        return Error(message, hint=hint, obj=setting(self.alias), id=f"smarterbase.{id}")

    def warning(self, message: str, *, hint: str, id: str) -> Warning:
        """A Warning about this database."""
        return Warning(message, hint=hint, obj=setting(self.alias), id=f"smarterbase.{id}")


def smarterbase_databases(among: Sequence[str] | None = None) -> Iterator[Database]:
    """The databases whose settings can be read (E001, E002 and E008 report the others), those in ``among`` if given."""
    for alias in smarterbase_aliases():
        if among is None or alias in among:
            try:
                yield Database(alias, Keyspace(raw_name(alias)), Options.parse(raw_options(alias)))
            except ImproperlyConfigured:
                continue


def raw_name(alias: str) -> str:
    """The NAME of a database as it stands in the settings, "" without one."""
    return str(connections.settings[alias].get("NAME") or "")


def raw_options(alias: str) -> Mapping[str, Any]:
    """The OPTIONS of a database as they stand in the settings."""
    options: Mapping[str, Any] = connections.settings[alias].get("OPTIONS") or {}
    return options


def setting(alias: str) -> str:
    """How messages name a database."""
    return f"DATABASES[{alias!r}]"
