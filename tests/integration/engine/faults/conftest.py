"""Sites with articles, each on the module's own Redis, which the tests stop, kill and empty."""

from __future__ import annotations

import pytest

from tests.integration.commands.conftest import server, site
from tests.integration.commands.site import Site

from .ledger import Ledger

__all__ = ["filled", "server", "site"]


@pytest.fixture
def filled(site: Site) -> Ledger:
    """The site with six authors and forty articles, and a ledger of what it holds."""
    ledger = Ledger()
    ledger.fill()
    return ledger
