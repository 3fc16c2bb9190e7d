"""Sites that verify foreign keys, with the models of the shelf."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.test import modify_settings

from tests.integration.commands.conftest import server
from tests.integration.commands.conftest import site as plain_site
from tests.integration.commands.site import Site

SHELF = "tests.integration.engine.foreign_keys.shelf"

__all__ = ["plain_site", "server"]


@pytest.fixture(scope="module", autouse=True)
def shelf() -> Iterator[None]:
    """The application is installed."""
    with modify_settings(INSTALLED_APPS={"append": SHELF}):
        yield


@pytest.fixture
def site(plain_site: Site) -> Site:
    """An open, empty site that verifies foreign keys."""
    plain_site.restart(check_foreign_keys=True, trust_seconds=50, write_deadline=60)  # no lease runs out meanwhile
    return plain_site
