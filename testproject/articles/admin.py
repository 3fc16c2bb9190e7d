"""The admin of articles and authors."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from testproject.articles.models import Article, Author


class ArticleInline(admin.TabularInline):
    """An author's articles, on the author's page."""

    model = Article
    fields = ["title", "category", "status"]
    extra = 0
    show_change_link = True


@admin.register(Author)
class AuthorAdmin(admin.ModelAdmin):
    """Authors, found by name."""

    list_display = ["name"]
    search_fields = ["name"]
    inlines = [ArticleInline]


@admin.register(Article)
class ArticleAdmin(admin.ModelAdmin):
    """Articles, narrowed by their indexed fields."""

    list_display = ["title", "author", "category", "status", "view_count", "created_at"]
    list_filter = ["status", "category", "author"]
    list_select_related = ["author"]
    search_fields = ["title", "body"]
    date_hierarchy = "created_at"
    readonly_fields = ["view_count", "created_at", "updated_at"]
    actions = ["publish"]

    @admin.action(description=_("Publish selected articles"), permissions=["change"])
    def publish(self, request: HttpRequest, articles: QuerySet[Article]) -> None:
        """Publish the articles: one document read and written for each."""
        number = articles.update(status=Article.Status.PUBLISHED, updated_at=timezone.now())
        message = ngettext("%(number)d article was published.", "%(number)d articles were published.", number)
        self.message_user(request, message % {"number": number})
