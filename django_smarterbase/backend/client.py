"""``manage.py dbshell``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db.backends.base.client import BaseDatabaseClient
from django.db.utils import NotSupportedError


class DatabaseClient(BaseDatabaseClient):
    """There is no shell: documents are objects, to be looked at with the tools of their store."""

    executable_name = "smarterbase"

    def runshell(self, parameters: Iterable[str]) -> Any:
        """Raise NotSupportedError, saying where to look instead."""
        raise NotSupportedError(
            "A smarterbase database has no command-line shell. Its documents are JSON objects under "
            f"{self.connection.settings_dict['NAME']}/ in the storage; manage.py shell gives the ORM."
        )
