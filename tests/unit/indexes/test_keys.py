"""Redis keys: made of encoded parts only, one hash tag a table."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from django_smarterbase.indexes.keys import IndexKeys, etag_text, new_epoch, new_token, part

NAMES = st.text(max_size=12)


@given(NAMES, NAMES, NAMES, NAMES)
def test_base_differs_when_name_or_table_differs(name: str, table: str, other_name: str, other_table: str) -> None:
    same = (name, table) == (other_name, other_table)
    assert (IndexKeys(name).table(table) == IndexKeys(other_name).table(other_table)) == same


@given(NAMES, NAMES)
def test_base_has_one_hash_tag_and_no_glob_character(name: str, table: str) -> None:
    base = IndexKeys(name).table(table).base
    assert re.fullmatch(r"sb:\{[^{}]+\}:", base)
    assert not set(base) & set("*?[]\\ \n")


@given(st.none() | st.text(max_size=12))
def test_etag_text_has_no_blank_and_tells_absence_apart(etag: str | None) -> None:
    text = etag_text(etag)
    assert re.fullmatch(r"\S+", text)
    assert (text == "-") == (etag is None)
    assert text not in {"!", "?"}


def test_epochs_and_tokens_are_new_each_time() -> None:
    assert len({new_epoch() for _ in range(100)}) == len({new_token() for _ in range(100)}) == 100


def test_part_is_injective_for_what_looks_encoded() -> None:
    assert part("a b") != part("a%20b")
