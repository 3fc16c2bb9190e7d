"""Tables that raw DDL made are there for every connection, and sequences begin anew when SQL asks for it."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import nullcontext

import pytest
from django.contrib.auth.models import Group
from django.core.management.color import no_style
from django.db import NotSupportedError, ProgrammingError, connection, transaction
from django.db.utils import IntegrityError, OperationalError

from django_smarterbase.exceptions import ConflictError, CorruptDocument
from tests.integration.commands.site import Site

CREATE = 'CREATE TABLE "things" ("name" varchar(9) NOT NULL PRIMARY KEY, "size" integer)'
INDEX = 'CREATE INDEX "things_size" ON "things" ("size")'
OBJECT = "_sb/tables/things.json"


def run(*statements: str) -> list[tuple[object, ...]]:
    """Run raw SQL; the rows of the last statement."""
    with connection.cursor() as cursor:
        for sql in statements:
            cursor.execute(sql)
        return cursor.fetchall()


def kept(site: Site) -> dict[str, bytes]:
    """The objects that hold SQL, by what follows the database's name."""
    objects = site.objects()
    prefix = connection.resources.keys.prefix()
    return {key.removeprefix(prefix): body for key, body in objects.items() if "/_sb/tables/" in key}


@pytest.fixture(params=[lambda site: connection.close(), Site.restart], ids=["connection", "process"])
def another(request: pytest.FixtureRequest, site: Site) -> Callable[[], None]:
    """Go on in another connection, or in another process."""
    return lambda: request.param(site)


def test_raw_table_is_there_in_another(site: Site, another: Callable[[], None]) -> None:
    run(CREATE, INDEX, "INSERT INTO things VALUES ('one', 1), ('two', 2)")
    another()
    assert run("SELECT name FROM things WHERE size = 2") == [("two",)]
    another()
    run("UPDATE things SET size = 3 WHERE name = 'two'")
    another()
    assert connection.introspection.table_names() == ["things"]
    assert run("SELECT name, size FROM things ORDER BY name") == [("one", 1), ("two", 3)]
    with connection.cursor() as cursor:
        assert connection.introspection.get_constraints(cursor, "things")["things_size"]["columns"] == ["size"]
    assert json.loads(kept(site)[OBJECT]) == {"sql": [CREATE, INDEX]}


@pytest.mark.parametrize("name", ['"my things"', "`my things`", "[my things]", "plain_things"])
def test_raw_table_may_be_called_and_quoted_in_any_way(another: Callable[[], None], name: str) -> None:
    run(f"CREATE TABLE IF NOT EXISTS {name} (id integer PRIMARY KEY)", f"CREATE INDEX i ON {name}(id)")
    another()
    run(f"INSERT INTO {name} VALUES (1)")
    another()
    assert run(f"SELECT id FROM {name}") == [(1,)]
    run(f"DROP TABLE IF EXISTS {name}")
    another()
    assert connection.introspection.table_names() == []


def test_table_is_found_in_capitals_as_by_sqlite(another: Callable[[], None]) -> None:
    Group.objects.create(name="here")
    run(CREATE, "CREATE INDEX size_of_things ON Things (size)")
    another()
    run("INSERT INTO THINGS VALUES ('one', 1)")
    another()
    assert run("SELECT size FROM main.Things") == [(1,)]
    another()
    assert run("SELECT name FROM AUTH_GROUP") == [("here",)]


KEYLESS = (
    "INSERT INTO loose VALUES (NULL, 1)",
    "INSERT OR REPLACE INTO loose VALUES (NULL, 1)",
    "INSERT INTO loose (n) SELECT n FROM loose",
    "UPDATE loose SET k = NULL",
)


@pytest.mark.parametrize("atomic", [False, True], ids=["autocommit", "transaction"])
@pytest.mark.parametrize("sql", KEYLESS)
def test_row_without_a_key_is_refused_though_sqlite_would_have_many_of_them(
    site: Site, sql: str, *, atomic: bool
) -> None:
    run("CREATE TABLE loose (k text PRIMARY KEY, n integer)", "INSERT INTO loose VALUES ('a', 1)")
    refusal = r"^NOT NULL constraint failed: loose\.k\. .*Give the row a key\.$"
    with pytest.raises(IntegrityError, match=refusal), transaction.atomic() if atomic else nullcontext():
        run(sql)
    assert run("SELECT k, n FROM loose") == [("a", 1)]


def test_raw_table_is_what_it_was_altered_to(another: Callable[[], None]) -> None:
    run(CREATE, "INSERT INTO things VALUES ('one', 1)")
    another()
    run("ALTER TABLE things ADD COLUMN colour varchar(9)")
    another()
    assert run("SELECT * FROM things") == [("one", 1, None)]


@pytest.mark.parametrize("whole", [False, True], ids=["savepoint", "transaction"])
def test_raw_table_is_what_it_was_when_its_alteration_is_rolled_back(site: Site, *, whole: bool) -> None:
    run(CREATE, "INSERT INTO things VALUES ('one', 1)")
    with transaction.atomic() if not whole else nullcontext():
        with transaction.atomic():
            run("ALTER TABLE things ADD COLUMN colour text DEFAULT 'red'", "UPDATE things SET colour = 'blue'")
            transaction.set_rollback(True)
        run("UPDATE things SET size = 2")
    assert run("SELECT * FROM things") == [("one", 2)]


def test_raw_table_is_gone_when_it_is_dropped(site: Site, another: Callable[[], None]) -> None:
    run(CREATE, "INSERT INTO things VALUES ('one', 1)")
    another()
    run("DROP TABLE things")
    another()
    assert kept(site) == {}
    assert connection.introspection.table_names() == []
    with pytest.raises(OperationalError, match="no such table: things"):
        run("SELECT * FROM things")
    run(CREATE)
    assert run("SELECT * FROM things") == []


def test_raw_table_comes_with_the_commit_of_its_transaction(site: Site, another: Callable[[], None]) -> None:
    with transaction.atomic():
        run(CREATE)
        assert kept(site) == {}
        transaction.set_rollback(True)
    with pytest.raises(OperationalError, match="no such table: things"):
        run("SELECT * FROM things")
    with transaction.atomic():
        run(CREATE, "INSERT INTO things VALUES ('one', 1)")
    another()
    assert run("SELECT * FROM things") == [("one", 1)]


def test_raw_table_that_a_rolled_back_transaction_has_used_can_be_used_again(another: Callable[[], None]) -> None:
    run(CREATE)
    another()
    with transaction.atomic():
        run("INSERT INTO things VALUES ('one', 1)")
        transaction.set_rollback(True)
    assert run("SELECT * FROM things") == []


def test_table_of_a_model_is_not_kept_as_a_raw_one(site: Site) -> None:
    with connection.schema_editor() as editor:
        editor.create_model(Group)
        editor.execute('CREATE INDEX "groups_by_name" ON "auth_group" ("name")')
    assert kept(site) == {}


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"sql": []}', b'{"sql": ["DROP TABLE things"]}', b'{"sql": [1]}'])
def test_damaged_sql_of_a_table_is_named(site: Site, body: bytes) -> None:
    key = connection.resources.keys.raw_table("things")
    connection.resources.store.put(key, body)
    with pytest.raises(CorruptDocument, match="does not hold the SQL of a table") as caught:
        run("SELECT * FROM things")
    assert caught.value.key == key


@pytest.mark.parametrize("sql", ["CREATE TABLE auth_group (id integer)", "CREATE TRIGGER t AFTER DELETE ON things"])
def test_sql_of_a_table_makes_nothing_else(site: Site, sql: str) -> None:
    connection.resources.store.put(connection.resources.keys.raw_table("things"), json.dumps({"sql": [sql]}).encode())
    with pytest.raises(CorruptDocument, match="it does something else"):
        run("SELECT * FROM things")


def test_unknown_table_is_an_error(site: Site) -> None:
    with pytest.raises(OperationalError, match="no such table: elsewhere"):
        run("SELECT * FROM elsewhere")
    with pytest.raises(ProgrammingError, match="No model and no table 'elsewhere' is known"):
        connection.table_schema("elsewhere")


@pytest.mark.parametrize("whole", [True, False], ids=["in one transaction", "in several"])
def test_table_that_was_dropped_is_made_anew(site: Site, *, whole: bool) -> None:
    with transaction.atomic() if whole else nullcontext():
        run("CREATE TABLE loose (n integer)")
        run("INSERT INTO loose VALUES (1)")
        run("DROP TABLE loose")
        assert "loose" not in connection.introspection.table_names()
        run("CREATE TABLE loose (name text)")
        run("INSERT INTO loose VALUES ('new')")
    site.restart()
    assert run("SELECT * FROM loose") == [("new",)]
    run("DROP TABLE loose")
    assert "loose" not in connection.introspection.table_names()
    assert [key for key in site.objects() if "loose" in key] == []


@pytest.mark.parametrize("name", ["THINGS", "things"])
def test_table_may_be_made_anew_in_other_capitals_and_of_other_types(site: Site, name: str) -> None:
    run("CREATE TABLE things (n text UNIQUE)", "INSERT INTO things VALUES ('one'), ('two')")
    site.restart()
    with transaction.atomic():
        run("DROP TABLE things", f"CREATE TABLE {name} (n integer PRIMARY KEY)", "INSERT INTO things VALUES (1)")
        assert run("SELECT n FROM things") == [(1,)]
    site.restart()
    assert run("SELECT n FROM things") == [(1,)]


def test_table_that_was_made_anew_is_what_it_was_when_that_is_rolled_back(another: Callable[[], None]) -> None:
    run("CREATE TABLE things (n text)", "INSERT INTO things VALUES ('one'), ('two')")
    another()
    with transaction.atomic():
        run("UPDATE things SET n = 'three' WHERE n = 'two'")
        with transaction.atomic():
            run("DROP TABLE things", "CREATE TABLE things (n integer PRIMARY KEY)", "INSERT INTO things VALUES (1)")
            assert run("SELECT n FROM things") == [(1,)]
            transaction.set_rollback(True)
        assert run("SELECT n FROM things ORDER BY n") == [("one",), ("three",)]
    another()
    assert run("SELECT n FROM things ORDER BY n") == [("one",), ("three",)]


def make_anew_beside_another_writer() -> None:
    """In a transaction that makes the table anew, and whose last document another one has changed by then: its
    writes are in the order of their keys."""
    store, key = connection.resources.store, connection.resources.keys.document("auth_group", "1")
    with transaction.atomic():
        run("DROP TABLE acts", "CREATE TABLE acts (m integer)", "INSERT INTO acts VALUES (1)")
        run("UPDATE auth_group SET name = 'elsewhere'")
        store.put(key, b"{}")


def test_rows_of_a_dropped_table_are_there_when_its_commit_fails(site: Site) -> None:
    run("CREATE TABLE acts (n text)", "INSERT INTO acts VALUES ('one'), ('two')")
    Group.objects.create(pk=1, name="here")
    with pytest.raises(ConflictError):
        make_anew_beside_another_writer()
    site.restart()
    assert run("SELECT n FROM acts ORDER BY n") == [("one",), ("two",)]


ROWIDS = {
    "a key and no number": "CREATE TABLE things (name text, n integer, PRIMARY KEY (name)) WITHOUT ROWID",
    "a whole number that is no number": "CREATE TABLE things (n integer PRIMARY KEY, name text) WITHOUT ROWID",
    "a column called rowid": "CREATE TABLE things (rowid text, name text, n integer)",
    "columns with two of its names": "CREATE TABLE things (RowId text, oid text, name text, n integer)",
    "a key and columns with all of its names": (
        "CREATE TABLE things (rowid text, oid text, _rowid_ text, name text, n integer PRIMARY KEY)"
    ),
}


@pytest.mark.parametrize("create", ROWIDS.values(), ids=ROWIDS)
def test_rows_are_kept_whatever_sqlite_numbers(another: Callable[[], None], create: str) -> None:
    run(create, "INSERT INTO things (n, name) VALUES (1, 'one'), (2, 'two')")
    another()
    run("UPDATE things SET name = name || '!'", "DELETE FROM things WHERE n = 2")
    another()
    run("INSERT INTO things (n, name) VALUES (3, 'three')")
    assert run("SELECT n, name FROM things ORDER BY n") == [(1, "one!"), (3, "three")]


@pytest.mark.parametrize("sql", ["INSERT INTO things (name) VALUES ('x')", "INSERT INTO things VALUES (NULL, 'x')"])
def test_whole_number_that_is_no_number_is_given_by_nobody(site: Site, sql: str) -> None:
    run(ROWIDS["a whole number that is no number"])
    with pytest.raises(IntegrityError, match=r"^NOT NULL constraint failed: things\.n$"):
        run(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE _sb_things (n integer)",
        'CREATE VIEW "_SB_insert:auth_group" AS SELECT * FROM auth_group',
        "ALTER TABLE things RENAME TO _sb_things",
        "CREATE INDEX i ON _sb_pending (stem)",
        "DROP TABLE IF EXISTS _sb_pending",
    ],
)
def test_names_of_the_engine_are_refused(site: Site, sql: str) -> None:
    run(CREATE)
    with pytest.raises(NotSupportedError, match=r"names that begin with '_sb_' are the engine's own\. Nothing was"):
        run(sql)


def test_sequence_begins_anew_when_django_resets_it(site: Site) -> None:
    Group.objects.create(name="one").delete()
    assert Group.objects.create(name="two").pk == 2
    Group.objects.all().delete()
    (sql,) = connection.ops.sequence_reset_by_name_sql(no_style(), [{"table": "auth_group", "column": "id"}])
    assert sql == """UPDATE "sqlite_sequence" SET "seq" = 0 WHERE "name" IN ('auth_group');"""
    run(sql)
    assert Group.objects.create(name="three").pk == 1


def test_sequence_stays_above_the_rows_that_there_are(site: Site) -> None:
    Group.objects.bulk_create(Group(name=str(number)) for number in range(3))
    (sql,) = connection.ops.sequence_reset_by_name_sql(no_style(), [{"table": "auth_group", "column": "id"}])
    run(sql)
    assert Group.objects.create(name="new").pk == 4


@pytest.mark.parametrize("sql", ["UPDATE sqlite_sequence SET seq = 7", "SELECT seq FROM sqlite_sequence"])
def test_raw_sql_about_sequences_is_refused(site: Site, sql: str) -> None:
    Group.objects.create(name="one")
    with pytest.raises(NotSupportedError, match="the sequences of a smarterbase database are objects"):
        run(sql)


def test_raw_insert_is_numbered_by_the_sequence(site: Site) -> None:
    Group.objects.create(name="one")
    run("INSERT INTO auth_group (name) VALUES ('two')")
    assert Group.objects.get(name="two").pk == 2


def test_table_of_the_migrations_is_inspected_before_anybody_has_asked_for_it(site: Site) -> None:
    with connection.cursor() as cursor:
        columns = connection.introspection.get_table_description(cursor, "django_migrations")
    assert [column.name for column in columns] == ["id", "app", "name", "applied"]
