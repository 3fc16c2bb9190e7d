"""Documents of older versions, read through the steps that migrations made since."""

from uuid import UUID

import orjson
import pytest

from django_smarterbase.storage.codec import DocumentCodec
from django_smarterbase.storage.history import Change, History
from django_smarterbase.tables import Affinity, Column, Kind, TableSchema

KEY = "db/t/1.json"


def after(*steps):
    history = History()
    for change, column, details in steps:
        history = history.with_step(change, column, **details)
    return history


def add(column, value=None):
    return Change.ADD, column, {"value": value}


def rename(column, to):
    return Change.RENAME, column, {"to": to}


def remove(column):
    return Change.REMOVE, column, {}


def retype(column, kind=Kind.PLAIN, affinity=Affinity.INTEGER, value=None):
    return Change.RETYPE, column, {"kind": str(kind), "affinity": str(affinity), "value": value}


def read(history, columns, document):
    schema = TableSchema("t", "app.T", tuple(Column(name, affinity=Affinity.NUMERIC) for name in columns), pk=("id",))
    return DocumentCodec(schema, history).decode(KEY, orjson.dumps(document))


@pytest.mark.parametrize(
    ("steps", "columns", "document", "values"),
    [
        ([add("b", {"$integer": 5})], ["id", "b"], {"id": 1}, (1, 5)),
        ([add("b", {"$integer": 5})], ["id", "b"], {"id": 1, "b": 7}, (1, 7)),
        ([rename("a", "b")], ["id", "b"], {"id": 1, "a": 2}, (1, 2)),
        ([rename("a", "b"), rename("b", "c")], ["id", "c"], {"id": 1, "a": 2}, (1, 2)),
        (
            [rename("a", "x"), rename("b", "a"), rename("x", "b")],
            ["id", "a", "b"],
            {"id": 1, "a": 2, "b": 3},
            (1, 3, 2),
        ),
        ([remove("a"), add("a", {"$integer": 5})], ["id", "a"], {"id": 1, "a": 2}, (1, 5)),
        ([rename("a", "b"), add("a", {"$integer": 5})], ["id", "a", "b"], {"id": 1, "a": 2}, (1, 5, 2)),
        ([rename("a", "b"), add("a", {"$integer": 5})], ["id", "b", "a"], {"id": 1, "a": 2}, (1, 2, 5)),
        ([remove("b"), rename("a", "b")], ["id", "b"], {"id": 1, "a": 2, "b": 3}, (1, 2)),
        ([add("b"), retype("b", value={"$integer": 6})], ["id", "b"], {"id": 1}, (1, 6)),
        ([retype("a", value={"$integer": 6})], ["id", "a"], {"id": 1, "a": None}, (1, 6)),
        (
            [retype("a", value={"$integer": 6}), retype("a"), retype("a", value={"$integer": 7})],
            ["id", "a"],
            {"id": 1, "a": None},
            (1, 6),
        ),
        (
            [retype("a", Kind.UUID, Affinity.TEXT)],
            ["id", "a"],
            {"id": 1, "a": str(UUID(int=1))},
            (1, UUID(int=1).hex),
        ),
    ],
)
def test_old_document_reads_as_the_migrations_would_have_made_it(steps, columns, document, values):
    assert read(after(*steps), columns, document).values == values


@pytest.mark.parametrize(
    ("steps", "document", "kept"),
    [
        ([remove("a")], {"id": 1, "a": 2, "z": 3}, {"z": 3}),
        ([rename("a", "b"), remove("b")], {"id": 1, "a": 2, "z": 3}, {"z": 3}),
        ([rename("a", "b"), rename("b", "c"), remove("c")], {"id": 1, "a": 2}, {}),
        ([add("a", {"$integer": 5}), remove("a")], {"id": 1}, {}),
    ],
)
def test_removed_column_leaves_no_attribute_behind_that_a_later_one_could_take_for_its_own(steps, document, kept):
    assert dict(read(after(*steps), ["id"], document).extras) == kept


def test_document_of_the_present_version_needs_no_step():
    history = after(remove("a"), add("a", {"$integer": 5}))
    assert read(history, ["id", "a"], {"id": 1, "a": 2, "_v": 3}).values == (1, 2)
    assert read(history, ["id", "a"], {"id": 1, "a": 2, "_v": 2}).values == (1, 2)


def test_schema_object_comes_back_as_it_was_written():
    history = after(
        add("a", {"$text": "ä"}), rename("a", "b"), retype("b", Kind.DATE, Affinity.TEXT, {"$integer": 0}), remove("b")
    )
    assert History.load(history.dump()) == history


def steps(*changes, version=2):
    """A schema object of sound steps but for the changes."""
    sound = {"version": 2, "change": "add", "column": "a"}
    return orjson.dumps({"version": version, "steps": [{**sound, **change} for change in changes]})


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"[]", b"{}", b'{"version": 2}', b'{"version": 2, "steps": [{"change": "eat"}]}'),
        b'{"version": 2, "steps": {}}',
        *(steps(version=version) for version in ("2", 1.5, True, None, 0, -1, 2**62)),
        *(steps({"version": version}) for version in ("2", 2.0, True, None, [], 1, 0, -1, 3)),
        steps({"version": 3}, {"version": 2}, version=3),
        *(steps({"column": column}) for column in (None, 5, [])),
        *(steps({"value": value}) for value in (5, "x", {}, {"$integer": "5"}, {"$no": 1})),
        *(steps({"change": "rename", "to": to}) for to in (None, 5, [])),
        steps({"to": "b"}),
        steps({"change": "retype"}),
        *(steps({"change": "retype", "kind": kind, "affinity": "text"}) for kind in (None, 5, "no kind")),
        *(steps({"change": "retype", "kind": "date", "affinity": each}) for each in (None, 5, "no affinity")),
    ],
)
def test_what_is_no_schema_object_is_an_error(body):
    with pytest.raises((ValueError, KeyError, TypeError)):
        History.load(body)
