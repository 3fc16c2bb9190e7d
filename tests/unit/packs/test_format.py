"""Packs and their index, as bytes."""

from __future__ import annotations

from dataclasses import replace

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from django_smarterbase.packs.format import Packable, PackIndex, UnusablePack, decode, encode, now

NAMES = st.text(alphabet="abcXYZ0189_-.%!=", min_size=1, max_size=12).map(lambda text: f"{text}.json")
DOCUMENTS = st.dictionaries(NAMES, st.tuples(st.text(max_size=40), st.binary(max_size=300)), min_size=1, max_size=20)


def packable(documents) -> list[Packable]:
    return [Packable(name, etag, body) for name, (etag, body) in sorted(documents.items())]


@settings(deadline=None)
@given(DOCUMENTS)
def test_pack_gives_back_each_document_under_its_etag_alone(documents):
    pack, body = encode("p", packable(documents))
    contents = decode(pack, body)
    for name, (etag, stored) in documents.items():
        assert contents.has(name, etag)
        assert contents.body(name) == stored
        assert not contents.has(name, f"{etag}x")
        assert not contents.has(f"{name}x", etag)
    assert (pack.documents, pack.size) == (len(documents), len(body))
    assert (pack.first, pack.last) == (min(documents), max(documents))


@settings(deadline=None)
@given(DOCUMENTS, st.data())
def test_pack_with_any_other_content_is_refused(documents, data):
    pack, body = encode("p", packable(documents))
    place = data.draw(st.integers(0, len(body) - 1))
    for damaged in (body[:place], body[:place] + bytes([body[place] ^ 0xFF]) + body[place + 1 :], body + b"x"):
        with pytest.raises(UnusablePack):
            decode(pack, damaged)


@pytest.mark.parametrize("change", [-1, 1, 100])
def test_pack_of_another_size_than_its_index_says_is_refused(change):
    pack, body = encode("p", [Packable("a.json", "1", b"body")])
    with pytest.raises(UnusablePack, match="does not hold"):
        decode(replace(pack, raw_bytes=pack.raw_bytes + change), body)


@settings(deadline=None)
@given(st.lists(DOCUMENTS, min_size=1, max_size=4))
def test_index_is_read_back_as_it_was_written(groups):
    documents = packable({name: value for group in groups for name, value in group.items()})
    packs = tuple(encode(f"p{number}", [each])[0] for number, each in enumerate(documents))
    index = PackIndex(packs, now())
    assert PackIndex.load(index.dump()) == index
    assert index.documents == len(documents)
    assert all(index.pack_for(each.name) is pack for each, pack in zip(documents, packs, strict=True))


def test_name_between_two_packs_is_in_none():
    packs = [encode(f"p{each}", [Packable(f"{each}1", "1", b""), Packable(f"{each}5", "1", b"")])[0] for each in "bd"]
    index = PackIndex(tuple(packs), now())
    places = {"a": None, "b1": "pb", "b3": "pb", "b5": "pb", "b6": None, "c": None, "d1": "pd", "d5": "pd", "e": None}
    assert {name: getattr(index.pack_for(name), "name", None) for name in places} == places


def test_index_is_another_object_each_time_it_is_written():
    index = PackIndex((), now())
    assert index.dump() != index.dump()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"format": 2}, "format 2"),
        ({"packs": [{"name": "a"}]}, "no index of packs"),
        ({"packs": "ab"}, "no index of packs"),
        ({"made_at": "yesterday"}, "no index of packs"),
        ({"made_at": None}, "no index of packs"),
    ],
)
def test_index_that_is_none_is_refused(changes, reason):
    raw = orjson.loads(PackIndex((), now()).dump())
    with pytest.raises(UnusablePack, match=reason):
        PackIndex.load(orjson.dumps(raw | changes))


@pytest.mark.parametrize(
    "changes",
    [{"documents": -1}, {"documents": "1"}, {"size": 1.5}, {"digest": None}, {"first": "z.json"}, {"other": 1}],
)
def test_pack_of_an_index_with_impossible_figures_is_refused(changes):
    raw = orjson.loads(PackIndex((encode("p", [Packable("a.json", "1", b"")])[0],), now()).dump())
    raw["packs"][0] |= changes
    with pytest.raises(UnusablePack):
        PackIndex.load(orjson.dumps(raw))
