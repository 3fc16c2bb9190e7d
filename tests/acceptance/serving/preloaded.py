"""The example site whose first process has used all that there is before it is forked: ``gunicorn --preload``.

By then it has a workspace, sockets to Redis and to the store, threads of the storage, and one that sends profiles.
"""

from __future__ import annotations

from testproject.wsgi import application  # isort: skip - it sets up the applications

from testproject.articles.models import Article
from testproject.articles.store import ArticleStore

__all__ = ["application"]

ArticleStore().published_count()
list(Article.objects.all())
Article.objects.bulk_update(Article.objects.all(), ["title"])
