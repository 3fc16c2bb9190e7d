"""Primary keys: what a row under them does on the engine is what it does on stock SQLite."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connections, transaction

from . import written
from .bestiary.models import INDEXED, KEYED, LEAVES, Pair
from .generate import load
from .sides import ALIAS, BARE, Comparison, Question, Sides, raw_rows

TEST = "hostile keys"
CORPUS = load("keys")


def entries_of(kind: str) -> list[tuple[int, str, Any]]:
    """(number, id, key) of every entry of a kind."""
    return [
        (number, entry["id"], written.read(entry["value"]))
        for number, entry in enumerate(CORPUS)
        if entry["kind"] == kind
    ]


def writes(kind: str, key: Any, number: int) -> Iterator[tuple[str, Question]]:
    """What is done with a key, in this order."""
    rows, leaves, mark = KEYED[kind].objects, LEAVES[kind].objects, f"m{number}"
    yield "create", lambda using: rows.using(using).create(key=key, mark=mark).pk
    yield "create again", lambda using: rows.using(using).create(key=key, mark="again").pk
    yield "save", lambda using: KEYED[kind](key=key, mark=mark).save(using=using)
    if kind == "text" and number % 3:
        return

    def with_leaf(using: str) -> int:
        with transaction.atomic(using=using):
            leaves.using(using).create(id=number, root_id=key)
            return rows.using(using).filter(key=key).update(mark=mark)

    yield "update with a leaf", with_leaf


def questions(kind: str, key: Any, number: int) -> Iterator[tuple[str, Question]]:
    """What is asked about a key."""
    rows, leaves, mark = KEYED[kind].objects, LEAVES[kind].objects, f"m{number}"
    yield "get", lambda using: rows.using(using).values_list("key", "mark").get(key=key)
    yield "in", lambda using: sorted(rows.using(using).filter(key__in=[key, key]).values_list("mark", flat=True))
    yield "by index", lambda using: list(rows.using(using).filter(mark=mark).values_list("key", flat=True))
    yield "leaf", lambda using: leaves.using(using).filter(root=key).count()
    yield "join", lambda using: list(leaves.using(using).filter(id=number).values_list("root__key", "root__mark"))


def everything(kind: str) -> Question:
    """All rows, in several ways."""

    def ask(using: str) -> list[Any]:
        rows = KEYED[kind].objects.using(using)
        return [
            sorted(rows.values_list("key", "mark"), key=repr),
            sorted(rows.scan().values_list("key", flat=True), key=repr),
            sorted(rows.values_list("key", flat=True), key=repr),
            list(rows.order_by("-key").values_list("key", flat=True)[1:6]),
            rows.count(),
        ]

    return ask


@pytest.mark.parametrize("kind", KEYED)
def test_key_is_kept_found_and_refused_as_by_stock_sqlite(sides: Sides, kind: str) -> None:
    compared, entries = Comparison(sides, TEST), entries_of(kind)
    assert entries
    compared.empty(KEYED[kind], LEAVES[kind])
    for phase in (writes, questions):
        for number, name, key in entries:
            for what, question in phase(kind, key, number):
                compared.ask(f"{name} {key!r:.60}: {what}", question)
        compared.ask_afresh(f"all rows after the {phase.__name__}", everything(kind))
        compared.ask("what SQLite holds", raw_rows(KEYED[kind]), (ALIAS, BARE))
    for _, name, key in entries[::2]:
        rows = KEYED[kind].objects
        compared.ask(f"{name}: delete", lambda using: rows.using(using).filter(key=key).delete()[0])  # noqa: B023
    compared.ask_afresh("all rows that are left", everything(kind))
    compared.check(KEYED[kind], LEAVES[kind])
    assert not compared.differences


def test_keys_that_differ_are_never_taken_for_each_other(sides: Sides) -> None:
    keys = [key for _, _, key in entries_of("text") if not any("\ud800" <= each <= "\udfff" for each in key)]
    keys = list(dict.fromkeys(keys))
    model = KEYED["text"]

    def fill(using: str) -> int:
        with transaction.atomic(using=using):
            return len(model.objects.using(using).bulk_create([model(key=key, mark="all") for key in keys]))

    compared = Comparison(sides, TEST)
    compared.empty(model)
    compared.ask("filled", fill)
    compared.ask("all at once", lambda using: len(model.objects.using(using).in_bulk(keys)), (ALIAS, BARE))
    compared.ask("like", lambda using: sorted(row.pk for row in model.objects.using(using).filter(key__contains="%")))
    compared.ask_afresh("all rows", everything("text"))
    compared.check(model)
    assert not compared.differences
    prefix = sides.resources.keys.table_prefix(model._meta.db_table)
    assert len(list(sides.resources.store.list(prefix))) == len(keys) >= 200


def test_pair_is_kept_and_found_as_by_stock_sqlite(sides: Sides) -> None:
    compared, rows = Comparison(sides, TEST), Pair.objects
    for number, name, (left, right) in entries_of("pair"):
        for what, question in (
            ("create", lambda using: rows.using(using).create(left=left, right=right, mark=f"m{number}").pk),  # noqa: B023
            ("create again", lambda using: rows.using(using).create(left=left, right=right, mark="").pk),  # noqa: B023
            ("get", lambda using: rows.using(using).get(pk=(left, right)).mark),  # noqa: B023
            ("half", lambda using: sorted(row.pk for row in rows.using(using).filter(left=left))),  # noqa: B023
            ("by index", lambda using: [row.pk for row in rows.using(using).filter(mark=f"m{number}")]),  # noqa: B023
        ):
            compared.ask(f"{name} {left!r:.30} {right!r:.30}: {what}", question)
    compared.ask_afresh("all", lambda using: sorted(rows.using(using).values_list("left", "right", "mark")))
    compared.check(Pair)
    assert not compared.differences


@pytest.mark.parametrize("key", ["'abc'", "'٣'", "'1_0'", "'01'", "1.5", "9e999", "x'00'", "' 7 '", "1e18"])
def test_key_that_raw_sql_puts_in_an_integer_column_is_read_from_the_index_as_it_is(sides: Sides, key: str) -> None:
    model, compared = INDEXED["char"], Comparison(sides, TEST)
    compared.empty(model)

    def insert(using: str) -> None:
        with connections[using].cursor() as cursor:
            cursor.execute(f"INSERT INTO {model._meta.db_table} (id, value) VALUES ({key}, %s)", [key])

    compared.ask("insert", insert)
    compared.ask("keys", lambda using: list(model.objects.using(using).filter(value=key).values_list("id", flat=True)))
    compared.ask("count", lambda using: model.objects.using(using).filter(value=key).count())
    compared.ask_afresh("rows", lambda using: sorted(model.objects.using(using).values_list("id", "value"), key=repr))
    compared.check(model)
    assert not compared.differences
