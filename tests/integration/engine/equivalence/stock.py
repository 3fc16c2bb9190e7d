"""A stock SQLite database under the alias ``stock``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from django.db import connections, models

STOCK = "stock"


@contextmanager
def stock_sqlite(tables: Sequence[type[models.Model]]) -> Iterator[None]:
    """Open the alias, with ``tables`` and without foreign key enforcement, which the engine does not have either."""
    config = {"default": {}, STOCK: {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
    connections.settings[STOCK] = connections.configure_settings(config)[STOCK]
    connection = connections[STOCK]
    try:
        with connection.schema_editor() as editor:
            for model in tables:
                editor.create_model(model)
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA foreign_keys = OFF")
        yield
    finally:
        connection.close()
        del connections[STOCK]
        del connections.settings[STOCK]
