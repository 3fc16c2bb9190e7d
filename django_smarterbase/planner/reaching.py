"""By which columns documents can be found from values that are known only when the plan is executed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Max, Min
from django.db.models.expressions import Subquery, Value
from django.db.models.functions import Cast, Coalesce, text
from django.db.models.lookups import Lookup
from django.db.models.sql.compiler import SQLCompiler
from django.db.models.sql.query import Query

from django_smarterbase.planner.scopes import is_column
from django_smarterbase.tables import Affinity, IndexDefinition, IndexSubquery, TableSchema

BINARY: Final = ("", "BINARY")
#: A subquery that chooses by chance or by the clock does not choose the same rows when it runs once more.
VOLATILE: Final = re.compile(r"\bRAND\(|\bRANDOM\w*\(|'NOW'|\bCURRENT_", re.IGNORECASE)

_CHOOSING: Final = (Coalesce, Max, Min)  # what gives one of the values that it is given


def reach(schema: TableSchema | None, column: str) -> tuple[bool, IndexDefinition | None]:
    """Whether documents can be found by this column, and by which index (None: it is the primary key)."""
    if schema is None or column not in schema.by_name or schema.by_name[column].collation not in BINARY:
        return False, None
    if schema.pk == (column,):
        return True, None
    index = single_index(schema, column)
    return index is not None, index


def has_plain_key(schema: TableSchema) -> bool:
    """Whether the primary key is one column that equals a value exactly when both have one stem."""
    if len(schema.pk) != 1 or schema.pk[0] not in schema.by_name:
        return False
    column = schema.by_name[schema.pk[0]]
    return column.collation in BINARY and column.affinity not in (Affinity.REAL, Affinity.BLOB)


def single_index(schema: TableSchema, column: str) -> IndexDefinition | None:
    """The index on this column alone, if there is one."""
    return next((index for index in schema.indexes if index.columns == (column,)), None)


def compares_as(schema: TableSchema | None, column: str, with_text: bool) -> bool:
    """Whether SQLite compares the column with other values as they would be stored in it.

    A text column gives way to a number on the other side: to 1, both '1' and '01' are equal, of which a lookup by value
    finds one.
    """
    affinity = schema.by_name[column].affinity if schema is not None else Affinity.BLOB
    return affinity not in (Affinity.TEXT, Affinity.BLOB) or (affinity is Affinity.TEXT and with_text)


def query_of(expression: Any) -> Query | None:
    """The query of a subquery on the right of a lookup; None for any other expression."""
    if isinstance(expression, Subquery):
        return expression.query
    return expression if isinstance(expression, Query) else None


def subquery_term(
    lookup: Lookup[Any],
    query: Query,
    column: str,
    schema: TableSchema,
    compiler: SQLCompiler,
    connection: BaseDatabaseWrapper,
    *,
    truth: bool,
) -> IndexSubquery | None:
    """The documents for which ``column IN (query)`` is true, or those for which it is false; None when the query cannot
    be run by itself, or not twice with the same result. Raises EmptyResultSet when it selects nothing."""
    reachable, index = reach(schema, column)
    parts = list(_parts(query))
    if not reachable or any(part.get_external_cols() or part.default_cols for part in parts):
        return None
    if not all(compares_as(schema, column, _selects_text(part, connection)) for part in parts):
        return None
    noting: Any = connection
    with noting.unnoted():  # it was noted when the statement was compiled
        sql, params = lookup.process_rhs(compiler, connection)
    if VOLATILE.search(sql) is not None:
        return None
    return IndexSubquery(sql, tuple(params), column, index, _only_table(parts), negated=not truth)


def _parts(query: Query) -> Iterator[Query]:
    """The query, or those that a combinator joins, at whatever depth."""
    if not query.combinator:
        yield query
    for part in query.combined_queries:
        yield from _parts(part)


def _selects_text(query: Query, connection: BaseDatabaseWrapper) -> bool:
    selected = [*query.select, *query.annotation_select.values()]
    return len(selected) == 1 and _is_text(selected[0], connection)


def _is_text(expression: Any, connection: BaseDatabaseWrapper) -> bool:
    """Whether all that an expression gives are texts, whatever type it declares.

    ``ExpressionWrapper(F("number"), CharField())`` is a column of numbers to SQLite, which then compares by number.
    """
    if is_column(expression):
        return _is_text_column(expression.target, connection)
    if isinstance(expression, Value):
        return isinstance(expression.value, str)
    if type(expression) is Cast or type(expression).__module__ == text.__name__:
        return _is_text_column(expression.output_field, connection)
    if type(expression) in _CHOOSING:
        return all(_is_text(each, connection) for each in expression.get_source_expressions() if each is not None)
    return False


def _is_text_column(field: Any, connection: BaseDatabaseWrapper) -> bool:
    declared = (field.db_type(connection) or "").upper()
    return any(name in declared for name in ("CHAR", "CLOB", "TEXT"))


def _only_table(parts: list[Query]) -> str | None:
    tables = {
        table.table_name for query in parts for alias, table in query.alias_map.items() if query.alias_refcount[alias]
    }
    return tables.pop() if len(tables) == 1 else None
