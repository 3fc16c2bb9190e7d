"""What the site does with articles, each operation under the name that profiles show."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import F
from django.utils import timezone

from testproject.articles.models import Article, Author

Status = Article.Status


class ArticleStore:
    """The operations on articles. All raise what Django's ORM raises."""

    def list_author_articles(self, author: Author) -> list[Article]:
        """The author's articles, newest first. Answered by the index on ``author``."""
        return list(Article.objects.named("ListAuthorArticles").filter(author=author))

    def top_of_category(self, category: str, limit: int) -> list[Article]:
        """The ``limit`` most viewed articles of a category, best first. Answered by the index on ``category``."""
        articles = Article.objects.named("TopArticlesByCategory").filter(category=category)
        return list(articles.order_by("-view_count", "title")[:limit])

    def published_count(self) -> int:
        """How many articles are published. Answered by the index on ``status`` alone: no document is read."""
        return Article.objects.named("GetPublishedArticlesCount").filter(status=Status.PUBLISHED).count()

    def latest_published(self, limit: int) -> list[Article]:
        """The ``limit`` articles published last, newest first, each with its author."""
        articles = Article.objects.named("LatestPublishedArticles").filter(status=Status.PUBLISHED)
        return list(articles.select_related("author")[:limit])

    def create(
        self, *, author: Author, category: str, title: str, body: str = "", status: Status = Status.DRAFT
    ) -> Article:
        """A new article: one document written."""
        articles = Article.objects.named("CreateArticle")
        return articles.create(author=author, category=category, title=title, body=body, status=status)

    def update(self, pk: UUID, **changes: Any) -> None:
        """Change fields of an article: one document read and written. Raises Article.DoesNotExist."""
        articles = Article.objects.named("UpdateArticle").filter(pk=pk)
        if not articles.update(**changes, updated_at=timezone.now()):
            raise Article.DoesNotExist(f"There is no article {pk}.")

    def add_view(self, pk: UUID) -> None:
        """Count one view; views counted at the same time are not lost. Raises Article.DoesNotExist."""
        if not Article.objects.named("AddArticleView").filter(pk=pk).update(view_count=F("view_count") + 1):
            raise Article.DoesNotExist(f"There is no article {pk}.")

    def delete(self, pk: UUID) -> None:
        """Remove an article; one that is not there is no error."""
        Article.objects.named("DeleteArticle").filter(pk=pk).delete()
