"""The checker of the outage test: it reports each list that is wrong, and none that a change under way may explain."""

from __future__ import annotations

from pathlib import Path

import pytest

from .traffic import CHANGING, GONE, Diaries, Entry, differences, settled_of

MINE, OTHERS, CHANGED, DELETED, BEGUN = "mine", "others", "changed", "deleted", "begun"
BEFORE = {MINE: Entry("0", 2), OTHERS: Entry("1", 2), CHANGED: Entry("0", 2), DELETED: Entry(GONE, 4)}
AFTER = {**BEFORE, CHANGED: Entry("0", 4), BEGUN: Entry(CHANGING, 1)}


@pytest.mark.parametrize("by_chance", [set(), {CHANGED}, {BEGUN}, {CHANGED, BEGUN}], ids=sorted)
def test_list_is_right_whatever_was_being_changed(by_chance: set[str]) -> None:
    assert list(differences("0", {MINE} | by_chance, BEFORE, AFTER)) == []


@pytest.mark.parametrize(
    "found, report",
    [
        (set(), "mine is missing from the list of its author 0"),
        ({MINE, OTHERS}, "others of author 1 is in the list of author 0"),
        ({MINE, DELETED}, "deleted of author - is in the list of author 0"),
        ({MINE, "unheard-of"}, "unheard-of is in the list of author 0, and nobody has begun to write it"),
    ],
    ids=["missing", "another's", "deleted", "never written"],
)
def test_list_that_is_wrong_is_reported(found: set[str], report: str) -> None:
    assert list(differences("0", found, BEFORE, AFTER)) == [report]


def test_only_what_was_settled_all_the_while_has_to_be_there() -> None:
    assert settled_of("0", BEFORE, AFTER) == {MINE}


def test_diary_is_read_on_and_a_line_that_is_being_written_is_not_there_yet(tmp_path: Path) -> None:
    diaries, diary = Diaries(tmp_path), tmp_path / "0.diary"
    diary.write_text("? a\n= a 1\n? b\n= b 0")
    assert diaries.entries() == {"a": Entry("1", 2), "b": Entry(CHANGING, 1)}
    diary.write_text("? a\n= a 1\n? b\n= b 0\n? a\n= a -\n")
    assert diaries.entries() == {"a": Entry(GONE, 4), "b": Entry("0", 2)}
