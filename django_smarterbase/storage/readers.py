"""How the attributes of a document become the values of today's columns, whatever version it was written in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from typing import Any, Final

from django_smarterbase.exceptions import CorruptDocument
from django_smarterbase.storage.affinity import stored
from django_smarterbase.storage.history import Change, History, Step
from django_smarterbase.storage.lineage import vacates
from django_smarterbase.storage.values import Decoder, decoder_of, exact_type, untag
from django_smarterbase.tables import Affinity, Column, Kind, Value

#: What reading an attribute raises that has not the form of its column.
UNREADABLE: Final = (ValueError, TypeError, OverflowError)
ABSENT: Final = object()
_NOWHERE: Final = object()  # no document has this attribute

#: How one column is read: its attribute, the type that is taken as it is, and what reads others, null apart; that
#: raises one of UNREADABLE.
Reading = tuple[Any, type[Any] | None, Decoder]


@dataclass(frozen=True, slots=True)
class Reader:
    """How one attribute is read in documents of one version.

    A value of the type ``exact`` is taken as it is, null reads as ``null``, and an attribute that is not there as
    ``otherwise``, if that is there, or else as ``missing``, unless it is ``required``.
    """

    attribute: Any
    exact: type[Any] | None
    decode: Decoder
    null: Value
    missing: Value
    required: bool
    column: Column
    otherwise: str | None = None


class Readers:
    """The readers of one version, in the order of the schema's columns.

    ``readings`` holds what most values need of each as plain tuples, which a loop unpacks four times as fast as objects
    with names: scans live there.
    """

    def __init__(self, readers: Iterable[Reader]) -> None:
        self.all = tuple(readers)
        self.readings: tuple[Reading, ...] = tuple(
            (reader.attribute, reader.exact, reader.decode) for reader in self.all
        )


def attribute_of(column: str) -> str:
    """The attribute of a column: its name, with one more underscore when it would be read as one of the package's."""
    reserved = column.startswith("_") and column.lstrip("_") in {"v", "rev", "claims", "txn"}
    return f"_{column}" if reserved else column


def older_reader(column: Column, history: History, version: int, now: int) -> Reader:
    """Reads a column of the version ``now`` in documents of ``version``, which is not newer."""
    return _reader(column, history.until(version), history.between(version, now))


def newer_reader(column: Column, steps: Sequence[Step]) -> Reader:
    """Reads a column in documents that have these steps behind them, of which its table does not know."""
    attribute, source = in_newer(column, steps)
    return Reader(
        attribute=_NOWHERE if attribute is None else attribute,
        exact=exact_type(source),
        decode=decoder_of(source),
        null=None,
        missing=column.default,
        required=column.required,
        column=column,
    )


def stand_in(key: str, raw: dict[str, Any], found: object, reader: Reader) -> Value:
    """The value of an attribute that is null or ABSENT. Raises CorruptDocument, and what is UNREADABLE."""
    if found is ABSENT and reader.otherwise in raw:
        found = raw.pop(reader.otherwise)
        return reader.null if found is None else decoder_of(reader.column)(found)
    if found is None:
        return reader.null
    if not reader.required:
        return reader.missing
    if reader.attribute is _NOWHERE:
        raise CorruptDocument(
            key,
            f"a migration has removed {reader.column.name!r}, which this process still wants: its code is older",
            "Restart it with the present code. A field that has a default, or may be null, can be removed while "
            "old code runs.",
        )
    raise CorruptDocument(key, f"it has no attribute {reader.attribute!r}")


def expected(column: Column) -> str:
    """What a value of the column is called."""
    return column.kind.value if column.kind is not Kind.PLAIN else f"plain {column.affinity.value} value"


def _reader(column: Column, behind: Sequence[Step], steps: Sequence[Step]) -> Reader:
    """Walk the steps backwards, from today's column to what the document's version called it and how it wrote it.

    ``behind`` are the steps that the version has behind it.
    """
    name, source = column.name, column
    missing, required, null = column.default, column.required, None
    since: tuple[Affinity, ...] = (column.affinity,)  # those that the column has had since the step that is looked at
    attribute: Any = None
    for place, step in reversed(list(enumerate(steps))):
        if step.change is Change.RENAME and step.to == name:
            name = step.column
        elif step.change is Change.RETYPE and step.column == name:
            null = _converted(_step_value(step), _between(since)) if step.value is not None else null
            source = replace(source, kind=Kind(step.kind or ""), affinity=Affinity(step.affinity or ""))
            since = (source.affinity, *since)
        elif step.change is Change.ADD and step.column == name:
            missing, required = null if step.value is None else _converted(_step_value(step), _between(since)), False
            attribute = _NOWHERE if any(vacates(earlier, name) for earlier in steps[:place]) else None
            break
    else:
        added = _added(name, behind) if required else None
        if added is not None:
            missing, required = _converted(_step_value(added), _between(since)), False
    # Code from after a renaming that knew nothing of it yet has written documents with the new name.
    renamed = name != column.name and not any(vacates(step, column.name) for step in steps)
    otherwise = attribute_of(column.name) if renamed else None
    attribute = attribute_of(name) if attribute is None else attribute
    exact, decode = exact_type(source), decoder_of(source)
    if between := _between(since):
        exact, decode = None, partial(_decoded, decode, between)
    return Reader(attribute, exact, decode, null, missing, required, column, otherwise)


def _between(affinities: Sequence[Affinity]) -> tuple[Affinity, ...]:
    """The affinities that a value passes through on its way from the first to the last, which SQLite itself applies."""
    return tuple(affinity for affinity, _equal in groupby(affinities))[1:-1]


def _converted(value: Value, affinities: Sequence[Affinity]) -> Value:
    """A value after SQLite has copied it to columns of these affinities, one after the other."""
    for affinity in affinities:
        value = stored(affinity, value)
    return value


def _decoded(decode: Decoder, between: Sequence[Affinity], attribute: Any) -> Value:
    return _converted(decode(attribute), between)


def _added(name: str, steps: Sequence[Step]) -> Step | None:
    """The step that added a column, if it gave a value: code from before it writes documents without the column."""
    for step in reversed(steps):
        if step.change is Change.RENAME and step.to == name:
            name = step.column
        elif step.change is Change.ADD and step.column == name:
            return step if step.value is not None else None
    return None


def in_newer(column: Column, steps: Sequence[Step]) -> tuple[str | None, Column]:
    """The attribute of a column in documents that have these steps behind them, and the column as it is there; None
    when it was removed."""
    name = column.name
    for step in steps:
        if step.change is Change.RENAME and step.column == name:
            name = step.to or name
        elif step.change is Change.RETYPE and step.column == name and step.new_kind and step.new_affinity:
            column = replace(column, kind=Kind(step.new_kind), affinity=Affinity(step.new_affinity))
        elif step.change is Change.REMOVE and step.column == name:
            return None, column
    return attribute_of(name), column


def _step_value(step: Step) -> Value:
    return None if step.value is None else untag(step.value)


def drop_removed(raw: dict[str, Any], steps: Sequence[Step]) -> None:
    """Drop the attributes of removed columns, each under the name that it had in the document's version."""
    for place, step in enumerate(steps):
        if step.change is Change.REMOVE:
            name = step.column
            for earlier in reversed(steps[:place]):
                if earlier.change is Change.RENAME and earlier.to == name:
                    name = earlier.column
            raw.pop(attribute_of(name), None)
