"""Sites with articles, each on the module's own Redis, which the tests stop, kill and empty."""

from __future__ import annotations

import pytest

from tests.integration.commands.conftest import server, site
from tests.integration.commands.site import Site

from .ledger import Ledger

__all__ = ["filled", "patient", "server", "site"]

PATIENCE = 60.0  # seconds


@pytest.fixture
def filled(site: Site) -> Ledger:
    """The site with six authors and forty articles, and a ledger of what it holds."""
    ledger = Ledger()
    ledger.fill()
    return ledger


@pytest.fixture
def patient(site: Site, filled: Ledger) -> Ledger:
    """As ``filled``, but no lock and no deadline runs out while a test is in its middle."""
    site.restart(write_deadline=PATIENCE)
    return filled
