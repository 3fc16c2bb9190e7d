"""Counts as the commands say them: their texts are English, whatever the language of the site."""

from __future__ import annotations


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """``1 document``, ``2,000 documents``; ``plural`` where an "s" does not make it."""
    return f"{number:,} {inflected(number, noun, plural)}"


def inflected(number: int, noun: str, plural: str | None = None) -> str:
    """The noun, or the phrase, that fits the number."""
    return noun if number == 1 else plural or f"{noun}s"


def part_of(number: int, total: int, noun: str) -> str:
    """``1 of 1 table``, ``1 of 2 tables``."""
    return f"{number:,} of {counted(total, noun)}"


def part_that(number: int, total: int, noun: str, verb: str, plural: str) -> str:
    """``1 of 2 tables is``, ``0 of 1 table is``, ``2 of 2 tables are``."""
    return f"{part_of(number, total, noun)} {verb if 1 in (number, total) else plural}"
