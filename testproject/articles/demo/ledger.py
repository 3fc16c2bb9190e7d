"""What the answers have to be, worked out in plain Python over what the demonstration wrote."""

from __future__ import annotations

from dataclasses import dataclass, field

from testproject.articles.demo.input import Draft, Status


@dataclass(frozen=True)
class Answers:
    """The answers to the demonstration's questions."""

    titles_of_author: list[str]  # newest first
    top_of_category: list[tuple[str, int]]  # title and views, most viewed first
    published: int


@dataclass
class Ledger:
    """The articles that must be there, in the order of their creation."""

    articles: list[Draft] = field(default_factory=list)

    def add(self, draft: Draft) -> None:
        """The article was created."""
        self.articles.append(draft)

    def change(self, title: str, *, status: Status | None = None, more_views: int = 0) -> None:
        """The article got another status, or was viewed."""
        position = self._position(title)
        article = self.articles[position]
        self.articles[position] = article._replace(status=status or article.status, views=article.views + more_views)

    def remove(self, title: str) -> None:
        """The article was deleted."""
        del self.articles[self._position(title)]

    def answers(self, author: str, category: str, limit: int) -> Answers:
        """What the store must answer now."""
        ranked = sorted((-article.views, article.title) for article in self.articles if article.category == category)
        return Answers(
            titles_of_author=[article.title for article in reversed(self.articles) if article.author == author],
            top_of_category=[(title, -views) for views, title in ranked[:limit]],
            published=sum(article.status == Status.PUBLISHED for article in self.articles),
        )

    def _position(self, title: str) -> int:
        return next(position for position, article in enumerate(self.articles) if article.title == title)
