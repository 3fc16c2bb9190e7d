"""Whatever rows are asked for in an order, the index, a scan and stock SQLite give the same ones."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from django.db import connections, transaction
from django.db.models import F, Max, Min, Q, QuerySet
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from django_smarterbase.indexes.service import Change
from django_smarterbase.profiling import profile_queries

from .library.models import Article
from .questions import OF_ARTICLE, lookups
from .rows import fill

_FIELDS = ("score", "rating", "price", "printed", "category", "status", "author_id", "live", "pk", "author__name")
#: Conditions on articles alone, of which an index knows most.
_PLAIN = {
    name: values
    for name, values in OF_ARTICLE.items()
    if name.split("__")[0] not in ("tags", "longarticle", "author", "editor")
}

sortings = st.tuples(st.sampled_from(_FIELDS), st.booleans(), st.sampled_from([None, "first", "last"]))


@dataclass(frozen=True)
class Page:
    """Articles that meet ``where``, in an order, from ``start`` on."""

    where: tuple[Q, ...]
    order: tuple[tuple[str, bool, str | None], ...]
    start: int
    length: int
    related: bool

    def ask(self, db: str, *, scan: bool = False) -> list[Any]:
        """The values that are sorted by; with the keys where these are among them."""
        rows: QuerySet[Article] = Article.objects.using(db)
        if scan:
            rows = rows.scan()
        for condition in self.where:
            rows = rows.filter(condition)
        rows = rows.order_by(*(self._part(*part) for part in self.order))
        if self.related:
            rows = rows.select_related("author", "editor")
        names = [name for name, _, _ in self.order]
        page = rows[self.start : self.start + self.length]
        return [tuple(getattr(row, name) if "__" not in name else row.author.name for name in names) for row in page]

    @staticmethod
    def _part(name: str, backwards: bool, nulls: str | None) -> Any:
        modifiers = {f"nulls_{nulls}": True} if nulls else {}
        return F(name).desc(**modifiers) if backwards else F(name).asc(**modifiers)


pages = st.builds(
    Page,
    where=st.lists(lookups(_PLAIN), max_size=2).map(tuple),
    order=st.lists(sortings, min_size=1, max_size=3).map(tuple),
    start=st.integers(0, 8),
    length=st.integers(1, 6),
    related=st.booleans(),
)


@pytest.fixture(scope="module")
def filled(databases: tuple[str, str]) -> tuple[str, str]:
    """Both databases with the library's rows."""
    for db in databases:
        fill(db)
    return databases


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(page=pages)
def test_page_is_that_of_stock_sqlite_with_the_index_and_by_scanning(filled: tuple[str, str], page: Page) -> None:
    engine, stock = filled
    expected = page.ask(stock)
    with profile_queries() as seen:
        assert page.ask(engine) == expected
    assert not seen.fallbacks()
    assert page.ask(engine, scan=True) == expected


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(page=pages, changed=st.dictionaries(st.integers(1, 18), st.integers(-1, 4), max_size=3))
def test_page_is_that_of_stock_sqlite_in_a_transaction_that_has_changed_rows(
    filled: tuple[str, str], page: Page, changed: dict[int, int]
) -> None:
    def within(db: str) -> list[Any]:
        with undone(db):
            page.ask(db)
            for pk, score in changed.items():
                Article.objects.using(db).filter(pk=pk).update(score=score)
            Article.objects.using(db).filter(pk=min(changed, default=0)).delete()
            return [page.ask(db), page.ask(db)]

    engine, stock = filled
    assert within(engine) == within(stock)


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(page=pages, under_way=st.dictionaries(st.integers(1, 18), st.integers(-1, 4), max_size=4))
def test_page_is_that_of_stock_sqlite_while_writes_are_under_way(
    filled: tuple[str, str], page: Page, under_way: dict[int, int]
) -> None:
    engine, stock = filled
    with announced(engine, under_way):
        assert page.ask(engine) == page.ask(stock)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(conditions=st.lists(lookups(_PLAIN), max_size=2), names=st.sets(st.sampled_from(_FIELDS), min_size=1))
def test_extremes_are_those_of_stock_sqlite(filled: tuple[str, str], conditions: list[Q], names: set[str]) -> None:
    def ask(db: str) -> dict[str, Any]:
        rows = Article.objects.using(db).filter(*conditions)
        of = {f"{name}_{each.__name__}": each(name) for name in names for each in (Min, Max)}
        return rows.aggregate(**of)

    engine, stock = filled
    assert ask(engine) == ask(stock)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    conditions=st.lists(lookups(_PLAIN), max_size=1),
    name=st.sampled_from([name for name in _FIELDS if "__" not in name]),
    kind=st.sampled_from(["year", "month", "week", "day"]),
    under_way=st.dictionaries(st.integers(1, 18), st.integers(-1, 4), max_size=3),
)
def test_different_values_are_those_of_stock_sqlite(
    filled: tuple[str, str], conditions: list[Q], name: str, kind: str, under_way: dict[int, int]
) -> None:
    def ask(db: str) -> list[Any]:
        rows = Article.objects.using(db).filter(*conditions)
        return [
            list(rows.order_by(name).values_list(name, flat=True).distinct()),
            list(rows.dates("printed", kind, order="DESC")),
        ]

    engine, stock = filled
    with announced(engine, under_way):
        assert ask(engine) == ask(stock)


@contextmanager
def undone(db: str) -> Iterator[None]:
    """A transaction that is rolled back."""
    with transaction.atomic(using=db):
        yield
        transaction.set_rollback(True, using=db)


@contextmanager
def announced(db: str, scores: dict[int, int]) -> Iterator[None]:
    """Writes that were announced to the index, and are taken back afterwards."""
    connection: Any = connections[db]
    schema = connection.schema_of_model(Article)
    columns = [column.name for column in schema.columns]
    rows = {row["id"]: row for row in Article.objects.using(db).filter(pk__in=scores).values(*columns)}
    indexes = connection.resources.indexes
    changes = [
        Change(str(pk), {**_as_stored(rows[pk]), "score": score}, existed=True)
        for pk, score in scores.items()
        if pk in rows
    ]
    write = indexes.begin(schema, changes)
    try:
        yield
    finally:
        write.abort([change.stem for change in changes])


def _as_stored(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value if isinstance(value, (int, str, type(None))) else str(value) for name, value in row.items()}
