"""Boolean columns that hold something else: whatever SQLite takes it for, the answers are those of stock SQLite."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from django.db import connections, models, transaction
from django.db.models import Count, F, Max, Min, Q, QuerySet, Value
from django.db.models.lookups import Exact
from django.test import modify_settings
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_django import DjangoDbBlocker

from django_smarterbase.profiling import profile_queries
from django_smarterbase.storage.values import tag
from testproject.services import RedisServer
from tests.integration.commands.site import Site, site_in

from .flags.models import Flag, Switch
from .stock import STOCK, stock_sqlite

FLAGS = ("live", "shown", "loose")
VALUES: list[Any] = [
    *(None, 0, 1, 2, -1, 0.5, -0.0, 1.0, 0.0, 1e-320, 2**63 - 1, -(2**63), float("inf"), 2.0**70),
    *("", "a", "abc", "0", "1", "2", "0.0", " 1", "2x", "0x1", "1e-400", ".5z", "-", "inf", "true", "é", "x" * 70),
    *(b"", b"\0", b"0", b"1", b"2x", b"a", b"\xff", b"x" * 40),
]
PLAIN = (None, 0, 1)

APP = "tests.integration.engine.equivalence.flags"
TABLE = Flag._meta.db_table
Rows = QuerySet[Any]
Flags = Sequence[tuple[Any, Any, Any]]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, django_db_blocker: DjangoDbBlocker) -> Iterator[Site]:
    """The engine and stock SQLite, with empty tables."""
    with (
        django_db_blocker.unblock(),
        modify_settings(INSTALLED_APPS={"append": APP}),
        RedisServer() as server,
        site_in(tmp_path_factory.mktemp("objects"), server) as site,
        stock_sqlite((Flag, Switch)),
    ):
        yield site


def rows_of(db: str, model: type[models.Model] = Flag) -> Rows:
    return model._default_manager.using(db).order_by()


def fill(flags: Flags) -> None:
    """Rows with these flags in both, by raw SQL."""
    for db in ("default", STOCK):
        with transaction.atomic(using=db), connections[db].cursor() as cursor:
            cursor.execute(f"DELETE FROM {TABLE}")
            for pk, values in enumerate(flags):
                cursor.execute(f"INSERT INTO {TABLE} VALUES (%s, %s, %s, %s, %s)", [pk, pk % 3, *values])


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


FLAG = st.one_of(st.sampled_from(PLAIN), st.sampled_from(VALUES))


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    flags=st.lists(st.tuples(FLAG, FLAG, FLAG), min_size=3, max_size=12),
    conditions=st.lists(CONDITIONS, min_size=1, max_size=3),
    order=ORDERS,
    start=st.integers(0, 4),
)
def test_answers_are_those_of_stock_sqlite_whatever_raw_sql_puts_into_booleans(
    site: Site, flags: Flags, conditions: list[Q], order: list[str], start: int
) -> None:
    fill(flags)
    for condition in conditions:
        compare(condition, order, start)


def test_answers_are_those_of_stock_sqlite_whatever_is_put_into_documents_by_hand(site: Site) -> None:
    flags = [(value, VALUES[-number], value) for number, value in enumerate(VALUES)]
    fill([(True, False, None)] * len(flags))
    fill_by_hand(site, flags)

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(condition=CONDITIONS, order=ORDERS, start=st.integers(0, 6))
    def run(condition: Q, order: list[str], start: int) -> None:
        compare(condition, order, start)

    run()


def fill_by_hand(site: Site, flags: Flags) -> None:
    """Put these flags into the documents of the engine and the rows of stock SQLite, and build the index anew."""
    connection: Any = connections["default"]
    for pk, values in enumerate(flags):
        path = site.folder / connection.resources.keys.document(TABLE, str(pk))
        written = (None if value is None else tag(value) for value in values)
        path.write_text(json.dumps(json.loads(path.read_bytes()) | dict(zip(FLAGS, written, strict=True))))
        rows_of(STOCK).filter(pk=pk).update(**{name: Value(value) for name, value in zip(FLAGS, values, strict=True)})
    connection.resources.indexes.rebuild(connection.schema_of_model(Flag))


def compare(condition: Q, order: list[str], start: int) -> None:
    """By the index, by a scan, and in a transaction, which reads documents where a statement alone would not."""
    expected = answers(rows_of(STOCK), condition, order, start)
    with profile_queries() as seen:
        assert answers(rows_of("default"), condition, order, start) == expected
    assert not seen.fallbacks()
    assert answers(Flag.objects.order_by().scan(), condition, order, start) == expected
    with transaction.atomic():
        assert answers(rows_of("default"), condition, order, start) == expected


@pytest.mark.parametrize(("odd", "reads"), [((), 0), ((2,), 1), ((2, "abc", 3), 2)])
def test_index_counts_what_is_true_and_reads_documents_of_other_values_only(
    site: Site, odd: tuple[Any, ...], reads: int
) -> None:
    fill([(value, True, None) for value in (True, True, False, None, *odd)])
    assert rows_of("default").filter(live=True).count() == rows_of(STOCK).filter(live=True).count()  # Redis learns it
    with profile_queries() as seen:
        assert rows_of("default").filter(live=True).count() == 2 + reads
        assert rows_of("default").filter(author=1).count() == rows_of(STOCK).filter(author=1).count()
    truth, other = seen.profiles
    assert (truth.index_used, truth.complexity) == ("redis:flags_flag-by-live", "O(1)")
    assert (truth.storage_ops.reads, truth.redis_ops.round_trips) == (reads, 1)
    assert (other.storage_ops.reads, other.redis_ops.round_trips) == (0, 1)


@pytest.mark.parametrize(("odd", "order"), [(2, "-live"), (0.5, "live"), ("a2", "live"), (b"3", "-live")])
def test_page_has_odd_documents_where_sqlite_sorts_them_by_their_values(site: Site, odd: Any, order: str) -> None:
    fill([(True, True, None)] * 6 + [(odd, True, None)])

    def ask(db: str) -> list[Any]:
        rows = rows_of(db).filter(live=True).order_by(order, "pk")
        return [[each.pk for each in page] for page in (rows[:1], rows[1:3], rows[3:5], rows[5:9])]

    with profile_queries() as seen:
        assert ask("default") == ask(STOCK)
    assert {profile.index_used for profile in seen.profiles} == {"redis:flags_flag-by-live"}


def test_boolean_that_becomes_odd_and_plain_again_is_found_by_what_it_is(site: Site) -> None:
    fill([(False, False, False)] * 3)
    for value, expected in ((Value(2), [1]), (F("author") - 1, []), (F("author") + 1, [1]), (True, [1]), (False, [])):
        Flag.objects.filter(pk=1).update(live=value)
        assert [each.pk for each in Flag.objects.filter(live=True)] == expected
    Flag.objects.bulk_update([Flag(pk=2, live=F("author") * 2)], ["live"])
    assert [each.pk for each in Flag.objects.filter(live=True)] == [2]
    assert Flag.objects.filter(live__in=[True]).count() == 0


def test_index_counts_puts_values_together_that_a_boolean_field_does_not_tell_apart(site: Site) -> None:
    fill([(value, None, None) for value in (1, 2, "2x", 0, None)])
    assert Flag.objects.index_counts("live") == Flag.objects.scan().index_counts("live") == {True: 3, False: 1, None: 1}


def test_lost_set_of_odd_documents_is_noticed_by_the_query_that_needs_it(site: Site) -> None:
    fill([(2, None, None), (True, None, None)])
    (key,) = site.redis_keys("set:*[?]live:odd")
    with site.redis() as client:
        client.delete(key)
    with profile_queries() as seen:
        assert rows_of("default").filter(author=1).count() == 1
        assert rows_of("default").filter(live=True).count() == 2
    assert [profile.fallback_reason for profile in seen.profiles] == [None, "index damaged"]
    connection: Any = connections["default"]
    connection.resources.indexes.rebuild(connection.schema_of_model(Flag))


def test_key_that_is_a_boolean_is_found_by_its_truth(site: Site) -> None:
    for db in ("default", STOCK):
        with connections[db].cursor() as cursor:
            cursor.execute("INSERT INTO flags_switch VALUES (%s, %s), (%s, %s)", [0, "off", 2, "on"])

    def ask(db: str) -> list[Any]:
        rows = rows_of(db, Switch)
        found = (rows.filter(on=True), rows.exclude(on=True), rows.filter(on=False), rows.filter(on__in=[True]))
        return [(sorted(each.values_list("name", flat=True)), each.count()) for each in found]

    assert ask("default") == ask(STOCK) == [(["on"], 1), (["off"], 1), (["off"], 1), ([], 0)]
