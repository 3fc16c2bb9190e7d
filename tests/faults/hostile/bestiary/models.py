"""One table for each kind of primary key, and two for each kind of field: with an index, and unique."""

from __future__ import annotations

from typing import Any

from django.db import models

from django_smarterbase.managers import SmarterBaseManager


class Base(models.Model):
    """All of them can be asked to scan."""

    objects = SmarterBaseManager()

    class Meta:
        abstract = True
        app_label = "bestiary"  # the module is imported before the app is installed


def _made(name: str, **attributes: Any) -> Any:
    meta = type("Meta", (Base.Meta,), {"abstract": False})
    return type(name, (Base,), {"__module__": __name__, "Meta": meta, **attributes})


#: ``{kind: field}``, apart from what is asked of it. Nothing here is checked against a length by SQLite.
FIELDS: dict[str, tuple[type[models.Field[Any, Any]], dict[str, Any]]] = {
    "char": (models.CharField, {"max_length": 100}),
    "text": (models.TextField, {}),
    "nocase": (models.CharField, {"max_length": 100, "db_collation": "NOCASE"}),
    "rtrim": (models.CharField, {"max_length": 100, "db_collation": "RTRIM"}),
    "slug": (models.SlugField, {}),
    "email": (models.EmailField, {}),
    "url": (models.URLField, {}),
    "ip": (models.GenericIPAddressField, {}),
    "small": (models.SmallIntegerField, {}),
    "integer": (models.IntegerField, {}),
    "big": (models.BigIntegerField, {}),
    "positive": (models.PositiveBigIntegerField, {}),
    "float": (models.FloatField, {}),
    "decimal": (models.DecimalField, {"max_digits": 30, "decimal_places": 10}),
    "boolean": (models.BooleanField, {}),
    "date": (models.DateField, {}),
    "time": (models.TimeField, {}),
    "moment": (models.DateTimeField, {}),
    "span": (models.DurationField, {}),
    "uuid": (models.UUIDField, {}),
    "binary": (models.BinaryField, {}),
    "json": (models.JSONField, {}),
}

INDEXED: dict[str, Any] = {
    kind: _made(
        f"Indexed{kind.title()}",
        id=models.BigIntegerField(primary_key=True),
        value=field(null=True, **({"db_index": True} | options)),
    )
    for kind, (field, options) in FIELDS.items()
}
UNIQUE: dict[str, Any] = {
    kind: _made(
        f"Unique{kind.title()}",
        id=models.BigIntegerField(primary_key=True),
        value=field(null=True, **({"unique": True} | options)),
    )
    for kind, (field, options) in FIELDS.items()
}

KEYS: dict[str, models.Field[Any, Any]] = {
    "text": models.CharField(primary_key=True, max_length=2000),
    "integer": models.BigIntegerField(primary_key=True),
    "auto": models.BigAutoField(primary_key=True),
    "float": models.FloatField(primary_key=True),
    "decimal": models.DecimalField(primary_key=True, max_digits=30, decimal_places=10),
    "date": models.DateField(primary_key=True),
    "moment": models.DateTimeField(primary_key=True),
    "span": models.DurationField(primary_key=True),
    "uuid": models.UUIDField(primary_key=True),
    "binary": models.BinaryField(primary_key=True),
}
KEYED: dict[str, Any] = {
    kind: _made(f"Keyed{kind.title()}", key=field, mark=models.CharField(max_length=20, db_index=True))
    for kind, field in KEYS.items()
}
LEAVES: dict[str, Any] = {
    kind: _made(
        f"LeafOf{kind.title()}",
        id=models.BigIntegerField(primary_key=True),
        root=models.ForeignKey(KEYED[kind], models.DO_NOTHING, db_constraint=False, related_name="leaves"),
    )
    for kind in KEYS
}


class Pair(Base):
    """A key of two parts, of which texts may take each other's separator."""

    pk = models.CompositePrimaryKey("left", "right")
    left = models.CharField(max_length=300)
    right = models.CharField(max_length=300)
    mark = models.CharField(max_length=20, db_index=True)


class Beast(Base):
    """What is damaged: every kind of attribute, one of which is unique."""

    name = models.CharField(primary_key=True, max_length=100)
    kind = models.CharField(max_length=20, db_index=True)
    tag = models.CharField(max_length=100, null=True, unique=True)
    legs = models.IntegerField(null=True)
    weight = models.FloatField(null=True)
    price = models.DecimalField(null=True, max_digits=10, decimal_places=2)
    tame = models.BooleanField(null=True)
    born = models.DateField(null=True)
    fed = models.DateTimeField(null=True)
    wakes = models.TimeField(null=True)
    sleeps = models.DurationField(null=True)
    chip = models.UUIDField(null=True)
    voice = models.BinaryField(null=True)
    traits = models.JSONField(null=True)


class Cage(Base):
    """Numbered by a sequence; its table stands beside that of the beasts and is never damaged."""

    id = models.BigAutoField(primary_key=True)
    label = models.CharField(max_length=20, db_index=True)


TABLES = (*INDEXED.values(), *UNIQUE.values(), *KEYED.values(), *LEAVES.values(), Pair, Beast, Cage)
