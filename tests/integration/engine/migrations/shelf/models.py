"""The model after all migrations."""

from __future__ import annotations

from django.db import models


class Book(models.Model):
    """Its number became unique, and then a text."""

    code = models.CharField(max_length=10, unique=True)
    pages = models.IntegerField(default=100)

    class Meta:
        app_label = "shelf"  # the module is imported before the app is installed
