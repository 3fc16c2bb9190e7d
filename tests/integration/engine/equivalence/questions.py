"""Random questions to the library: any filter, in any shape that a query set can take."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from django.core.exceptions import EmptyResultSet, ObjectDoesNotExist
from django.db import DatabaseError, connections
from django.db.models import Avg, Case, Count, Exists, F, Max, Min, OuterRef, Q, QuerySet, Subquery, Sum, Value, When
from django.db.models.functions import Coalesce, Lower
from hypothesis import strategies as st

from .library.models import Article, Author, LongArticle, Note, Tag
from .rows import CATEGORIES, COUNTRIES, DATES, NAMES, PRICES, STATUSES

Rows = Any
Shape = Callable[[QuerySet[Any]], Rows]


@dataclass(frozen=True)
class Question:
    """What is asked of ``model``: the rows that ``where`` lets pass, in one ``shape``."""

    model: type[Any]
    where: tuple[tuple[bool, Q], ...]
    shape: tuple[str, Shape]

    def __repr__(self) -> str:
        steps = "".join(f".{'filter' if keep else 'exclude'}({condition!r})" for keep, condition in self.where)
        return f"{self.model.__name__}.objects{steps} as {self.shape[0]}"

    def ask(self, db: str, *, scan: bool = False) -> Rows:
        """The answer of a database, an error being one too."""
        queryset = self.model.objects.using(db)
        if scan:
            queryset = queryset.scan()
        try:
            for keep, condition in self.where:
                queryset = queryset.filter(condition) if keep else queryset.exclude(condition)
            return self.shape[1](queryset)
        except (DatabaseError, ObjectDoesNotExist, ValueError, TypeError) as error:
            return type(error).__name__, str(error)


def lookups(table: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[Q]:
    return st.sampled_from(sorted(table)).flatmap(lambda name: table[name].map(lambda value: Q(**{name: value})))


def _several(values: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(values, max_size=3)


_YES = st.booleans()
_IDS = st.integers(0, 9)
_ARTICLES = st.integers(0, 19)
_NAMES = st.sampled_from(NAMES)
_CATEGORIES = st.sampled_from((*CATEGORIES, "none"))
_STATUSES = st.sampled_from(STATUSES)
_SMALL = st.integers(-1, 4)
_SCORES = st.one_of(_SMALL, st.sampled_from([2**63 - 1, -(2**63)]))
_PRICES = st.sampled_from([*PRICES[1:], Decimal("1.5"), Decimal(1)])
_DATES = st.sampled_from([*DATES[1:], date(2030, 1, 1)])
_WEIGHTS = st.sampled_from([1, 1.0, 1.5, float("nan"), 2.0])
_COUNTRIES = st.sampled_from((*COUNTRIES, "xx"))
_TAGS = st.sampled_from(["t1", "t2", "t3", "t9"])

OF_ARTICLE = {
    "pk": _ARTICLES,
    "pk__in": _several(_ARTICLES),
    "id__gt": _ARTICLES,
    "author": _IDS,
    "author__in": _several(_IDS),
    "author_id": st.one_of(_IDS, st.just(F("editor_id"))),
    "editor": _IDS,
    "editor__isnull": _YES,
    "editor__in": _several(_IDS),
    "category": _CATEGORIES,
    "category__in": _several(_CATEGORIES),
    "category__startswith": st.sampled_from(["n", "Ne", "news", "x"]),
    "category__istartswith": st.sampled_from(["N", "ne"]),
    "category__gte": _CATEGORIES,
    "category__range": st.tuples(_CATEGORIES, _CATEGORIES),
    "category__iexact": _CATEGORIES,
    "status": _STATUSES,
    "rating": _SMALL,
    "rating__gte": _SMALL,
    "rating__isnull": _YES,
    "score": st.one_of(_SCORES, st.just(F("rating"))),
    "score__in": _several(_SCORES),
    "score__isnull": _YES,
    "score__lt": _SMALL,
    "score__gt": _SCORES,
    "score__range": st.tuples(_SMALL, _SCORES),
    "live__lt": st.just(True),
    "price__lte": _PRICES,
    "price": _PRICES,
    "price__in": _several(_PRICES),
    "printed": _DATES,
    "printed__year": st.sampled_from([2024, 2025]),
    "printed__year__gte": st.sampled_from([2024, 2025]),
    "printed__gt": _DATES,
    "printed__isnull": _YES,
    "live": _YES,
    "tags": _IDS,
    "tags__name": _TAGS,
    "tags__name__in": _several(_TAGS),
    "tags__weight": _WEIGHTS,
    "tags__weight__isnull": _YES,
    "tags__isnull": _YES,
    "author__name": _NAMES,
    "author__name__in": _several(_NAMES),
    "author__name__gt": _NAMES,
    "author__born": st.sampled_from([1900, 1950, 3]),
    "author__country": _COUNTRIES,
    "author__country__isnull": _YES,
    "author__country__size": _SMALL,
    "author__country__size__isnull": _YES,
    "author__mentor": _IDS,
    "author__mentor__name": _NAMES,
    "author__mentor__mentor__isnull": _YES,
    "author__pupils__name": _NAMES,
    "author__articles__category": _CATEGORIES,
    "author__notes__text": st.sampled_from(["n0", "n1"]),
    "editor__name": st.one_of(_NAMES, st.just(F("author__name"))),
    "editor__name__isnull": _YES,
    "editor__country__code": _COUNTRIES,
    "editor__country__size": _SMALL,
    "editor__born__isnull": _YES,
    "longarticle__words": _SMALL,
    "longarticle__isnull": _YES,
}
_OWN_COLUMNS = ("pk", "id", "author_id", "category", "status", "rating", "score", "price", "printed", "live")
_OF_AUTHOR = {
    "pk": _IDS,
    "pk__in": _several(_IDS),
    "name": _NAMES,
    "name__in": _several(_NAMES),
    "born": st.sampled_from([1900, 1950]),
    "born__isnull": _YES,
    "country": _COUNTRIES,
    "country__isnull": _YES,
    "country__size": _SMALL,
    "mentor": _IDS,
    "mentor__name": _NAMES,
    "mentor__country__size__isnull": _YES,
    "pupils": _IDS,
    "pupils__isnull": _YES,
    "pupils__name": st.one_of(_NAMES, st.just(F("name"))),
    "articles": _ARTICLES,
    "articles__category": _CATEGORIES,
    "articles__score": _SCORES,
    "articles__isnull": _YES,
    "articles__tags__name": _TAGS,
    "articles__editor__name": _NAMES,
    "articles__longarticle__words": _SMALL,
    "edited__status": _STATUSES,
    "edited__live": _YES,
    "edited__isnull": _YES,
    "notes__text": st.sampled_from(["n0", "n1", "n2"]),
    "notes__isnull": _YES,
}
_OF_LONG = {
    **{name: values for name, values in OF_ARTICLE.items() if not name.startswith("longarticle")},
    "words": _SMALL,
    "words__in": _several(_SMALL),
    "article_ptr": _ARTICLES,
}
_OF_TAG = {
    "name": _TAGS,
    "weight": _WEIGHTS,
    "weight__isnull": _YES,
    "articles": _ARTICLES,
    "articles__category": _CATEGORIES,
    "articles__author__name": _NAMES,
    "articles__isnull": _YES,
}
_OF_NOTE = {
    "object_id": st.sampled_from(["1", "01", "x"]),
    "text": st.sampled_from(["n0", "n1"]),
    "content_type": st.integers(1, 3),
}


def _subqueries_of_article() -> st.SearchStrategy[Q]:
    authors = lookups(_OF_AUTHOR).map(lambda q: Author.objects.filter(q))
    articles = lookups(OF_ARTICLE).map(lambda q: Article.objects.filter(q))
    return st.one_of(
        authors.map(lambda found: Q(author__in=found)),
        authors.map(lambda found: Q(editor__in=found.values("mentor"))),
        authors.map(lambda found: Q(author__name__in=found.values("name"))),
        authors.map(lambda found: Q(author__in=found.order_by("-name", "pk")[:2])),
        authors.map(lambda found: Q(author=Subquery(found.order_by("pk").values("pk")[:1]))),
        authors.map(lambda found: Q(Exists(found.filter(pk=OuterRef("author"))))),
        authors.map(lambda found: Q(Exists(found.filter(country=OuterRef("author__country"))))),
        articles.map(lambda found: Q(pk__in=found)),
        articles.map(lambda found: Q(category__in=found.values("category"))),
        articles.map(lambda found: Q(score__in=found.values("rating"))),
        articles.map(lambda found: Q(score=Subquery(found.values("score").order_by("-score", "pk")[:1]))),
        articles.map(lambda found: Q(Exists(found.filter(author=OuterRef("editor"))))),
        st.just(Q(score__in=Author.objects.annotate(odd=F("pk") % 2).filter(odd=1).values("pk"))),
        st.just(Q(category__in=Article.objects.values("rating"))),
        st.just(Q(pk__in=LongArticle.objects.filter(words=1))),
        st.just(Q(Exists(Tag.objects.none()))),
        st.just(Q(author__in=Author.objects.none()) | Q(score=1)),
    )


def _subqueries_of_author() -> st.SearchStrategy[Q]:
    articles = lookups(OF_ARTICLE).map(lambda q: Article.objects.filter(q))
    return st.one_of(
        articles.map(lambda found: Q(pk__in=found.values("author"))),
        articles.map(lambda found: Q(articles__in=found)),
        articles.map(lambda found: Q(Exists(found.filter(author=OuterRef("pk"))))),
        articles.map(lambda found: Q(mentor__in=found.values("editor"))),
        st.just(Q(pk__in=Note.objects.values("object_id"))),
    )


def trees(leaves: st.SearchStrategy[Q]) -> st.SearchStrategy[Q]:
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.tuples(inner, inner).map(lambda pair: pair[0] & pair[1]),
            st.tuples(inner, inner).map(lambda pair: pair[0] | pair[1]),
            st.tuples(inner, inner).map(lambda pair: pair[0] ^ pair[1]),
            inner.map(lambda condition: ~condition),
        ),
        max_leaves=4,
    )


def _pks(queryset: QuerySet[Any]) -> Rows:
    return Counter(queryset.values_list("pk", flat=True))


def _instances(queryset: QuerySet[Any]) -> Rows:
    return Counter(
        tuple(getattr(row, field.attname) for field in row._meta.concrete_fields) for row in queryset.iterator()
    )


def _grouped(queryset: QuerySet[Any]) -> Rows:
    field = "name" if queryset.model is not Note else "text"
    if issubclass(queryset.model, Article):
        field = "category"
    return Counter(queryset.order_by().values_list(field).annotate(n=Count("pk"), m=Max("pk")))


def _united(queryset: QuerySet[Any]) -> Rows:
    other = queryset.model.objects.using(queryset.db).filter(pk__in=[1, 2, 15])
    return [
        sorted(getattr(queryset.order_by(), name)(other.order_by()).values_list("pk", flat=True))
        for name in ("union", "intersection", "difference")
    ]


def _through_raw_sql(queryset: QuerySet[Any]) -> Rows:
    query = queryset.order_by().values_list("pk").query
    try:
        sql, params = query.get_compiler(queryset.db).as_sql()
    except EmptyResultSet:
        return Counter()
    with connections[queryset.db].cursor() as cursor:
        cursor.execute(sql, params)
        return Counter(cursor.fetchall())


SHAPES: dict[str, Shape] = {
    "keys": _pks,
    "instances": _instances,
    "distinct keys": lambda rows: Counter(rows.distinct().values_list("pk", flat=True)),
    "ordered keys": lambda rows: list(rows.order_by("-pk").values_list("pk", flat=True)),
    "a slice of the ordered keys": lambda rows: list(rows.order_by("pk").values_list("pk", flat=True)[1:4]),
    "count": lambda rows: rows.count(),
    "distinct count": lambda rows: rows.distinct().count(),
    "count of a slice": lambda rows: rows[:3].count(),
    "exists": lambda rows: rows.exists(),
    "first and last": lambda rows: [getattr(rows.order_by("pk").first(), "pk", None), rows.order_by("pk").last()],
    "aggregate": lambda rows: rows.aggregate(
        n=Count("pk"), least=Min("pk"), most=Max("pk"), all=Coalesce(Sum("pk"), 0)
    ),
    "distinct aggregate": lambda rows: rows.aggregate(n=Count("pk", distinct=True)),
    "groups": _grouped,
    "combinations": _united,
    "raw SQL": _through_raw_sql,
}
_ARTICLE_SHAPES: dict[str, Shape] = {
    "related": lambda rows: Counter(
        (row.pk, row.author.name, row.editor and row.editor.name, row.author.country and row.author.country.size)
        for row in rows.select_related("author__country", "editor")
    ),
    "prefetched": lambda rows: Counter(
        (row.pk, *sorted(tag.name for tag in row.tags.all()), row.author.name)
        for row in rows.prefetch_related("tags", "author")
    ),
    "ordered through joins": lambda rows: list(
        rows.order_by("author__name", "-editor__name", "-score", "pk").values_list("pk", "editor__name")[:5]
    ),
    "annotated with a count": lambda rows: Counter(
        rows.annotate(n=Count("tags", distinct=True)).filter(n__gte=1).values_list("pk", "n")
    ),
    "annotated with a subquery": lambda rows: Counter(
        rows.annotate(
            other=Subquery(
                Article.objects.filter(author=OuterRef("author"), category="news").order_by("pk").values("pk")[:1]
            )
        ).values_list("pk", "other")
    ),
    "annotated with a case": lambda rows: Counter(
        rows.annotate(
            kind=Case(
                When(editor__name="Ada", then=Value("a")),
                When(tags__name="t1", then=Value("t")),
                default=Lower("status"),
            )
        ).values_list("pk", "kind")
    ),
    "grouped by an author": lambda rows: Counter(
        rows.order_by().values_list("author__name").annotate(n=Count("pk"), mean=Avg("rating"))
    ),
    "authors": lambda rows: _pks(Author.objects.using(rows.db).filter(articles__in=rows.order_by())),
    "others' authors": lambda rows: _pks(Author.objects.using(rows.db).exclude(articles__in=rows.order_by())),
}
_AUTHOR_SHAPES: dict[str, Shape] = {
    "outer joins": lambda rows: Counter(rows.values_list("pk", "articles__category", "mentor__name", "notes__text")),
    "counts of relations": lambda rows: Counter(
        rows.annotate(a=Count("articles", distinct=True), e=Count("edited", distinct=True, filter=Q(edited__live=True)))
        .order_by()
        .values_list("pk", "a", "e")
    ),
}


def _questions_of(
    model: type[Any], leaves: st.SearchStrategy[Q], more: dict[str, Shape]
) -> st.SearchStrategy[Question]:
    shapes = {**SHAPES, **more}
    # Most conditions are plain ones, which the planner can do something with; a tree of four hardly ever narrows.
    plain = st.tuples(st.just(True), leaves)
    steps = st.lists(st.one_of(plain, plain, st.tuples(st.booleans(), trees(leaves))), max_size=3)
    return st.builds(
        Question,
        model=st.just(model),
        where=steps.map(tuple),
        shape=st.sampled_from(sorted(shapes)).map(lambda name: (name, shapes[name])),
    )


#: Conditions on an article's own columns.
OWN_CONDITIONS = trees(
    lookups({name: values for name, values in OF_ARTICLE.items() if name.split("__")[0] in _OWN_COLUMNS})
)
ARTICLE_CONDITIONS = trees(st.one_of(lookups(OF_ARTICLE), _subqueries_of_article()))
AUTHOR_CONDITIONS = trees(st.one_of(lookups(_OF_AUTHOR), _subqueries_of_author()))
QUESTIONS: st.SearchStrategy[Question] = st.one_of(
    _questions_of(Article, st.one_of(lookups(OF_ARTICLE), _subqueries_of_article()), _ARTICLE_SHAPES),
    _questions_of(Author, st.one_of(lookups(_OF_AUTHOR), _subqueries_of_author()), _AUTHOR_SHAPES),
    _questions_of(LongArticle, lookups(_OF_LONG), _ARTICLE_SHAPES),
    _questions_of(Tag, lookups(_OF_TAG), {}),
    _questions_of(Note, lookups(_OF_NOTE), {}),
)
