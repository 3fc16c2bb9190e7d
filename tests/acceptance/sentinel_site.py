"""A site whose Redis is found through Sentinel: ``python -m tests.acceptance.sentinel_site FOLDER PORT``.

For each line on standard input it does what that says, and prints one line of JSON.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import django
from django.conf import settings

SECONDS = 3.0  # which a busy machine may take; a Redis that is down refuses at once
IN_MEMORY = {"BACKEND": "django.core.files.storage.InMemoryStorage"}


def configure(folder: str, port: int) -> None:
    """As ``docs/howto/redis.md`` says, with short deadlines."""
    settings.configure(
        SECRET_KEY="tests",
        USE_TZ=True,
        INSTALLED_APPS=["django_smarterbase", "testproject.articles"],
        DATABASES={
            "default": {
                "ENGINE": "django_smarterbase.backend",
                "NAME": "site",
                "OPTIONS": {"trust_seconds": 0.2, "write_deadline": 2.0, "auto_reindex": False, "fsync": False},
            }
        },
        STORAGES={
            "default": IN_MEMORY,
            "smarterbase": {
                "BACKEND": "django.core.files.storage.FileSystemStorage",
                "OPTIONS": {"location": folder},
            },
        },
        DJANGO_REDIS_CONNECTION_FACTORY="django_redis.pool.SentinelConnectionFactory",
        CACHES={
            "default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"},
            "smarterbase": {
                "BACKEND": "django_redis.cache.RedisCache",
                "LOCATION": "redis://main/0",
                "OPTIONS": {
                    "CLIENT_CLASS": "django_redis.client.SentinelClient",
                    "SENTINELS": [("127.0.0.1", port)],
                    "SENTINEL_KWARGS": {"socket_timeout": SECONDS},
                    "SOCKET_CONNECT_TIMEOUT": SECONDS,
                    "SOCKET_TIMEOUT": SECONDS,
                },
            },
        },
    )
    django.setup()


def create(name: str) -> int:
    """Create an author."""
    from testproject.articles.models import Author

    Author.objects.create(name=name)
    return Author.objects.count()


def look(name: str) -> tuple[int, str, str | None]:
    """How many authors have the name, how it was found, and why not by the index."""
    from django_smarterbase.profiling import profile_queries
    from testproject.articles.models import Author

    with profile_queries() as queries:
        number = Author.objects.filter(name=name).count()
    return number, queries.profiles[0].index_used, queries.profiles[0].fallback_reason


def check(_: str) -> int:
    """The number of problems that the system checks find."""
    from django.core.checks import run_checks

    return len([found for found in run_checks(databases=["default"]) if found.id.startswith("smarterbase")])


def reindex(_: str) -> bool:
    """Whether ``sb_reindex`` succeeds. It does not before Sentinel has told the new master."""
    from django.core.management import CommandError, call_command

    try:
        call_command("sb_reindex", verbosity=0)
    except CommandError:
        return False
    return True


DEEDS: dict[str, Callable[[str], Any]] = {"create": create, "look": look, "check": check, "reindex": reindex}


if __name__ == "__main__":
    configure(sys.argv[1], int(sys.argv[2]))
    for line in sys.stdin:
        deed, _, argument = line.strip().partition(" ")
        print(json.dumps(DEEDS[deed](argument)), flush=True)
