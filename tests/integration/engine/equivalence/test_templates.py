"""Statements that differ in values only have one plan, made once, and it is the one that each would have by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from django.db import transaction
from django.db.models import F, Max, Model, Q, QuerySet, Value
from django.test import override_settings
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from django_smarterbase.backend import catalog, compiler, modeltables
from django_smarterbase.planner.plan import QueryPlan
from django_smarterbase.planner.scopes import Statement
from django_smarterbase.planner.templates import Planner, SchemaOf, Templates
from django_smarterbase.profiling import profile_queries

from .library.models import Article, Author, Tag
from .questions import OF_ARTICLE, QUESTIONS, SHAPES, Question
from .rows import Word, fill

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning:django.db.models.sql")
ARTICLES = Article.objects.order_by()


class Watched(Templates):
    """Templates that hold each plan against one that is made afresh, and note what was planned in earnest."""

    def __init__(self, size: int = 1000) -> None:
        super().__init__(size)
        self.planned: list[str] = []
        self.given = 0

    def plan(
        self, statement: Statement, sql: str, params: Sequence[Any], schema_of: SchemaOf, planner: Planner
    ) -> QueryPlan:
        def noted(statement: Statement) -> QueryPlan:
            self.planned.append(sql)
            return planner(statement)

        alone = len(statement.scopes) == 1  # the planner notes what it compiles of others, which it must not do twice
        found = super().plan(statement, sql, params, schema_of, noted)
        if alone:
            self.given += 1
            assert repr(found) == repr(planner(statement)), sql
        return found


@pytest.fixture(scope="module")
def filled(databases: tuple[str, str]) -> tuple[str, str]:
    """Both databases with the library's rows."""
    for db in databases:
        fill(db)
    return databases


@pytest.fixture
def templates(filled: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> Watched:
    """The templates of the process, none of them made yet."""
    watched = Watched()
    monkeypatch.setattr(catalog, "_templates", watched)
    return watched


@pytest.fixture(scope="module")
def kept(filled: tuple[str, str]) -> Iterator[tuple[Watched, str, str]]:
    """Templates that are kept from example to example, and the databases."""
    with pytest.MonkeyPatch.context() as patched:
        watched = Watched()
        patched.setattr(catalog, "_templates", watched)
        yield watched, *filled


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Question, Question]:
    """A question asked with two sets of values."""
    names = draw(st.lists(st.sampled_from(sorted(OF_ARTICLE)), min_size=1, max_size=3))
    joined = [draw(st.sampled_from(["and", "or", "and not"])) for _name in names]
    shape = draw(st.sampled_from(sorted(SHAPES)))
    conditions = []
    for _time in range(2):
        condition = Q()
        for name, how in zip(names, joined, strict=True):
            leaf = Q(**{name: draw(OF_ARTICLE[name])})
            condition = condition | leaf if how == "or" else condition & (leaf if how == "and" else ~leaf)
        conditions.append(condition)
    first, second = (Question(Article, ((True, condition),), (shape, SHAPES[shape])) for condition in conditions)
    return first, second


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(asked=pairs())
def test_template_gives_the_plan_that_is_made_afresh_whatever_values_come(
    kept: tuple[Watched, str, str], asked: tuple[Question, Question]
) -> None:
    _watched, engine, stock = kept
    for question in asked:
        assert question.ask(engine) == question.ask(stock)


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(question=QUESTIONS)
def test_template_gives_the_plan_that_is_made_afresh_whatever_is_asked(
    kept: tuple[Watched, str, str], question: Question
) -> None:
    _watched, engine, stock = kept
    assert question.ask(engine) == question.ask(stock)


#: Pairs of statements; the second is not planned any more.
ALIKE: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
    "keys": (lambda: Article.objects.get(pk=1), lambda: Article.objects.get(pk=2)),
    "texts": (lambda: list(ARTICLES.filter(category="news")), lambda: list(ARTICLES.filter(category="essay"))),
    "a member of an enumeration": (
        lambda: list(ARTICLES.filter(category="essay")),
        lambda: list(ARTICLES.filter(category=Word.NEWS)),
    ),
    "several keys": (lambda: list(ARTICLES.filter(pk__in=[3, 1])), lambda: list(ARTICLES.filter(pk__in=[4, 2]))),
    "ranges": (
        lambda: list(ARTICLES.filter(score__gt=1, category="news")),
        lambda: list(ARTICLES.filter(score__gt=2, category="essay")),
    ),
    "a page": (
        lambda: list(Article.objects.filter(category="news").order_by("-score", "pk")[:2]),
        lambda: list(Article.objects.filter(category="essay").order_by("-score", "pk")[:2]),
    ),
    "a tree of conditions": (
        lambda: list(ARTICLES.filter(Q(category="news") | ~Q(score=1), author=3)),
        lambda: list(ARTICLES.filter(Q(category="essay") | ~Q(score=2), author=4)),
    ),
    "a join": (
        lambda: list(ARTICLES.filter(author__name="Ada").select_related("author")),
        lambda: list(ARTICLES.filter(author__name="Bob").select_related("author")),
    ),
    "a count": (lambda: ARTICLES.filter(score=1).count(), lambda: ARTICLES.filter(score=2).count()),
    "whether there is any": (lambda: ARTICLES.filter(score=1).exists(), lambda: ARTICLES.filter(score=2).exists()),
    "the same value selected": (
        lambda: list(ARTICLES.annotate(x=Value("a")).filter(score=1)),
        lambda: list(ARTICLES.annotate(x=Value("a")).filter(score=2)),
    ),
    "an extreme": (
        lambda: ARTICLES.filter(category="news").aggregate(n=Max("score")),
        lambda: ARTICLES.filter(category="essay").aggregate(n=Max("score")),
    ),
    "equal values in two columns": (
        lambda: list(ARTICLES.filter(score=1, rating=1)),
        lambda: list(ARTICLES.filter(score=2, rating=2)),
    ),
    "an update": (
        lambda: ARTICLES.filter(pk=901).update(score=F("score") + 1, rating=2),
        lambda: ARTICLES.filter(pk=902).update(score=F("score") + 901, rating=902),
    ),
    "an update to values that no template could hide": (
        lambda: Tag.objects.filter(pk=901).update(weight=0.5, name="a" * 65),
        lambda: Tag.objects.filter(pk=902).update(weight=1.5, name="b" * 65),
    ),
    "no values at all": (lambda: list(ARTICLES.filter(live=True)), lambda: list(ARTICLES.filter(live=True))),
}


@pytest.mark.parametrize("name", ALIKE)
def test_statement_is_not_planned_that_differs_from_an_earlier_one_in_values_only(
    templates: Watched, name: str
) -> None:
    first, second = ALIKE[name]
    first()
    assert len(templates.planned) == 1
    second()
    assert len(templates.planned) == 1
    assert templates.given == 2


#: Pairs of statements, each of which must have a plan of its own.
UNLIKE: dict[str, tuple[Callable[[], QuerySet[Any]], Callable[[], QuerySet[Any]]]] = {
    "values that are equal and values that are not": (
        lambda: ARTICLES.filter(pk=1).filter(pk=1),
        lambda: ARTICLES.filter(pk=1).filter(pk=2),
    ),
    "a truth that is text, beside one that is a parameter": (
        lambda: ARTICLES.annotate(x=Value(True)).filter(live=True),
        lambda: ARTICLES.annotate(x=Value(False)).filter(live=True),
    ),
    "another value selected": (
        lambda: ARTICLES.annotate(x=Value(1)).filter(score=1),
        lambda: ARTICLES.annotate(x=Value(2)).filter(score=1),
    ),
    "a parameter after the WHERE clause": (
        lambda: ARTICLES.filter(score=3).order_by(F("rating") + 1),
        lambda: ARTICLES.filter(score=3).order_by(F("rating") + 2),
    ),
    "a truth that is text, and one that may be equal to it": (
        lambda: ARTICLES.filter(Q(live=True) | Q(live__in=[False])),
        lambda: ARTICLES.filter(Q(live=True) | Q(live__in=[True])),
    ),
    "fractions": (lambda: Tag.objects.filter(weight=1.0), lambda: Tag.objects.filter(weight=1.5)),
    "beginnings": (
        lambda: ARTICLES.filter(category__startswith="n"),
        lambda: ARTICLES.filter(category__startswith="e"),
    ),
    "years": (lambda: ARTICLES.filter(printed__year=2024), lambda: ARTICLES.filter(printed__year=2025)),
    "texts that an index does not tell apart": (
        lambda: ARTICLES.filter(category="n" * 65),
        lambda: ARTICLES.filter(category="e" * 65),
    ),
    "subqueries": (
        lambda: ARTICLES.filter(author__in=Author.objects.filter(name="Ada")),
        lambda: ARTICLES.filter(author__in=Author.objects.filter(name="Bob")),
    ),
    "sums": (lambda: ARTICLES.filter(score=F("rating") + 1), lambda: ARTICLES.filter(score=F("rating") + 2)),
    "many values": (
        lambda: ARTICLES.filter(pk__in=range(31)),
        lambda: ARTICLES.filter(pk__in=range(1, 32)),
    ),
}


@pytest.mark.parametrize("name", UNLIKE)
def test_statement_is_planned_by_itself_when_a_value_may_decide(
    templates: Watched, filled: tuple[str, str], name: str
) -> None:
    engine, stock = filled
    for question in UNLIKE[name]:
        rows = sorted(row.pk for row in question().using(engine))
        assert rows == sorted(row.pk for row in question().using(stock))
    assert len(templates.planned) == 2


@pytest.mark.parametrize("turned", [False, True], ids=["first the whole", "first the part"])
def test_condition_of_which_sql_does_not_tell_has_its_say_in_the_profile(templates: Watched, turned: bool) -> None:
    fields = {}
    whole, part = ARTICLES.filter(Q(category="news") | Q(score__in=[])), ARTICLES.filter(category="news")
    for question in (part, whole) if turned else (whole, part):
        with profile_queries() as seen:
            list(question)
        fields[question is whole] = seen.profiles[0].filter_fields
    assert fields == {False: ("category",), True: ("category", "score")}


def test_subquery_that_leaves_no_trace_in_sql_is_no_part_of_the_plan(templates: Watched) -> None:
    nothing, anything = ARTICLES.filter(pk__in=[]).values("author"), Tag.objects.values("pk")
    rows = Author.objects.exclude(Q(pk__in=nothing) & Q(pk__in=anything)).order_by("pk")
    assert list(rows.values_list("pk", flat=True)[1:3]) == [2, 3]
    assert templates.given == 1


def test_update_changes_the_rows_of_its_own_condition_whatever_it_assigns(
    templates: Watched, filled: tuple[str, str]
) -> None:
    def changed(db: str) -> list[Any]:
        rows = ARTICLES.using(db)
        with transaction.atomic(using=db):
            counts: list[Any] = [rows.filter(pk=pk).update(score=score) for pk, score in ((1, 1), (2, 1), (3, 2))]
            counts += [rows.filter(pk=1, score=1).update(score=1), rows.filter(pk=1, score=2).update(score=2)]
            counts += rows.order_by("pk").values_list("pk", "score")
            transaction.set_rollback(True, using=db)
        return counts

    engine, stock = filled
    assert changed(engine) == changed(stock)
    updates = [sql for sql in templates.planned if sql.startswith("UPDATE")]
    assert len(updates) == 3  # of one value, of two that are equal, and of two that are not


def test_row_locks_have_no_template_of_the_same_sql(templates: Watched) -> None:
    found = ARTICLES.filter(pk=1)
    with transaction.atomic():
        list(found)
        list(found.select_for_update())
        list(found.select_for_update())
    assert len(templates.planned) == 3


def test_template_is_not_that_of_a_table_that_has_changed(templates: Watched) -> None:
    ARTICLES.filter(category="news").count()
    with override_settings(USE_TZ=False):  # of other schemas
        ARTICLES.filter(category="news").count()
    assert len(templates.planned) == 2
    ARTICLES.filter(category="essay").count()
    assert len(templates.planned) == 2


def test_templates_used_least_recently_make_room(templates: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    small = Watched(size=2)
    monkeypatch.setattr(catalog, "_templates", small)
    for column in ("score", "rating", "score", "author", "score", "rating"):
        ARTICLES.filter(**{column: 1}).exists()
    assert len(small) == 2
    assert len(small.planned) == 4


def test_profile_shows_the_plan_with_the_values_of_its_own_statement(templates: Watched) -> None:
    with profile_queries() as seen:
        list(ARTICLES.filter(category="news"))
        list(ARTICLES.filter(category="essay"))
    first, second = seen.profiles
    assert first.plan == second.plan
    assert first.filter_fields == second.filter_fields == ("category",)
    assert [first.result_count, second.result_count] == [
        sum(row.category == name for row in Article.objects.all()) for name in ("news", "essay")
    ]


@pytest.mark.parametrize("name", ["keys", "texts", "a page", "a join"])
def test_statement_looks_for_no_course_and_once_for_each_schema_when_the_index_finds_its_rows(
    templates: Watched, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    courses: list[Any] = []
    schemas: list[type[Model]] = []
    monkeypatch.setattr(compiler, "course_of", lambda *args, **_options: courses.append(args))

    def schema_of_model(model: type[Model], connection: Any) -> Any:
        schemas.append(model)
        return modeltables.schema_of_model(model, connection)

    monkeypatch.setattr(catalog, "schema_of_model", schema_of_model)
    ALIKE[name][0]()
    assert courses == []
    assert len(schemas) == len(set(schemas)) == (2 if name == "a join" else 1)
