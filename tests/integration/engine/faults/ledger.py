"""The oracle: what the stored articles are, in plain Python."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from testproject.articles.models import Article, Author

Status = Article.Status
STATUSES = (Status.DRAFT, Status.PUBLISHED, Status.PUBLISHED, Status.ARCHIVED)
CATEGORIES = ("databases", "engines", "orbits")


@dataclass(frozen=True)
class Row:
    """An article."""

    pk: uuid.UUID
    title: str
    author: str
    category: str
    status: str
    views: int

    @classmethod
    def of(cls, article: Article) -> Row:
        """The row of a model instance, whose author is read if it is not there yet."""
        author = article.author.name
        return cls(article.pk, article.title, author, article.category, str(article.status), article.view_count)


@dataclass
class Ledger:
    """The rows that must be there, and the authors by name."""

    rows: dict[uuid.UUID, Row] = field(default_factory=dict)
    authors: dict[str, Author] = field(default_factory=dict)

    def fill(self, authors: int = 6, articles: int = 40) -> None:
        """Store the first documents."""
        for number in range(authors):
            self.add_author(Author.objects.create(name=f"author {number}"))
        names = sorted(self.authors)
        self.add_all(
            Article.objects.bulk_create(
                self.article(
                    title=f"title {number}",
                    author=names[number % (authors - 1)],  # the last author has written nothing
                    category=CATEGORIES[number % 3],
                    status=STATUSES[number % 4],
                    views=number * 7 % 50,
                )
                for number in range(articles)
            )
        )

    def article(self, *, title: str, author: str, category: str, status: str, views: int) -> Article:
        """An article that is not stored yet."""
        return Article(
            title=title, author=self.authors[author], category=category, status=status, view_count=views, body="text"
        )

    def add_author(self, author: Author) -> None:
        """An author was stored."""
        self.authors[author.name] = author

    def add_all(self, articles: Iterable[Article]) -> None:
        """Articles were stored."""
        for article in articles:
            self.rows[article.pk] = Row.of(article)

    def change(self, which: Callable[[Row], bool], how: Callable[[Row], Row]) -> int:
        """Articles were changed; returns how many."""
        found = self.where(which)
        self.rows.update({row.pk: how(row) for row in found})
        return len(found)

    def remove(self, which: Callable[[Row], bool]) -> int:
        """Articles were deleted; returns how many."""
        found = self.where(which)
        for row in found:
            del self.rows[row.pk]
        return len(found)

    def where(self, which: Callable[[Row], bool]) -> list[Row]:
        """The rows that meet a condition."""
        return [row for row in self.rows.values() if which(row)]


def with_views(row: Row, more: int) -> Row:
    """A row with more views."""
    return replace(row, views=row.views + more)
