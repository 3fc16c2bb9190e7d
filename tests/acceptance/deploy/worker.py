"""A process of the site: ``python -m tests.acceptance.deploy.worker``, with the app's folder on the path.

It reads requests from its standard input, one JSON list a line, and answers each with a line of JSON.
"""

from __future__ import annotations

import io
import json
import os
import sys
from typing import Any

import django
from django.apps import apps
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import IntegrityError
from django.db.models import F

from django_smarterbase.exceptions import ConflictError


def configure() -> None:
    """The settings: objects in a folder, indexes in a Redis if there is one."""
    url = os.environ["DEPLOY_REDIS"]
    settings.configure(
        SECRET_KEY="tests",
        USE_TZ=True,
        INSTALLED_APPS=["django_smarterbase", "shop"],
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        DATABASES={
            "default": {
                "ENGINE": "django_smarterbase.backend",
                "NAME": "site",
                "OPTIONS": {
                    "cache": "smarterbase" if url else None,
                    "trust_seconds": 0.2,
                    "write_deadline": 1.0,
                    "fsync": False,
                    "auto_reindex": False,
                    "profile_history": 0,
                },
            }
        },
        CACHES={"smarterbase": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": url}} if url else {},
        STORAGES={
            "smarterbase": {
                "BACKEND": "django.core.files.storage.FileSystemStorage",
                "OPTIONS": {"location": os.environ["DEPLOY_FOLDER"]},
            }
        },
    )
    django.setup()


class Worker:
    """What can be asked of the process."""

    def __init__(self) -> None:
        from django_smarterbase.profiling import profile_queries

        (model,) = apps.get_app_config("shop").get_models()
        self.items: Any = model.objects
        self.profile_queries = profile_queries

    def rows(self) -> list[dict[str, Any]]:
        """Every item."""
        return list(self.items.order_by("pk").values())

    def create(self, values: dict[str, Any]) -> int | None:
        """The key of a new item; None when its code is another's."""
        try:
            return self.items.create(**values).pk
        except IntegrityError:
            return None

    def save(self, pk: int, values: dict[str, Any]) -> None:
        """Change an item as a form does."""
        item = self.items.get(pk=pk)
        for name, value in values.items():
            setattr(item, name, value)
        item.save()

    def find(self, conditions: dict[str, Any]) -> list[Any]:
        """The keys of the items that meet the conditions, and how they were found."""
        with self.profile_queries() as profiled:
            keys = sorted(item.pk for item in self.items.filter(**conditions))
        (profile,) = profiled.profiles
        return [keys, profile.fallback_reason or profile.index_used]

    def count_up(self, pk: int, times: int) -> None:
        """Add one to the stock, time and again."""
        for _ in range(times):
            while True:
                try:
                    self.items.filter(pk=pk).update(stock=F("stock") + 1)
                    break
                except ConflictError:  # said after several attempts, and nothing was applied: the caller's turn
                    continue

    def command(self, *line: str) -> list[Any]:
        """The exit status of a management command, and what it says."""
        out = io.StringIO()
        try:
            call_command(*line, stdout=out, stderr=out, no_color=True)
        except CommandError as error:
            return [error.returncode, f"{out.getvalue()}{error}"]
        return [0, out.getvalue()]


def main() -> None:
    """Answer until there are no more requests."""
    configure()
    worker = Worker()
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        print(json.dumps(getattr(worker, name)(*arguments)), flush=True)


if __name__ == "__main__":
    main()
