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
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import orjson
from django.utils.functional import cached_property
from uuid_utils import uuid7

from django_smarterbase.exceptions import CorruptDocument
from django_smarterbase.storage.history import History
from django_smarterbase.storage.lineage import position
from django_smarterbase.storage.readers import (
    ABSENT,
    UNREADABLE,
    Reader,
    Readers,
    Reading,
    drop_removed,
    expected,
    in_newer,
    newer_reader,
    older_reader,
    stand_in,
)
from django_smarterbase.storage.values import Encoder, encoder_of
from django_smarterbase.tables import Kind, TableSchema, Value

VERSION = "_v"
REVISION = "_rev"
CLAIMS = "_claims"
TRANSACTION = "_txn"
FIRST_VERSION = 1
_NO_EXTRAS: Final[Mapping[str, Any]] = MappingProxyType({})  # one for all: a scan keeps thousands of documents
_OWN: Final = frozenset((CLAIMS, TRANSACTION, VERSION))
_DEEPEST: Final = 500  # levels; Python's own reader and writer of JSON end at some 900, as the stack has room
_ROUNDED: Final = 2.0**63  # from here on orjson reads a whole number as a float, unless it is unsigned and fits 64 bits
_ROUNDED_MARK: Final = "e+"  # which such a float has in JSON text
_GREAT_NUMBER: Final = re.compile(rb"[0-9]{19}")

Picker = Callable[[Mapping[str, Any]], tuple[Value, ...] | None]


class Document(NamedTuple):
    """A document as it was read: ``values`` in the order of the schema's columns, ``extras`` unknown attributes.

    The extras of one that is newer than the models of this process have its version, in which it is to be written.
    """

    values: tuple[Value, ...]
    extras: Mapping[str, Any]
    version: int


def transaction_of(extras: Mapping[str, Any]) -> str | None:
    """The transaction of several documents that made a document with these extras, if one did."""
    id = extras.get(TRANSACTION)
    return id if isinstance(id, str) else None


def version_of(body: bytes) -> int:
    """The version that a document was written with; that of the first ones for what is no document."""
    try:
        version = orjson.loads(body).get(VERSION, FIRST_VERSION)
    except (orjson.JSONDecodeError, AttributeError):
        return FIRST_VERSION
    return version if type(version) is int else FIRST_VERSION


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
        self._readers: dict[int, Readers] = {}
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
            moved = (in_newer(column, later) for column in self.schema.columns)
            writers = self._writers[version] = tuple((attribute, encoder_of(column)) for attribute, column in moved)
        return writers

    def decode(self, key: str, body: bytes) -> Document:
        """Read a document. Raises CorruptDocument, which names ``key`` and the attribute."""
        raw = outline(key, body)
        version = raw.get(VERSION, FIRST_VERSION)
        # Most documents need no more than this.
        values = self._pick(raw) if version == self.version and type(version) is int else None
        if values is None:
            document = self._document(key, raw)
        else:
            document = Document(values, self._unknown(raw), self.version)
        if (self._nested or document.extras) and self._may_be_rounded(document) and _GREAT_NUMBER.search(body):
            return self._document(key, json.loads(body))
        return document

    @cached_property
    def _pick(self) -> Picker:
        return self.picker(list(self.schema.by_name))

    def _unknown(self, raw: Mapping[str, Any]) -> Mapping[str, Any]:
        """The attributes that no column has, of a document that has those of all columns."""
        if len(raw) == len(self.schema.columns) + (VERSION in raw) + (REVISION in raw):
            return _NO_EXTRAS
        return {name: attribute for name, attribute in raw.items() if name not in self._own}

    @cached_property
    def _own(self) -> frozenset[Any]:
        """The attributes of columns, and those that each writing makes anew."""
        readings = self._readers_of(self.version).readings
        return frozenset((VERSION, REVISION, *(attribute for attribute, _exact, _decode in readings)))

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
        version = raw.pop(VERSION, FIRST_VERSION)
        if type(version) is not int:
            raise CorruptDocument(key, f"its {VERSION} is {version!r}, not a whole number")
        raw.pop(REVISION, None)
        values = self._values(key, raw, version)
        if version > self.version:
            if self.history.version > self.version:
                raw[VERSION] = min(version, self.history.version)
        elif raw and version < self.version:
            drop_removed(raw, self.history.between(version, self.version))
        return Document(values, raw or _NO_EXTRAS, version)

    def reading(self, column: str) -> Reading:
        """How a column is read in the outline of a document of the models' version."""
        return self._readers_of(self.version).readings[list(self.schema.by_name).index(column)]

    def picker(self, columns: Sequence[str]) -> Picker:
        """Takes the values of ``columns`` from the outline of a document of the models' version; None when it must be
        read as a whole for them."""
        readers = [self.reading(column) for column in columns]
        has_nested = any(self.schema.by_name[column].kind is Kind.JSON for column in columns)

        def pick(raw: Mapping[str, Any]) -> tuple[Value, ...] | None:
            values: list[Value] = []
            for attribute, exact, decode in readers:
                found = raw.get(attribute, ABSENT)
                if found is ABSENT:
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
        values: list[Value] = []
        readers, take = self._readers_of(version), raw.pop
        try:
            for attribute, exact, decode in readers.readings:
                found = take(attribute, ABSENT)
                if type(found) is exact:
                    values.append(found)
                elif found is None or found is ABSENT:
                    values.append(stand_in(key, raw, found, readers.all[len(values)]))
                else:
                    values.append(decode(found))
        except UNREADABLE as error:
            reader = readers.all[len(values)]
            problem = f"its attribute {reader.attribute!r} is not a {expected(reader.column)}"
            raise CorruptDocument(key, problem) from error
        return tuple(values)

    def _readers_of(self, version: int) -> Readers:
        version = max(FIRST_VERSION, min(version, self.history.version))
        readers = self._readers.get(version)
        if readers is None:
            readers = self._readers[version] = Readers(self._read_in(version))
        return readers

    def _read_in(self, version: int) -> Iterator[Reader]:
        if version > self.version:
            later = self.history.between(self.version, version)
            return (newer_reader(column, later) for column in self.schema.columns)
        return (older_reader(column, self.history, version, self.version) for column in self.schema.columns)


def outline(key: str, body: bytes) -> dict[str, Any]:
    """The attributes of a document as they are written. Raises CorruptDocument for what is no document at all."""
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
