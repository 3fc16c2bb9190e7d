"""The public pages: the latest articles, and one article."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from testproject.articles.models import Article
from testproject.articles.store import ArticleStore, Status

LATEST = 20

store = ArticleStore()


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """The articles published last."""
    return render(request, "articles/home.html", {"articles": store.latest_published(LATEST)})


@require_safe
def detail(request: HttpRequest, pk: UUID) -> HttpResponse:
    """One published article; looking at it counts as a view."""
    articles = Article.objects.named("ShowArticle").select_related("author")
    article = get_object_or_404(articles, pk=pk, status=Status.PUBLISHED)
    store.add_view(article.pk)
    return render(request, "articles/detail.html", {"article": article})
