"""Expressions of one's own whose SQL reads tables of which Django does not know, and what an INSERT selects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connections, transaction
from django.db.models import Case, Expression, Func, IntegerField, Lookup, Subquery, Value, When
from django.db.models.expressions import Combinable, RawSQL
from django.db.models.functions import Coalesce, Length
from django.db.models.sql.compiler import SQLCompiler

from django_smarterbase.profiling import profile_queries

from .library.models import Author, Country
from .rows import fill


@pytest.fixture(scope="module")
def filled(databases: tuple[str, str]) -> tuple[str, str]:
    """Both databases with the library's rows."""
    for db in databases:
        fill(db)
    return databases


class Largest(Expression):
    """The size of the largest country."""

    output_field = IntegerField()

    def as_sql(self, compiler: SQLCompiler, connection: Any) -> tuple[str, list[Any]]:
        return "(SELECT MAX(size) FROM library_country)", []


class IsNoneOfSize(Lookup):
    """Whether a value is the code of no country of a size."""

    lookup_name = "is_none_of_size"

    def as_sql(self, compiler: SQLCompiler, connection: Any) -> tuple[str, list[Any]]:
        lhs, params = self.process_lhs(compiler, connection)
        rhs, more = self.process_rhs(compiler, connection)
        return f"{lhs} NOT IN (SELECT code FROM library_country WHERE size = {rhs})", [*params, *more]


class Counted(Subquery):
    """How many rows a subquery has, as many projects have it."""

    template = "(SELECT COUNT(*) FROM (%(subquery)s) counted)"
    output_field = IntegerField()


class CountedTwice(Counted):
    """The same, joined with a table of which Django does not know."""

    template = "(SELECT COUNT(*) FROM (%(subquery)s) counted JOIN library_tag)"


def _largest(sql: str) -> Func:
    return Func(template=f"(SELECT MAX(size) {sql})", output_field=IntegerField())


EXPRESSIONS: dict[str, Callable[[], Combinable]] = {
    "a class of its own": Largest,
    "a template": lambda: _largest("FROM library_country"),
    "a name in quotes": lambda: _largest('FROM"library_country"'),
    "a name in brackets": lambda: _largest("FROM (library_country)"),
    "a comment": lambda: _largest("FROM/* it's */library_country"),
    "SQL text": lambda: RawSQL("(SELECT MAX(size) FROM library_country)", ()),
    "inside of a function": lambda: Coalesce(Largest(), Value(7)),
    "inside of a case": lambda: Case(When(born=Largest(), then=Value(7)), default=Largest()),
    "beside a subquery": lambda: CountedTwice(Country.objects.filter(size=1)),
}


def rolled_back(db: str, write: Callable[[], Any]) -> Any:
    with transaction.atomic(using=db):
        found = write()
        transaction.set_rollback(True, using=db)
    return found


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_expression_reads_the_table_that_its_sql_names(filled: tuple[str, str], name: str) -> None:
    def selected(db: str) -> Any:
        return list(Author.objects.using(db).annotate(n=EXPRESSIONS[name]()).order_by("pk").values_list("pk", "n"))

    engine, stock = map(selected, filled)
    assert engine == stock
    assert None not in dict(stock).values()


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_update_sets_what_the_sql_of_an_expression_reads(filled: tuple[str, str], name: str) -> None:
    def updated(db: str) -> Any:
        authors = Author.objects.using(db).filter(name="Ada")
        authors.update(born=EXPRESSIONS[name]())
        return sorted(authors.values_list("pk", "born"))

    engine, stock = (rolled_back(db, lambda db=db: updated(db)) for db in filled)
    assert engine == stock
    assert None not in dict(stock).values()


@pytest.mark.parametrize("name", [name for name in EXPRESSIONS if name != "inside of a case"])
def test_insert_stores_what_the_sql_of_an_expression_reads(filled: tuple[str, str], name: str) -> None:
    def created(db: str) -> Any:
        Author.objects.using(db).create(id=90, name="new", born=EXPRESSIONS[name]())
        return Author.objects.using(db).get(pk=90).born

    engine, stock = (rolled_back(db, lambda db=db: created(db)) for db in filled)
    assert engine == stock
    assert stock is not None


def test_function_that_stands_for_a_table_is_read_in_a_transaction(filled: tuple[str, str]) -> None:
    counted = Func(template="(SELECT SUM(value) FROM json_each('[3, 4]'))", output_field=IntegerField())

    def written(db: str) -> Any:
        authors = Author.objects.using(db).filter(name="Ada")
        authors.update(born=counted)
        with connections[db].cursor() as cursor:
            cursor.execute("SELECT library_author.id, value FROM library_author, json_each('[1]') WHERE born = 7")
            raw = cursor.fetchall()
        savepoint = transaction.savepoint(using=db)
        authors.update(born=8)
        transaction.savepoint_rollback(savepoint, using=db)  # what was read is read once more
        return raw, list(authors.select_for_update().annotate(n=counted).order_by("pk").values_list("born", "n"))

    engine, stock = (rolled_back(db, lambda db=db: written(db)) for db in filled)
    assert engine == stock
    assert set(stock[1]) == {(7, 7)}


def test_update_and_delete_find_the_rows_of_a_lookup_that_reads_a_table(filled: tuple[str, str]) -> None:
    def written(db: str) -> Any:
        authors = Author.objects.using(db).filter(
            IsNoneOfSize(Author._meta.get_field("country").get_col(Author._meta.db_table), 1)
        )
        return authors.update(born=1), authors.delete()[0], sorted(Author.objects.using(db).values_list("pk", "born"))

    engine, stock = (rolled_back(db, lambda db=db: written(db)) for db in filled)
    assert engine == stock
    assert stock[0]


def test_subquery_of_a_template_of_its_own_scans_nothing(filled: tuple[str, str]) -> None:
    authors = Author.objects.using(filled[0]).filter(pk=1).annotate(n=Counted(Country.objects.filter(pk="at")))
    with profile_queries() as seen:
        assert [author.n for author in authors] == [1]
    assert [profile.complexity for profile in seen.profiles] == ["O(1)"]


def test_insert_stores_what_its_own_subquery_selects_after_another(filled: tuple[str, str]) -> None:
    """The subqueries differ in what no parameter tells: an order, a condition on NULL."""
    authors, countries = Author.objects, Country.objects.annotate(length=Length("code"))
    subqueries = [
        authors.order_by("name", "pk").values("pk")[:1],
        authors.order_by("-name", "-pk").values("pk")[:1],
        countries.filter(size__isnull=False).order_by("-length").values("length")[:1],
        countries.filter(size__isnull=True).order_by("-length").values("length")[:1],
        countries.filter(pk="at").values("length"),
        countries.filter(pk="a/t").values("length"),
    ]

    def created(db: str) -> Any:
        for number, subquery in enumerate(subqueries, 90):
            Author.objects.using(db).create(id=number, name="new", born=Subquery(subquery))
        new = Author.objects.using(db).filter(pk__gte=90)
        found = list(new.order_by("pk").values_list("born", flat=True))
        new.delete()
        return found

    engine, stock = map(created, filled)
    assert engine == stock
    assert None not in stock
