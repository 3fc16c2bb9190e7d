"""From models to the schemas of their tables."""

from __future__ import annotations

import enum

from django_smarterbase.backend.modeltables import sqlite_value


class _Word(str, enum.Enum):  # noqa: UP042 - one that calls itself "_Word.NEWS"
    NEWS = "news"


def test_default_that_is_a_member_of_an_enumeration_is_the_text_that_sqlite_holds() -> None:
    value = sqlite_value(_Word.NEWS)
    assert (value, type(value)) == ("news", str)
