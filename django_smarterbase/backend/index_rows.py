"""Rows made of what the index knows: no document is read of a table of which a query reads indexed columns only.

SQLite itself says which columns those are, wherever in the query they stand. The rows have values in these columns, and
stand-ins in others that admit no NULL; nobody looks at them, and the workspace is emptied after the statement. What the
index does not tell for certain is read from the document. Inside a transaction documents are read, since what it has
seen must stay the same until its end.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from django_smarterbase.backend.programs import program_of
from django_smarterbase.backend.rawsql import qmark
from django_smarterbase.backend.workspace import Workspace
from django_smarterbase.indexes.definitions import indexable
from django_smarterbase.indexes.service import IndexService
from django_smarterbase.storage.keys import pk_texts
from django_smarterbase.tables import Affinity, Column, IndexDefinition, Kind, TableSchema, Value

_BINARY: Final = ("", "BINARY")
_INTEGER: Final = re.compile(r"-?[0-9]+").fullmatch
_SCHEMAS: Final = 500
_SAVEPOINT: Final = "_sb_index_rows"


@dataclass(frozen=True, slots=True)
class IndexRows:
    """How rows of a table are made: the ``indexes`` that together have the columns that are read."""

    schema: TableSchema
    indexes: tuple[IndexDefinition, ...]

    def load(
        self,
        service: IndexService,
        workspace: Workspace,
        stems: Sequence[str],
        known: Mapping[str, Mapping[str, Value]] | None = None,
    ) -> Collection[str]:
        """Put rows of these documents in the scratch table; returns the stems of those that could be made.

        One round trip for 1,000 documents, none where their records are ``known``. Raises IndexUntrusted.
        """
        if known is None:
            records = service.records(self.schema, self.indexes, stems)
        else:
            records = {stem: known[stem] for stem in stems if stem in known}
        rows = self._made_of(records)
        return rows.keys() if _insert(workspace, self.schema, list(rows.values())) else ()

    def _made_of(self, records: Mapping[str, Mapping[str, Value]]) -> dict[str, tuple[Value, ...]]:
        """``{stem: values}`` in the order of the schema's columns, without those whose key only the document tells."""
        pk = self.schema.by_name[self.schema.pk[0]]
        rows = {}
        for stem, record in records.items():
            key = _key_of(pk, stem)
            if key is not None:
                rows[stem] = tuple(
                    self._value(column, {**record, pk.name: key}, stem) for column in self.schema.columns
                )
        return rows

    def _value(self, column: Column, record: Mapping[str, Value], stem: str) -> Value:
        if column.name in record:
            return record[column.name]
        return None if column.nullable else stem


class IndexRowsFinder:
    """Finds the tables of which a statement needs no documents. For one connection."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def of(self, sql: str, schemas: Iterable[TableSchema]) -> dict[str, IndexRows]:
        """``{table: IndexRows}`` for a query in Django's parameter style, whose scratch tables are there."""
        columns = program_of(self._workspace, qmark(sql)).columns
        found = (_rows_with(schema, columns[schema.table]) for schema in schemas if schema.table in columns)
        return {rows.schema.table: rows for rows in found if rows is not None}


@lru_cache(maxsize=_SCHEMAS)
def told_columns(schema: TableSchema) -> frozenset[str]:
    """The columns of which an index tells what SQLite holds; none of a table whose rows only documents make."""
    if not _may_be_made(schema):
        return frozenset()
    return frozenset((schema.pk[0], *(name for index in _telling(schema) for name in index.columns)))


def _may_be_made(schema: TableSchema) -> bool:
    """Whether rows can be made without documents: the key must be told by the stem, and nothing may be computed of the
    columns that only have stand-ins."""
    if len(schema.pk) != 1 or schema.pk[0] not in schema.by_name:
        return False
    pk = schema.by_name[schema.pk[0]]
    return (
        pk.collation in _BINARY
        and pk.kind in (Kind.PLAIN, Kind.UUID)
        and pk.affinity in (Affinity.INTEGER, Affinity.TEXT)
        and not any(column.generated for column in schema.columns)
        and not any(rule.expressions or rule.condition for rule in schema.unique)
    )


def _telling(schema: TableSchema) -> list[IndexDefinition]:
    """The indexes whose codes tell the values, those of the fewest columns first. (Without an affinity 1 and 1.0 have
    one code.)"""
    found = [index for index in indexable(schema) if all(_tells(schema.by_name[name]) for name in index.columns)]
    return sorted(found, key=lambda index: len(index.columns))


def _tells(column: Column) -> bool:
    return column.collation in _BINARY and column.affinity is not Affinity.BLOB


def _rows_with(schema: TableSchema, columns: frozenset[str]) -> IndexRows | None:
    """How to make rows that have these columns, or None."""
    told = told_columns(schema)
    if not told or not columns <= told:
        return None
    chosen: list[IndexDefinition] = []
    missing = columns - {schema.pk[0]}
    for index in _telling(schema):
        if missing & set(index.columns):
            chosen.append(index)
            missing -= set(index.columns)
    return IndexRows(schema, tuple(chosen))


def _insert(workspace: Workspace, schema: TableSchema, rows: Sequence[tuple[Value, ...]]) -> bool:
    """Put rows in the scratch table, all or none: some of them may hold one unique value, as documents can that were
    written while they were looked at, or by hand."""
    workspace.sqlite.execute(f"SAVEPOINT {_SAVEPOINT}")
    try:
        workspace.insert(schema.table, rows)
    except sqlite3.IntegrityError:
        workspace.sqlite.execute(f"ROLLBACK TO {_SAVEPOINT}")
        return False
    finally:
        workspace.sqlite.execute(f"RELEASE {_SAVEPOINT}")
    return True


def _key_of(pk: Column, stem: str) -> Value:
    """The primary key with this stem; None for one that only the document tells, or that is of another type."""
    texts = pk_texts(stem)
    if texts is None:
        return None
    if pk.affinity is Affinity.TEXT:
        return texts[0]
    return int(texts[0]) if _INTEGER(texts[0]) else None
