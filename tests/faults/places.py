"""Where a test's database is, and how a process moves in. It stands apart, so that a started process can import it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

from botocore.config import Config
from django.db import connection, connections
from django.test import override_settings

from django_smarterbase.backend import resources
from django_smarterbase.indexes import auto, breaker, rebuild
from django_smarterbase.packs import packing

ALIAS = "faults"
HOLD = 0.6
#: The breaker's rest, the hold of a rebuild that died, the time between two looks of the automatic repair, its lease
#: and that of packers: short as the deadlines of these tests. Seconds.
PAUSES = {
    (breaker, "REST"): 1.0,
    (rebuild, "HOLD"): HOLD,
    (auto, "LOOK"): 0.4,
    (auto, "LEASE"): 1.0,
    (packing, "LEASE"): 3.0,  # which a packer must not outlast, however slow the machine
}


@dataclass(frozen=True)
class Place:
    """A database: objects in the folder ``location``, or in that bucket when there is an ``endpoint``.

    Durations are in seconds.
    """

    name: str
    location: str
    redis_url: str | None
    endpoint: str | None = None
    trust_seconds: float = 0.1
    write_deadline: float = 1.0
    socket_timeout: float = 0.25
    auto_reindex: bool = False

    def storage(self) -> dict[str, Any]:
        """The entry of STORAGES."""
        if self.endpoint is None:
            return {
                "BACKEND": "django.core.files.storage.FileSystemStorage",
                "OPTIONS": {"location": self.location},
            }
        options = {
            "bucket_name": self.location,
            "endpoint_url": self.endpoint,
            "access_key": "testing",
            "secret_key": "testing",
            "region_name": "us-east-1",
            "client_config": Config(connect_timeout=5, read_timeout=20, max_pool_connections=8),
        }
        return {"BACKEND": "storages.backends.s3.S3Storage", "OPTIONS": options}

    def cache(self) -> dict[str, Any]:
        """The entry of CACHES."""
        limits = {"SOCKET_CONNECT_TIMEOUT": self.socket_timeout, "SOCKET_TIMEOUT": self.socket_timeout}
        return {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": self.redis_url, "OPTIONS": limits}

    def database(self, cache: str = ALIAS) -> dict[str, Any]:
        """The entry of DATABASES."""
        options = {
            "storage": ALIAS,
            "cache": cache if self.redis_url is not None else None,
            "trust_seconds": self.trust_seconds,
            "write_deadline": self.write_deadline,
            "auto_reindex": self.auto_reindex,
            "fsync": False,
        }
        return {"ENGINE": "django_smarterbase.backend", "NAME": self.name, "OPTIONS": options}

    def behind(self, redis_url: str | None) -> Self:
        """The same database over another line to Redis."""
        return replace(self, redis_url=redis_url)


def be_patient_for_tests() -> None:
    """Shorten what a process waits for by the minute, so that a test sees what comes after."""
    for (module, name), seconds in PAUSES.items():
        setattr(module, name, seconds)


def settings_of(caches: dict[str, Place]) -> dict[str, Any]:
    """The settings that are not of DATABASES, for places that differ in their line to Redis only."""
    storage = next(iter(caches.values())).storage()
    dummy = {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}
    known = {alias: place.cache() for alias, place in caches.items() if place.redis_url is not None}
    return {
        "CACHES": {"default": dummy, **known},
        "STORAGES": {"default": {"BACKEND": "django.core.files.storage.InMemoryStorage"}, ALIAS: storage},
    }


def move_in(place: Place) -> None:
    """Make the database ``default`` of this process that of ``place``, for good."""
    be_patient_for_tests()
    override_settings(**settings_of({ALIAS: place})).enable()
    connection.close()
    connection.settings_dict.update(place.database())


class Cell:
    """What one process knows of a database, within the process of the tests: a connection, resources, a breaker.

    Its database alias and its cache alias are ``alias``.
    """

    def __init__(self, alias: str, place: Place) -> None:
        self.alias = alias
        self.place = place

    def open(self) -> None:
        """Make the alias known."""
        entry = {self.alias: self.place.database(self.alias)}
        connections.settings.update(connections.configure_settings({"default": connection.settings_dict, **entry}))

    def restart(self) -> None:
        """Forget everything, as a new process would not know it."""
        if hasattr(connections._connections, self.alias):
            connections[self.alias].close()
            del connections[self.alias]
        for key in [key for key in resources._open if key[2].cache == self.alias]:
            del resources._open[key]
        breaker._breakers.pop(self.alias, None)

    def close(self) -> None:
        """Forget the alias too."""
        self.restart()
        connections.settings.pop(self.alias, None)
