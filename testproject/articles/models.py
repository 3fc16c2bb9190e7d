"""Authors and their articles."""

from __future__ import annotations

from django.db import models
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from django_smarterbase.models import SmarterBaseModel


class Author(SmarterBaseModel):
    """Somebody who writes articles."""

    name = models.CharField(_("name"), max_length=100, unique=True)

    class Meta:
        db_table = "authors"
        verbose_name = _("author")
        verbose_name_plural = _("authors")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Article(SmarterBaseModel):
    """An article. What the store's queries filter and order by is indexed, so that none of them scans."""

    class Status(models.TextChoices):
        """How far an article has come."""

        DRAFT = "draft", _("draft")
        PUBLISHED = "published", _("published")
        ARCHIVED = "archived", _("archived")

    author = models.ForeignKey(Author, on_delete=models.CASCADE, related_name="articles", verbose_name=_("author"))
    category = models.CharField(_("category"), max_length=50, db_index=True)
    title = models.CharField(_("title"), max_length=200)
    body = models.TextField(_("body"), blank=True)
    status = models.CharField(_("status"), max_length=10, choices=Status, default=Status.DRAFT, db_index=True)
    view_count = models.PositiveIntegerField(_("views"), default=0)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True, db_index=True)
    updated_at = models.DateTimeField(_("updated at"), auto_now=True)

    class Meta:
        db_table = "articles"
        verbose_name = _("article")
        verbose_name_plural = _("articles")
        ordering = ["-created_at", "title"]

    def __str__(self) -> str:
        return self.title

    def get_absolute_url(self) -> str:
        """The address of the article's page."""
        return reverse("articles:detail", args=[self.pk])
