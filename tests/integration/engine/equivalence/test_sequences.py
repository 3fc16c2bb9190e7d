"""What Django asks of the sequences of AutoFields, beside stock SQLite."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.core.management.color import no_style
from django.db import connections, transaction

from .library.models import Tag


@pytest.fixture
def tags(databases: tuple[str, str]) -> Iterator[tuple[str, str]]:
    """Both databases with five tags, of which two are left."""
    for db in databases:
        made = [Tag.objects.using(db).create(name=str(number)) for number in range(5)]
        Tag.objects.using(db).filter(pk__gt=made[1].pk).delete()
    yield databases
    for db in databases:
        Tag.objects.using(db).all().delete()


def next_key_after_reset(db: str) -> int:
    """As a TransactionTestCase with ``reset_sequences`` goes about it."""
    connection = connections[db]
    statements = connection.ops.sequence_reset_by_name_sql(no_style(), [{"table": Tag._meta.db_table, "column": "id"}])
    with transaction.atomic(using=db), connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
    return Tag.objects.using(db).create(name="next").pk


def test_sequence_begins_anew_above_the_rows_that_are_left_when_it_is_reset(tags: tuple[str, str]) -> None:
    for db in tags:
        highest = max(Tag.objects.using(db).values_list("pk", flat=True))
        assert next_key_after_reset(db) == highest + 1


def test_sequence_begins_with_1_when_it_is_reset_and_no_row_is_left(tags: tuple[str, str]) -> None:
    for db in tags:
        Tag.objects.using(db).all().delete()
        assert next_key_after_reset(db) == 1
