"""What the compilers note of a statement while they compile it, one scope for each SELECT, UPDATE or DELETE in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from django.db.models import Model
from django.db.models.sql.compiler import SQLCompiler
from django.db.models.sql.datastructures import BaseTable, Join
from django.db.models.sql.query import Query
from django.db.models.sql.where import WhereNode


@dataclass(frozen=True)
class Scope:
    """One FROM clause: the tables it joins (``{alias: BaseTable | Join}``, in order) and the WHERE over them.

    ``where`` holds what applies before grouping. ``extra_tables`` came through ``.extra()``.
    """

    query: Query
    compiler: SQLCompiler
    where: WhereNode | None
    aliases: Mapping[str, BaseTable | Join]
    extra_tables: tuple[str, ...] = ()


@dataclass
class Statement:
    """The scopes of one statement, in the order in which their FROM clauses were compiled, and its main model.

    ``opaque`` says that SQL text which came in from outside has a FROM clause, of which no scope tells;
    ``locks_inside`` that a subquery asks for row locks.
    """

    model: type[Model] | None = None
    scopes: list[Scope] = field(default_factory=list)
    opaque: bool = False
    locks_inside: bool = False
