"""What the migrations do, one after the other and in one."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.db import migrations, models

_COPIED = "id, code, oak, data, price, weight"
_VALUES = [
    ("oak", models.BooleanField(default=False)),
    ("data", models.JSONField(null=True)),
    ("price", models.DecimalField(max_digits=8, decimal_places=2)),
    ("weight", models.FloatField(null=True)),
]


def _execute(sql: str, _apps: Any, editor: Any) -> None:
    with editor.connection.cursor() as cursor:
        cursor.execute(sql)


CREATE = [
    migrations.CreateModel(
        "Chair",
        [
            ("id", models.BigAutoField(primary_key=True)),
            ("name", models.CharField(max_length=20, default="")),
            *_VALUES,
        ],
    )
]
#: SQL alone, by which all columns of a document are read and written.
SHOUT = [
    migrations.RunSQL(
        "UPDATE attic_chair SET name = upper(name) WHERE oak", "UPDATE attic_chair SET name = lower(name)"
    ),
    migrations.RunPython(
        partial(_execute, "UPDATE attic_chair SET weight = weight + 1"),
        partial(_execute, "UPDATE attic_chair SET weight = weight - 1"),
    ),
]
#: SQL between operations, about a column that is new, and after one has gone.
RENAME = [
    migrations.AddField("Chair", "code", models.CharField(max_length=20, default="")),
    migrations.RunSQL("UPDATE attic_chair SET code = name || '!'", "UPDATE attic_chair SET name = rtrim(code, '!')"),
    migrations.RemoveField("Chair", "name"),
    migrations.RunSQL("UPDATE attic_chair SET price = price * 2", "UPDATE attic_chair SET price = price * 0.5"),
]
#: SQL about a table that is new, and one that is about to go.
MOVE = [
    migrations.CreateModel(
        "Seat", [("id", models.BigAutoField(primary_key=True)), ("code", models.CharField(max_length=20)), *_VALUES]
    ),
    migrations.RunSQL(
        f"INSERT INTO attic_seat ({_COPIED}) SELECT {_COPIED} FROM attic_chair",
        f"INSERT INTO attic_chair ({_COPIED}) SELECT {_COPIED} FROM attic_seat",
    ),
    migrations.DeleteModel("Chair"),
]
