"""The plan of a statement, as frozen data: what is executed is what ``explain()`` prints."""

from __future__ import annotations

from dataclasses import dataclass

from django_smarterbase.tables import IndexCondition, IndexDefinition, IndexSubquery, Value, Walk


@dataclass(frozen=True, slots=True)
class KeyLookup:
    """Read the documents of these primary keys, each a tuple of the pk columns' values."""

    pks: tuple[tuple[Value, ...], ...]


@dataclass(frozen=True, slots=True)
class IndexLookup:
    """Read the documents that the index sets name.

    ``exact`` says that the condition is the whole WHERE clause of the table, so that the sets alone can answer.
    """

    condition: IndexCondition
    exact: bool = False


@dataclass(frozen=True, slots=True)
class JoinLookup:
    """Read the documents whose ``column`` holds a value that ``source_column`` of the rows already loaded holds.

    ``index`` is the index on ``column``, or None when ``column`` is the primary key. ``clauses`` narrow it further.
    """

    source_table: str
    source_column: str
    column: str
    index: IndexDefinition | None
    narrowed_by: IndexCondition | None = None


@dataclass(frozen=True, slots=True)
class SubqueryLookup:
    """Read the documents whose column holds a value that a subquery selects, when nothing else narrows them.

    It runs in the workspace once the rows of its own tables are there, as those do that an index condition holds.
    """

    subquery: IndexSubquery


@dataclass(frozen=True, slots=True)
class Scan:
    """Read every document of the table.

    ``narrowed_by``, if there is one, must hold of those that the statement can use, by columns that have no index: the
    others need not be loaded.
    """

    narrowed_by: IndexCondition | None = None


@dataclass(frozen=True, slots=True)
class InnerJoin:
    """A join that drops rows of ``table``: those whose ``column`` is no ``target_column`` of a row of ``target``."""

    table: str
    column: str
    target: str
    target_column: str


@dataclass(frozen=True, slots=True)
class OrderedLookup:
    """Read the documents that pages of ordered indexes name, all of ``walks`` together.

    ``joins`` may drop rows of a page, for which those after it are read. ``otherwise`` is the path to take where a page
    cannot be told, or not in time. ``skips`` says that documents before the page need not be read.
    """

    walks: tuple[Walk, ...]
    otherwise: IndexLookup | Scan
    joins: tuple[InnerJoin, ...] = ()
    skips: bool = False

    @property
    def index_names(self) -> list[str]:
        """The indexes that are asked, each once."""
        named = (index.name for walk in self.walks for index in walk.condition.indexes)
        return list(dict.fromkeys((*(walk.index.name for walk in self.walks), *named)))


AccessPath = KeyLookup | IndexLookup | JoinLookup | SubqueryLookup | OrderedLookup | Scan


@dataclass(frozen=True, slots=True)
class Step:
    """One alias of the statement and how its candidate documents are found."""

    table: str
    alias: str
    path: AccessPath


@dataclass(frozen=True, slots=True)
class QueryPlan:
    """The access paths of a statement in the order in which they are executed; a later one may need an earlier one.

    ``tables`` are all the tables that the statement reads. ``filter_fields`` are the model fields that its conditions
    name. ``alternatives`` are other steps that find the same rows: where several aliases of a join are narrowed, the
    sizes of their index sets decide with which of them it begins.
    """

    steps: tuple[Step, ...] = ()
    tables: tuple[str, ...] = ()
    filter_fields: tuple[str, ...] = ()
    alternatives: tuple[tuple[Step, ...], ...] = ()

    def scanned_tables(self) -> tuple[str, ...]:
        """The tables of which every document is read, each once."""
        return tuple(dict.fromkeys(step.table for step in self.steps if isinstance(step.path, Scan)))
