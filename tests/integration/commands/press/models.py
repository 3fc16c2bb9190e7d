"""Models of every kind that have a table of their own, share one, or have none."""

from __future__ import annotations

from django.db import models


class Publisher(models.Model):
    """A plain model."""

    name = models.CharField(max_length=50, db_index=True)


class Printed(models.Model):
    """No table."""

    year = models.IntegerField(db_index=True)

    class Meta:
        abstract = True


class Book(Printed):
    """A model with a many-to-many table that Django makes."""

    publishers = models.ManyToManyField(Publisher)


class Novel(Book):
    """A table of its own, beside the one of its parent."""

    genre = models.CharField(max_length=50, db_index=True)


class OldBook(Book):
    """The same table as its concrete model's."""

    class Meta:
        proxy = True


class BookView(models.Model):
    """The same table, which Django does not manage here."""

    year = models.IntegerField()

    class Meta:
        managed = False
        db_table = "press_book"


class Legacy(models.Model):
    """A table of its own that Django does not manage."""

    class Meta:
        managed = False
