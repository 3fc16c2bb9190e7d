"""INSERTs with an ON CONFLICT clause whose rows have unique values of each other and of rows that are there already:
what becomes of them is what becomes of them in stock SQLite."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from random import Random
from typing import Any

import pytest
from django.db import IntegrityError, connections, transaction
from django.db.models import Model

from tests.integration.commands.site import Site
from tests.integration.engine.equivalence.stock import STOCK

from .rooms.models import TABLES, Desk, Room

ENGINE = "default"
NAMES = "abcd"
RAW = (
    "INSERT INTO rooms_desk (code, seat, note) VALUES {desks} ON CONFLICT (seat) DO UPDATE SET note = excluded.note",
    "INSERT INTO rooms_desk (code, seat, note) VALUES {desks} ON CONFLICT (code) DO UPDATE SET seat = excluded.seat",
    "INSERT INTO rooms_desk (code, seat, note) VALUES {desks} ON CONFLICT (code) DO NOTHING "
    "ON CONFLICT DO UPDATE SET code = excluded.code",
    "INSERT OR REPLACE INTO rooms_desk (code, seat, note) VALUES {desks}",
    "REPLACE INTO rooms_desk (code, seat, note) VALUES {desks}",
    "insert\nor ignore into rooms_desk (code, seat, note) VALUES {desks}",
    "INSERT OR IGNORE INTO rooms_desk (code, seat, note) SELECT note || code, seat + 1, note FROM rooms_desk",
    "INSERT INTO rooms_room (name, floor, number, label, owner, rented, visits) VALUES {rooms} "
    "ON CONFLICT (lower(label)) DO UPDATE SET visits = visits + 10",
    "INSERT INTO rooms_room (name, floor, number, label, owner, rented, visits) VALUES {rooms} "
    "ON CONFLICT (owner) WHERE rented DO UPDATE SET visits = visits + 100, floor = floor + 1",
)
Act = Callable[[str], Any]


def desks(chance: Random) -> list[Desk]:
    """A few desks, of which many are alike in something."""
    return [
        Desk(code=chance.choice(NAMES), seat=chance.randrange(4), note=chance.choice(NAMES))
        for _ in range(chance.randrange(1, 5))
    ]


def rooms(chance: Random, number: int | None = None) -> list[Room]:
    """A few rooms, of which many are alike in something."""
    return [
        Room(
            name=chance.choice(NAMES),
            floor=chance.randrange(2),
            number=chance.randrange(3),
            label=chance.choice(NAMES + NAMES.upper()),
            owner=chance.choice(NAMES),
            rented=chance.random() < 0.5,
            visits=chance.randrange(9),
        )
        for _ in range(number or chance.randrange(1, 5))
    ]


def literals(rows: list[Any], names: list[str]) -> str:
    """Rows as SQL, where values need no quoting but quotes."""
    values = [[getattr(row, name) for name in names] for row in rows]
    return ", ".join(f"({', '.join(repr(v) if isinstance(v, str) else str(int(v)) for v in row)})" for row in values)


def create(rows: list[Any], **options: Any) -> Act:
    """``bulk_create``, without the keys that an earlier database has given."""

    def act(db: str) -> None:
        for row in rows:
            if isinstance(row, Room):
                row.pk = None
            row._state.adding, row._state.db = True, None
        type(rows[0])._default_manager.using(db).bulk_create(rows, **options)

    return act


def execute(sql: str) -> Act:
    """Raw SQL."""

    def act(db: str) -> None:
        with connections[db].cursor() as cursor:
            cursor.execute(sql)

    return act


def acts(chance: Random) -> Iterator[Act]:
    """Upserts without end."""
    updating = {"update_conflicts": True}
    while True:
        some_desks, some_rooms = desks(chance), rooms(chance)
        raw = chance.choice(RAW).format(
            desks=literals(some_desks, ["code", "seat", "note"]),
            rooms=literals(some_rooms, ["name", "floor", "number", "label", "owner", "rented", "visits"]),
        )
        yield chance.choice(
            (
                create(some_desks, unique_fields=["seat"], update_fields=["note"], **updating),
                create(some_desks, unique_fields=["code"], update_fields=["note", "seat"], **updating),
                create(some_desks, ignore_conflicts=True),
                create(some_rooms, unique_fields=["name"], update_fields=["visits", "owner"], **updating),
                create(some_rooms, unique_fields=["floor", "number"], update_fields=["name", "visits"], **updating),
                create(some_rooms, ignore_conflicts=True),
                execute(raw),
                execute(raw),
                execute(raw),
            )
        )


def outcome(act: Act, db: str, *, in_transaction: bool) -> str:
    """What became of it: nothing to say, or which values were taken."""
    try:
        with transaction.atomic(using=db) if in_transaction else nullcontext():
            act(db)
    except IntegrityError as error:
        return str(error)
    return ""


def contents(db: str, model: type[Model]) -> list[tuple[Any, ...]]:
    """The rows, but for keys that the database gives."""
    columns = [field.name for field in model._meta.concrete_fields if field.name != "id"]
    return sorted(model._default_manager.using(db).values_list(*columns))


def compare(act: Act, *, in_transaction: bool) -> None:
    theirs = outcome(act, STOCK, in_transaction=in_transaction)
    assert outcome(act, ENGINE, in_transaction=in_transaction) == theirs
    for model in TABLES:
        assert contents(ENGINE, model) == contents(STOCK, model)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("in_transaction", [False, True], ids=["autocommit", "transaction"])
def test_upsert_does_what_stock_sqlite_does_when_its_rows_are_alike(
    side_by_side: Site, seed: int, *, in_transaction: bool
) -> None:
    chance = Random(seed)
    for number, act in enumerate(itertools.islice(acts(chance), 40)):
        if number % 8 == 7:
            for db in (ENGINE, STOCK):
                for model in TABLES:
                    model._default_manager.using(db).filter(pk__isnull=False).delete()
        compare(act, in_transaction=in_transaction)


@pytest.mark.parametrize("verb", ["INSERT OR REPLACE", "REPLACE"])
def test_row_is_replaced_that_had_a_value_which_a_later_row_gives_up(side_by_side: Site, verb: str) -> None:
    for db in (ENGINE, STOCK):
        Desk.objects.using(db).create(code="z", seat=1)
    connections[ENGINE].close()  # a new connection's first statement
    sql = f"{verb} INTO rooms_desk (code, seat, note) VALUES ('a', 1, ''), ('a', 2, '')"
    compare(execute(sql), in_transaction=False)
    assert contents(ENGINE, Desk) == [("a", 2, "")]


def test_value_is_refused_that_a_later_row_would_give_up(side_by_side: Site) -> None:
    for db in (ENGINE, STOCK):
        Desk.objects.using(db).bulk_create([Desk(code="a", seat=1), Desk(code="z", seat=9)])
    rows = [Desk(code="a", seat=9), Desk(code="a", seat=2)]
    act = create(rows, update_conflicts=True, unique_fields=["code"], update_fields=["seat"])
    assert outcome(act, ENGINE, in_transaction=False) == "UNIQUE constraint failed: rooms_desk.seat"
    compare(act, in_transaction=False)


def test_rows_that_share_a_key_are_made_when_one_updates_a_stored_row(side_by_side: Site) -> None:
    for db in (ENGINE, STOCK):
        Desk.objects.using(db).create(code="z", seat=1)
    rows = [Desk(code="a", seat=1, note="new"), Desk(code="a", seat=2)]
    act = create(rows, update_conflicts=True, unique_fields=["seat"], update_fields=["note"])
    compare(act, in_transaction=False)
    assert contents(ENGINE, Desk) == [("a", 2, ""), ("z", 1, "new")]
