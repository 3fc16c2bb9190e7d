"""The app after one more deploy: the model has another name, and a number of its own."""

from __future__ import annotations

from django.db import models


class Product(models.Model):
    """Something on a shelf."""

    title = models.CharField(max_length=40)
    size = models.CharField(max_length=20, default="1")
    code = models.CharField(max_length=20, unique=True)
    shelf = models.CharField(max_length=20, db_index=True)
    stock = models.IntegerField(default=0)
    rating = models.IntegerField(default=3, db_index=True)
    number = models.IntegerField(unique=True)
