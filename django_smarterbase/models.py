"""The base class that most models of a smarterbase database can use."""

from __future__ import annotations

from typing import ClassVar, Self

from django.db import models

from django_smarterbase.fields import UUID7Field
from django_smarterbase.managers import SmarterBaseManager


class SmarterBaseModel(models.Model):
    """A model whose key is made without asking anybody, so that creating a row is one write, with the full manager."""

    id = UUID7Field(primary_key=True)

    objects: ClassVar[SmarterBaseManager[Self]] = SmarterBaseManager()

    class Meta:
        abstract = True
