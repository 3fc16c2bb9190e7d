"""Documents as a whole: columns, unknown attributes, and what is no document."""

import json

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from django_smarterbase.exceptions import CorruptDocument
from django_smarterbase.storage.codec import DocumentCodec, outline, with_transaction
from django_smarterbase.storage.history import Change, History
from django_smarterbase.storage.readers import attribute_of
from django_smarterbase.tables import Affinity, Column, Kind, TableSchema

from .sqlite_values import TEXTS, VALUES, exactly

KEY = "db/t/1.json"
RESERVED = ["_v", "_rev", "_claims", "_txn", "__v", "___rev", "__claims", "v", "rev", "_V"]
NAMES = st.one_of(st.sampled_from([*RESERVED, "Entry ID", 'a"b', ""]), TEXTS)
EXTRAS = st.dictionaries(
    NAMES.filter(lambda name: name not in {"_v", "_rev"}),
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.floats(allow_nan=False), TEXTS).filter(
            lambda value: value not in (float("inf"), float("-inf"))
        ),
        lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
        max_leaves=5,
    ),
    max_size=4,
)


def codec_of(*names, history=None, **options):
    columns = tuple(Column(name, affinity=Affinity.NUMERIC, **options) for name in names)
    return DocumentCodec(TableSchema("t", "app.T", columns, pk=names[:1]), history)


@settings(max_examples=200, deadline=None)
@given(data=st.data(), names=st.lists(NAMES, min_size=1, max_size=6, unique=True))
def test_columns_of_any_name_keep_their_values_apart(data, names):
    values = tuple(data.draw(VALUES) for _name in names)
    codec = codec_of(*names)
    document = codec.decode(KEY, codec.encode(values))
    assert list(map(exactly, document.values)) == list(map(exactly, values))
    assert not document.extras


@settings(max_examples=200, deadline=None)
@given(extras=EXTRAS)
def test_unknown_attributes_are_kept_as_they_were_when_the_document_is_written_again(extras):
    codec = codec_of("id")
    before = {name: found for name, found in extras.items() if name != "id"}
    document = codec.decode(KEY, orjson.dumps({"id": 1, **before}))
    again = codec.decode(KEY, codec.encode((2,), document.extras))
    assert again.values == (2,)
    assert json.dumps(dict(again.extras)) == json.dumps(before)


class _StepByStep(DocumentCodec):
    """Reads no document in one go."""

    _pick = staticmethod(lambda _raw: None)


@settings(max_examples=300, deadline=None)
@given(
    raw=st.dictionaries(
        st.sampled_from(["id", "text", "uuid", "json", "_v", "_rev", "_claims", "more", "other"]),
        st.one_of(
            EXTRAS, TEXTS, st.none(), st.booleans(), st.integers(-3, 3), st.just({"$text": "x"}), st.just(2.0**70)
        ),
    ),
    version=st.sampled_from([None, 1, 2, 3, True]),
)
def test_document_that_is_read_in_one_go_is_what_it_is_when_it_is_read_step_by_step(raw, version):
    columns = (
        Column("id", affinity=Affinity.INTEGER, required=True),
        Column("text", affinity=Affinity.TEXT),
        Column("uuid", Kind.UUID, Affinity.TEXT),
        Column("json", Kind.JSON, Affinity.TEXT),
    )
    body = orjson.dumps({"id": 1, "text": "a", "uuid": None, "json": [1], **raw, "_v": version} if version else raw)
    schema = TableSchema("t", "app.T", columns, pk=("id",))
    history = History().with_step(Change.REMOVE, "other")
    outcomes = []
    for codec in (DocumentCodec(schema, history), _StepByStep(schema, history)):
        try:
            document = codec.decode(KEY, body)
            outcomes.append((document.values, json.dumps(dict(document.extras)), document.version))
        except CorruptDocument as error:
            outcomes.append(str(error))
    assert outcomes[0] == outcomes[1]


GREAT = ["18446744073709551616", "[-9223372036854775809,1e+30]", '{"a":{"b":[123456789012345678901234567890]}}']
DEEP = ["[" * depth + "]" * depth for depth in (252, 253, 254, 255, 499)]


@pytest.mark.parametrize("text", [*GREAT, *DEEP], ids=lambda text: text[:50])
def test_unknown_attribute_is_kept_when_it_has_great_numbers_or_is_nested_deep(text):
    codec = codec_of("id")
    body = f'{{"id":1,"other":{text}}}'.encode()
    again = codec.encode((2,), codec.decode(KEY, body).extras)
    assert f'"other":{text},'.encode() in again
    assert f'"other":{text},'.encode() in with_transaction(again, "t")
    assert codec.decode(KEY, again).values == (2,)


@pytest.mark.parametrize("text", GREAT)
def test_json_column_reads_whole_numbers_beyond_64_bits_as_they_are(text):
    codec = DocumentCodec(TableSchema("t", "app.T", (Column("c", Kind.JSON, Affinity.TEXT),), pk=("c",)))
    body = f'{{"c":{text},"_v":1}}'.encode()
    (found,) = codec.decode(KEY, body).values
    assert json.loads(found) == json.loads(text)
    assert codec.picker(("c",))(outline(KEY, body)) is None


@pytest.mark.parametrize("name", ["id", "other"])
def test_document_is_corrupt_when_it_is_nested_too_deep_to_be_read_wherever_it_is_read(name):
    lists = "[" * 500 + "]" * 500
    with pytest.raises(CorruptDocument, match="nested more than 500 levels deep"):
        codec_of("id").decode(KEY, f'{{"id": 1, "{name}": {lists}}}'.encode())


@given(names=st.lists(NAMES, min_size=2, max_size=6, unique=True))
def test_attributes_of_different_columns_differ_and_are_none_of_the_package(names):
    attributes = {attribute_of(name) for name in names}
    assert len(attributes) == len(names)
    assert attributes.isdisjoint({"_v", "_rev", "_claims", "_txn"})


def test_document_carries_its_version_and_a_revision_of_its_own():
    codec = codec_of("id", history=History().with_step(Change.REMOVE, "x"))
    first, second = (orjson.loads(codec.encode((1,))) for _ in range(2))
    assert first["_v"] == second["_v"] == 2
    assert first["_rev"] != second["_rev"]


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b'{"id": 1', "not JSON"),
        (b'{"id": "\xff"}', "not JSON in UTF-8"),
        (b'\xef\xbb\xbf{"id": 1}', "not JSON"),
        ('{"id": 1}'.encode("utf-16"), "not JSON"),
        (b'{"id": NaN}', "not JSON"),
        (b'{"id": 1e400}', "not JSON"),
        (b'{"id": "\\ud800"}', "not JSON"),
        (b'{"id": 1} trailing', "not JSON"),
        (b"[" * 2000 + b"]" * 2000, "not JSON"),
        (b"null", "a JSON NoneType, not an object"),
        (b"[]", "a JSON list, not an object"),
        (b'"text"', "a JSON str, not an object"),
        (b'{"id": 1, "_v": "2"}', "its _v is '2'"),
        (b'{"id": 1, "_v": 1.5}', "its _v is 1.5"),
        (b'{"id": 1, "_v": null}', "its _v is None"),
        (b'{"id": 1, "_v": true}', "its _v is True"),
        (b"{}", "no attribute 'id'"),
        (b'{"_id": 1}', "no attribute 'id'"),
    ],
)
def test_what_is_no_document_is_corrupt_and_names_the_key_and_the_problem(body, problem):
    with pytest.raises(CorruptDocument) as raised:
        codec_of("id", required=True).decode(KEY, body)
    assert KEY in str(raised.value)
    assert problem in str(raised.value)
    assert raised.value.key == KEY


@settings(max_examples=300, deadline=None)
@given(body=st.one_of(st.binary(max_size=40), st.binary(max_size=10).map(lambda tail: b'{"id": 1, ' + tail + b"}")))
def test_any_bytes_are_a_document_or_corrupt(body):
    try:
        values = codec_of("id").decode(KEY, body).values
    except CorruptDocument as error:
        assert error.key == KEY  # noqa: PT017 - either outcome is right
    else:
        assert len(values) == 1


def test_documents_of_ever_other_versions_take_no_more_memory():
    codec = codec_of("id", history=History().with_step(Change.REMOVE, "x"))
    for version in (*range(-50, 50), 2**62, -(2**62)):
        assert codec.decode(KEY, orjson.dumps({"id": 1, "_v": version})).values == (1,)
    assert len(codec._readers) == 2
