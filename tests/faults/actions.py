"""What processes do to a database: the same action is carried out by Django on SQLite and by the engine.

An action names rows by position among those that are there, so that it can be drawn before it is known which are.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError
from django.db.models import F, Q
from hypothesis import strategies as st

from testproject.articles.models import Article, Author

NAMES = ("ada", "bo", "cy", "dee", "eve")
CATEGORIES = ("databases", "engines", "Ümlaut/../x", "")
STATUSES = ("draft", "published", "archived")


@dataclass(frozen=True)
class Rows:
    """The primary keys that are there."""

    authors: list[uuid.UUID]
    articles: list[uuid.UUID]

    @classmethod
    def of(cls, using: str) -> Rows:
        """The rows of a database, in order."""
        authors = Author.objects.using(using).order_by("pk").values_list("pk", flat=True)
        articles = Article.objects.using(using).order_by("pk").values_list("pk", flat=True)
        return cls(list(authors), list(articles))

    def author(self, position: int) -> uuid.UUID:
        """One of the authors; one that is not there when there is none."""
        return self.authors[position % len(self.authors)] if self.authors else uuid.UUID(int=0)

    def article(self, position: int) -> uuid.UUID:
        """One of the articles; one that is not there when there is none."""
        return self.articles[position % len(self.articles)] if self.articles else uuid.UUID(int=0)


@dataclass(frozen=True)
class Action:
    """``run(rows, which, using)``: ``which`` are two positions; the values are the article's."""

    name: str
    which: int
    other: int
    fresh: uuid.UUID
    author: str
    category: str
    status: str
    views: int

    def __repr__(self) -> str:
        return (
            f"{self.name}(#{self.which}, #{self.other}, {self.author!r}, {self.category!r}, {self.status!r}, "
            f"{self.views})"
        )

    def __call__(self, rows: Rows, using: str) -> Any:
        """Carry it out; returns its result, or IntegrityError itself."""
        try:
            return ACTIONS[self.name](self, rows, using)
        except IntegrityError:
            return IntegrityError

    def article(self, rows: Rows, pk: uuid.UUID) -> Article:
        """An article with these values."""
        return Article(
            pk=pk,
            author_id=rows.author(self.other),
            category=self.category,
            title=f"{self.category} {self.views}",
            status=self.status,
            view_count=self.views,
        )

    def several(self, rows: Rows) -> list[Article]:
        """Three new articles."""
        return [self.article(rows, uuid.uuid5(self.fresh, str(number))) for number in range(3)]


def create(action: Action, rows: Rows, using: str) -> None:
    action.article(rows, action.fresh).save(using=using, force_insert=True)


def create_again(action: Action, rows: Rows, using: str) -> None:
    action.article(rows, rows.article(action.which)).save(using=using, force_insert=True)


def save(action: Action, rows: Rows, using: str) -> bool:
    article = Article.objects.using(using).filter(pk=rows.article(action.which)).first()
    if article is not None:
        article.author_id, article.category = rows.author(action.other), action.category
        article.status, article.view_count = action.status, action.views
        article.save(using=using)
    return article is not None


def save_some_fields(action: Action, rows: Rows, using: str) -> bool:
    article = Article.objects.using(using).filter(pk=rows.article(action.which)).first()
    if article is not None:
        article.category = action.category
        article.save(using=using, update_fields=["category"])
    return article is not None


def create_author(action: Action, rows: Rows, using: str) -> None:
    Author(pk=action.fresh, name=action.author).save(using=using, force_insert=True)


def rename_author(action: Action, rows: Rows, using: str) -> int:
    return Author.objects.using(using).filter(pk=rows.author(action.which)).update(name=action.author)


def swap_names(action: Action, rows: Rows, using: str) -> int:
    one, two = rows.author(action.which), rows.author(action.other)
    return Author.objects.using(using).filter(pk__in=[one, two]).update(name=action.author)


def delete_author(action: Action, rows: Rows, using: str) -> tuple[int, dict[str, int]]:
    return Author.objects.using(using).filter(pk=rows.author(action.which)).delete()


def get_or_create_author(action: Action, rows: Rows, using: str) -> bool:
    return Author.objects.using(using).get_or_create(name=action.author, defaults={"pk": action.fresh})[1]


def update_or_create(action: Action, rows: Rows, using: str) -> bool:
    values = {"category": action.category, "status": action.status, "author_id": rows.author(action.other)}
    return Article.objects.using(using).update_or_create(pk=rows.article(action.which), defaults=values)[1]


def update_where(action: Action, rows: Rows, using: str) -> int:
    found = Article.objects.using(using).filter(category=action.category)
    return found.update(status=action.status, view_count=F("view_count") + action.views)


def update_of_author(action: Action, rows: Rows, using: str) -> int:
    found = Article.objects.using(using).filter(author__name=action.author)
    return found.update(category=action.category)


def delete_where(action: Action, rows: Rows, using: str) -> int:
    which = Q(category=action.category, status=action.status) | Q(pk=rows.article(action.which))
    return Article.objects.using(using).filter(which).delete()[0]


def delete_one(action: Action, rows: Rows, using: str) -> int:
    return Article.objects.using(using).filter(pk=rows.article(action.which)).delete()[0]


def bulk_create(action: Action, rows: Rows, using: str) -> int:
    return len(Article.objects.using(using).bulk_create(action.several(rows)))


def bulk_create_ignoring(action: Action, rows: Rows, using: str) -> int:
    old = action.article(rows, rows.article(action.which))
    return len(Article.objects.using(using).bulk_create([old, *action.several(rows)], ignore_conflicts=True))


def bulk_upsert(action: Action, rows: Rows, using: str) -> int:
    both = [action.article(rows, rows.article(action.which)), action.article(rows, action.fresh)]
    options = {"update_conflicts": True, "update_fields": ["category", "status"], "unique_fields": ["id"]}
    return len(Article.objects.using(using).bulk_create(both, **options))


def bulk_update(action: Action, rows: Rows, using: str) -> int:
    found = list(Article.objects.using(using).filter(status=action.status))
    for article in found:
        article.category, article.view_count = action.category, article.view_count + 1
    return Article.objects.using(using).bulk_update(found, ["category", "view_count"])


_ALL: tuple[Callable[[Action, Rows, str], Any], ...] = (
    create,
    create_again,
    save,
    save_some_fields,
    create_author,
    rename_author,
    swap_names,
    delete_author,
    get_or_create_author,
    update_or_create,
    update_where,
    update_of_author,
    delete_where,
    delete_one,
    bulk_create,
    bulk_create_ignoring,
    bulk_upsert,
    bulk_update,
)
ACTIONS = {function.__name__: function for function in _ALL}
POSITIONS = st.integers(0, 11)


def actions() -> st.SearchStrategy[Action]:
    """Actions of every kind, additions a little more often than they would be."""
    return st.builds(
        Action,
        name=st.sampled_from([*ACTIONS, "create", "create", "create_author", "bulk_create"]),
        which=POSITIONS,
        other=POSITIONS,
        fresh=st.integers(1, 1 << 64).map(lambda number: uuid.UUID(int=number)),
        author=st.sampled_from(NAMES),
        category=st.sampled_from(CATEGORIES),
        status=st.sampled_from(STATUSES),
        views=st.integers(0, 3),
    )
