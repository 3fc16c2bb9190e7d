"""Primary keys that can be written in several ways: whatever is said of them twice, the rows are those of SQLite."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from django.db import connections, models
from django.db.models import Q, QuerySet
from django.test.utils import isolate_apps
from pytest_django import DjangoDbBlocker

from testproject.services import RedisServer
from tests.integration.commands.site import site_in

from .stock import STOCK, stock_sqlite

KEYS = (Decimal("-1.50"), Decimal("0.00"), Decimal("1.00"), Decimal("1000.00"))
#: ``"1.00"`` is a parameter as it stands; a number is written with the places of the field.
SPELLINGS: list[Any] = [Decimal("-1.5"), "-1.500", Decimal("-0.00"), 0, "0", 1, "1", "1.00", "1e3", Decimal("1000")]

CONDITIONS: dict[str, Callable[[Any, Any], Q]] = {
    "one and the other": lambda one, other: Q(pk=one) & Q(pk=other),
    "one, and one of several": lambda one, other: Q(pk=one) & Q(pk__in=[other, 7]),
    "one, unless it is the other": lambda one, other: Q(pk=one) & ~Q(pk=other),
    "one or the other": lambda one, other: Q(pk=one) | Q(pk=other),
    "one that is both, or another of an index": lambda one, other: (Q(pk=one) & Q(pk=other)) | Q(size=1),
}


@pytest.fixture(scope="module")
def weight(
    tmp_path_factory: pytest.TempPathFactory, django_db_blocker: DjangoDbBlocker
) -> Iterator[type[models.Model]]:
    """A model with a row of each key, in the engine and in stock SQLite."""
    with isolate_apps("django_smarterbase"):

        class Weight(models.Model):
            kilos = models.DecimalField(primary_key=True, max_digits=7, decimal_places=2)
            size = models.IntegerField(db_index=True)

            class Meta:
                app_label = "django_smarterbase"
                db_table = f"weight_{secrets.token_hex(3)}"

    with (
        django_db_blocker.unblock(),
        RedisServer() as server,
        site_in(tmp_path_factory.mktemp("objects"), server),
        stock_sqlite((Weight,)),
    ):
        with connections["default"].schema_editor() as editor:
            editor.create_model(Weight)
        for db in ("default", STOCK):
            Weight._default_manager.using(db).bulk_create(Weight(key, size) for size, key in enumerate(KEYS))
        yield Weight


@pytest.mark.parametrize("condition", CONDITIONS.values(), ids=list(CONDITIONS))
def test_rows_of_two_conditions_on_the_key_are_those_of_stock_sqlite(
    weight: type[models.Model], condition: Callable[[Any, Any], Q]
) -> None:
    def ask(db: str, wanted: Q) -> tuple[list[int], int, list[int]]:
        rows: QuerySet[Any] = weight._default_manager.using(db).filter(wanted)
        return sorted(row.size for row in rows), rows.count(), sorted(rows.values_list("size", flat=True))

    for one, other in itertools.product(SPELLINGS, repeat=2):
        wanted = condition(one, other)
        assert ask("default", wanted) == ask(STOCK, wanted), (one, other)
