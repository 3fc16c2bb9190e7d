"""What the index room knows of a table's definition, worked out once for each description of a table."""

from __future__ import annotations

import hashlib
import json
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

from ..tables import Column, IndexDefinition, Kind, TableSchema
from .keys import part

VERSION: Final = 3  # raise it whenever an entry would be encoded differently: every index is then built anew


@dataclass(frozen=True, slots=True)
class KeptIndex:
    """An index that is kept: its name as a part of entries, and its columns."""

    prefix: str
    columns: tuple[Column, ...]


@dataclass(frozen=True, slots=True)
class Facts:
    """``indexes`` are those that are kept, ``orders`` the same as ordered ones, and that of the primary key.

    The columns of an ordered index end with those of the primary key, which tell apart what the index does not (unless
    no index can hold them); ``ordered_columns`` are all of them. ``truths`` are columns of booleans, which may hold
    something else (``entries``). ``definition`` is the hash of all that entries depend on.
    """

    indexes: Mapping[IndexDefinition, KeptIndex]
    orders: Mapping[IndexDefinition, KeptIndex]
    ordered_columns: tuple[Column, ...]
    truths: tuple[Column, ...]
    definition: str


def facts_of(schema: TableSchema) -> Facts:
    """What follows from a table's description. Looked up by identity: hashing all columns takes longer than a read."""
    known = _known.get(id(schema))
    if known is not None and known.schema() is schema:
        return known.facts
    facts = _facts(schema)
    # Forgotten with the description, before its identity can be another's.
    forget = partial(_forget, id(schema))
    _known[id(schema)] = _Known(weakref.ref(schema, forget), facts)
    return facts


def indexable(schema: TableSchema) -> tuple[IndexDefinition, ...]:
    """The indexes that are kept: none on columns with an unknown collation, or whose value only SQLite computes."""
    return tuple(facts_of(schema).indexes)


def definition(schema: TableSchema) -> str:
    """The hash of all that entries depend on: indexes, affinities, collations and lineage of their columns, the
    encoding."""
    return facts_of(schema).definition


@dataclass(frozen=True, slots=True)
class _Known:
    """Facts, and the description that they are of while that lives."""

    schema: weakref.ref[TableSchema]
    facts: Facts


_known: dict[int, _Known] = {}


def _forget(identity: int, _: object) -> None:
    _known.pop(identity, None)


def _facts(schema: TableSchema) -> Facts:
    usable = {column.name: column for column in schema.columns if column.indexable}
    indexes = {
        index: KeptIndex(f"{part(index.name)}:", tuple(usable[name] for name in index.columns))
        for index in schema.indexes
        if usable.keys() >= set(index.columns)
    }
    key = tuple(usable[name] for name in schema.ordering_key)
    orders = {index: KeptIndex(f">{kept.prefix}", (*kept.columns, *key)) for index, kept in indexes.items()}
    if key:
        orders[schema.pk_index] = KeptIndex(">:", key)
    ordered = tuple({column.name: column for kept in orders.values() for column in kept.columns}.values())
    described = sorted([index.name, [_described(column) for column in kept.columns]] for index, kept in indexes.items())
    truths = tuple(column for column in ordered if column.kind is Kind.BOOL and column.name not in schema.pk)
    text = json.dumps([VERSION, described, list(map(_described, key))], ensure_ascii=True, separators=(",", ":"))
    return Facts(indexes, orders, ordered, truths, hashlib.sha256(text.encode()).hexdigest()[:32])


def _described(column: Column) -> list[str]:
    return [column.name, column.affinity, column.kind, column.collation.upper(), *filter(None, [column.lineage])]
