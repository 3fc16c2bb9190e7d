"""The databases that are measured, each an alias of one Django process, and the settings that define them."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Self

import django
from django.conf import settings

from benchmarks import rclone
from testproject.services import LOOPBACK

OBJECTS: Final = "default"
UNSYNCED: Final = "unsynced"
REBUILD: Final = "rebuild"
SQLITE: Final = "sqlite"
SQLITE_WAL: Final = "sqlite_wal"
SQLITE_UNSYNCED: Final = "sqlite_unsynced"
POSTGRES: Final = "postgres"
LOOP: Final = "loop"
OUTAGE: Final = "outage"  # the same documents, with a Redis that nobody can reach
S3: Final = "s3"
BOTO: Final = "boto"
EVERYTHING: Final = "everything"

#: Beyond so many documents an engine is left out: the S3 server beside us reads each file to list it, and the others
#: differ from their neighbours in how they write alone, which does not depend on the size.
MOST: Final = {S3: 10_000, BOTO: 10_000, UNSYNCED: 100_000, SQLITE_WAL: 100_000, SQLITE_UNSYNCED: 100_000}
BUCKET: Final = "objects"

WRITE_DEADLINE: Final = 2.5  # seconds, just above the default trust_seconds: the set-up waits for it

SQLITES: Final = (SQLITE, SQLITE_WAL, SQLITE_UNSYNCED)
TITLES: Final = {
    OBJECTS: "smarterbase",
    UNSYNCED: "smarterbase, no fsync",
    SQLITE: "SQLite",
    SQLITE_WAL: "SQLite, WAL",
    SQLITE_UNSYNCED: "SQLite, sync OFF",
    POSTGRES: "PostgreSQL",
    LOOP: "os.read + orjson",
    EVERYTHING: "all in Redis",
    S3: "smarterbase, S3",
    BOTO: "boto3 loop",
}
# Python's SQLite is compiled with synchronous=FULL as its default; the pragmas say so all the same.
_PRAGMAS: Final = {
    SQLITE: "PRAGMA journal_mode=DELETE; PRAGMA synchronous=FULL;",
    SQLITE_WAL: "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
    SQLITE_UNSYNCED: "PRAGMA journal_mode=DELETE; PRAGMA synchronous=OFF;",
}
_CLOSED_PORT: Final = 1  # nobody but root could listen there, and nobody does
_LIMITS: Final = {"SOCKET_CONNECT_TIMEOUT": 1, "SOCKET_TIMEOUT": 5}


@dataclass(frozen=True)
class Place:
    """Where everything is. ``name`` is the prefix of the object keys. What has no port or address is left out:
    PostgreSQL, an S3 server whose bucket ``objects`` is the folder of that name, and a Redis that holds everything.
    """

    folder: str
    redis_url: str
    name: str = "bench"
    postgres_port: int | None = None
    postgres_name: str = "postgres"
    s3_url: str | None = None
    everything_url: str | None = None

    @property
    def objects(self) -> Path:
        """The location of the storage."""
        return Path(self.folder) / "objects"

    def sqlite_file(self, alias: str) -> Path:
        """The file of one of the SQLite databases."""
        return Path(self.folder) / f"{alias}.sqlite3"

    def dump(self) -> str:
        """This place as an argument for a child process."""
        return json.dumps(asdict(self))

    @classmethod
    def load(cls, text: str) -> Self:
        """A place as ``dump`` gave it."""
        return cls(**json.loads(text))

    def configure(self) -> None:
        """Set up Django in this process: every engine an alias, so that all share interpreter, models and caches."""
        settings.configure(
            DEBUG=False,
            SECRET_KEY="benchmarks",
            USE_TZ=True,
            INSTALLED_APPS=["django_smarterbase", "testproject.articles"],
            DATABASES=self._databases(),
            CACHES={
                "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
                "smarterbase": {
                    "BACKEND": "django_redis.cache.RedisCache",
                    "LOCATION": self.redis_url,
                    "OPTIONS": _LIMITS,
                },
                OUTAGE: {
                    "BACKEND": "django_redis.cache.RedisCache",
                    "LOCATION": f"redis://{LOOPBACK}:{_CLOSED_PORT}/0",
                    "OPTIONS": _LIMITS,
                },
            },
            STORAGES={
                "default": {"BACKEND": "django.core.files.storage.InMemoryStorage"},
                "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
                "smarterbase": {
                    "BACKEND": "django.core.files.storage.FileSystemStorage",
                    "OPTIONS": {"location": self.objects},
                },
                S3: {"BACKEND": "storages.backends.s3.S3Storage", "OPTIONS": self.s3_options()},
            },
        )
        django.setup()

    def s3_options(self) -> dict[str, Any]:
        """How django-storages reaches the S3 server."""
        keys = {"access_key": rclone.KEY, "secret_key": rclone.KEY, "region_name": "us-east-1"}
        return {"bucket_name": BUCKET, "endpoint_url": self.s3_url, "addressing_style": "path", **keys}

    def _databases(self) -> dict[str, Any]:
        databases = {
            OBJECTS: self._smarterbase(self.name),
            UNSYNCED: self._smarterbase(self.name, fsync=False),
            OUTAGE: self._smarterbase(self.name, cache=OUTAGE, profile_history=0),
            S3: self._smarterbase(f"{self.name}-s3", storage=S3),
            # A rebuild takes at least the write deadline; a short one leaves the work to be measured.
            REBUILD: self._smarterbase(self.name, trust_seconds=0.05, write_deadline=0.1),
        }
        for alias in SQLITES:
            databases[alias] = {
                "ENGINE": "django.db.backends.sqlite3",
                "NAME": self.sqlite_file(alias),
                "OPTIONS": {"init_command": _PRAGMAS[alias]},
            }
        if self.postgres_port is not None:
            databases[POSTGRES] = {
                "ENGINE": "django.db.backends.postgresql",
                "NAME": self.postgres_name,
                "USER": "bench",
                "HOST": "127.0.0.1",
                "PORT": self.postgres_port,
            }
        return databases

    def _smarterbase(self, name: str, **options: Any) -> dict[str, Any]:
        # No rebuild in the background: what is measured shares the machine with nothing else.
        short = {"write_deadline": WRITE_DEADLINE, "auto_reindex": False}
        return {"ENGINE": "django_smarterbase.backend", "NAME": name, "OPTIONS": short | options}


def aliases(place: Place, documents: int) -> list[str]:
    """The engines that are measured over so many documents, in the order of the columns."""
    absent = {
        POSTGRES: place.postgres_port is None,
        S3: place.s3_url is None,
        BOTO: place.s3_url is None,
        EVERYTHING: place.everything_url is None,
    }
    return [alias for alias in TITLES if not absent.get(alias) and documents <= MOST.get(alias, documents)]
