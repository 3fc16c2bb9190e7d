"""Scans that ask SQLite of a few columns first find the rows of stock SQLite, whatever stands in these columns."""

from __future__ import annotations

import datetime
import secrets
import uuid
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from django.db import DatabaseError, connections, models
from django.db.models import F, Max, Q, QuerySet
from django.db.models.expressions import RawSQL
from django.db.models.functions import Coalesce, Length, Lower
from django.test.utils import isolate_apps
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from pytest_django import DjangoDbBlocker

from django_smarterbase.backend import pieces, sieve
from testproject.services import RedisServer
from tests.integration.commands.site import site_in

from .questions import lookups, trees
from .stock import STOCK, stock_sqlite

VALUES: list[Any] = [
    *(None, "", "a", "A", "b ", "b", "é", "a\0b", "10", "10.0", "9", " 1", "0x10", "%", "_", "null", '{"a": 1}', "[1]"),
    *(0, 1, -1, 2**53 + 1, 2.0**53, 1.5, -1.5, 2**63 - 1, -(2**63), 1e300, b"", b"a", b"\xff"),
    *("2024-02-29", "2024-02-29 23:30:00", "2024-02-29 23:30:00.000001", "01" * 16),
]
COLUMNS = (
    "text",
    "folded",
    "trimmed",
    "whole",
    "real",
    "price",
    "live",
    "day",
    "moment",
    "time",
    "length",
    "uid",
    "raw",
)
JSON = ["null", '{"a": 1}', "[1]", "10"]
_TEXTS = st.sampled_from(["", "a", "A", "b", "é", "1", "10", "%", "_", "2024", "9"])
_NUMBERS = st.sampled_from([0, 1, -1, 9, 10, 2**53, 2**63 - 1])
_YES = st.booleans()


def copy_documents(model: type[models.Model]) -> None:
    """Write a document of each row that stock SQLite has."""
    connection: Any = connections["default"]
    resources, schema = connection.resources, connection.schema_of_model(model)
    codec, names = resources.codec(schema), ", ".join(f'+"{column.name}"' for column in schema.columns)
    with connections[STOCK].cursor() as cursor:
        cursor.execute(f"SELECT {names} FROM {model._meta.db_table}")
        for row in cursor.fetchall():
            resources.store.put(resources.keys.document(schema.table, str(row[0])), codec.encode(row))


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory, django_db_blocker: DjangoDbBlocker) -> Iterator[type[models.Model]]:
    """A model with a row of each value in each of its columns, none indexed, in the engine and in stock SQLite."""
    with isolate_apps("django_smarterbase"):

        class Mixed(models.Model):
            text = models.CharField(max_length=100, null=True)
            folded = models.CharField(max_length=100, null=True, db_collation="NOCASE")
            trimmed = models.CharField(max_length=100, null=True, db_collation="RTRIM")
            whole = models.IntegerField(null=True)
            real = models.FloatField(null=True)
            price = models.DecimalField(max_digits=9, decimal_places=2, null=True)
            live = models.BooleanField(null=True)
            day = models.DateField(null=True)
            moment = models.DateTimeField(null=True)
            time = models.TimeField(null=True)
            length = models.DurationField(null=True)
            uid = models.UUIDField(null=True)
            raw = models.BinaryField(null=True)
            data = models.JSONField(null=True)
            doubled = models.GeneratedField(
                expression=F("whole") + F("whole"), output_field=models.BigIntegerField(), db_persist=False
            )

            class Meta:
                app_label = "django_smarterbase"
                db_table = f"mixed_{secrets.token_hex(3)}"

    with (
        django_db_blocker.unblock(),
        RedisServer() as server,
        site_in(tmp_path_factory.mktemp("objects"), server),
        stock_sqlite((Mixed,)),
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(sieve, "FEW", 1)
        with connections["default"].schema_editor() as editor:
            editor.create_model(Mixed)
        with connections[STOCK].cursor() as cursor:
            for pk, value in enumerate(VALUES):
                cursor.execute(
                    f"INSERT INTO {Mixed._meta.db_table} (id, data, {', '.join(COLUMNS)}) "
                    f"VALUES (%s, %s, {', '.join(['%s'] * len(COLUMNS))})",
                    [pk, value if value in JSON else None, *[value] * len(COLUMNS)],
                )
        copy_documents(Mixed)
        yield Mixed


_OF_TEXTS = ("exact", "iexact", "contains", "icontains", "startswith", "iendswith", "gt", "gte", "lt", "lte", "regex")
_OF_NUMBERS = ("exact", "gt", "gte", "lt", "lte")
_DAYS = st.sampled_from([datetime.date(2024, 2, 29), datetime.date(2024, 3, 1)])
_LEAVES = {
    **{f"{name}__isnull": _YES for name in (*COLUMNS, "data")},
    **{f"{name}__{lookup}": _TEXTS for name in ("text", "folded", "trimmed") for lookup in _OF_TEXTS},
    **{f"{name}__in": st.lists(_TEXTS, max_size=3) for name in ("text", "folded", "trimmed")},
    **{f"{name}__{lookup}": _NUMBERS for name in ("whole", "real", "price", "id") for lookup in _OF_NUMBERS},
    **{f"{name}__range": st.tuples(_NUMBERS, _NUMBERS) for name in ("whole", "real")},
    "whole__in": st.lists(_NUMBERS, max_size=3),
    "whole__contains": _TEXTS,
    "price__in": st.just([Decimal("1.5"), Decimal(-1), Decimal(10)]),
    "live": _YES,
    "day__gte": _DAYS,
    "day__year": st.just(2024),
    "moment__date": _DAYS,
    "moment__hour__lt": st.sampled_from([0, 23, 24]),
    "moment__lt": st.just(datetime.datetime(2024, 3, 1, tzinfo=datetime.UTC)),
    "time__gt": st.just(datetime.time(1)),
    "length__gte": st.sampled_from([datetime.timedelta(0), datetime.timedelta(microseconds=10)]),
    "uid__in": st.just([uuid.UUID("01" * 16), uuid.UUID(int=1)]),
    "raw": st.sampled_from([b"", b"a"]),
    "raw__gt": st.just(b"a"),
    "data": st.sampled_from([{"a": 1}, [1], 1]),
    "data__a": st.just(1),
    "data__has_key": st.just("a"),
    "doubled__gt": _NUMBERS,
    "text__lt": st.sampled_from([F("folded"), F("whole"), F("real"), F("raw")]),
    "folded": st.sampled_from([F("text"), F("trimmed"), F("price"), Lower("text")]),
    "whole__gte": st.sampled_from([F("real"), F("text"), F("id"), F("doubled"), Length(Coalesce("text", "folded"))]),
    # What stands for another column, or for none, in another table.
    "id__gt": st.sampled_from([RawSQL("rowid - 1", ()), RawSQL("10 - _rowid_", ())]),
    "id__lt": st.sampled_from([RawSQL("LENGTH(doubled) * 10", ()), RawSQL('"doubled"', ())]),
}
CONDITIONS = trees(lookups(_LEAVES))
SHAPES: dict[str, Any] = {
    "keys": lambda rows: sorted(rows.order_by().values_list("pk", flat=True)),
    "keys bit by bit": lambda rows: sorted(rows.order_by().values_list("pk", flat=True).iterator()),
    "keys in order, bit by bit": lambda rows: list(rows.order_by("-pk").values_list("pk", flat=True).iterator()),
    "keys in another order, bit by bit": lambda rows: list(
        rows.order_by("text", "pk").values_list("pk", flat=True).iterator()
    ),
    "page": lambda rows: list(rows.order_by("folded", "pk").values_list("pk", flat=True)[1:9]),
    "count": lambda rows: rows.count(),
    "maximum": lambda rows: rows.aggregate(Max("pk"), Max("trimmed")),
    "update": lambda rows: rows.update(whole=F("whole")),
}


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(condition=CONDITIONS, shape=st.sampled_from(sorted(SHAPES)), first=st.sampled_from([5, 100]))
def test_rows_are_those_of_stock_sqlite(mixed: type[models.Model], condition: Q, shape: str, first: int) -> None:
    def ask(db: str) -> Any:
        rows: QuerySet[Any] = mixed._default_manager.using(db)
        try:
            return SHAPES[shape](rows.filter(condition))
        except DatabaseError as error:
            return str(error)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pieces, "FIRST", first)
        expected = ask(STOCK)
        assume(not isinstance(expected, str))  # a function that fails for a row, of which the engine need not ask it
        assert ask("default") == expected
