"""A fair choice from a stream whose length is not known."""

from __future__ import annotations

from collections.abc import Iterable
from random import randrange
from typing import TypeVar

Item = TypeVar("Item")


def chosen_from(items: Iterable[Item], size: int) -> list[Item]:
    """``size`` of the items at random, each as likely as any other (Vitter's algorithm R); all when there are fewer."""
    chosen: list[Item] = []
    for number, item in enumerate(items):
        if number < size:
            chosen.append(item)
        elif (place := randrange(number + 1)) < size:
            chosen[place] = item
    return chosen
