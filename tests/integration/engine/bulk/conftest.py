"""A site whose deadlines are so long that nothing is announced anew while a test runs."""

from __future__ import annotations

import pytest

from tests.integration.commands.conftest import server, site
from tests.integration.commands.site import Site

__all__ = ["patient", "server", "site"]


@pytest.fixture
def patient(site: Site) -> Site:
    """The site, empty, with indexes."""
    site.restart(write_deadline=120.0)
    return site
