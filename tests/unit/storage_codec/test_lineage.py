"""Code from before a migration beside code from after it: where each stands, what each reads and writes."""

import orjson
import pytest

from django_smarterbase.exceptions import CorruptDocument
from django_smarterbase.storage.codec import DocumentCodec
from django_smarterbase.storage.history import Change, History
from django_smarterbase.storage.lineage import position, settled
from django_smarterbase.tables import Affinity, Column, Kind, TableSchema, UniqueRule

KEY = "db/t/1.json"
INTEGER, TEXT = Affinity.INTEGER, Affinity.TEXT


def column(name, affinity=INTEGER, **options):
    return Column(name, affinity=affinity, **options)


def table(*columns, unique=()):
    made = tuple(column(each) if isinstance(each, str) else each for each in columns)
    return TableSchema("t", "app.T", made, pk=("id",), unique=unique)


def form(affinity, nullable=True):
    return {"new_kind": "plain", "new_affinity": str(affinity), "new_nullable": nullable}


def after(*steps):
    history = History()
    for change, name, details in steps:
        history = history.with_step(change, name, **details)
    return history


def add(name, value=None, affinity=INTEGER):
    return Change.ADD, name, {"value": value, **form(affinity)}


def rename(name, to):
    return Change.RENAME, name, {"to": to}


def remove(name):
    return Change.REMOVE, name, {}


def retype(name, old, new, value=None, nullable=(True, True)):
    before = {"kind": "plain", "affinity": str(old), "nullable": nullable[0]}
    return Change.RETYPE, name, {"value": value, **before, **form(new, nullable[1])}


@pytest.mark.parametrize(
    ("columns", "steps", "version"),
    [
        (["id"], [], 1),
        (["id"], [add("a")], 1),
        (["id", "a"], [add("a")], 2),
        (["id", "a"], [rename("a", "b")], 1),
        (["id", "b"], [rename("a", "b")], 2),
        (["id", "a"], [remove("a")], 1),
        (["id"], [remove("a")], 2),
        (["id", "a"], [retype("a", INTEGER, TEXT)], 1),
        (["id", column("a", TEXT)], [retype("a", INTEGER, TEXT)], 2),
        (["id", "a"], [retype("a", INTEGER, INTEGER, nullable=(True, False))], 1),
        (["id", column("a", nullable=False)], [retype("a", INTEGER, INTEGER, nullable=(True, False))], 2),
        (["id", "a"], [add("c"), rename("a", "b"), remove("c")], 1),
        (["id", "a", "c"], [add("c"), rename("a", "b"), remove("c")], 2),
        (["id", "b", "c"], [add("c"), rename("a", "b"), remove("c")], 3),
        (["id", "b"], [add("c"), rename("a", "b"), remove("c")], 4),
        # The names are the same before and after, and so is what they stand for.
        (["id", "a"], [rename("a", "b"), rename("b", "a")], 3),
        (["id"], [add("a"), remove("a")], 3),
        # Another column of the same name is told by its type.
        (["id", column("a", TEXT)], [remove("a"), add("a", affinity=INTEGER)], 1),
        (["id", "a"], [remove("a"), add("a", affinity=INTEGER)], 3),
        # What no version has is taken for the newest, and so is a column that no step speaks of.
        (["id", "x", "b"], [rename("a", "b")], 2),
        (["id"], [rename("a", "b"), add("c")], 3),
    ],
)
def test_model_stands_where_its_columns_do(columns, steps, version):
    assert position(table(*columns), after(*steps)) == version


def test_step_without_types_says_nothing_of_them():
    history = History().with_step(Change.ADD, "a", value=None)
    assert position(table("id", column("a", TEXT)), history) == 2


@pytest.mark.parametrize(
    ("columns", "steps", "document", "values"),
    [
        (["id"], [add("a")], {"id": 1, "a": 5}, (1,)),
        (["id", "a"], [rename("a", "b")], {"id": 1, "b": 2}, (1, 2)),
        (["id", "a", "c"], [rename("a", "b"), rename("c", "a")], {"id": 1, "b": 2, "a": 3}, (1, 2, 3)),
        (["id", "a"], [retype("a", INTEGER, TEXT)], {"id": 1, "a": "2"}, (1, "2")),
        (["id", column("a", default=7)], [remove("a")], {"id": 1}, (1, 7)),
        (["id", "a"], [rename("a", "b"), retype("b", INTEGER, TEXT)], {"id": 1, "b": "x"}, (1, "x")),
    ],
)
def test_newer_document_is_read_the_other_way_round(columns, steps, document, values):
    history = after(*steps)
    codec = DocumentCodec(table(*columns), history)
    read = codec.decode(KEY, orjson.dumps({**document, "_v": history.version}))
    assert read.values == values


@pytest.mark.parametrize(
    ("columns", "steps", "document", "values", "written"),
    [
        (["id"], [add("a")], {"id": 1, "a": 5}, (1,), {"id": 1, "a": 5}),
        (["id", "a"], [rename("a", "b")], {"id": 1, "b": 2}, (1, 3), {"id": 1, "b": 3}),
        (
            ["id", "a"],
            [rename("a", "b"), add("a", affinity=TEXT)],
            {"id": 1, "b": 2, "a": "other"},
            (1, 3),
            {"id": 1, "b": 3, "a": "other"},
        ),
        (["id", "a"], [retype("a", INTEGER, TEXT)], {"id": 1, "a": "2"}, (1, 3), {"id": 1, "a": {"$integer": 3}}),
        (["id", "a"], [add("c"), rename("c", "d")], {"id": 1, "a": 1, "d": 9}, (1, 2), {"id": 1, "a": 2, "d": 9}),
        (["id", column("a", default=7)], [remove("a")], {"id": 1, "x": 0}, (1, 8), {"id": 1, "x": 0}),
    ],
)
def test_newer_document_is_written_back_in_its_own_version(columns, steps, document, values, written):
    history = after(*steps)
    codec = DocumentCodec(table(*columns), history)
    read = codec.decode(KEY, orjson.dumps({**document, "_v": history.version}))
    body = orjson.loads(codec.encode(values, read.extras))
    del body["_rev"]
    assert body == {**written, "_v": history.version}


def test_new_document_is_written_in_the_version_of_the_models():
    codec = DocumentCodec(table("id", "a"), after(rename("a", "b"), add("c")))
    body = orjson.loads(codec.encode((1, 2)))
    assert {name: body[name] for name in ("id", "a", "_v")} == {"id": 1, "a": 2, "_v": 1}


def test_document_of_a_version_that_nobody_made_is_written_in_the_newest_one():
    history = after(add("a"))
    codec = DocumentCodec(table("id", "a"), history)
    read = codec.decode(KEY, b'{"id": 1, "a": 2, "_v": 99}')
    assert orjson.loads(codec.encode(read.values, read.extras))["_v"] == 2


def test_column_that_is_removed_and_has_no_default_is_an_error_that_says_so():
    codec = DocumentCodec(table("id", column("a", required=True)), after(remove("a")))
    with pytest.raises(CorruptDocument, match=r"a migration has removed 'a'.*its code is older.*Restart it"):
        codec.decode(KEY, b'{"id": 1, "_v": 2}')


def test_newest_document_without_an_added_column_reads_what_the_migration_gave_it():
    """Code that knew nothing of the column may have written it."""
    codec = DocumentCodec(table("id", column("b", required=True)), after(add("a", {"$integer": 5}), rename("a", "b")))
    assert codec.decode(KEY, b'{"id": 1, "_v": 3}').values == (1, 5)


def test_older_document_that_has_the_new_name_already_is_read_by_it():
    """Code that was ahead of its migrations has written it."""
    codec = DocumentCodec(table("id", column("b", required=True)), after(rename("a", "b")))
    assert codec.decode(KEY, b'{"id": 1, "b": 5}').values == (1, 5)
    assert codec.decode(KEY, b'{"id": 1, "a": 4, "b": 5}').values == (1, 4)


@pytest.mark.parametrize(
    ("name", "steps", "lineage"),
    [
        ("a", [], ""),
        ("a", [add("a")], ""),
        ("b", [rename("a", "b")], "a@1"),
        ("a", [rename("a", "b"), rename("b", "a")], ""),
        ("a", [rename("a", "c"), rename("b", "a"), rename("c", "b")], "b@1"),
        ("a", [remove("a"), add("a")], "a@3"),
        ("a", [retype("a", INTEGER, TEXT), retype("a", TEXT, INTEGER)], "a@2@3"),
        ("a", [retype("a", INTEGER, INTEGER, {"$integer": 5}, (True, False))], "a@2"),
        ("a", [retype("a", INTEGER, INTEGER, None, (False, True))], ""),
    ],
)
def test_lineage_tells_columns_of_one_name_apart(name, steps, lineage):
    nullable = not (steps and steps[-1][2].get("new_nullable") is False)
    others = [each for each in ("b",) if lineage == "b@1"]
    schema = settled(table("id", column(name, nullable=nullable), *others), after(*steps))
    assert schema.by_name[name].lineage == lineage


@pytest.mark.parametrize(
    ("rule", "steps", "name"),
    [
        (UniqueRule("b", ("b",)), [rename("a", "b")], "a"),
        (UniqueRule("id-b", ("id", "b")), [rename("a", "b")], "id-a"),
        (UniqueRule("once", ("b",)), [rename("a", "b")], "once"),
        (UniqueRule("b", ("b",)), [remove("b"), add("b")], "b@3"),
        (UniqueRule("b", ("b",)), [retype("b", TEXT, INTEGER)], "b@2"),
    ],
)
def test_unique_values_are_claimed_under_the_first_name_of_their_columns(rule, steps, name):
    (found,) = settled(table("id", "b", unique=(rule,)), after(*steps)).unique
    assert (found.name, found.columns) == (name, rule.columns)


def test_kinds_count_as_types_do():
    history = History().with_step(
        Change.RETYPE, "a", kind="date", affinity="text", new_kind="datetime", new_affinity="text"
    )
    assert position(table("id", Column("a", Kind.DATE, TEXT)), history) == 1
    assert position(table("id", Column("a", Kind.DATETIME, TEXT)), history) == 2
