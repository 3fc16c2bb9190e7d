"""Statements that go over a table a piece at a time answer as stock SQLite does, wherever the pieces end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection
from django.db.models import Avg, Count, F, Max, Min, Q, QuerySet, Sum, Value
from django.db.models.functions import Coalesce, Concat, Length, Upper
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from django_smarterbase.backend import coursing, pieces, sieve

from .library.models import Article
from .questions import OWN_CONDITIONS
from .rows import fill

Rows = QuerySet[Article]


def _slice_of_any(rows: Rows) -> tuple[int, bool]:
    """How many rows a slice without an order has, and whether each is one of them, no two the same."""
    found = list(rows.order_by().values_list("pk", flat=True)[1:4])
    return len(found), set(found) <= set(rows.values_list("pk", flat=True)) and len(found) == len(set(found))


def _annotated(rows: Rows) -> Rows:
    return rows.annotate(loud=Concat(Upper("category"), Value("-"), "status"), size=Length("category") + F("id"))


SHAPES: dict[str, Callable[[Rows], Any]] = {
    "rows": lambda rows: Counter(rows.order_by().values_list()),
    "instances by iterator": lambda rows: Counter(
        (row.pk, row.category, row.price, row.printed, row.live) for row in rows.order_by().iterator()
    ),
    "values by iterator": lambda rows: Counter(rows.order_by().values_list("pk", "price", "printed").iterator(2)),
    "iterator by key": lambda rows: list(rows.order_by("pk").values_list("pk", "category").iterator()),
    "iterator by key, descending": lambda rows: list(rows.order_by("-pk").values_list("pk", "score").iterator(3)),
    "iterator in order": lambda rows: list(
        rows.order_by("category", F("score").desc(nulls_last=True), "pk").values_list("pk", "status").iterator()
    ),
    "iterator in the order of an annotation": lambda rows: list(
        _annotated(rows).order_by("-loud", "size").values_list("loud", "pk", "size").iterator()
    ),
    "deferred iterator": lambda rows: [row.category for row in rows.only("category").order_by("pk").iterator()],
    "list in order": lambda rows: list(rows.order_by("-printed", "price", "pk").values_list("pk", "price")),
    "list by a column that is not selected": lambda rows: list(rows.order_by("score", "-pk").values_list("category")),
    "slice in order": lambda rows: list(rows.order_by("-score", "pk").values_list("pk", "score")[1:4]),
    "slice in the order of an annotation": lambda rows: list(_annotated(rows).order_by("loud", "pk")[:3]),
    "end of a slice": lambda rows: list(rows.order_by("pk").values_list("pk", flat=True)[3:]),
    "slice of any": _slice_of_any,
    "first": lambda rows: getattr(rows.order_by("-rating", "pk").first(), "pk", None),
    "count": lambda rows: rows.count(),
    "count of an annotation": lambda rows: _annotated(rows).filter(size__gt=5).count(),
    "exists": lambda rows: rows.exists(),
    "aggregates": lambda rows: rows.aggregate(
        n=Count("score"),
        sum=Sum("score", filter=Q(score__lt=9)),
        mean=Avg("rating"),
        least=Min("price"),
        last=Max("printed"),
    ),
    "aggregate over a slice": lambda rows: rows.order_by("pk")[:4].aggregate(sum=Coalesce(Sum("rating"), 0)),
    "groups": lambda rows: Counter(rows.order_by().values_list("category").annotate(n=Count("pk"), most=Max("score"))),
    "groups that have": lambda rows: Counter(
        rows.order_by().values_list("status").annotate(n=Count("pk")).filter(n__gt=2)
    ),
    "distinct": lambda rows: list(rows.order_by("category").values_list("category", flat=True).distinct()),
    "distinct by iterator": lambda rows: Counter(rows.order_by().values_list("status").distinct().iterator()),
    "update": lambda rows: (
        rows.order_by().update(rating=F("rating")),
        Counter(Article.objects.using(rows.db).values_list("pk", "rating")),
    ),
}


@pytest.fixture(scope="module", params=["with an index", "without an index"])
def filled(request: pytest.FixtureRequest, databases: tuple[str, str]) -> Iterator[tuple[str, str]]:
    """Both databases with the library's rows, the engine with and without a cache."""
    if not Article.objects.using(databases[1]).exists():
        for db in databases:
            fill(db)
    options = connection.settings_dict["OPTIONS"]
    if request.param == "without an index":
        connection.close()
        connection.settings_dict["OPTIONS"] = {**options, "cache": None}
    yield databases
    connection.close()
    connection.settings_dict["OPTIONS"] = options


@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    where=st.lists(OWN_CONDITIONS, max_size=2),
    shape=st.sampled_from(sorted(SHAPES)),
    sizes=st.sampled_from([(1, 1, 0), (1, 4, 2), (3, 3, 5), (2, 100, 0), (100, 1000, 5000)]),
    few=st.sampled_from([1, 20]),
)
def test_statement_answers_as_stock_sqlite_wherever_its_pieces_end(
    filled: tuple[str, str], where: list[Q], shape: str, sizes: tuple[int, int, int], few: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sieve, "FEW", few)
        for (module, name), size in zip(
            ((pieces, "FIRST"), (pieces, "LARGEST"), (coursing, "HELD")), sizes, strict=True
        ):
            patch.setattr(module, name, size)
        engine, stock = (SHAPES[shape](Article.objects.using(db).filter(*where)) for db in filled)
    assert engine == stock
