"""``manage.py dbshell``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.core.management import CommandError
from django.db.backends.base.client import BaseDatabaseClient


class DatabaseClient(BaseDatabaseClient):
    """There is no shell: documents are objects, to be looked at with the tools of their store."""

    executable_name = "smarterbase"

    def runshell(self, parameters: Iterable[str]) -> Any:
        """Raise CommandError, saying where to look instead."""
        raise CommandError(
            f"The database {self.connection.alias!r} has no command-line shell. Its documents are JSON objects under "
            f"{self.connection.settings_dict['NAME']}/ in the storage, to be read with the tools of that; "
            '"manage.py shell" gives the ORM, and its connection.cursor() runs SQL.'
        )
