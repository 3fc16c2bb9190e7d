"""What is written in a document is read back bit for bit, whatever column it stands in."""

import json
import sqlite3
from contextlib import closing

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from django_smarterbase.exceptions import CorruptDocument
from django_smarterbase.storage.codec import DocumentCodec
from django_smarterbase.tables import Affinity, Column, Kind, TableSchema

from .sqlite_values import COLUMNS, JSON_TEXTS, VALUES, exactly

KEY = "db/t/1.json"


def codec_of(*columns):
    return DocumentCodec(TableSchema("t", "app.T", columns, pk=(columns[0].name,)))


def attributes(body):
    return {name: found for name, found in orjson.loads(body).items() if name not in {"_v", "_rev"}}


@settings(max_examples=400, deadline=None)
@given(column=COLUMNS, value=VALUES)
def test_value_survives_a_document_in_a_column_of_any_kind_and_affinity(column, value):
    codec = codec_of(column)
    (found,) = codec.decode(KEY, codec.encode((value,))).values
    assert exactly(found) == exactly(value)


@settings(max_examples=100, deadline=None)
@given(affinity=st.sampled_from(list(Affinity)), kind=st.sampled_from(list(Kind)), value=VALUES)
def test_value_has_the_type_that_sqlite_gave_it_when_it_comes_back(affinity, kind, value):
    with closing(sqlite3.connect(":memory:")) as sqlite:
        sqlite.execute(f"CREATE TABLE t (c {'' if affinity is Affinity.BLOB else affinity.value})")
        sqlite.execute("INSERT INTO t VALUES (?)", (value,))
        held, kept_as = sqlite.execute("SELECT +c, typeof(c) FROM t").fetchone()
        codec = codec_of(Column("c", kind, affinity))
        sqlite.execute("INSERT INTO t VALUES (?)", codec.decode(KEY, codec.encode((held,))).values)
        assert sqlite.execute("SELECT typeof(c) FROM t WHERE rowid = 2").fetchone() == (kept_as,)
        assert sqlite.execute("SELECT COUNT(DISTINCT quote(c)) FROM t").fetchone() == (1,)


@pytest.mark.parametrize(
    ("kind", "affinity", "value", "attribute"),
    [
        (Kind.PLAIN, Affinity.INTEGER, "x", {"$text": "x"}),
        (Kind.PLAIN, Affinity.REAL, float("inf"), {"$real": "inf"}),
        (Kind.PLAIN, Affinity.BLOB, b"\x00", {"$blob": "AA=="}),
        (Kind.BOOL, Affinity.NUMERIC, 1, True),
        (Kind.BOOL, Affinity.NUMERIC, 2, {"$integer": 2}),
        (Kind.DATE, Affinity.NUMERIC, "2020-02-30", {"$text": "2020-02-30"}),
        (Kind.DATETIME, Affinity.NUMERIC, "2020-01-31 12:00:00", "2020-01-31T12:00:00.000000"),
        (Kind.DURATION, Affinity.INTEGER, -1, "-P0DT00H00M00.000001S"),
        (Kind.DECIMAL, Affinity.NUMERIC, 1.5, "1.50"),
        (Kind.UUID, Affinity.TEXT, "0" * 32, "00000000-0000-0000-0000-000000000000"),
        (Kind.BINARY, Affinity.BLOB, b"\xff", "/w=="),
        (Kind.JSON, Affinity.TEXT, '{"a": [1, null]}', {"a": [1, None]}),
        (Kind.JSON, Affinity.TEXT, '{"$text": 1}', {"$text": '{"$text": 1}'}),
        (Kind.JSON, Affinity.TEXT, "null", {"$text": "null"}),
    ],
)
def test_value_is_written_for_people_where_its_kind_has_a_form_and_tagged_otherwise(kind, affinity, value, attribute):
    codec = codec_of(Column("c", kind, affinity, decimal_places=2 if kind is Kind.DECIMAL else None))
    assert attributes(codec.encode((value,))) == {"c": attribute}


@settings(max_examples=200, deadline=None)
@given(text=JSON_TEXTS)
def test_json_column_reads_what_django_would_read_from_stock_sqlite(text):
    codec = codec_of(Column("c", Kind.JSON, Affinity.TEXT))
    (found,) = codec.decode(KEY, codec.encode((text,))).values
    assert found == text


@pytest.mark.parametrize(
    "tagged",
    [
        {"$text": 1},
        {"$text": None},
        {"$integer": "1"},
        {"$integer": 1.5},
        {"$integer": True},
        {"$integer": 2**63},
        {"$real": 1.5},
        {"$real": "nan"},
        {"$real": "much"},
        {"$real": [1]},
        {"$blob": "%%"},
        {"$blob": 1},
        {"$blob": "ä"},
    ],
)
@pytest.mark.parametrize("kind", list(Kind))
def test_tag_with_another_value_than_it_says_is_corrupt(kind, tagged):
    codec = codec_of(Column("c", kind, Affinity.TEXT))
    with pytest.raises(CorruptDocument, match=r"'db/t/1\.json'.*attribute 'c'"):
        codec.decode(KEY, orjson.dumps({"c": tagged}))


@pytest.mark.parametrize(
    ("kind", "affinity", "attribute"),
    [
        (Kind.PLAIN, Affinity.INTEGER, "1"),
        (Kind.PLAIN, Affinity.INTEGER, 1.0),
        (Kind.PLAIN, Affinity.INTEGER, True),
        (Kind.PLAIN, Affinity.INTEGER, 2**63),
        (Kind.PLAIN, Affinity.TEXT, 1),
        (Kind.PLAIN, Affinity.TEXT, {"a": 1}),
        (Kind.PLAIN, Affinity.REAL, "1.5"),
        (Kind.PLAIN, Affinity.NUMERIC, True),
        (Kind.PLAIN, Affinity.NUMERIC, 2**63),
        (Kind.PLAIN, Affinity.BLOB, 2**64 - 1),
        (Kind.PLAIN, Affinity.BLOB, [1]),
        (Kind.BOOL, Affinity.NUMERIC, 1),
        (Kind.DATE, Affinity.NUMERIC, "2020-02-30"),
        (Kind.TIME, Affinity.NUMERIC, "25:00"),
        (Kind.DATETIME, Affinity.NUMERIC, "today"),
        (Kind.DATETIME, Affinity.NUMERIC, 1577836800),
        (Kind.DURATION, Affinity.INTEGER, "an hour"),
        (Kind.DURATION, Affinity.INTEGER, ""),
        (Kind.DURATION, Affinity.INTEGER, "P"),
        (Kind.DURATION, Affinity.INTEGER, "P999999999D"),
        (Kind.DURATION, Affinity.INTEGER, "-P106751992D"),
        (Kind.DECIMAL, Affinity.NUMERIC, "NaN"),
        (Kind.DECIMAL, Affinity.NUMERIC, "Infinity"),
        (Kind.DECIMAL, Affinity.NUMERIC, "1e999999999"),
        (Kind.DECIMAL, Affinity.NUMERIC, 1.5),
        (Kind.UUID, Affinity.TEXT, "0" * 31),
        (Kind.UUID, Affinity.TEXT, "zz" * 16),
        (Kind.BINARY, Affinity.BLOB, "%%%"),
    ],
)
def test_attribute_of_a_wrong_type_is_corrupt_and_names_key_and_attribute(kind, affinity, attribute):
    codec = codec_of(Column("c", kind, affinity))
    with pytest.raises(CorruptDocument, match=r"'db/t/1\.json'.*attribute 'c'"):
        codec.decode(KEY, json.dumps({"c": attribute}).encode())


@pytest.mark.parametrize("depth", [252, 253, 254, 255, 400])
def test_json_column_survives_a_document_however_deep_it_is_nested(depth):
    codec, text = codec_of(Column("c", Kind.JSON, Affinity.TEXT)), "[" * depth + "]" * depth
    assert codec.decode(KEY, codec.encode((text,))).values == (text,)
