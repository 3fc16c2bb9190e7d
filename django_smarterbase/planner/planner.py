"""From the scopes of a statement to its plan. Pure: no storage, no Redis, no SQLite."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.sql.constants import INNER
from django.db.models.sql.datastructures import BaseTable, Join

from django_smarterbase.planner.ordering import inner_joins, walks_of
from django_smarterbase.planner.plan import (
    AccessPath,
    IndexLookup,
    JoinLookup,
    KeyLookup,
    OrderedLookup,
    QueryPlan,
    Scan,
    Step,
    SubqueryLookup,
)
from django_smarterbase.planner.predicates import ANYTHING, Narrowing, PredicateReader
from django_smarterbase.planner.reaching import BINARY, compares_as, has_plain_key, reach
from django_smarterbase.planner.scopes import Scope, Statement
from django_smarterbase.tables import (
    Affinity,
    IndexComplement,
    IndexCondition,
    IndexKeys,
    IndexSubquery,
    TableSchema,
    Value,
)

SchemaOf = Callable[[str], TableSchema | None]
_MANY_KEYS: Final = 100  # from here on it is cheaper to ask the index which of them meet the other conditions


_BY_SETS: Final = 1  # the rank of an alias that index sets narrow


def plan_statement(statement: Statement, schema_of: SchemaOf, connection: BaseDatabaseWrapper) -> QueryPlan:
    """One access path for each alias of the statement.

    Scopes are taken innermost first, so that a subquery's rows are there when the outer query needs its values. There
    are alternatives for one scope at most, the first that has any.
    """
    orders: list[list[Step]] = [[]]
    fields: list[str] = []
    alone = len(statement.scopes) == 1 and not statement.opaque and not statement.aggregates
    for scope in reversed(statement.scopes):
        planner = ScopePlanner(scope, schema_of, connection, alone=alone)
        found = planner.orders()
        orders = [[*order, *steps] for order in orders for steps in (found if len(orders) == 1 else found[:1])]
        fields.extend(planner.filter_fields)
    first, *others = dict.fromkeys(tuple(_without_covered(order)) for order in orders)
    tables = tuple(dict.fromkeys(step.table for step in first))
    return QueryPlan(first, tables, tuple(dict.fromkeys(fields)), tuple(others))


def _without_covered(steps: list[Step]) -> list[Step]:
    """A table that is scanned for one alias is scanned first, and no other alias of it needs a path of its own."""
    scanned = {step.table: step for step in reversed(steps) if isinstance(step.path, Scan)}
    for table, step in scanned.items():
        if sum(other.table == table for other in steps) > 1:
            scanned[table] = replace(step, path=Scan())
    return [*scanned.values(), *(step for step in steps if step.table not in scanned)]


class ScopePlanner:
    """Plans the aliases of one FROM clause; ``alone`` when the statement has no other one, and puts no rows together in
    a way that Django does not know of."""

    def __init__(
        self, scope: Scope, schema_of: SchemaOf, connection: BaseDatabaseWrapper, *, alone: bool = False
    ) -> None:
        self.scope = scope
        self.schema_of = schema_of
        self.connection = connection
        self.filter_fields: list[str] = []
        self.alone = alone
        self.whole: dict[str, Narrowing] = {}  # of each alias what is said of it, whatever its joins
        self.narrowings: dict[str, Narrowing] = {}
        self.placed: dict[str, Step] = {}
        self.choices: list[str] = []  # aliases that the index narrows, when any of them may be the first

    def steps(self, seed: str | None = None) -> list[Step]:
        """The steps of the scope in an order in which each finds what it depends on; ``seed`` is one of ``choices``."""
        self.placed = {}
        tables = {alias: table for alias, table in self.scope.aliases.items() if table.table_name is not None}
        if not self.narrowings:
            self.narrowings = {alias: self._narrowing(alias, table) for alias, table in tables.items()}
        if not self._place_ordered(tables):
            self._place_seeds(tables, seed)
        while len(self.placed) < len(tables):
            alias = self._next_joined(tables)
            if alias is None:
                alias = next(alias for alias in tables if alias not in self.placed)
                self._place(alias, tables[alias], self._own_path(alias) or self._scan(alias))
        extra = [Step(name, name, Scan()) for name in self.scope.extra_tables]
        return [*self.placed.values(), *extra]

    def orders(self) -> list[list[Step]]:
        """Every order that may be the best, of those that scan the fewest tables: they differ in which alias is the
        first, and only the sizes of the index sets tell which of them leaves the least. A joined one is the first
        choice, as its base's sets narrow what it leads to."""
        found = [self.steps()]
        found += [self.steps(seed) for seed in self.choices[:-1]]
        scans = [sum(isinstance(step.path, Scan) for step in steps) for steps in found]
        return [steps for steps, number in zip(found, scans, strict=True) if number == min(scans)]

    def _narrowing(self, alias: str, table: BaseTable | Join) -> Narrowing:
        schema = self.schema_of(table.table_name)
        if schema is None:
            return ANYTHING
        found = PredicateReader(alias, schema, self.scope.compiler, self.connection).read(self.scope.where)
        self.whole[alias] = found
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

    def _place_ordered(self, tables: dict[str, BaseTable | Join]) -> bool:
        """Begin with the base, by the order that the statement asks for, if an index has it."""
        base = next(iter(tables), None)
        schemas = {alias: self.schema_of(table.table_name) for alias, table in tables.items()}
        schema = schemas[base] if base is not None else None
        if not self.alone or base is None or schema is None or isinstance(tables[base], Join):
            return False
        joins = inner_joins(self.scope, base, schemas)
        walks = () if joins is None else walks_of(self.scope, base, schema, self.whole[base])
        if joins is None or not walks or (joins and any(walk.alike is not None for walk in walks)):
            return False
        if any(walk.condition.has_subquery for walk in walks):
            return False
        own = self._own_path(base)
        otherwise = own if isinstance(own, IndexLookup) else Scan()
        paged = len(walks) == 1 and not walks[0].ties and self.scope.query.is_sliced
        path = OrderedLookup(walks, otherwise, joins, skips=paged and not joins)
        self._place(base, tables[base], path)
        return True

    def _place_seeds(self, tables: dict[str, BaseTable | Join], seed: str | None) -> None:
        """Begin with the aliases of the best rank: all that keys name, or else one."""
        own = {alias: path for alias in tables if (path := self._own_path(alias)) is not None}
        if not own:
            return
        best = min(map(_rank, own.values()))
        seeds = [alias for alias, path in own.items() if _rank(path) == best]
        self.choices = seeds if best == _BY_SETS else []
        if best > 0:
            seeds = [seed or seeds[-1]]
        for alias in seeds:
            self._place(alias, tables[alias], own[alias])

    def _own_path(self, alias: str) -> AccessPath | None:
        narrowing = self.narrowings[alias]
        if narrowing.pks is not None:
            return self._by_keys(alias, narrowing.pks, narrowing)
        if not narrowing.clauses:
            return None
        first = narrowing.clauses[0][0] if narrowing.clauses[0] else None
        if isinstance(first, IndexSubquery) and not first.negated and narrowing.clauses == ((first,),):
            return SubqueryLookup(first)
        return IndexLookup(IndexCondition(narrowing.clauses), narrowing.exact)

    def _scan(self, alias: str) -> Scan:
        residue = self.narrowings[alias].residue
        return Scan(IndexCondition(residue)) if residue else Scan()

    def _by_keys(self, alias: str, pks: tuple[Value, ...], narrowing: Narrowing) -> AccessPath:
        """Where there are many keys, the index is asked which of them meet the other conditions."""
        schema = self.schema_of(self.scope.aliases[alias].table_name)
        if len(pks) <= _MANY_KEYS or not narrowing.clauses or schema is None:
            return _key_lookup(pks)
        condition = IndexCondition(((IndexKeys(pks),), *narrowing.clauses))
        return IndexLookup(condition, narrowing.exact and has_plain_key(schema))

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
        if not reachable or from_column.collation not in BINARY:
            return None
        if not compares_as(target, column, from_column.affinity is Affinity.TEXT):
            return None
        return JoinLookup(source_table, source_column, column, index)

    def _narrowed(self, alias: str, path: JoinLookup) -> AccessPath:
        narrowing = self.narrowings[alias]
        if narrowing.pks is not None:
            return _key_lookup(narrowing.pks)
        if path.index is not None and narrowing.clauses:
            return replace(path, narrowed_by=IndexCondition(narrowing.clauses))
        return path


def _key_lookup(pks: tuple[Value, ...]) -> KeyLookup:
    return KeyLookup(tuple((pk,) for pk in pks))


def _rank(path: AccessPath) -> int:
    """How much a path is likely to leave, the least first. A complement leaves most of a table."""
    if isinstance(path, KeyLookup):
        return 0
    if isinstance(path, SubqueryLookup):
        return 2
    clauses = path.condition.clauses if isinstance(path, IndexLookup) else ()
    return 3 if all(any(isinstance(term, IndexComplement) for term in clause) for clause in clauses) else _BY_SETS
