"""Rows to documents and back.

A document is a UTF-8 JSON object for people too: the columns at the top level in the table's order, attributes that
the model does not know (kept as they were found), ``_claims`` (the claims to unique values that it holds), ``_txn``
(the last transaction of several documents that wrote it), ``_v`` (the schema version it was written with) and ``_rev``
(fresh at every write, so that no two bodies are ever equal: an S3 ETag is a hash of the content).

A process may run code from before a migration that others run already. It reads newer documents through the steps that
its models do not know, the other way round, and writes them back in the version that they have.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import orjson
from uuid_utils import uuid7

from django_smarterbase.exceptions import CorruptDocument
from django_smarterbase.storage.history import Change, History, Step
from django_smarterbase.storage.lineage import position, vacates
from django_smarterbase.storage.values import Decoder, Encoder, decoder_of, encoder_of, exact_type, untag
from django_smarterbase.tables import Affinity, Column, Kind, TableSchema, Value

VERSION = "_v"
REVISION = "_rev"
CLAIMS = "_claims"
TRANSACTION = "_txn"
_FIRST_VERSION = 1
_ABSENT: Final = object()
_NOWHERE: Final = object()  # no document has this attribute
_NO_EXTRAS: Final[Mapping[str, Any]] = MappingProxyType({})  # one for all: a scan keeps thousands of documents
_OWN: Final = frozenset((CLAIMS, TRANSACTION, VERSION))
_DEEPEST: Final = 500  # levels; Python's own reader and writer of JSON end at some 900, as the stack has room
_ROUNDED: Final = 2.0**63  # from here on orjson reads a whole number as a float, unless it is unsigned and fits 64 bits
_ROUNDED_MARK: Final = "e+"  # which such a float has in JSON text
_GREAT_NUMBER: Final = re.compile(rb"[0-9]{19}")
#: What reading an attribute raises that has not the form of its column.
UNREADABLE: Final = (ValueError, TypeError, OverflowError)


Picker = Callable[[Mapping[str, Any]], tuple[Value, ...] | None]
_Step = tuple[Any, type[Any] | None, Decoder]


class Document(NamedTuple):
    """A document as it was read: ``values`` in the order of the schema's columns, ``extras`` unknown attributes.

    The extras of one that is newer than the models of this process have its version, in which it is to be written.
    """

    values: tuple[Value, ...]
    extras: Mapping[str, Any]
    version: int


@dataclass(frozen=True, slots=True)
class _Reader:
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


class _Readers:
    """The readers of one version, in the order of the schema's columns.

    ``steps`` holds (attribute, exact, decode) of each as plain tuples, which a loop unpacks four times as fast as
    objects with names: scans live there.
    """

    def __init__(self, readers: Iterable[_Reader]) -> None:
        self.all = tuple(readers)
        self.steps = tuple((reader.attribute, reader.exact, reader.decode) for reader in self.all)


def attribute_of(column: str) -> str:
    """The attribute of a column: its name, with one more underscore when it would be read as one of the package's."""
    reserved = column.startswith("_") and column.lstrip("_") in {"v", "rev", "claims", "txn"}
    return f"_{column}" if reserved else column


def transaction_of(extras: Mapping[str, Any]) -> str | None:
    """The transaction of several documents that made a document with these extras, if one did."""
    id = extras.get(TRANSACTION)
    return id if isinstance(id, str) else None


def version_of(body: bytes) -> int:
    """The version that a document was written with; that of the first ones for what is no document."""
    try:
        version = orjson.loads(body).get(VERSION, _FIRST_VERSION)
    except (orjson.JSONDecodeError, AttributeError):
        return _FIRST_VERSION
    return version if type(version) is int else _FIRST_VERSION


def with_transaction(body: bytes, id: str) -> bytes:
    """The body of a document as a transaction of several writes it. What else it says needs no schema to be kept."""
    raw = json.loads(body) if _GREAT_NUMBER.search(body) else orjson.loads(body)
    return _dumped({**raw, TRANSACTION: id, REVISION: str(uuid7())})


class DocumentCodec:
    """Reads and writes the documents of one table, of every version in its history.

    ``version`` is that of the models: the one in which new documents are written.
    """

    def __init__(self, schema: TableSchema, history: History | None = None) -> None:
        self.schema = schema
        self.history = history or History()
        self.version = position(schema, self.history)
        self._readers: dict[int, _Readers] = {}
        self._writers: dict[int, tuple[tuple[str | None, Encoder], ...]] = {}
        self._nested = tuple(place for place, column in enumerate(schema.columns) if column.kind is Kind.JSON)

    def encode(self, values: Sequence[Value], extras: Mapping[str, Any] | None = None) -> bytes:
        """The body of a document with ``values`` in the order of the schema's columns."""
        version = (extras or {}).get(VERSION, self.version)
        body: dict[str, Any] = {
            attribute: None if value is None else encode(value)
            for (attribute, encode), value in zip(self._writers_of(version), values, strict=True)
            if attribute is not None
        }
        if extras:
            body |= {name: extra for name, extra in extras.items() if name not in body}
        body[VERSION] = version
        body[REVISION] = str(uuid7())
        return _dumped(body)

    def _writers_of(self, version: int) -> tuple[tuple[str | None, Encoder], ...]:
        """(attribute, encode) of each column in documents of a version; no attribute when a step has removed it."""
        writers = self._writers.get(version)
        if writers is None:
            later = self.history.between(self.version, version)
            moved = (_in_newer(column, later) for column in self.schema.columns)
            writers = self._writers[version] = tuple((attribute, encoder_of(column)) for attribute, column in moved)
        return writers

    def decode(self, key: str, body: bytes) -> Document:
        """Read a document. Raises CorruptDocument, which names ``key`` and the attribute."""
        document = self._document(key, _parse(key, body))
        if self._may_be_rounded(document) and _GREAT_NUMBER.search(body):
            return self._document(key, json.loads(body))
        return document

    def _may_be_rounded(self, document: Document) -> bool:
        """Whether a nested or unknown attribute has a float that may stand for a whole number beyond 64 bits."""
        for place in self._nested:
            text = document.values[place]
            if type(text) is str and _ROUNDED_MARK in text:
                return True
        if not document.extras or document.extras.keys() <= _OWN:
            return False
        return any(type(leaf) is float and abs(leaf) >= _ROUNDED for leaf in _leaves(document.extras))

    def _document(self, key: str, raw: dict[str, Any]) -> Document:
        version = raw.pop(VERSION, _FIRST_VERSION)
        if type(version) is not int:
            raise CorruptDocument(key, f"its {VERSION} is {version!r}, not a whole number")
        raw.pop(REVISION, None)
        values = self._values(key, raw, version)
        if version > self.version:
            if self.history.version > self.version:
                raw[VERSION] = min(version, self.history.version)
        elif raw and version < self.version:
            _drop_removed(raw, self.history.between(version, self.version))
        return Document(values, raw or _NO_EXTRAS, version)

    def outline(self, key: str, body: bytes) -> dict[str, Any] | None:
        """The attributes of a document as they are written; None for one of another version than the models'.

        Raises CorruptDocument for what is no document at all.
        """
        raw = _parse(key, body)
        return raw if raw.get(VERSION, _FIRST_VERSION) == self.version else None

    def reading(self, column: str) -> _Step:
        """How a column is read in an outline: its attribute, the type that is taken as it is, and what reads others,
        null apart; that raises one of UNREADABLE."""
        return self._readers_of(self.version).steps[list(self.schema.by_name).index(column)]

    def picker(self, columns: Sequence[str]) -> Picker:
        """Takes the values of ``columns`` from an outline; None when the document must be read as a whole for them."""
        readers = [self.reading(column) for column in columns]
        has_nested = any(self.schema.by_name[column].kind is Kind.JSON for column in columns)

        def pick(raw: Mapping[str, Any]) -> tuple[Value, ...] | None:
            values: list[Value] = []
            for attribute, exact, decode in readers:
                found = raw.get(attribute, _ABSENT)
                if found is _ABSENT:
                    return None
                try:
                    values.append(found if type(found) is exact or found is None else decode(found))
                except UNREADABLE:
                    return None
            if has_nested and any(type(value) is str and _ROUNDED_MARK in value for value in values):
                return None
            return tuple(values)

        return pick

    def _values(self, key: str, raw: dict[str, Any], version: int) -> tuple[Value, ...]:
        """Take the columns' values out of ``raw``."""
        readers, values, take = self._readers_of(version), list[Value](), raw.pop
        try:
            for attribute, exact, decode in readers.steps:
                found = take(attribute, _ABSENT)
                if type(found) is exact:
                    values.append(found)
                elif found is None or found is _ABSENT:
                    values.append(_stand_in(key, raw, found, readers.all[len(values)]))
                else:
                    values.append(decode(found))
        except UNREADABLE as error:
            reader = readers.all[len(values)]
            problem = f"its attribute {reader.attribute!r} is not a {_expected(reader.column)}"
            raise CorruptDocument(key, problem) from error
        return tuple(values)

    def _readers_of(self, version: int) -> _Readers:
        version = max(_FIRST_VERSION, min(version, self.history.version))
        readers = self._readers.get(version)
        if readers is None:
            read = self._newer_reader if version > self.version else self._older_reader
            readers = self._readers[version] = _Readers(read(column, version) for column in self.schema.columns)
        return readers

    def _older_reader(self, column: Column, version: int) -> _Reader:
        return _reader(column, self.history.until(version), self.history.between(version, self.version))

    def _newer_reader(self, column: Column, version: int) -> _Reader:
        attribute, source = _in_newer(column, self.history.between(self.version, version))
        return _Reader(
            attribute=_NOWHERE if attribute is None else attribute,
            exact=exact_type(source),
            decode=decoder_of(source),
            null=None,
            missing=column.default,
            required=column.required,
            column=column,
        )


def _stand_in(key: str, raw: dict[str, Any], found: object, reader: _Reader) -> Value:
    """The value of an attribute that is null or not there."""
    if found is _ABSENT and reader.otherwise in raw:
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


def _parse(key: str, body: bytes) -> dict[str, Any]:
    try:
        raw = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise CorruptDocument(key, f"it is not JSON in UTF-8 ({error})") from error
    if type(raw) is not dict:
        raise CorruptDocument(key, f"it is a JSON {type(raw).__name__}, not an object")
    # Each level takes two bytes at least, and a bracket: that spares small and flat documents the counting.
    if len(body) > 2 * _DEEPEST and (b"[" in body or body.rfind(b"{") > 0) and _is_deep(raw, body):
        raise CorruptDocument(key, f"it is nested more than {_DEEPEST} levels deep")
    return raw


def _is_deep(raw: dict[str, Any], body: bytes) -> bool:
    if body.count(b"[") + body.count(b"{") <= _DEEPEST:
        return False
    level: list[Any] = [raw]
    for _ in range(_DEEPEST):
        level = [inner for outer in level for inner in _members(outer) if type(inner) in (dict, list)]
    return bool(level)


def _leaves(value: Any) -> Iterator[Any]:
    """What stands in nested lists and objects, in no order."""
    containers = [value]
    while containers:
        for member in _members(containers.pop()):
            if type(member) in (dict, list):
                containers.append(member)
            else:
                yield member


def _members(container: Any) -> Iterable[Any]:
    return container if type(container) is list else container.values()


def _dumped(body: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(body)
    except TypeError:  # orjson writes no whole number beyond 64 bits, and no more than 254 levels
        return orjson.dumps({name: _fragment(attribute) for name, attribute in body.items()})


def _fragment(attribute: Any) -> orjson.Fragment:
    return orjson.Fragment(json.dumps(attribute, ensure_ascii=False, separators=(",", ":")))


def _expected(column: Column) -> str:
    return column.kind.value if column.kind is not Kind.PLAIN else f"plain {column.affinity.value} value"


def _reader(column: Column, behind: Sequence[Step], steps: Sequence[Step]) -> _Reader:
    """Walk the steps backwards, from today's column to what the document's version called it and how it wrote it.

    ``behind`` are the steps that the version has behind it.
    """
    name, source = column.name, column
    missing, required, null = column.default, column.required, None
    attribute: Any = None
    for place, step in reversed(list(enumerate(steps))):
        if step.change is Change.RENAME and step.to == name:
            name = step.column
        elif step.change is Change.RETYPE and step.column == name:
            null = _step_value(step) if step.value is not None else null
            source = replace(source, kind=Kind(step.kind or ""), affinity=Affinity(step.affinity or ""))
        elif step.change is Change.ADD and step.column == name:
            missing, required = null if step.value is None else _step_value(step), False
            attribute = _NOWHERE if any(vacates(earlier, name) for earlier in steps[:place]) else None
            break
    else:
        added = _added(name, behind) if required else None
        missing, required = (missing, required) if added is None else (_step_value(added), False)
    # Code from after a renaming that knew nothing of it yet has written documents with the new name.
    renamed = name != column.name and not any(vacates(step, column.name) for step in steps)
    otherwise = attribute_of(column.name) if renamed else None
    attribute = attribute_of(name) if attribute is None else attribute
    return _Reader(attribute, exact_type(source), decoder_of(source), null, missing, required, column, otherwise)


def _added(name: str, steps: Sequence[Step]) -> Step | None:
    """The step that added a column, if it gave a value: code from before it writes documents without the column."""
    for step in reversed(steps):
        if step.change is Change.RENAME and step.to == name:
            name = step.column
        elif step.change is Change.ADD and step.column == name:
            return step if step.value is not None else None
    return None


def _in_newer(column: Column, steps: Sequence[Step]) -> tuple[str | None, Column]:
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


def _drop_removed(raw: dict[str, Any], steps: Sequence[Step]) -> None:
    """Drop the attributes of removed columns, each under the name that it had in the document's version."""
    for place, step in enumerate(steps):
        if step.change is Change.REMOVE:
            name = step.column
            for earlier in reversed(steps[:place]):
                if earlier.change is Change.RENAME and earlier.to == name:
                    name = earlier.column
            raw.pop(attribute_of(name), None)
