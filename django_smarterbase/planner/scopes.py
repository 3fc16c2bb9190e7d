"""What the compilers note of a statement while they compile it, one scope for each SELECT, UPDATE or DELETE in it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeGuard

from django.db.models import Model
from django.db.models.expressions import Col, Ref, Value
from django.db.models.sql.compiler import SQLCompiler
from django.db.models.sql.datastructures import BaseTable, Join
from django.db.models.sql.query import Query
from django.db.models.sql.where import WhereNode

from django_smarterbase.tables import TableSchema

_FROM_TABLE: Final = re.compile(r"\bFROM\s+(?!\()", re.IGNORECASE)
#: Where SQL names a table, which ``IN`` may do too; names in quotes, texts and comments are passed over.
_TABLE: Final = re.compile(
    r"""
    "[^"]*" | '[^']*' | `[^`]*` | \[[^\]]*\] | --[^\n]* | /\*.*?\*/
    | \b (?P<table> FROM (?!\s*\(\s*SELECT\b) | JOIN | IN (?!\s*\() ) \b
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)


@dataclass(eq=False, slots=True)
class Scope:
    """One FROM clause: the tables it joins (``{alias: BaseTable | Join}``, in order) and the WHERE over them.

    ``where`` holds what applies before grouping. ``extra_tables`` came through ``.extra()``. ``assigned`` is how many
    parameters the SET clause of an UPDATE has, which come before those of WHERE.
    """

    query: Query
    compiler: SQLCompiler
    where: WhereNode | None
    aliases: Mapping[str, BaseTable | Join]
    extra_tables: tuple[str, ...] = ()
    assigned: int = 0


@dataclass
class Statement:
    """The scopes of one statement, in the order in which their FROM clauses were compiled, and its main model.

    ``opaque`` says that SQL text which came in from outside names tables, of which no scope tells; ``aggregates``
    that SQLite puts rows together, though Django does not know it; ``locks_inside`` that a subquery asks for row locks.
    ``models`` and ``schemas`` are what was found for tables, so that it is looked for once: ``{table: model, or None if
    no model has it}`` and ``{table: its model's schema}``. ``historical`` finds the models of raw SQL in a
    migration.
    """

    model: type[Model] | None = None
    historical: Callable[[str], type[Model] | None] | None = None
    scopes: list[Scope] = field(default_factory=list)
    opaque: bool = False
    aggregates: bool = False
    locks_inside: bool = False
    models: dict[str, type[Model] | None] = field(default_factory=dict)
    schemas: dict[str, TableSchema] = field(default_factory=dict)

    def note(self, position: int, scope: Scope) -> None:
        """Note a scope before that at ``position``. Its model may know other tables, so all are looked for again."""
        self.scopes.insert(position, scope)
        self.models.clear()
        self.schemas.clear()


def may_aggregate(statement: Statement) -> bool:
    """Whether a page of rows in an order has something in it that might put rows together, though Django does not know
    it: a function of one's own, a window in SQL text."""
    if len(statement.scopes) != 1 or not statement.scopes[0].query.is_sliced:
        return False
    compiler: Any = statement.scopes[0].compiler
    ordered = [expression.expression for expression, _sql in getattr(compiler, "noted_order_by", ())]
    selected = [each[0] for each in getattr(compiler, "select", None) or ()]
    return bool(ordered) and not all(
        is_column(each) or isinstance(each, (Ref, Value)) for each in (*selected, *ordered)
    )


def is_column(expression: Any) -> TypeGuard[Col]:
    """Whether an expression is a column as it stands: a field of one's own may have others, whose SQL is another
    (``Field.get_col()``)."""
    return type(expression) is Col


def is_bare(expression: Any, compiler: SQLCompiler) -> bool:
    """Whether a SELECT clause has an expression as it is: a field of one's own may have it formatted there."""
    return bool(expression.select_format(compiler, "", ()) == ("", ()))


def source_of(expression: Any, compiler: SQLCompiler) -> Any:
    """What is selected, where an expression refers to that by its position, unless it is formatted."""
    if not isinstance(expression, Ref):
        return expression
    (source,) = expression.get_source_expressions()
    return source if is_bare(source, compiler) else expression


def names_tables(sql: str, noted: Iterable[Scope]) -> bool:
    """Whether the SQL of an expression names more tables than the scopes that were noted while it was compiled."""
    named = sum(found.lastgroup is not None for found in _TABLE.finditer(sql))
    return named > 0 and named > sum(len(scope.aliases) for scope in noted)


def is_opaque(statement: Statement, sql: str) -> bool:
    """Whether the SQL of a statement reads tables that no compiler has noted."""
    if statement.opaque:
        return True
    # At most so many can be found, which mostly suffices and takes a fifth of the time.
    if sql.upper().count("FROM") <= len(statement.scopes):
        return False
    return len(_FROM_TABLE.findall(sql)) > len(statement.scopes)
