"""Raw DDL about a table of documents does what it says or is refused with the remedy; it is never without effect."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, nullcontext

import pytest
from django.contrib.auth.models import Group
from django.db import NotSupportedError, connection, transaction
from django.db.utils import IntegrityError, OperationalError

from testproject.articles.models import Author
from tests.integration.commands.site import Site

AUTHORS = Author._meta.db_table
THINGS = "CREATE TABLE things (id integer PRIMARY KEY, name varchar(9), size integer)"


def run(*statements: str) -> list[tuple[object, ...]]:
    """Run raw SQL; the rows of the last statement."""
    with connection.cursor() as cursor:
        for sql in statements:
            cursor.execute(sql)
        return cursor.fetchall()


def of_sqlite(*statements: str) -> list[tuple[object, ...]]:
    """What SQLite itself answers."""
    with closing(sqlite3.connect(":memory:")) as sqlite:
        for sql in statements[:-1]:
            sqlite.execute(sql)
        return sqlite.execute(statements[-1]).fetchall()


def keys_of(site: Site, table: str) -> list[str]:
    """The keys of all objects about a table, without the database's name."""
    return sorted(key.partition("/")[2] for key in site.objects() if f"/{table}/" in key or f"/{table}.json" in key)


@pytest.fixture(params=[lambda site: None, Site.restart], ids=["here", "in another process"])
def later(request: pytest.FixtureRequest, site: Site) -> Callable[[], None]:
    """Go on in the same connection, or in another process."""
    return lambda: request.param(site)


@pytest.fixture
def groups(site: Site) -> Iterator[Site]:
    """A table that migrations made, with a row."""
    with connection.schema_editor() as editor:
        editor.create_model(Group)
    Group.objects.create(name="one")
    yield site
    assert list(Group.objects.values_list("name", flat=True)) == ["one"]


REFUSED = {
    "ALTER TABLE auth_group RENAME COLUMN name TO title": "use RenameField of django.db.migrations",
    "alter table AUTH_GROUP rename name to title": "use RenameField of django.db.migrations",
    "/* ! */ ALTER TABLE main.auth_group DROP COLUMN name": "use RemoveField of django.db.migrations",
    "ALTER TABLE auth_group ADD COLUMN size integer DEFAULT 1": "use AddField of django.db.migrations",
    "CREATE UNIQUE INDEX i ON auth_group (name)": "use AddConstraint with a UniqueConstraint of django.db.migrations",
}


@pytest.mark.parametrize("atomic", [False, True], ids=["autocommit", "transaction"])
@pytest.mark.parametrize("sql", REFUSED)
def test_columns_of_a_model_are_changed_by_no_sql(groups: Site, sql: str, *, atomic: bool) -> None:
    before = groups.objects()
    with transaction.atomic() if atomic else nullcontext(), pytest.raises(NotSupportedError) as caught:
        run(sql)
    assert REFUSED[sql] in str(caught.value).replace("In a migration use", "use")
    assert "the table 'auth_group'" in str(caught.value)
    assert "auth.Group" in str(caught.value)
    assert groups.objects() == before


def test_columns_of_a_table_that_only_migrations_know_are_changed_by_no_sql(groups: Site) -> None:
    connection.resources.store.put(connection.resources.keys.schema("gone"), b'{"version": 1, "steps": []}')
    with pytest.raises(NotSupportedError, match="are those of a model"):
        run("ALTER TABLE gone ADD COLUMN size integer")


def test_schema_editor_may_make_a_unique_index(groups: Site) -> None:
    with connection.schema_editor() as editor:
        editor.execute("CREATE UNIQUE INDEX i ON auth_group (name)")


def test_index_on_the_table_of_a_model_may_be_made(groups: Site) -> None:
    run("CREATE INDEX i ON auth_group (name)")


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TRIGGER t AFTER INSERT ON {} BEGIN UPDATE {} SET name = name || '!'; END",
        "CREATE TEMP TRIGGER t AFTER INSERT ON {} BEGIN UPDATE {} SET name = name || '!'; END",
    ],
)
@pytest.mark.parametrize("table", ["auth_group", "things"])
def test_trigger_is_refused_as_it_would_fire_when_rows_are_loaded(site: Site, sql: str, table: str) -> None:
    run(THINGS, f"INSERT INTO {table} (name) VALUES ('one')")
    with pytest.raises(NotSupportedError, match=f"'{table}' can have no trigger: .* Use Django's signals"):
        run(sql.format(table, table))
    run(f"INSERT INTO {table} (name) VALUES ('two')")
    assert run(f"SELECT name FROM {table} ORDER BY id") == [("one",), ("two",)]


def test_trigger_of_a_view_is_refused(site: Site) -> None:
    with pytest.raises(NotSupportedError, match="'names' can have no trigger"):
        run(
            "CREATE VIEW names AS SELECT name FROM auth_group",
            "CREATE TRIGGER t INSTEAD OF INSERT ON names BEGIN INSERT INTO auth_group (name) VALUES (NEW.name); END",
        )


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE copied AS SELECT * FROM auth_group",
        'CREATE TABLE IF NOT EXISTS "copied" AS VALUES (1)',
        "/* a (copy) */ CREATE TABLE copied AS WITH a AS (SELECT 1) SELECT * FROM a",
        "CREATE TABLE main.copied AS SELECT * FROM auth_group",
    ],
)
def test_table_made_of_a_query_is_refused(groups: Site, sql: str) -> None:
    with pytest.raises(NotSupportedError, match="CREATE TABLE copied AS SELECT would copy no documents"):
        run(sql)
    assert connection.introspection.table_names() == ["auth_group", "auth_group_permissions"]


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TEMP TABLE mine (n integer)",
        "CREATE TEMPORARY TABLE IF NOT EXISTS mine (n integer)",
        "CREATE TABLE temp.mine (n integer)",
        "CREATE TEMP TABLE mine AS SELECT 1",
    ],
)
def test_temporary_table_is_refused_as_others_could_see_it(site: Site, sql: str) -> None:
    with pytest.raises(NotSupportedError, match=r"'mine' cannot be a temporary table.*WITH"):
        run(sql)
    with pytest.raises(OperationalError, match="no such table: mine"):
        run("SELECT * FROM mine")


# Dropping


@pytest.mark.parametrize(
    "sql",
    [
        "DROP TABLE {}",
        "drop table if exists {};",
        "-- gone\nDROP TABLE {}",
        "DROP TABLE main.{}",
        "DROP TABLE `{}`",
        "DROP TABLE '{}'",
    ],
)
@pytest.mark.parametrize("table", ["authors", "AUTHORS", "things", "Things"])
def test_dropped_table_leaves_nothing_however_it_is_written(
    site: Site, later: Callable[[], None], sql: str, table: str
) -> None:
    run(THINGS, "INSERT INTO things (name) VALUES ('one')")
    Author.objects.create(name="Ada")
    later()
    run(sql.format(table))
    later()
    left = [key for key in keys_of(site, table.lower()) if not key.startswith("_sb/manifest")]
    assert left == []
    assert Author.objects.count() == (0 if table.lower() == AUTHORS else 1)


@pytest.mark.parametrize("table", ["auth_group", "things"])
def test_dropped_table_is_there_again_when_its_transaction_is_rolled_back(
    site: Site, later: Callable[[], None], table: str
) -> None:
    run(THINGS)
    run(f"INSERT INTO {table} (name) VALUES ('one')")
    before = site.objects()
    with transaction.atomic():
        run(f"INSERT INTO {table} (name) VALUES ('two')", f"DROP TABLE {table}")
        transaction.set_rollback(True)
    later()
    assert site.objects().keys() - before.keys() <= {key for key in site.objects() if "/sequences/" in key}
    assert run(f"SELECT id, name FROM {table}") == [(1, "one")]
    run(f"INSERT INTO {table} (name) VALUES ('three')")
    assert run(f"SELECT name FROM {table} ORDER BY id") == [("one",), ("three",)]


@pytest.mark.parametrize("table", ["auth_group", "things"])
def test_table_that_a_transaction_dropped_is_gone_with_its_commit(
    site: Site, later: Callable[[], None], table: str
) -> None:
    run(THINGS)
    run(f"INSERT INTO {table} (name) VALUES ('one')")
    with transaction.atomic():
        run(f"DROP TABLE {table}")
        assert f"{table}/1.json" in keys_of(site, table)
    later()
    assert keys_of(site, table) == []


def test_unique_values_of_a_dropped_table_are_free_again(groups: Site) -> None:
    with transaction.atomic():
        run("DROP TABLE auth_group")
    assert Group.objects.count() == 0
    Group.objects.create(name="one")


def test_dropping_what_is_not_there_is_sqlites_error(site: Site) -> None:
    with pytest.raises(OperationalError, match="no such table: elsewhere"):
        run("DROP TABLE elsewhere")
    run("DROP TABLE IF EXISTS elsewhere")


# Renaming


@pytest.mark.parametrize(
    "sql", ["ALTER TABLE groups RENAME TO auth_group", "/* ! */ alter table GROUPS rename to auth_group"]
)
@pytest.mark.parametrize("atomic", [False, True], ids=["autocommit", "transaction"])
def test_table_that_is_renamed_to_that_of_a_model_brings_its_rows(
    site: Site, later: Callable[[], None], sql: str, *, atomic: bool
) -> None:
    run("CREATE TABLE groups (id integer PRIMARY KEY, name varchar(150))", "INSERT INTO groups (name) VALUES ('one')")
    later()
    with transaction.atomic() if atomic else nullcontext():
        run(sql)
    later()
    assert list(Group.objects.values_list("pk", "name")) == [(1, "one")]
    assert keys_of(site, "groups") == []
    with pytest.raises(OperationalError, match="no such table: groups"):
        run("SELECT * FROM groups")


@pytest.mark.parametrize("atomic", [False, True], ids=["autocommit", "transaction"])
def test_renamed_raw_table_is_the_same_table(site: Site, later: Callable[[], None], *, atomic: bool) -> None:
    run(THINGS, "CREATE INDEX by_size ON things (size)", "INSERT INTO things (name, size) VALUES ('one', 1)")
    with transaction.atomic() if atomic else nullcontext():
        run('ALTER TABLE things RENAME TO "other things"')
        assert run('SELECT * FROM "other things"') == [(1, "one", 1)]
    later()
    assert connection.introspection.table_names() == ["other things"]
    run("""INSERT INTO "other things" (name, size) VALUES ('two', 2)""")
    later()
    assert run('SELECT * FROM "other things" WHERE size > 0 ORDER BY id') == [(1, "one", 1), (2, "two", 2)]
    with connection.cursor() as cursor:
        assert "by_size" in connection.introspection.get_constraints(cursor, "other things")
    assert keys_of(site, "things") == []


def test_renamed_table_leaves_its_name_free(site: Site, later: Callable[[], None]) -> None:
    run(THINGS, "INSERT INTO things (name) VALUES ('old')")
    run("ALTER TABLE things RENAME TO other")
    later()
    run(THINGS, "INSERT INTO things (name) VALUES ('new')")
    later()
    assert run("SELECT name FROM things UNION ALL SELECT name FROM other") == [("new",), ("old",)]


def test_renaming_is_undone_when_its_transaction_is_rolled_back(site: Site, later: Callable[[], None]) -> None:
    run(THINGS, "INSERT INTO things (name) VALUES ('one')")
    with transaction.atomic():
        run("ALTER TABLE things RENAME TO other", "INSERT INTO other (name) VALUES ('two')")
        transaction.set_rollback(True)
    later()
    assert run("SELECT name FROM things") == [("one",)]
    with pytest.raises(OperationalError, match="no such table: other"):
        run("SELECT * FROM other")


def test_table_of_a_model_is_not_renamed_away_from_it(groups: Site) -> None:
    with pytest.raises(NotSupportedError, match=r"'auth_group' cannot be renamed to 'other'.*auth\.Group.*db_table"):
        run("ALTER TABLE auth_group RENAME TO other")


def test_table_is_not_renamed_to_one_that_there_is(site: Site) -> None:
    Group.objects.create(name="one")
    run(THINGS, "CREATE TABLE others (id integer PRIMARY KEY)", "INSERT INTO things (name) VALUES ('one')")
    for name in ("others", "auth_group"):
        with pytest.raises(OperationalError, match="there is already another table"):
            run(f"ALTER TABLE things RENAME TO {name}")
    assert run("SELECT name FROM things") == [("one",)]


def test_renaming_what_is_not_there_is_sqlites_error(site: Site) -> None:
    with pytest.raises(OperationalError, match="no such table: elsewhere"):
        run("ALTER TABLE elsewhere RENAME TO auth_group")


# Columns of raw tables


@pytest.mark.parametrize(
    "column",
    [
        "c integer",
        "c integer DEFAULT '5'",
        "c text NOT NULL DEFAULT 5",
        "c varchar(9) DEFAULT red",
        'c text DEFAULT "red"',
        "c DEFAULT -1.5",
        "c DEFAULT (-2)",
        "c bool DEFAULT TRUE",
        "c blob DEFAULT x'00ff'",
        "c DEFAULT NULL",
    ],
)
def test_new_column_of_a_raw_table_has_the_value_that_sqlite_gives_it(later: Callable[[], None], column: str) -> None:
    statements = (THINGS, "INSERT INTO things (name) VALUES ('old')", f"ALTER TABLE things ADD COLUMN {column}")
    asked = "SELECT name, typeof(c), quote(c) FROM things ORDER BY id"
    run(*statements)
    later()
    run("INSERT INTO things (name) VALUES ('new')", "UPDATE things SET size = 1")
    later()
    assert run(asked) == of_sqlite(*statements, "INSERT INTO things (name) VALUES ('new')", asked)


@pytest.mark.parametrize(
    ("sql", "act"),
    [
        ("ALTER TABLE things RENAME COLUMN name TO title", "RENAME COLUMN"),
        ("ALTER TABLE things RENAME name TO title", "RENAME COLUMN"),
        ("ALTER TABLE Things DROP COLUMN name", "DROP COLUMN"),
    ],
)
def test_column_with_values_of_documents_is_not_renamed_or_dropped(
    later: Callable[[], None], sql: str, act: str
) -> None:
    run(THINGS, "INSERT INTO things (name) VALUES ('one')")
    later()
    with pytest.raises(NotSupportedError, match=f"{act} on the table 'things' would change no document.*1.json"):
        run(sql)
    later()
    assert run("SELECT * FROM things") == [(1, "one", None)]


def test_columns_of_a_raw_table_without_documents_may_be_anything(later: Callable[[], None]) -> None:
    run(THINGS)
    later()
    run("ALTER TABLE things RENAME COLUMN name TO title", "ALTER TABLE things DROP COLUMN size")
    later()
    run("INSERT INTO things (title) VALUES ('one')")
    later()
    assert run("SELECT * FROM things") == [(1, "one")]


def test_remedy_for_columns_of_raw_tables_works(later: Callable[[], None]) -> None:
    run(THINGS, "INSERT INTO things (name) VALUES ('one')")
    later()
    run(
        "CREATE TABLE better (id integer PRIMARY KEY, title varchar(9))",
        "INSERT INTO better SELECT id, name FROM things",
        "DROP TABLE things",
        "ALTER TABLE better RENAME TO things",
    )
    later()
    assert run("SELECT * FROM things") == [(1, "one")]
    with pytest.raises(IntegrityError):
        run("INSERT INTO things (id) VALUES (1)")
