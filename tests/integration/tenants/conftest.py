"""Sites whose tenants have rows of their own, each on the module's own Redis."""

from __future__ import annotations

from tests.integration.commands.conftest import server, site

__all__ = ["server", "site"]
