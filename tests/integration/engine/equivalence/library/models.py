"""Articles, their authors and what hangs on them: every way in which one table leads to another."""

from __future__ import annotations

from django.contrib.contenttypes.fields import GenericForeignKey, GenericRelation
from django.contrib.contenttypes.models import ContentType
from django.db import models

from django_smarterbase.managers import SmarterBaseManager


class Base(models.Model):
    """All of them can be asked to scan."""

    objects = SmarterBaseManager()

    class Meta:
        abstract = True
        app_label = "library"  # the module is imported before the app is installed


class Country(Base):
    """Its key is text that SQLite compares byte by byte."""

    code = models.CharField(primary_key=True, max_length=20)
    size = models.IntegerField(null=True)


class Author(Base):
    """Joined forward by nullable keys, backward by three relations, and to itself."""

    name = models.CharField(max_length=30, db_index=True)
    country = models.ForeignKey(Country, models.SET_NULL, null=True)
    mentor = models.ForeignKey("self", models.SET_NULL, null=True, related_name="pupils")
    born = models.IntegerField(null=True)
    notes = GenericRelation("Note")


class Tag(Base):
    """The far side of a many-to-many relation, with a unique name."""

    name = models.CharField(max_length=20, unique=True)
    weight = models.FloatField(null=True, db_index=True)


class Article(Base):
    """Single, composite and no indexes; an outer join to the editor, an inner one to the author."""

    author = models.ForeignKey(Author, models.CASCADE, related_name="articles")
    editor = models.ForeignKey(Author, models.SET_NULL, null=True, related_name="edited")
    category = models.CharField(max_length=10, db_index=True)
    status = models.CharField(max_length=10)
    rating = models.IntegerField(null=True)
    score = models.IntegerField(null=True, db_index=True)
    price = models.DecimalField(max_digits=8, decimal_places=2, null=True, db_index=True)
    printed = models.DateField(null=True, db_index=True)
    live = models.BooleanField(default=False, db_index=True)
    tags = models.ManyToManyField(Tag, related_name="articles")

    class Meta(Base.Meta):
        abstract = False
        indexes = [models.Index(fields=["status", "category"], name="by-status-category")]


class LongArticle(Article):
    """A table of its own beside its parent's."""

    words = models.IntegerField(db_index=True)

    class Meta:
        app_label = "library"


class Note(Base):
    """A generic relation whose key is text, whatever it points to."""

    content_type = models.ForeignKey(ContentType, models.CASCADE)
    object_id = models.CharField(max_length=20, db_index=True)
    target = GenericForeignKey()
    text = models.CharField(max_length=20)


TABLES = (ContentType, Country, Author, Tag, Article, LongArticle, Note)
