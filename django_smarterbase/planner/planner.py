"""From the scopes of a statement to its plan. Pure: no storage, no Redis, no SQLite."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.sql.constants import INNER
from django.db.models.sql.datastructures import BaseTable, Join
from django.db.models.sql.query import Query

from django_smarterbase.planner.plan import (
    AccessPath,
    IndexLookup,
    JoinLookup,
    KeyLookup,
    QueryPlan,
    Scan,
    Step,
    SubqueryLookup,
)
from django_smarterbase.planner.predicates import ANYTHING, Narrowing, PredicateReader, condition_of
from django_smarterbase.planner.scopes import Scope, Statement
from django_smarterbase.tables import Affinity, IndexCondition, IndexDefinition, TableSchema

SchemaOf = Callable[[str], TableSchema | None]
_RANK: Final = {KeyLookup: 0, IndexLookup: 1, SubqueryLookup: 2}
_BINARY: Final = ("", "BINARY")
#: A subquery that chooses by chance or by the clock does not choose the same rows when it runs once more.
_VOLATILE: Final = re.compile(r"\bRAND\(|\bRANDOM\w*\(|'NOW'|\bCURRENT_", re.IGNORECASE)


def plan_statement(statement: Statement, schema_of: SchemaOf, connection: BaseDatabaseWrapper) -> QueryPlan:
    """One access path for each alias of the statement.

    Scopes are taken innermost first, so that a subquery's rows are there when the outer query needs its values.
    """
    steps: list[Step] = []
    fields: list[str] = []
    for scope in reversed(statement.scopes):
        planner = ScopePlanner(scope, schema_of, connection)
        steps.extend(planner.steps())
        fields.extend(planner.filter_fields)
    steps = _without_covered(steps)
    return QueryPlan(tuple(steps), tuple(dict.fromkeys(step.table for step in steps)), tuple(dict.fromkeys(fields)))


def _without_covered(steps: list[Step]) -> list[Step]:
    """A table that is scanned for one alias is scanned first, and no other alias of it needs a path of its own."""
    scanned = {step.table: step for step in reversed(steps) if isinstance(step.path, Scan)}
    for table, step in scanned.items():
        if sum(other.table == table for other in steps) > 1:
            scanned[table] = replace(step, path=Scan())
    return [*scanned.values(), *(step for step in steps if step.table not in scanned)]


class ScopePlanner:
    """Plans the aliases of one FROM clause."""

    def __init__(self, scope: Scope, schema_of: SchemaOf, connection: BaseDatabaseWrapper) -> None:
        self.scope = scope
        self.schema_of = schema_of
        self.connection = connection
        self.filter_fields: list[str] = []
        self.narrowings: dict[str, Narrowing] = {}
        self.placed: dict[str, Step] = {}

    def steps(self) -> list[Step]:
        """The steps of the scope in an order in which each finds what it depends on."""
        tables = {alias: table for alias, table in self.scope.aliases.items() if table.table_name is not None}
        self.narrowings = {alias: self._narrowing(alias, table) for alias, table in tables.items()}
        self._place_seeds(tables)
        while len(self.placed) < len(tables):
            alias = self._next_joined(tables)
            if alias is None:
                alias = next(alias for alias in tables if alias not in self.placed)
                self._place(alias, tables[alias], self._own_path(alias, tables[alias]) or self._scan(alias))
        extra = [Step(name, name, Scan()) for name in self.scope.extra_tables]
        return [*self.placed.values(), *extra]

    def _narrowing(self, alias: str, table: BaseTable | Join) -> Narrowing:
        schema = self.schema_of(table.table_name)
        if schema is None:
            return ANYTHING
        found = PredicateReader(alias, schema, self.scope.compiler, self.connection).read(self.scope.where)
        self.filter_fields += sorted(schema.field_names.get(column, column) for column in found.columns)
        if not self.is_required(alias):
            return ANYTHING
        return found if len(self.scope.aliases) == 1 else replace(found, exact=False)

    def is_required(self, alias: str | None) -> bool:
        """Whether the statement can only use rows of this alias that match: it and all its parents are inner joined."""
        while alias is not None:
            table = self.scope.aliases.get(alias)
            if table is None or (table.join_type is not None and table.join_type != INNER):
                return False
            alias = table.parent_alias
        return True

    def _place(self, alias: str, table: BaseTable | Join, path: AccessPath) -> None:
        self.placed[alias] = Step(table.table_name, alias, path)

    def _place_seeds(self, tables: dict[str, BaseTable | Join]) -> None:
        """Begin with the aliases of the best rank; a joined one before the base, whose sets it then narrows further."""
        own = {alias: path for alias, table in tables.items() if (path := self._own_path(alias, table)) is not None}
        if not own:
            return
        best = min(_RANK[type(path)] for path in own.values())
        seeds = [alias for alias, path in own.items() if _RANK[type(path)] == best]
        if best > 0:
            seeds = seeds[-1:]
        for alias in seeds:
            self._place(alias, tables[alias], own[alias])

    def _own_path(self, alias: str, table: BaseTable | Join) -> AccessPath | None:
        narrowing = self.narrowings[alias]
        if narrowing.pks is not None:
            return KeyLookup(tuple((pk,) for pk in sorted(narrowing.pks, key=repr)))
        if narrowing.clauses:
            return IndexLookup(condition_of(narrowing), narrowing.exact)
        return self._subquery_path(narrowing, table)

    def _scan(self, alias: str) -> Scan:
        residue = self.narrowings[alias].residue
        return Scan(IndexCondition(residue)) if residue else Scan()

    def _subquery_path(self, narrowing: Narrowing, table: BaseTable | Join) -> AccessPath | None:
        schema = self.schema_of(table.table_name)
        for column, lookup in narrowing.subqueries:
            reachable, index = reach(schema, column)
            if not reachable or lookup.rhs.get_external_cols() or lookup.rhs.combinator:
                continue
            if not _compares_as(schema, column, _is_text(lookup.rhs.output_field.db_type(self.connection) or "")):
                continue
            sql, params = lookup.process_rhs(self.scope.compiler, self.connection)
            if _VOLATILE.search(sql) is None:
                return SubqueryLookup(sql, tuple(params), column, index, _only_table(lookup.rhs))
        return None

    def _next_joined(self, tables: dict[str, BaseTable | Join]) -> str | None:
        for alias, table in tables.items():
            if alias in self.placed:
                continue
            path = self._down(table) or self._up(alias, table, tables)
            if path is not None:
                self._place(alias, table, self._narrowed(alias, path))
                return alias
        return None

    def _down(self, table: BaseTable | Join) -> JoinLookup | None:
        """From a placed parent to its child, for inner and outer joins alike."""
        if not isinstance(table, Join) or table.parent_alias not in self.placed or len(table.join_cols) != 1:
            return None
        source, column = table.join_cols[0]
        return self._join(self.placed[table.parent_alias].table, source, table.table_name, column)

    def _up(self, alias: str, table: BaseTable | Join, tables: dict[str, BaseTable | Join]) -> JoinLookup | None:
        """From a placed child to its parent, which a required inner join allows: rows without a match are not used."""
        for child_alias, child in tables.items():
            if not isinstance(child, Join) or child.parent_alias != alias or len(child.join_cols) != 1:
                continue
            if child_alias in self.placed and self.is_required(child_alias):
                column, source = child.join_cols[0]
                path = self._join(child.table_name, source, table.table_name, column)
                if path is not None:
                    return path
        return None

    def _join(self, source_table: str, source_column: str, table: str, column: str) -> JoinLookup | None:
        source, target = self.schema_of(source_table), self.schema_of(table)
        if source is None or source_column not in source.by_name:
            return None
        from_column = source.by_name[source_column]
        reachable, index = reach(target, column)
        if not reachable or from_column.collation not in _BINARY:
            return None
        if not _compares_as(target, column, from_column.affinity is Affinity.TEXT):
            return None
        return JoinLookup(source_table, source_column, column, index)

    def _narrowed(self, alias: str, path: JoinLookup) -> AccessPath:
        narrowing = self.narrowings[alias]
        if narrowing.pks is not None:
            return KeyLookup(tuple((pk,) for pk in sorted(narrowing.pks, key=repr)))
        if path.index is not None and narrowing.clauses:
            return replace(path, narrowed_by=IndexCondition(narrowing.clauses))
        return path


def _compares_as(schema: TableSchema | None, column: str, with_text: bool) -> bool:
    """Whether SQLite compares the column with other values as they would be stored in it.

    A text column gives way to a number on the other side: to 1, both '1' and '01' are equal, of which a lookup by value
    finds one.
    """
    affinity = schema.by_name[column].affinity if schema is not None else Affinity.BLOB
    return affinity not in (Affinity.TEXT, Affinity.BLOB) or (affinity is Affinity.TEXT and with_text)


def _only_table(query: Query) -> str | None:
    tables = [table.table_name for alias, table in query.alias_map.items() if query.alias_refcount[alias]]
    return tables[0] if len(tables) == 1 else None


def _is_text(declared: str) -> bool:
    return any(name in declared.upper() for name in ("CHAR", "CLOB", "TEXT"))


def reach(schema: TableSchema | None, column: str) -> tuple[bool, IndexDefinition | None]:
    """Whether documents can be found by this column, and by which index (None: it is the primary key)."""
    if schema is None or column not in schema.by_name or schema.by_name[column].collation not in _BINARY:
        return False, None
    if schema.pk == (column,):
        return True, None
    index = next((index for index in schema.indexes if index.columns == (column,)), None)
    return index is not None, index
