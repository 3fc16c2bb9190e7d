"""Sites under migration, each on the module's own Redis."""

from __future__ import annotations

import pytest

from tests.integration.commands.conftest import server, site
from tests.integration.commands.site import Site
from tests.integration.engine.equivalence.migrating import History

__all__ = ["server", "site"]


@pytest.fixture
def history(site: Site) -> History:
    """The migrations of the site: none yet."""
    return History("default")
