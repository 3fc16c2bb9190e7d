"""Models that are used before ``migrate`` was run."""

from __future__ import annotations

from django.db import models


class Fresh(models.Model):
    """A unique field and an indexed one."""

    code = models.CharField(max_length=10, unique=True)
    n = models.IntegerField(db_index=True)

    class Meta:
        app_label = "fresh"  # the module is imported before the app is installed


class Renamed(models.Model):
    """Its field had another name in the first migration."""

    title = models.CharField(max_length=10, db_index=True)

    class Meta:
        app_label = "fresh"
