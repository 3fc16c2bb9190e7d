"""Foreign keys to a primary key, to a unique field, to the same table, to a parent, and in a many-to-many table."""

from __future__ import annotations

from django.db import models


class Shelved(models.Model):
    """The module is imported before the app is installed."""

    class Meta:
        abstract = True
        app_label = "shelf"


class Writer(Shelved):
    """Referred to by primary key."""

    name = models.CharField(max_length=50)


class Ghostwriter(Writer):
    """A proxy: the same table."""

    class Meta:
        app_label = "shelf"
        proxy = True


class Country(Shelved):
    """Referred to by a unique field."""

    code = models.CharField(max_length=2, unique=True)


class Volume(Shelved):
    """Refers to much. Nothing is done when what it refers to is deleted, so that the database must see to it."""

    writer = models.ForeignKey(Writer, models.DO_NOTHING, null=True)
    country = models.ForeignKey(Country, models.DO_NOTHING, to_field="code", null=True)
    ghost = models.ForeignKey(Ghostwriter, models.DO_NOTHING, null=True, related_name="+")
    sequel_of = models.ForeignKey("self", models.DO_NOTHING, null=True)
    unindexed = models.ForeignKey(Writer, models.DO_NOTHING, null=True, related_name="+", db_index=False)
    unchecked = models.ForeignKey(Writer, models.DO_NOTHING, null=True, related_name="+", db_constraint=False)
    readers = models.ManyToManyField(Writer, related_name="read")


class Atlas(Volume):
    """Its primary key refers to its parent's."""

    scale = models.IntegerField()

    class Meta:
        app_label = "shelf"


class Note(Shelved):
    """Goes with its volume."""

    volume = models.ForeignKey(Volume, models.CASCADE)
