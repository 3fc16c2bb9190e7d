"""Listings in the order of keys, and their pieces."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from django_smarterbase.packs import listing
from django_smarterbase.packs.format import Packable, PackIndex, encode, now
from django_smarterbase.storage.base import Listed


class Store:
    """It lists what it was given."""

    def __init__(self, listed: list[Listed], *, in_order: bool = False) -> None:
        self.listed = listed
        self.lists_in_order = in_order

    def list(self, prefix: str) -> list[Listed]:
        return [each for each in self.listed if each.key.startswith(prefix)]


LISTED = st.lists(
    st.builds(Listed, st.text(max_size=5).map(lambda text: f"t/{text}"), st.text("0123", max_size=2), st.integers(0, 9))
)


@settings(deadline=None)
@given(LISTED)
def test_listing_is_sorted_by_key_and_keeps_what_came_last_last(listed):
    expected = sorted(listed, key=lambda each: each.key.encode(errors="surrogatepass"))
    assert list(listing.in_key_order(Store(listed), "t/")) == expected


def test_name_that_is_no_text_is_listed():
    listed = [Listed("t/b\udcff", "1", 1), Listed("t/a", "2", 2)]
    assert list(listing.in_key_order(Store(listed), "t/")) == [listed[1], listed[0]]


def test_listing_in_order_is_passed_on_as_it_comes():
    listed = [Listed("t/b", "1", 1), Listed("t/a", "2", 2)]
    assert list(listing.in_key_order(Store(listed, in_order=True), "t/")) == listed


def test_pieces_end_with_their_pack_and_with_their_size(monkeypatch):
    monkeypatch.setattr(listing, "PIECE", 2)
    first, second = (encode(name, [Packable(f"{name}0", "", b""), Packable(f"{name}9", "", b"")])[0] for name in "bd")
    index = PackIndex((first, second), now())
    names = ["a", "b0", "b1", "b2", "c", "d5", "e"]
    found = [
        (pack, [each.key for each in piece])
        for pack, piece in listing.pieces([Listed(f"t/{name}", "", 0) for name in names], "t/", index)
    ]
    assert found == [
        (None, ["t/a"]),
        (first, ["t/b0", "t/b1"]),
        (first, ["t/b2"]),
        (None, ["t/c"]),
        (second, ["t/d5"]),
        (None, ["t/e"]),
    ]
    assert list(listing.pieces([], "t/", index)) == []
