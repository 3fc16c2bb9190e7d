"""Counts in what the commands say."""

import pytest

from django_smarterbase.management.plurals import counted, inflected, part_of, part_that


@pytest.mark.parametrize(("number", "text"), [(0, "0 entries"), (1, "1 entry"), (2000, "2,000 entries")])
def test_noun_fits_the_number(number, text):
    assert counted(number, "entry", "entries") == text
    assert f"{number:,} {inflected(number, 'entry', 'entries')}" == text


def test_plural_has_an_s_when_none_is_given():
    assert (counted(1, "pack"), counted(2, "pack")) == ("1 pack", "2 packs")


@pytest.mark.parametrize(
    ("number", "total", "text"),
    [(0, 1, "0 of 1 table is"), (1, 1, "1 of 1 table is"), (1, 2, "1 of 2 tables is"), (0, 2, "0 of 2 tables are")],
)
def test_verb_fits_the_part(number, total, text):
    assert part_that(number, total, "table", "is", "are") == text
    assert text.startswith(part_of(number, total, "table"))
