"""Rooms, which have every kind of unique value."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Lower


class Room(models.Model):
    """Unique by a field, by two together, by an expression, and by a field where a condition holds."""

    name = models.CharField(max_length=20, unique=True)
    floor = models.IntegerField()
    number = models.IntegerField()
    label = models.CharField(max_length=20)
    owner = models.CharField(max_length=20)
    rented = models.BooleanField(default=False)
    visits = models.IntegerField(default=0)

    class Meta:
        app_label = "rooms"
        unique_together = [("floor", "number")]
        constraints = [
            models.UniqueConstraint(Lower("label"), name="one-label"),
            models.UniqueConstraint(fields=["owner"], condition=models.Q(rented=True), name="one-room-rented"),
        ]


class Desk(models.Model):
    """Its key is chosen by who makes it, and a field is unique beside it."""

    code = models.CharField(primary_key=True, max_length=20)
    seat = models.IntegerField(unique=True)
    note = models.CharField(max_length=20, default="")

    class Meta:
        app_label = "rooms"


TABLES = (Room, Desk)
