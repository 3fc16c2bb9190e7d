"""Where a model stands in the history of its table, and what its columns were before.

A deploy lets code from before a migration work beside code from after it. Nothing tells a process which of the two it
runs but its models: the columns that they have, beside the steps that the table has behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from django_smarterbase.storage.history import Change, History, Step
from django_smarterbase.tables import Column, TableSchema, UniqueRule


class _Form(NamedTuple):
    """What is known of a column in some version: None is not known."""

    kind: str | None = None
    affinity: str | None = None
    nullable: bool | None = None

    def agrees(self, other: _Form) -> bool:
        """Whether both may be one column."""
        return all(mine is None or its is None or mine == its for mine, its in zip(self, other, strict=True))


def position(schema: TableSchema, history: History) -> int:
    """The newest version of the table that has the columns of ``schema``; the newest of all when none has.

    A model that lacks what a step has added, or still has what one has renamed or removed, is from before that step.
    """
    columns = {column.name: _form_of(column) for column in schema.columns}
    for version in (history.version, *(step.version - 1 for step in reversed(history.steps))):
        if _come_of(columns, history.until(version)) and _lead_to(columns, history.after(version)):
            return version
    return history.version


def settled(schema: TableSchema, history: History) -> TableSchema:
    """``schema`` with the lineage of its columns, and unique rules under the names that they have had all the time.

    So an index is of other definition when its columns mean something else than they did, though they are called the
    same, and a unique value has one claim though its column was renamed.
    """
    steps = history.until(position(schema, history))
    if not steps:
        return schema
    columns = tuple(replace(column, lineage=_lineage(column.name, steps)) for column in schema.columns)
    origins = {column.name: _origin(column.name, steps) for column in schema.columns}
    unique = tuple(_renamed(rule, origins) for rule in schema.unique)
    return replace(schema, columns=columns, unique=unique)


def vacates(step: Step, name: str) -> bool:
    """Whether the step takes the name from a column, so that an attribute of that name is not the later column's."""
    return step.column == name and step.change in (Change.RENAME, Change.REMOVE)


def _form_of(column: Column) -> _Form:
    return _Form(column.kind.value, column.affinity.value, column.nullable)


def _before(step: Step) -> _Form:
    return _Form(step.kind, step.affinity, step.nullable)


def _after(step: Step) -> _Form:
    return _Form(step.new_kind, step.new_affinity, step.new_nullable)


def _come_of(columns: Mapping[str, _Form], steps: Sequence[Step]) -> bool:
    """Whether a table that has these columns can have all these steps behind it."""
    known = dict(columns)
    for step in reversed(steps):
        name = step.to if step.change is Change.RENAME else step.column
        if name is None or (name in known) is (step.change is Change.REMOVE):
            return False
        match step.change:
            case Change.REMOVE:
                known[name] = _Form()
            case Change.RENAME:
                if step.column in known:
                    return False
                known[step.column] = known.pop(name)
            case _ if not known[name].agrees(_after(step)):
                return False
            case Change.ADD:
                del known[name]
            case Change.RETYPE:
                known[name] = _before(step)
    return True


def _lead_to(columns: Mapping[str, _Form], steps: Sequence[Step]) -> bool:
    """Whether a table that has these columns can have all these steps before it."""
    known = dict(columns)
    for step in steps:
        if (step.column in known) is (step.change is Change.ADD):
            return False
        match step.change:
            case Change.ADD:
                known[step.column] = _after(step)
            case Change.REMOVE:
                del known[step.column]
            case Change.RENAME:
                if step.to is None or step.to in known:
                    return False
                known[step.to] = known.pop(step.column)
            case _ if not known[step.column].agrees(_before(step)):
                return False
            case _:
                known[step.column] = _after(step)
    return True


def _lineage(name: str, steps: Sequence[Step]) -> str:
    """What tells the column from others that were called so, and from itself before it held other values; or "".

    Every version since which it holds others is in it, as SQLite converts at each step what it has made of it before.
    """
    first, since = _traced(name, steps, lambda step: _converts(step) or step.value is not None)
    return "" if not since and first == name else "@".join((first, *map(str, since or (1,))))


def _origin(name: str, steps: Sequence[Step]) -> str:
    """What the claims to a column's values are called after: its first name, and since when they are coded as now."""
    first, since = _traced(name, steps, _converts)
    return f"{first}@{since[-1]}" if since else first


def _traced(name: str, steps: Sequence[Step], counts: Callable[[Step], bool]) -> tuple[str, list[int]]:
    """The column's first name, and the versions, in their order, in which it was retyped in a way that ``counts``, or
    in which it was added under a name that another column had before."""
    since: list[int] = []
    for place, step in reversed(list(enumerate(steps))):
        if step.change is Change.RENAME and step.to == name:
            name = step.column
        elif step.column == name and step.change is Change.RETYPE and counts(step):
            since.insert(0, step.version)
        elif step.column == name and step.change is Change.ADD:
            if any(vacates(earlier, name) for earlier in steps[:place]):
                since.insert(0, step.version)
            break
    return name, since


def _converts(step: Step) -> bool:
    """Whether SQLite holds other values, or may, after the step."""
    return step.affinity != step.new_affinity


def _renamed(rule: UniqueRule, origins: Mapping[str, str]) -> UniqueRule:
    """The rule under the origins of its columns, if it is called after them; a constraint has a name of its own."""
    if rule.name != "-".join(rule.columns):
        return rule
    return replace(rule, name="-".join(origins[column] for column in rule.columns))
