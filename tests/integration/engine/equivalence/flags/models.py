"""Booleans in indexes of one column and of several, in none, and as a primary key."""

from __future__ import annotations

from django.db import models

from django_smarterbase.managers import SmarterBaseManager


class Flag(models.Model):
    """``loose`` has no index, ``shown`` only in company."""

    author = models.IntegerField(db_index=True)
    live = models.BooleanField(null=True, db_index=True)
    shown = models.BooleanField(null=True)
    loose = models.BooleanField(null=True)

    objects = SmarterBaseManager()

    class Meta:
        app_label = "flags"  # the module is imported before the app is installed
        indexes = [
            models.Index(fields=["author", "shown"], name="by-author-shown"),
            models.Index(fields=["live", "shown"], name="by-live-shown"),
            models.Index(fields=["shown", "author"], name="by-shown-author"),
        ]


class Switch(models.Model):
    """Its key is a boolean."""

    on = models.BooleanField(primary_key=True)
    name = models.CharField(max_length=10)

    class Meta:
        app_label = "flags"
