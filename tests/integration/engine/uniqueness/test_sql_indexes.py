"""CREATE UNIQUE INDEX by SQL over rows that are there: as strict as stock SQLite, and what it finds is claimed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext, suppress

import pytest
from django.contrib.auth.models import Group
from django.db import IntegrityError, OperationalError, connection, connections, transaction

from django_smarterbase.backend.upkeep import delete_claims
from tests.integration.commands.site import Site
from tests.integration.engine.equivalence.stock import STOCK

from .rooms.models import Desk, Room

ENGINE = "default"
INDEX = "CREATE UNIQUE INDEX one_note ON rooms_desk (note)"
RAW_TABLE = (
    "CREATE TABLE plain (id INTEGER PRIMARY KEY, name TEXT COLLATE NOCASE)",
    "INSERT INTO plain VALUES (1, 'a'), (2, 'A')",
    "CREATE UNIQUE INDEX one_name ON plain (name)",
)


def run(*statements: str) -> None:
    """Run raw SQL."""
    with connection.cursor() as cursor:
        for sql in statements:
            cursor.execute(sql)


def refusal_in_a_migration(db: str) -> str:
    """What making the index by RunSQL says."""
    with pytest.raises(IntegrityError) as refused, connections[db].schema_editor() as editor:
        editor.execute(INDEX, params=None)
    return str(refused.value)


def test_unique_index_in_a_migration_is_refused_when_rows_break_it(side_by_side: Site) -> None:
    for db in (ENGINE, STOCK):
        Desk.objects.using(db).bulk_create(Desk(code=code, seat=seat, note="x") for seat, code in enumerate("ab"))
    before = side_by_side.objects()
    assert refusal_in_a_migration(ENGINE) == refusal_in_a_migration(STOCK)
    assert side_by_side.objects() == before
    Desk.objects.create(code="c", seat=7, note="x")
    assert Desk.objects.filter(note="x").count() == 3


@pytest.mark.parametrize("index", [INDEX, f"{INDEX} WHERE note > 'a'"])
def test_unique_index_in_a_migration_is_made_when_no_rows_break_it(side_by_side: Site, index: str) -> None:
    Desk.objects.bulk_create([Desk(code="a", seat=1, note="x"), Desk(code="b", seat=2, note="y")])
    with connection.schema_editor() as editor:
        editor.execute(index, params=None)
    assert Desk.objects.filter(seat__gt=0).count() == 2


def test_unique_index_of_a_raw_table_is_refused_when_rows_break_it(side_by_side: Site) -> None:
    said = []
    for db in (ENGINE, STOCK):
        with connections[db].cursor() as cursor:
            for sql in RAW_TABLE[:-1]:
                cursor.execute(sql)
            with pytest.raises(IntegrityError) as refused:
                cursor.execute(RAW_TABLE[-1])
            said.append(str(refused.value))
            cursor.execute("SELECT name FROM plain ORDER BY id")
            assert cursor.fetchall() == [("a",), ("A",)]
    assert said == ["UNIQUE constraint failed: plain.name"] * 2


@pytest.mark.parametrize("atomic", [False, True], ids=["autocommit", "transaction"])
def test_unique_index_of_a_raw_table_is_made_by_another_connection(site: Site, *, atomic: bool) -> None:
    run("CREATE TABLE plain (id INTEGER PRIMARY KEY, name TEXT)", "INSERT INTO plain VALUES (1, 'a'), (2, 'b')")
    site.restart()
    with transaction.atomic() if atomic else nullcontext():
        run("CREATE UNIQUE INDEX one_name ON plain (name)")
    site.restart()
    with pytest.raises(IntegrityError, match=r"UNIQUE constraint failed: plain\.name"):
        run("INSERT INTO plain VALUES (3, 'b')")


@pytest.mark.parametrize("drop", ["DROP INDEX one_name", "drop index if exists main.[ONE_NAME]"])
@pytest.mark.parametrize("between", [lambda site: None, Site.restart], ids=["here", "in another process"])
def test_index_of_a_raw_table_is_gone_when_it_is_dropped(
    site: Site, drop: str, between: Callable[[Site], None]
) -> None:
    run("CREATE TABLE plain (name TEXT)", "CREATE UNIQUE INDEX one_name ON plain (name)")
    between(site)
    run(drop)
    site.restart()
    run("INSERT INTO plain VALUES ('a'), ('a')")
    with pytest.raises(OperationalError, match="no such index: one_name"):
        run("DROP INDEX one_name")


def test_index_is_not_made_again_on_another_raw_table(site: Site) -> None:
    for table in ("plain", "other"):
        run(f"CREATE TABLE {table} (name TEXT)")
    run("CREATE UNIQUE INDEX one_name ON plain (name)")
    site.restart()
    run("CREATE UNIQUE INDEX IF NOT EXISTS one_name ON other (name)")
    with pytest.raises(OperationalError, match="index one_name already exists"):
        run("CREATE INDEX one_name ON other (name)")
    site.restart()
    run("INSERT INTO other VALUES ('a'), ('a')")
    with pytest.raises(IntegrityError, match=r"UNIQUE constraint failed: plain\.name"):
        run("INSERT INTO plain VALUES ('a'), ('a')")


def test_migration_may_drop_the_index_that_sql_of_another_process_has_made(site: Site) -> None:
    with connection.schema_editor() as editor:
        editor.create_model(Group)
        editor.execute("CREATE INDEX groups_by_name ON auth_group (name)")
    site.restart()
    with connection.schema_editor() as editor:
        editor.execute("DROP INDEX groups_by_name")
    with pytest.raises(OperationalError, match="no such index: groups_by_name"):
        run("DROP INDEX groups_by_name")


def test_first_insert_of_a_connection_meets_the_unique_values_of_a_raw_table(site: Site) -> None:
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE plain (id INTEGER PRIMARY KEY, name TEXT UNIQUE)")
        cursor.execute("INSERT INTO plain VALUES (1, 'a')")
    site.restart()
    with connection.cursor() as cursor:
        with pytest.raises(IntegrityError, match=r"UNIQUE constraint failed: plain\.name"):
            cursor.execute("INSERT INTO plain VALUES (2, 'a')")
        cursor.execute("SELECT id FROM plain")
        assert cursor.fetchall() == [(1,)]


def test_values_are_claimed_when_a_migration_makes_the_index_of_a_rule_of_the_model(site: Site) -> None:
    site.restart(cache=None)
    Group.objects.create(name="editors")
    delete_claims(connection.resources, "auth_group", "name")
    with connection.schema_editor() as editor:
        editor.execute("CREATE UNIQUE INDEX one_name ON auth_group (name)", params=None)
    with pytest.raises(IntegrityError, match=r"UNIQUE constraint failed: auth_group\.name"):
        Group.objects.create(name="editors")


def test_constraint_of_the_model_may_be_made_by_sql(site: Site) -> None:
    site.restart(cache=None)
    room = {"floor": 1, "owner": "ann"}
    Room.objects.create(name="a", number=1, label="Blue", **room)
    delete_claims(connection.resources, "rooms_room", "one-label")
    with connection.schema_editor() as editor:
        editor.execute('CREATE UNIQUE INDEX "one-label" ON rooms_room (LOWER(label))', params=None)
    with pytest.raises(IntegrityError, match="one-label"):
        Room.objects.create(name="b", number=2, label="BLUE", **room)


def test_claims_are_given_back_when_the_migration_fails_afterwards(site: Site) -> None:
    site.restart(cache=None)
    Group.objects.create(name="editors")
    delete_claims(connection.resources, "auth_group", "name")
    before = site.objects()
    with suppress(ZeroDivisionError), connection.schema_editor() as editor:
        editor.execute("CREATE UNIQUE INDEX one_name ON auth_group (name)", params=None)
        assert site.objects() != before
        raise ZeroDivisionError
    assert site.objects() == before


def test_claims_are_given_back_when_the_savepoint_is_rolled_back(site: Site) -> None:
    site.restart(cache=None)
    Group.objects.create(name="editors")
    delete_claims(connection.resources, "auth_group", "name")
    before = site.objects()
    with transaction.atomic():
        with suppress(ZeroDivisionError), connection.schema_editor() as editor:
            editor.execute("CREATE UNIQUE INDEX one_name ON auth_group (name)", params=None)
            assert site.objects() != before
            raise ZeroDivisionError
        assert site.objects() == before
