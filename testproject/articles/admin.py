"""The admin of articles and authors."""

from django.contrib import admin

from testproject.articles.models import Article, Author


@admin.register(Author)
class AuthorAdmin(admin.ModelAdmin):
    """Authors, found by name."""

    list_display = ["name"]
    search_fields = ["name"]


@admin.register(Article)
class ArticleAdmin(admin.ModelAdmin):
    """Articles, narrowed by their indexed fields."""

    list_display = ["title", "author", "category", "status", "view_count", "created_at"]
    list_filter = ["status", "category", "author"]
    list_select_related = ["author"]
    search_fields = ["title", "body"]
    date_hierarchy = "created_at"
    readonly_fields = ["view_count", "created_at", "updated_at"]
