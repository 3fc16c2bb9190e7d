"""The model after all migrations: that of the chairs went with the last one."""

from __future__ import annotations

from django.db import models


class Seat(models.Model):
    """Was a chair."""

    code = models.CharField(max_length=20)
    oak = models.BooleanField(default=False)
    data = models.JSONField(null=True)
    price = models.DecimalField(max_digits=8, decimal_places=2)
    weight = models.FloatField(null=True)

    class Meta:
        app_label = "attic"  # the module is imported before the app is installed
