"""The base class that most models of a smarterbase database can use, and what stands for pages of the admin."""

from __future__ import annotations

from typing import ClassVar, Self

from django.db import models
from django.utils.translation import gettext_lazy as _

from django_smarterbase.fields import UUID7Field
from django_smarterbase.managers import SmarterBaseManager


class SmarterBaseModel(models.Model):
    """A model whose key is made without asking anybody, so that creating a row is one write, with the full manager."""

    id = UUID7Field(primary_key=True)

    objects: ClassVar[SmarterBaseManager[Self]] = SmarterBaseManager()

    class Meta:
        abstract = True


class NoRows(models.Manager["Tableless"]):
    """Finds nothing and asks no database, so that ``dumpdata`` and the like pass over the model."""

    def get_queryset(self) -> models.QuerySet[Tableless]:
        """No rows."""
        return super().get_queryset().none()


class Tableless(models.Model):
    """A model that stands for a page of the admin. It has permissions, but no table in any database and no migration.

    It is unmanaged and its application has no migrations, so ``makemigrations`` and ``migrate`` make nothing of it but
    its content type and its permissions.
    """

    objects: ClassVar[NoRows] = NoRows()

    class Meta:
        abstract = True
        managed = False
        base_manager_name = "objects"
        default_manager_name = "objects"


class QueryProfiles(Tableless):
    """The page that shows the profiles of queries. Nothing there can be changed."""

    class Meta(Tableless.Meta):
        abstract = False
        # Named, so that the base class above can be imported by a project that has not installed the application.
        app_label = "django_smarterbase"
        default_permissions = ("view",)
        verbose_name = _("query profile")
        verbose_name_plural = _("query profiles")

    def __str__(self) -> str:
        return str(self._meta.verbose_name_plural)


class IndexHealth(Tableless):
    """The page that shows the indexes and has them checked and rebuilt. An instance stands for what a job is about."""

    id = models.CharField(primary_key=True, max_length=500)

    name = ""

    class Meta(Tableless.Meta):
        abstract = False
        app_label = "django_smarterbase"
        default_permissions = ("view", "change")
        verbose_name = _("index")
        verbose_name_plural = _("index health")

    def __str__(self) -> str:
        return self.name or self.id

    @classmethod
    def standing_for(cls, id: str, name: str) -> Self:
        """An instance for the log of the admin: ``id`` leads back to the page, ``name`` is what people read."""
        subject = cls(id=id)
        subject.name = name
        return subject
