"""Answers from the index alone: ``count()``, ``exists()`` and lists of primary keys over indexed conditions.

The index tells which of its documents are in doubt (a write is under way); those are read and judged by SQLite, and all
the others are certain.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.db.models import Count
from django.db.models.expressions import Star, Value
from django.db.models.sql.compiler import SQLAggregateCompiler

from django_smarterbase.backend.loader import Loader
from django_smarterbase.indexes.service import Reading
from django_smarterbase.planner.plan import IndexLookup, OrderedLookup, QueryPlan, Scan
from django_smarterbase.planner.scopes import is_bare, is_column, source_of
from django_smarterbase.storage.keys import pk_texts
from django_smarterbase.tables import Affinity, IndexCondition, Kind, TableSchema

if TYPE_CHECKING:
    from django_smarterbase.backend.compiler import NotingCompiler
    from django_smarterbase.backend.requests import Execution, Shortcut

Row = tuple[Any, ...]
_INTEGER: Final = re.compile(r"-?[0-9]+").fullmatch


def shortcut_for(compiler: NotingCompiler, plan: QueryPlan) -> Shortcut | None:
    """The shortcut that a compiled SELECT can take, or None."""
    if isinstance(compiler, SQLAggregateCompiler) or len(compiler.select) != 1:
        return None
    query = compiler.query
    condition = _whole_condition(compiler, plan)
    if condition is None or query.combinator or query.group_by or query.extra or query.distinct_fields:
        return None
    if compiler.having is not None or compiler.qualify is not None:
        return None
    selected: Any = compiler.select[0][0]
    table = plan.steps[0].table
    if is_plain_count(compiler) and not query.is_sliced and not query.distinct:
        return _CountShortcut(table, condition)
    if not is_bare(selected, compiler):
        return None
    if isinstance(selected, Value) and type(selected.value) is int and query.high_mark == 1 and not query.low_mark:
        return _ExistsShortcut(table, condition, selected.value)
    return _keys_shortcut(compiler, table, condition, selected)


def _whole_condition(compiler: NotingCompiler, plan: QueryPlan) -> IndexCondition | None:
    """The index condition that says all that the WHERE clause says of the only table."""
    statement = compiler.connection.statement
    if statement is None or len(plan.steps) != 1 or len(statement.scopes) != 1 or len(statement.scopes[0].aliases) != 1:
        return None
    path = plan.steps[0].path
    if isinstance(path, OrderedLookup):
        path = path.otherwise
    if isinstance(path, IndexLookup) and path.exact and not path.condition.has_subquery:
        return path.condition
    if isinstance(path, Scan) and (compiler.where is None or not compiler.where.children):
        return IndexCondition()
    return None


def is_plain_count(compiler: NotingCompiler) -> bool:
    """Whether a compiled statement is SELECT COUNT(*) and nothing else."""
    selected: Any = compiler.select[0][0] if compiler.select and len(compiler.select) == 1 else None
    if not isinstance(selected, Count) or getattr(selected, "distinct", False) or selected.filter is not None:
        return False
    return compiler.query.group_by is None and isinstance(selected.get_source_expressions()[0], Star)


def _keys_shortcut(compiler: NotingCompiler, table: str, condition: IndexCondition, selected: Any) -> Shortcut | None:
    schema: TableSchema = compiler.connection.table_schema(table)
    if not is_column(selected) or schema.pk != (selected.target.column,) or not stems_tell_keys(schema):
        return None
    order = pk_order(compiler, schema.pk[0])
    if order is None:
        return None
    query = compiler.query
    integers = schema.by_name[schema.pk[0]].affinity is Affinity.INTEGER
    return _KeysShortcut(table, condition, integers, order, query.low_mark, query.high_mark)


def stems_tell_keys(schema: TableSchema) -> bool:
    """Whether the primary key is one column of numbers or text, whose values are what the stems say."""
    column = schema.by_name.get(schema.pk[0]) if len(schema.pk) == 1 else None
    if column is None or column.collation not in ("", "BINARY"):
        return False
    return column.kind in (Kind.PLAIN, Kind.UUID) and column.affinity in (Affinity.INTEGER, Affinity.TEXT)


def keys_of(stems: Iterable[str], *, integers: bool) -> list[Any] | None:
    """The primary keys that the stems tell, in their order; None when one of them is known by its document alone: by
    its hash, or as a text or a fraction, which a column of integers holds as well."""
    keys: list[Any] = []
    for stem in stems:
        texts = pk_texts(stem)
        if texts is None or (integers and not _INTEGER(texts[0])):
            return None
        keys.append(int(texts[0]) if integers else texts[0])
    return keys


def pk_order(compiler: NotingCompiler, pk: str) -> int | None:
    """1 or -1 for an ascending or descending primary key, 0 for no order, None for any other order."""
    pairs = [pair[0] for pair in compiler.noted_order_by]
    if not pairs:
        return 0
    first = pairs[0]
    column = source_of(first.expression, compiler)
    if not is_column(column) or column.target.column != pk:
        return None
    return -1 if first.descending else 1


@dataclass(frozen=True)
class _IndexShortcut:
    table: str
    condition: IndexCondition

    def _read(self, loader: Loader, *, members: bool) -> Reading | None:
        """The index's answer, with the documents in doubt in the workspace; None when it may not answer."""
        schema = loader.schema_of(self.table)
        if loader.access == "scan" or loader.has_pending(schema):
            return None
        reading = loader.ask(schema, self.condition, members=members)
        if reading is None or (reading.in_doubt and loader.has_loaded(schema)):
            return None  # SQLite would judge the rows that the transaction has loaded too, which are counted already
        loader.fetch(schema, reading.in_doubt)
        loader.account.indexes.extend(index.name for index in self.condition.indexes)
        if not self.condition.clauses:
            loader.account.indexes.append(f"{self.table}-all")
        return reading


@dataclass(frozen=True)
class _CountShortcut(_IndexShortcut):
    """SELECT COUNT(*)."""

    def answer(self, loader: Loader, execution: Execution) -> bool:
        """The number of certain documents, and SQLite's count of those in doubt."""
        reading = self._read(loader, members=False)
        if reading is None:
            return False
        found = 0
        if reading.in_doubt:
            execution.execute()
            found = execution.rows[0][0] if execution.rows else 0
        execution.rows = [(reading.count + found,)]
        return True


@dataclass(frozen=True)
class _ExistsShortcut(_IndexShortcut):
    """SELECT 1 ... LIMIT 1."""

    constant: Any

    def answer(self, loader: Loader, execution: Execution) -> bool:
        """One row when a document is certain; otherwise what SQLite says of those in doubt."""
        reading = self._read(loader, members=False)
        if reading is None:
            return False
        if reading.count:
            execution.rows = [(self.constant,)]
        elif reading.in_doubt:
            execution.execute()
        else:
            execution.rows = []
        return True


@dataclass(frozen=True)
class _KeysShortcut(_IndexShortcut):
    """SELECT pk, in the order of the primary key or in none."""

    integers: bool
    order: int
    low: int
    high: int | None

    def answer(self, loader: Loader, execution: Execution) -> bool:
        """The certain keys, and those in doubt that SQLite selects; not when a key is only known by its hash."""
        reading = self._read(loader, members=True)
        if reading is None or reading.stems is None or (reading.in_doubt and (self.low or self.high is not None)):
            return False
        keys = keys_of((stem for stem in reading.stems if stem not in reading.in_doubt), integers=self.integers)
        if keys is None:
            return False
        rows: list[Row] = [(key,) for key in keys]
        if reading.in_doubt:
            execution.execute()
            rows += execution.rows or []
        rows.sort(reverse=self.order < 0)
        execution.rows = rows[self.low : self.high]
        return True
