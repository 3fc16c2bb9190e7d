"""Boolean columns that hold something else: SQLite takes any value for true or false, and so the answers are its own."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from django.db import connections, models, transaction
from django.db.models import Case, Count, F, Max, Min, Q, QuerySet, Value, When
from django.db.models.lookups import Exact
from django.test.utils import isolate_apps
from hypothesis import Phase, HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_django import DjangoDbBlocker

from django_smarterbase.managers import SmarterBaseManager
from django_smarterbase.profiling import profile_queries
from testproject.services import RedisServer
from tests.integration.commands.site import Site, site_in

from .stock import STOCK, stock_sqlite

FLAGS = ("live", "shown", "loose")
VALUES: list[Any] = [
    *(None, 0, 1, 2, -1, 0.5, -0.0, 1.0, 0.0, 1e-320, 2**63 - 1, -(2**63), float("inf"), 2.0**70),
    *("", "a", "abc", "0", "1", "2", "0.0", " 1", "2x", "0x1", "1e-400", ".5z", "-", "inf", "true", "é", "x" * 70),
    *(b"", b"\0", b"0", b"1", b"2x", b"a", b"\xff", b"x" * 40),
]
PLAIN = (None, 0, 1)
ROWS = 12

Rows = QuerySet[Any]


class Flagged:
    """The model of these tests in the engine and in stock SQLite, and what changes its rows in both."""

    def __init__(self, model: type[models.Model], folder: Path, site: Site) -> None:
        self.model, self.table = model, model._meta.db_table
        self.folder, self.site = folder / site.name / self.table, site

    def rows(self, db: str) -> Rows:
        return self.model._default_manager.using(db).order_by()

    def fill(self, values: Sequence[tuple[Any, ...]]) -> None:
        """Give rows these values of the flags by expressions, since no boolean field takes them."""
        for db in ("default", STOCK):
            with transaction.atomic(using=db):
                self.rows(db).all().delete()
                self.rows(db).bulk_create(self.model(pk=pk, author=pk % 3) for pk in range(len(values)))
            whens = ([When(pk=pk, then=Value(flags[place])) for pk, flags in enumerate(values)] for place in range(3))
            expressions = [Case(*cases, output_field=models.BooleanField()) for cases in whens]
            self.rows(db).update(**dict(zip(FLAGS, expressions, strict=True)))

    def fill_by_hand(self, values: Sequence[tuple[Any, ...]]) -> None:
        """The same, but in the engine by documents that are put into its folder."""
        self.fill(values)
        self.rows("default").update(**dict.fromkeys(FLAGS))
        for pk, flags in enumerate(values):
            path = self.folder / f"{pk}.json"
            document = json.loads(path.read_bytes())
            path.write_text(json.dumps(document | dict(zip(FLAGS, flags, strict=True))))
        connection: Any = connections["default"]
        connection.resources.indexes.rebuild(connection.schema_of_model(self.model))


@pytest.fixture(scope="module")
def flagged(tmp_path_factory: pytest.TempPathFactory, django_db_blocker: DjangoDbBlocker) -> Iterator[Flagged]:
    """A model with booleans in indexes of one and of several columns, and in none."""
    folder: Path = tmp_path_factory.mktemp("objects")
    with isolate_apps("django_smarterbase"):

        class Flag(models.Model):
            author = models.IntegerField(db_index=True)
            live = models.BooleanField(null=True, db_index=True)
            shown = models.BooleanField(null=True)
            loose = models.BooleanField(null=True)

            objects = SmarterBaseManager()

            class Meta:
                app_label = "django_smarterbase"
                db_table = f"flag_{secrets.token_hex(3)}"
                indexes = [
                    models.Index(fields=["author", "shown"], name="by-author-shown"),
                    models.Index(fields=["live", "shown"], name="by-live-shown"),
                    models.Index(fields=["shown", "author"], name="by-shown-author"),
                ]

    with (
        django_db_blocker.unblock(),
        RedisServer() as server,
        site_in(folder, server) as site,
        stock_sqlite((Flag,)),
    ):
        with connections["default"].schema_editor() as editor:
            editor.create_model(Flag)
        yield Flagged(Flag, folder, site)


def lookups(name: str) -> st.SearchStrategy[Q]:
    booleans = st.booleans()
    return st.one_of(
        booleans.map(lambda value: Q(**{name: value})),
        booleans.map(lambda value: Q(**{f"{name}__isnull": value})),
        st.lists(booleans, min_size=1, max_size=2).map(lambda values: Q(**{f"{name}__in": values})),
        st.sampled_from(["gt", "gte", "lt", "lte"]).flatmap(
            lambda lookup: booleans.map(lambda value: Q(**{f"{name}__{lookup}": value}))
        ),
        st.sampled_from(FLAGS).map(lambda other: Q(**{name: F(other)})),
        booleans.map(lambda value: Q(Exact(F(name), value))),
    )


LEAVES = st.one_of(*map(lookups, FLAGS), st.integers(0, 3).map(lambda value: Q(author=value)))
CONDITIONS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        inner.map(lambda one: ~one),
        st.tuples(inner, inner).map(lambda both: both[0] & both[1]),
        st.tuples(inner, inner).map(lambda both: both[0] | both[1]),
        st.tuples(inner, inner).map(lambda both: both[0] ^ both[1]),
    ),
    max_leaves=5,
)
ORDERS = st.lists(
    st.sampled_from(["live", "-live", "shown", "-shown", "author", "-author", "loose"]), max_size=2, unique=True
)


def listed(rows: Rows) -> list[str]:
    """The rows as they are, of which documents must be read, in no order."""
    return sorted(repr([each.pk, each.author]) for each in rows)


def answers(rows: Rows, condition: Q, order: list[str], start: int) -> dict[str, Any]:
    """What is asked of the rows that meet the condition."""
    found, others = rows.filter(condition), rows.exclude(condition)
    page = found.order_by(*order, "pk" if start % 2 else "-pk")
    return {
        "rows": (listed(found), listed(others)),
        "counts": (found.count(), others.count()),
        "existence": (found.exists(), others.exists()),
        "keys": (sorted(found.values_list("pk", flat=True)), sorted(others.values_list("pk", flat=True))),
        "values": sorted(map(repr, found.values_list("pk", "live", "shown"))),
        "a page": [each.pk for each in page[start : start + 3]],
        "all in order": [each.pk for each in page],
        "a page of columns": list(page.values_list("pk", "author")[start : start + 3]),
        "groups": sorted(map(repr, found.values_list("live").annotate(Count("pk")))),
        "extremes": found.aggregate(Min("author"), Max("author"), Count("live"), Count("shown")),
        "different ones": sorted(map(repr, found.values_list("shown").distinct())),
    }


@settings(max_examples=150, deadline=None, phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck))
@given(
    values=st.lists(
        st.tuples(*[st.one_of(st.sampled_from(PLAIN), st.sampled_from(VALUES))] * 3), min_size=3, max_size=ROWS
    ),
    conditions=st.lists(CONDITIONS, min_size=1, max_size=4),
    order=ORDERS,
    start=st.integers(0, 4),
)
def test_answers_are_those_of_stock_sqlite_whatever_boolean_columns_hold(
    flagged: Flagged, values: list[tuple[Any, ...]], conditions: list[Q], order: list[str], start: int
) -> None:
    flagged.fill(values)
    compare(flagged, conditions, order, start)


@pytest.fixture
def by_hand(flagged: Flagged) -> Flagged:
    """Documents with all values that JSON has, side by side with others and with themselves."""
    values = [value for value in VALUES if not isinstance(value, bytes) and value != float("inf")]
    flagged.fill_by_hand([(value, values[-number], value) for number, value in enumerate(values)])
    return flagged


@settings(max_examples=100, deadline=None, phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck))
@given(condition=CONDITIONS, order=ORDERS, start=st.integers(0, 6))
def test_answers_are_those_of_stock_sqlite_whatever_is_put_into_documents_by_hand(
    by_hand: Flagged, condition: Q, order: list[str], start: int
) -> None:
    compare(by_hand, [condition], order, start)


def compare(flagged: Flagged, conditions: list[Q], order: list[str], start: int) -> None:
    for condition in conditions:
        expected = answers(flagged.rows(STOCK), condition, order, start)
        with profile_queries() as seen:
            assert answers(flagged.rows("default"), condition, order, start) == expected
        assert not seen.fallbacks()
        scanned: Any = flagged.rows("default")
        assert answers(scanned.scan(), condition, order, start) == expected
        with transaction.atomic():
            assert answers(flagged.rows("default"), condition, order, start) == expected
