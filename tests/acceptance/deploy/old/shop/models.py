"""The app before the deploy."""

from __future__ import annotations

from django.db import models


class Item(models.Model):
    """Something on a shelf."""

    name = models.CharField(max_length=40)
    size = models.IntegerField(default=1)
    color = models.CharField(max_length=20, default="red")
    code = models.CharField(max_length=20, unique=True)
    shelf = models.CharField(max_length=20, db_index=True)
    stock = models.IntegerField(default=0)
