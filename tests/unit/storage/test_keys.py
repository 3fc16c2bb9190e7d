"""Object keys: one to one, readable back, and never outside of their prefix."""

from __future__ import annotations

import posixpath

import pytest
from django.core.exceptions import ImproperlyConfigured
from hypothesis import example, given, settings
from hypothesis import strategies as st

from django_smarterbase.storage.keys import (
    Keyspace,
    fence_file,
    is_object_key,
    is_pack,
    is_stem,
    is_system_key,
    lock_file,
    may_be_stem,
    pk_texts,
    probe,
    stem,
)

KEYS = Keyspace("shop")
TEXTS = st.text(max_size=40) | st.text(alphabet="._-!=%/~ aA0\0\\", max_size=12) | st.text(min_size=150, max_size=400)
INTEGERS = st.integers(-(2**63), 2**63 - 1)
FLOATS = st.floats(allow_nan=False)
COLUMNS = (TEXTS, INTEGERS | FLOATS, st.binary(max_size=300))


def same_columns(strategy):
    """Two primary keys of one table: as many columns, and in each the same kind of value."""
    columns = st.lists(st.sampled_from(COLUMNS), min_size=1, max_size=3)
    return columns.flatmap(lambda chosen: st.tuples(st.tuples(*chosen), st.tuples(*chosen))).map(strategy)


@given(same_columns(lambda pair: pair))
def test_stem_is_equal_exactly_when_the_keys_are_equal(pair):
    left, right = pair
    assert (stem(left) == stem(right)) == (left == right)


@given(TEXTS)
@example("..")
@example(".")
@example("a/../../b")
@example("\0")
@example("\ud800")
def test_document_key_never_leaves_its_folder(text):
    key = KEYS.document("articles", stem([text]))
    assert posixpath.normpath(key) == key
    assert posixpath.dirname(key) == "shop/articles"
    assert is_object_key(key)
    assert key.isascii()
    assert key.isprintable()


@given(st.lists(TEXTS | st.binary(max_size=400) | FLOATS | INTEGERS, min_size=1, max_size=4))
def test_document_name_stays_below_the_limit_of_file_names(values):
    assert len(posixpath.basename(KEYS.document("articles", stem(values))).encode()) <= 255


@given(st.lists(st.text(max_size=15), min_size=1, max_size=3))
def test_pk_texts_gives_back_what_stem_was_made_of(texts):
    read_back = pk_texts(stem(texts))
    assert read_back == tuple(texts) or (read_back is None and len(stem(texts)) > 200 - 64)


@given(st.lists(INTEGERS, min_size=1, max_size=3))
def test_pk_texts_gives_integers_in_decimal(values):
    assert pk_texts(stem(values)) == tuple(str(value) for value in values)


@pytest.mark.parametrize("value", [b"", b"\xff", None, "x" * 201, "é" * 100])
def test_pk_texts_is_none_when_only_the_document_can_tell(value):
    assert pk_texts(stem([value])) is None


@pytest.mark.parametrize("value", [1.0, -0.0, 2.0**62])
def test_stem_of_a_whole_float_is_that_of_the_integer(value):
    assert stem([value]) == stem([int(value)])


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([7], "7"),
        ([-1], "-1"),
        (["019a-b_c"], "019a-b_c"),
        (["v1.2"], "v1.2"),
        ([".hidden."], "%2Ehidden%2E"),
        (["a/b"], "a%2Fb"),
        (["~"], "%7E"),
        ([""], "=e"),
        ([None], "=n"),
        ([b"\xfb\xff"], "=b-_8"),
        ([1.5], "1.5"),
        ([1e300], "1e%2B300"),
        (["a", 1], "a!1"),
        (["", ""], "=e!=e"),
    ],
)
def test_stem_has_the_documented_form(values, expected):
    assert stem(values) == expected


def test_stem_refuses_a_key_without_columns():
    with pytest.raises(ValueError, match="without columns"):
        stem([])


def test_stem_ends_in_a_hash_when_it_is_over_200_bytes():
    assert stem(["x" * 200]) == "x" * 200
    long = stem(["x" * 201])
    assert long.startswith("x" * 128 + "=h")
    assert len(long) == 128 + 2 + 64
    assert long != stem(["x" * 202])


@given(st.lists(TEXTS | st.binary(max_size=400) | FLOATS | INTEGERS | st.none(), min_size=1, max_size=3))
def test_stem_of_key_finds_the_stem_of_every_document(values):
    assert KEYS.stem_of_key("articles", KEYS.document("articles", stem(values))) == stem(values)


@pytest.mark.parametrize(
    "name",
    [
        "README.txt",
        "1.json.bak",
        ".json",
        "1",
        "folder/1.json",
        "../other/1.json",
        "%61.json",
        "%2f.json",
        "%C3.json",
        "a b.json",
        ".a.json",
        "a..json",
        "!.json",
        "=x.json",
        "=b!!.json",
        "=bQR.json",
        "x" * 201 + ".json",
        "x" * 128 + "=h" + "g" * 64 + ".json",
    ],
)
def test_stem_of_key_is_none_for_a_foreign_object(name):
    assert KEYS.stem_of_key("articles", f"shop/articles/{name}") is None


def test_stem_of_key_is_none_in_another_table():
    assert KEYS.stem_of_key("articles", "shop/authors/1.json") is None


@pytest.mark.parametrize("text", ["a/b", "", "a\0", "é", "../x"])
def test_document_refuses_what_stem_cannot_have_made(text):
    with pytest.raises(ValueError, match="not the stem"):
        KEYS.document("articles", text)


@pytest.mark.parametrize("table", ["_sb", "_SB", "_sB", "..", "a/b", "", "ä" * 200, '"schema"."table"'])
def test_table_prefix_is_one_folder_of_its_own(table):
    prefix = KEYS.table_prefix(table)
    assert prefix.count("/") == 2
    assert posixpath.normpath(prefix) + "/" == prefix
    assert not is_system_key(prefix)
    assert not KEYS.is_system(KEYS.document(table, "manifest"))
    assert len(prefix) < 255


@given(TEXTS, TEXTS)
@example("_sb", "%5Fsb")
@example("_SB", "%5FSB")
def test_table_prefix_differs_for_different_tables(left, right):
    assert (KEYS.table_prefix(left) == KEYS.table_prefix(right)) == (left == right)


def system_keys(keys: Keyspace) -> dict[str, str]:
    return {
        "manifest": keys.manifest(),
        "sequence": keys.sequence("t"),
        "schema": keys.schema("t"),
        "raw_table": keys.raw_table("t"),
        "unique": keys.unique("t", "c", "d"),
        "intent": keys.intent("i"),
        "lease": keys.lease("l"),
        "probe": keys.probe("p"),
    }


def test_system_keys_have_the_documented_form():
    assert system_keys(KEYS) == {
        "manifest": "shop/_sb/manifest.json",
        "sequence": "shop/_sb/sequences/t.json",
        "schema": "shop/_sb/schema/t.json",
        "raw_table": "shop/_sb/tables/t.json",
        "unique": "shop/_sb/unique/t/c/d.json",
        "intent": "shop/_sb/intents/i.json",
        "lease": "shop/_sb/leases/l.json",
        "probe": "shop/_sb/probe/p.json",
    }
    assert all(key.startswith(KEYS.prefix()) for key in system_keys(KEYS).values())
    assert KEYS.document("t", "1").startswith(KEYS.prefix())
    assert KEYS.schema("t").startswith(KEYS.schema_prefix())
    assert KEYS.raw_table("t").startswith(KEYS.raw_table_prefix())
    assert KEYS.unique("t", "c", "d").startswith(KEYS.unique_prefix("t"))
    assert KEYS.intent("i").startswith(KEYS.intent_prefix())


@given(st.text(max_size=15))
@example("_sb")
def test_table_is_read_back_from_the_key_of_its_schema_or_sql(table):
    assert KEYS.table_of_schema(KEYS.schema(table)) == table
    assert KEYS.name_of_raw_table(KEYS.raw_table(table)) == table


@pytest.mark.parametrize("name", ["x", "x.txt", "é.json", "%zz.json", "sub/x.json", "a!b.json", ".json", "\udcff.json"])
def test_table_is_none_for_a_foreign_object(name):
    assert KEYS.table_of_schema(KEYS.schema_prefix() + name) is None
    assert KEYS.name_of_raw_table(KEYS.raw_table_prefix() + name) is None


def test_foreign_file_whose_name_is_no_text_can_be_locked():
    assert lock_file("db/t/\udcff.json").startswith("_sb/locks/")
    assert fence_file("db/\udcff/", "writers").startswith("_sb/locks/")


@given(text=st.text(max_size=8) | st.text("aA0._-%!=/\n é", max_size=8))
def test_may_be_stem_says_yes_to_every_stem_and_no_to_what_could_leave_the_folder(text):
    assert may_be_stem(stem([text]))
    assert not (may_be_stem(text) and any(character in text for character in "/\n \0"))
    assert may_be_stem(text) or not is_stem(text)


def test_table_is_none_when_the_key_only_holds_a_hash():
    assert KEYS.table_of_schema(KEYS.schema("t" * 201)) is None
    assert KEYS.name_of_raw_table(KEYS.raw_table("t" * 201)) is None


@given(TEXTS)
def test_system_keys_stay_under_the_system_prefix(text):
    for key in (
        KEYS.sequence(text),
        KEYS.schema(text),
        KEYS.raw_table(text),
        KEYS.unique(text, text, text),
        KEYS.intent(text),
    ):
        assert posixpath.normpath(key) == key
        assert key.startswith("shop/_sb/")
        assert KEYS.is_system(key)
        assert is_system_key(key)


@pytest.mark.parametrize("name", ["_sb", "a/_sb", "a/_sb/b", "_SB"])
def test_database_name_cannot_enter_the_system_objects_of_another(name):
    assert not is_system_key(Keyspace(name).document("sequences", "t"))


def test_keyspace_keeps_slashes_of_its_name_and_encodes_the_rest():
    assert Keyspace("eu west/../shop").table_prefix("t") == "eu%20west/%2E%2E/shop/t/"


@pytest.mark.parametrize("name", ["", "/", "/shop", "shop/", "a//b"])
def test_keyspace_refuses_a_name_with_an_empty_part(name):
    with pytest.raises(ImproperlyConfigured, match="prefix of every object key"):
        Keyspace(name)


def test_system_key_is_told_from_a_document_called_alike():
    assert not is_system_key(KEYS.document("t", "_sb"))
    assert is_system_key(KEYS.manifest())
    assert is_system_key(probe("x"))
    assert is_system_key(lock_file("x"))
    assert is_system_key(fence_file("x", "listing"))
    assert not KEYS.is_system(Keyspace("other").manifest())


@pytest.mark.parametrize("key", ["", "/a", "a/", "a//b", "../a", "a/..", "a/./b", "a\0b"])
def test_object_key_is_refused_when_it_could_name_another_place(key):
    assert not is_object_key(key)


@settings(deadline=None)
@given(st.text(max_size=40), st.sampled_from([None, "acme"]))
@example("_sb", None)
@example("_tenants", None)
@example("a/b", None)
def test_packs_belong_to_the_table_whose_prefix_is_scanned(table, tenant):
    keys = Keyspace("shop/eu", tenant)
    packs = keys.packs(table)
    assert keys.packs_of(keys.table_prefix(table)) == packs
    assert packs.documents == keys.table_prefix(table)
    for key in (packs.list_of_packs(), packs.pack("p"), packs.lease):
        assert is_object_key(key)
        assert keys.is_system(key)
    assert is_pack(packs.pack("p"))
    assert not is_pack(packs.list_of_packs())
    assert keys.is_of_packs(packs.pack("p"))
    assert keys.is_of_packs(packs.list_of_packs())
    assert packs.may_hold(keys.document(table, "1"))
    assert not packs.may_hold(f"{packs.documents}notes.txt")
    assert not packs.may_hold(f"{packs.documents}inner/1.json")
    assert not packs.may_hold(f"{packs.documents}\udcff.json")


@pytest.mark.parametrize(
    "prefix",
    ["", "shop", "shop/", "shop/_sb/", "shop/_tenants/", "shop/_sb/intents/", "shop/a/b/", "shop/a", "other/a/", "a/"],
)
def test_prefix_of_no_table_has_no_packs(prefix):
    assert KEYS.packs_of(prefix) is None


def test_pack_keys_have_the_documented_form():
    packs = KEYS.packs("articles")
    assert packs == ("shop/articles/", "shop/_sb/packs/articles/", "shop/_sb/leases/pack-articles.json")
    assert packs.list_of_packs() == "shop/_sb/packs/articles/index.json"
    assert packs.pack("p") == "shop/_sb/packs/articles/p.pack"
    assert not is_pack(KEYS.document("articles", "p"))
