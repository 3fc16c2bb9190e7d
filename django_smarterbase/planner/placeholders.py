"""What stands for the values of parameters while a plan is made that is to serve many statements."""

from __future__ import annotations

from dataclasses import dataclass

from django_smarterbase.tables import Value


@dataclass(frozen=True, slots=True)
class Placeholder:
    """The value of the parameter at ``position`` of a statement: an integer, or a text that indexes tell apart.

    Two placeholders are equal exactly when the values are for which they stand: then both have the position of the
    first. More is not to be had of it, so nothing can be decided by the value.
    """

    position: int


def shape_of(values: list[Value]) -> tuple[int, ...]:
    """For each value the position of the first that is equal to it."""
    if len(set(values)) == len(values):
        return tuple(range(len(values)))
    return tuple(map(values.index, values))
