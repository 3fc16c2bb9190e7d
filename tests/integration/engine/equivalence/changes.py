"""Random changes of the library, each of which does the same to any database."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db import DatabaseError, connections, transaction
from django.db.models import Case, Count, F, OuterRef, Q, Subquery, Value, When
from hypothesis import strategies as st

from .library.models import TABLES, Article, Author, LongArticle, Tag
from .questions import ARTICLE_CONDITIONS, AUTHOR_CONDITIONS
from .rows import CATEGORIES, STATUSES


@dataclass(frozen=True)
class Change:
    """Something done to a database, told by ``name``."""

    name: str
    do: Callable[[str], Any]

    def __repr__(self) -> str:
        return self.name

    def apply(self, db: str) -> Any:
        """Do it; what it answers, or the error that it met and that undid it."""
        try:
            with transaction.atomic(using=db):
                return self.do(db)
        except DatabaseError as error:
            return type(error).__name__

    def apply_in_autocommit(self, db: str) -> Any:
        """The same outside of any transaction but those that Django itself opens."""
        try:
            return self.do(db)
        except DatabaseError as error:
            return type(error).__name__


_VALUES: dict[str, Any] = {
    "score": 3,
    "rating": F("score"),
    "category": "new",
    "status": Case(When(live=True, then=Value("live")), default=Value("draft")),
    "live": ~Q(live=True),
    "editor": F("author"),
    "price": F("price") + 1,
    "author": Subquery(Author.objects.filter(mentor=OuterRef("editor")).order_by("pk").values("pk")[:1]),
}


def _update_articles(condition: Q, field: str) -> Change:
    value = _VALUES[field]
    return Change(
        f"update {field} where {condition!r}",
        lambda db: (
            Article.objects.using(db).filter(condition, author__isnull=False).distinct().update(**{field: value})
        ),
    )


def _update_authors(condition: Q) -> Change:
    return Change(
        f"update authors where {condition!r}",
        lambda db: Author.objects.using(db).filter(condition).update(name=F("country"), born=F("mentor")),
    )


def _delete(model: type[Any], condition: Q) -> Change:
    return Change(
        f"delete {model.__name__} where {condition!r}",
        lambda db: dict(
            sorted(
                (name, count) for name, count in model.objects.using(db).filter(condition).delete()[1].items() if count
            )
        ),
    )


def _article(number: int, **values: Any) -> Article:
    return Article(
        id=number, author_id=number % 7 + 1, category=CATEGORIES[number % 4], status=STATUSES[number % 2], **values
    )


def _bulk_insert(number: int, how: str) -> Change:
    options: dict[str, Any] = {
        "plainly": {},
        "ignoring": {"ignore_conflicts": True},
        "updating": {"update_conflicts": True, "unique_fields": ["id"], "update_fields": ["score", "status"]},
    }[how]
    rows = range(number, number + 3)
    return Change(
        f"insert articles {number}.. {how}",
        lambda db: len(Article.objects.using(db).bulk_create([_article(each, score=9) for each in rows], **options)),
    )


def _save(number: int) -> Change:
    return Change(f"save article {number}", lambda db: _article(number, rating=number % 3).save(using=db))


def _save_long(number: int) -> Change:
    row = LongArticle(id=number, author_id=1, category="long", status="live", words=7)
    return Change(f"save long article {number}", lambda db: row.save(using=db))


def _tag(number: int, name: str) -> Change:
    return Change(
        f"tag {number} called {name}",
        lambda db: Tag.objects.using(db).update_or_create(id=number, defaults={"name": name})[1],
    )


def _tag_articles(tags: list[int], condition: Q) -> Change:
    def do(db: str) -> None:
        for article in Article.objects.using(db).filter(condition).distinct().order_by("pk")[:3]:
            article.tags.set(Tag.objects.using(db).filter(pk__in=tags))

    return Change(f"set tags {tags} where {condition!r}", do)


def _in_bulk(condition: Q) -> Change:
    def do(db: str) -> int:
        rows = list(Article.objects.using(db).filter(condition).distinct().annotate(n=Count("pk")))
        for row in rows:
            row.score, row.category = (row.score or 0) + 1, row.category[::-1]
        return Article.objects.using(db).bulk_update(rows, ["score", "category"])

    return Change(f"bulk_update where {condition!r}", do)


_RAW = (
    "UPDATE library_article SET score = id WHERE id IN (SELECT author_id FROM library_article WHERE status = 'live')",
    "DELETE FROM library_tag WHERE weight > 1 OR name = 't4'",
    "INSERT INTO library_country (code, size) SELECT 'x' || id, born FROM library_author WHERE id > 2",
    "INSERT OR REPLACE INTO library_tag (id, name, weight) VALUES (2, 't1', 5), (9, 't9', 5)",
    "INSERT OR IGNORE INTO library_tag (id, name) VALUES (3, 'tx'), (8, 't2'), (7, 't7')",
    "UPDATE OR REPLACE library_tag SET name = 't2' WHERE id = 1",
    "UPDATE library_author SET id = id + 100 WHERE id = 3",
    "WITH old AS (SELECT id FROM library_article ORDER BY id LIMIT 2) DELETE FROM library_article WHERE id IN old",
    "UPDATE library_tag SET name = 't3' WHERE id = 1",
    "UPDATE library_tag SET name = NULL",
)


def _raw(sql: str) -> Change:
    def do(db: str) -> int:
        with connections[db].cursor() as cursor:
            cursor.execute(sql)
            return cursor.rowcount

    return Change(sql, do)


_NUMBERS = st.integers(12, 22)
CHANGES: st.SearchStrategy[Change] = st.one_of(
    st.builds(_update_articles, ARTICLE_CONDITIONS, st.sampled_from(sorted(_VALUES))),
    st.builds(_update_authors, AUTHOR_CONDITIONS),
    st.builds(_delete, st.just(Article), ARTICLE_CONDITIONS),
    st.builds(_delete, st.just(Author), AUTHOR_CONDITIONS),
    st.builds(_bulk_insert, _NUMBERS, st.sampled_from(["plainly", "ignoring", "updating"])),
    st.builds(_save, _NUMBERS),
    st.builds(_save_long, _NUMBERS),
    st.builds(_tag, st.integers(1, 6), st.sampled_from(["t1", "t2", "t5"])),
    st.builds(_tag_articles, st.lists(st.integers(1, 4), max_size=3), ARTICLE_CONDITIONS),
    st.builds(_in_bulk, ARTICLE_CONDITIONS),
    st.sampled_from(_RAW).map(_raw),
)


def contents(db: str) -> dict[str, list[Any]]:
    """Every row of every table; those of tables that number themselves without their numbers."""
    links = Article.tags.through
    rows = {model.__name__: sorted(model._default_manager.using(db).values_list(), key=repr) for model in TABLES}
    return {**rows, "links": sorted(links._default_manager.using(db).values_list("article_id", "tag_id"))}
