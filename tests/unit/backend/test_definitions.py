"""Raw DDL is understood as SQLite understands it."""

from __future__ import annotations

import sqlite3

import pytest

from django_smarterbase.backend.definitions import Act, Definition, definition_of

NAMES = ("t", '"t"', "`t`", "[t]", "'t'", "main.t", 'main . "t"', "/* of */ t", "-- of\n t")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("sql", "act"),
    [
        ("CREATE TABLE {} (a, b)", Act.CREATE_TABLE),
        ("create table if not exists {}(a)", Act.CREATE_TABLE),
        ("DROP TABLE {}", Act.DROP_TABLE),
        ("/* gone */ drop Table IF exists {};", Act.DROP_TABLE),
        ("ALTER TABLE {} ADD COLUMN c DEFAULT 'RENAME TO'", Act.ADD_COLUMN),
        ("ALTER TABLE {} ADD c", Act.ADD_COLUMN),
        ("ALTER TABLE {} DROP COLUMN c", Act.DROP_COLUMN),
        ("ALTER TABLE {} DROP c", Act.DROP_COLUMN),
        ("ALTER TABLE {} RENAME COLUMN a TO b", Act.RENAME_COLUMN),
        ("ALTER TABLE {} RENAME a TO b", Act.RENAME_COLUMN),
        ('ALTER TABLE {} RENAME "to" TO b', Act.RENAME_COLUMN),
    ],
)
def test_table_of_a_definition_is_found_however_it_is_written(sql: str, act: Act, name: str) -> None:
    assert definition_of(sql.format(name)) == Definition(act, "t")


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("ALTER TABLE t RENAME TO u", Definition(Act.RENAME_TABLE, "t", new_name="u")),
        ('ALTER TABLE "my ""t""" RENAME TO [to]', Definition(Act.RENAME_TABLE, 'my "t"', new_name="to")),
        ("CREATE INDEX i ON t (a)", Definition(Act.CREATE_INDEX, "t", index="i")),
        ('CREATE INDEX IF NOT EXISTS main."on" ON "t"(a)', Definition(Act.CREATE_INDEX, "t", index="on")),
        ("CREATE UNIQUE INDEX i ON t(a)", Definition(Act.CREATE_UNIQUE_INDEX, "t", index="i")),
        ("CREATE TEMP TABLE t (a)", Definition(Act.CREATE_TABLE, "t", temporary=True)),
        ("CREATE TEMPORARY TABLE IF NOT EXISTS t (a)", Definition(Act.CREATE_TABLE, "t", temporary=True)),
        ("CREATE TABLE Temp.t (a)", Definition(Act.CREATE_TABLE, "t", temporary=True)),
        ("DROP TABLE temp.t", Definition(Act.DROP_TABLE, "t", temporary=True)),
        ("ALTER TABLE temp.t ADD a", Definition(Act.ADD_COLUMN, "t", temporary=True)),
        ("CREATE TABLE t AS SELECT 1", Definition(Act.CREATE_TABLE, "t", copies=True)),
        ("/* a */ CREATE TABLE 't (a)' AS VALUES (1)", Definition(Act.CREATE_TABLE, "t (a)", copies=True)),
        ("CREATE TEMP TABLE t AS SELECT 1", Definition(Act.CREATE_TABLE, "t", temporary=True, copies=True)),
        ("CREATE TRIGGER r AFTER INSERT ON t BEGIN SELECT 1; END", Definition(Act.CREATE_TRIGGER, "t")),
        ('CREATE TRIGGER r UPDATE OF "ON", b ON t BEGIN SELECT 1; END', Definition(Act.CREATE_TRIGGER, "t")),
        (
            "CREATE TEMP TRIGGER IF NOT EXISTS r BEFORE DELETE ON main.t BEGIN SELECT 1; END",
            Definition(Act.CREATE_TRIGGER, "t", temporary=True),
        ),
        ("CREATE TRIGGER r INSTEAD OF INSERT ON v BEGIN SELECT 1; END", Definition(Act.CREATE_TRIGGER, "v")),
        ("CREATE VIEW IF NOT EXISTS v AS SELECT 1", Definition(Act.CREATE_VIEW, "v")),
        ("CREATE TEMP VIEW v AS SELECT 1", Definition(Act.CREATE_VIEW, "v", temporary=True)),
        ("DROP INDEX IF EXISTS main.i", Definition(Act.DROP_INDEX, "", index="i")),
        ("DROP VIEW v", None),
        ("DROP TRIGGER r", None),
        ("SELECT 'DROP TABLE t'", None),
        ("ALTER TABLE t", None),
        ("", None),
    ],
)
def test_definition_is_what_is_done(sql: str, expected: Definition | None) -> None:
    assert definition_of(sql) == expected


@pytest.mark.parametrize("sql", ["CREATE TABLE", "DROP TABLE IF EXISTS", "CREATE INDEX i", "ALTER TABLE t RENAME TO"])
def test_statement_that_sqlite_refuses_is_no_error_here(sql: str) -> None:
    definition_of(sql)
    with sqlite3.connect(":memory:") as connection, pytest.raises(sqlite3.OperationalError):
        connection.execute(sql)
    connection.close()
