"""The engine and stock SQLite side by side, with the same rows."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.contrib.contenttypes.models import ContentType
from django.db import connections
from django.test import modify_settings
from pytest_django import DjangoDbBlocker

from testproject.services import RedisServer
from tests.integration.commands.site import site_in

from .library.models import TABLES
from .stock import STOCK, stock_sqlite

LIBRARY = "tests.integration.engine.equivalence.library"


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    """A Redis for the module."""
    with RedisServer() as server:
        yield server


#: SQLite 3.40 has UPDATEs that set what a subquery of theirs has not read yet: it changes rows while it still looks for
#: more, and finds others than a SELECT with the same condition. A trigger makes it look first.
_TWO_PASSES = 'CREATE TRIGGER "{table}_two_passes" AFTER UPDATE ON "{table}" BEGIN SELECT 1; END'


@pytest.fixture(scope="module")
def databases(
    tmp_path_factory: pytest.TempPathFactory, server: RedisServer, django_db_blocker: DjangoDbBlocker
) -> Iterator[tuple[str, str]]:
    """The aliases of the engine and of stock SQLite, each with the library's empty tables."""
    folder = tmp_path_factory.mktemp("objects")
    with (
        django_db_blocker.unblock(),
        modify_settings(INSTALLED_APPS={"append": LIBRARY}),
        site_in(folder, server),
        stock_sqlite(TABLES),
    ):
        ContentType.objects.clear_cache()
        with connections[STOCK].cursor() as cursor:
            for model in TABLES:
                cursor.execute(_TWO_PASSES.format(table=model._meta.db_table))
        yield "default", STOCK
    ContentType.objects.clear_cache()
