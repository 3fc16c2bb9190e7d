"""A site with articles on a Redis that a test may kill."""

from tests.integration.commands.conftest import server, site

__all__ = ["server", "site"]
