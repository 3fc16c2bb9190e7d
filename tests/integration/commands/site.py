"""A database of a test's own: objects in a folder, indexes in a Redis that the test may stop, kill and empty."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import redis
from django.conf import settings
from django.core.files.storage import storages
from django.db import connection, connections
from django.db.models import Model
from django.test import override_settings

from django_smarterbase.backend.resources import close_resources
from django_smarterbase.contenttypes import content_types
from django_smarterbase.indexes import breaker
from django_smarterbase.indexes.service import IndexState
from django_smarterbase.tables import TableSchema
from testproject.services import RedisServer

ALIAS = "own"
TRUST_SECONDS = 0.15
WRITE_DEADLINE = 1.0
REDIS_PATIENCE = 20.0  # seconds; a Redis that runs, on a machine that stands still, is no Redis that hangs
REDIS_TIMEOUT = 0.5  # seconds, of a test in which it hangs

_numbers = itertools.count(1)


def limits(seconds: float) -> dict[str, float]:
    """The OPTIONS of a cache whose Redis is waited for so long."""
    return {"SOCKET_CONNECT_TIMEOUT": seconds, "SOCKET_TIMEOUT": seconds}


class Site:
    """The connection ``default`` leads to it between ``open`` and ``close``."""

    def __init__(self, folder: Path, server: RedisServer) -> None:
        self.folder = folder
        self.server = server
        self.name = f"site{next(_numbers)}"
        self._settings = override_settings(**self.settings())
        self._saved: dict[str, Any] = {}

    def settings(self) -> dict[str, Any]:
        """The settings that are not of DATABASES."""
        cache = {
            "BACKEND": "django_redis.cache.RedisCache",
            "LOCATION": self.server.url,
            "OPTIONS": limits(REDIS_PATIENCE),
        }
        files = {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": str(self.folder)},
        }
        other = {"BACKEND": "django.core.files.storage.InMemoryStorage"}
        return {
            "CACHES": {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}, ALIAS: cache},
            "STORAGES": {"default": other, "staticfiles": other, ALIAS: files},
        }

    def options(self, **changes: Any) -> dict[str, Any]:
        """The options of the database."""
        return {
            "storage": ALIAS,
            "cache": ALIAS,
            "trust_seconds": TRUST_SECONDS,
            "write_deadline": WRITE_DEADLINE,
            "fsync": False,
            "auto_reindex": False,
            "profile_history": 0,
            **changes,
        }

    def open(self) -> Self:
        """Lead ``default`` here."""
        self._settings.enable()
        self._saved = {key: connection.settings_dict[key] for key in ("NAME", "OPTIONS")}
        self.restart()
        return self

    def close(self) -> None:
        """Lead ``default`` back to where it was."""
        connection.close()
        connection.settings_dict.update(self._saved)
        close_resources(self.name)
        breaker._breakers.pop(ALIAS, None)
        self._settings.disable()

    def restart(self, **options: Any) -> None:
        """What a new process would know: nothing. ``options`` are those that differ."""
        connection.close()
        content_types.clear()
        close_resources(self.name)
        breaker._breakers.pop(ALIAS, None)
        connection.settings_dict.update(NAME=self.name, OPTIONS=self.options(**options))

    @contextmanager
    def impatient(self) -> Iterator[None]:
        """Redis is waited for no longer than ``REDIS_TIMEOUT``."""
        # In the URL, since django-redis keeps one pool of connections for each.
        url = f"{self.server.url}?socket_timeout={REDIS_TIMEOUT}&socket_connect_timeout={REDIS_TIMEOUT}"
        with override_settings(CACHES={**settings.CACHES, ALIAS: {**settings.CACHES[ALIAS], "LOCATION": url}}):
            yield

    @contextmanager
    def beside(self, alias: str = "second", **changes: Any) -> Iterator[dict[str, Any]]:
        """The settings of another database, without documents; its connection ends with the block."""
        settings = {**connections.settings["default"], "NAME": f"{self.name}b", **changes}
        connections.settings[alias] = settings
        try:
            yield settings
        finally:
            connections[alias].close()
            del connections[alias]
            del connections.settings[alias]

    @contextmanager
    def redis(self) -> Iterator[redis.Redis]:
        """A client of the server."""
        client = redis.Redis.from_url(self.server.url, decode_responses=True)
        try:
            yield client
        finally:
            client.close()

    def redis_keys(self, pattern: str) -> list[str]:
        """The Redis keys of the site that end so."""
        with self.redis() as client:
            return sorted(client.scan_iter(match=f"sb:{{{self.name}:*}}:{pattern}", count=1000))

    def schema(self, model: type[Model]) -> TableSchema:
        """The table of a model."""
        return connection.schema_of_model(model)

    def state(self, model: type[Model]) -> IndexState:
        """The state of its index."""
        return connection.resources.indexes.state(self.schema(model))

    def objects(self) -> dict[str, bytes]:
        """Every object of the site, system objects included."""
        store, prefix = connection.resources.store, connection.resources.keys.prefix()
        assert storages[ALIAS] is connection.resources.storage
        return {key: stored.body for key, stored in store.scan(prefix)}


class RecordingSite(Site):
    """It has a history of profiles."""

    def options(self, **changes: Any) -> dict[str, Any]:
        """The options of the database."""
        return super().options(**{"profile_history": 10_000, **changes})


class PlainSite(Site):
    """Its storage is one that the package knows nothing of, so nothing is conditional between processes."""

    def settings(self) -> dict[str, Any]:
        """The settings that are not of DATABASES."""
        settings = super().settings()
        settings["STORAGES"][ALIAS]["BACKEND"] = "tests.integration.storage.conftest.PlainStorage"
        return settings


@contextmanager
def site_in(folder: Path, server: RedisServer, kind: type[Site] = Site) -> Iterator[Site]:
    """A new site on a running and empty server."""
    site = kind(folder, server)
    server.start()
    with site.redis() as client:
        client.flushall()
    site.open()
    try:
        yield site
    finally:
        site.close()
