"""What the package knows of a table: pure data, made from a model by the backend and read by everybody.

A *row* is ``{column: value}`` with the values that SQLite holds: None, int, float, str or bytes. A *stem* is the
primary key of a row as it stands in its object key, encoded by ``storage.keys``.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from django.utils.functional import cached_property

Value = None | int | float | str | bytes
Row = Mapping[str, Value]

#: The collations that are compared without SQLite's help. The empty name is SQLite's default, BINARY.
COLLATIONS: Final = frozenset(("", "BINARY", "NOCASE", "RTRIM"))
_ROW_NUMBERS: Final = ("rowid", "_rowid_", "oid")
#: How many bytes of a text or of bytes an ordered index tells apart.
TOLD_APART: Final = 64


class Kind(enum.StrEnum):
    """How a column's value is written in a document. What does not fit its kind is written tagged."""

    PLAIN = "plain"  # numbers and text as JSON has them
    BOOL = "bool"
    DATE = "date"
    TIME = "time"
    DATETIME = "datetime"
    DURATION = "duration"  # ISO 8601 duration; SQLite holds microseconds
    DECIMAL = "decimal"  # a string
    UUID = "uuid"  # with hyphens; SQLite holds 32 hexadecimal digits
    BINARY = "binary"  # base64
    JSON = "json"  # nested as it is


class Affinity(enum.StrEnum):
    """SQLite's column affinities (https://www.sqlite.org/datatype3.html, section 3.1)."""

    INTEGER = "integer"
    TEXT = "text"
    BLOB = "blob"
    REAL = "real"
    NUMERIC = "numeric"


@dataclass(frozen=True, slots=True)
class Column:
    """A column. ``default`` stands in for an attribute that a document lacks, unless ``required``.

    ``lineage`` tells it from other columns that migrations have called the same (``storage.lineage``), "" if none has.
    """

    name: str
    kind: Kind = Kind.PLAIN
    affinity: Affinity = Affinity.BLOB
    collation: str = ""
    generated: bool = False
    nullable: bool = True
    required: bool = False
    default: Value = None
    utc: bool = False  # a datetime that is aware: SQLite holds UTC, the document says Z
    decimal_places: int | None = None
    lineage: str = ""

    @property
    def indexable(self) -> bool:
        """Whether an index can hold it: not what only SQLite computes, or only SQLite compares."""
        return not self.generated and self.collation.upper() in COLLATIONS


@dataclass(frozen=True, slots=True)
class IndexDefinition:
    """A secondary index: documents are found by the values of ``columns``, all of them together."""

    name: str
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class UniqueRule:
    """Values that no two documents share: of ``columns``, or of SQL ``expressions`` where there are any.

    ``condition`` is SQL over the table's columns; a row that does not meet it, or has a NULL among the values, is free.
    """

    name: str
    columns: tuple[str, ...]
    condition: str | None = None
    expressions: tuple[str, ...] = ()


def free_row_number(columns: Iterable[str]) -> str | None:
    """The name by which SQL finds the number that SQLite gives each row, if no column takes it: section 5 of
    https://www.sqlite.org/lang_createtable.html."""
    taken = {column.lower() for column in columns}
    return next((name for name in _ROW_NUMBERS if name not in taken), None)


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """What stands in ``column`` also stands in ``target_column`` of a row of the table ``target``."""

    column: str
    target: str
    target_column: str


@dataclass(frozen=True)
class TableSchema:
    """A table as the model in the query has it.

    ``pk`` names the primary key's columns in their order; a table without one (raw DDL) has ``("rowid",)``.
    ``auto`` is the pk column whose values come from the sequence object, or None. ``numbers_rows`` says that the
    primary key is SQLite's own number of the row, which is an integer always; ``without_rowid`` (raw DDL) that there is
    no such number. ``checks`` tells tables with other CHECK constraints apart.
    """

    table: str
    label: str
    columns: tuple[Column, ...]
    pk: tuple[str, ...]
    auto: str | None = None
    numbers_rows: bool = False
    without_rowid: bool = False
    indexes: tuple[IndexDefinition, ...] = ()
    unique: tuple[UniqueRule, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()  # but those with db_constraint=False
    checks: tuple[str, ...] = ()
    field_names: Mapping[str, str] = field(default_factory=dict, compare=False)  # column -> model field

    def __hash__(self) -> int:
        # Schemas key caches that every statement asks; hashing all their columns each time costs more than the answer.
        return hash((self.table, self.label))

    @cached_property
    def by_name(self) -> dict[str, Column]:
        """``{column name: Column}``."""
        return {column.name: column for column in self.columns}

    @cached_property
    def row_number(self) -> str:
        """The name of SQLite's own number of a row, as far as columns leave it one; else that of a column of the
        primary key, which is not NULL in any row either."""
        return (None if self.without_rowid else free_row_number(self.by_name)) or self.pk[0]

    @cached_property
    def ordering_key(self) -> tuple[str, ...]:
        """The primary key's columns, by which every ordered index sorts at last; none if no index can hold them."""
        held = {column.name for column in self.columns if column.indexable}
        return self.pk if held.issuperset(self.pk) else ()

    @cached_property
    def pk_index(self) -> IndexDefinition:
        """The name under which the primary key can be asked for ranges and order."""
        return IndexDefinition(f"{self.table}-pk", self.pk)

    @cached_property
    def pk_positions(self) -> tuple[int, ...]:
        """Where the primary key's columns stand in a row."""
        names = list(self.by_name)
        return tuple(names.index(column) for column in self.pk if column in self.by_name)


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """One set of an index: the documents whose ``index.columns`` equal ``values`` (None is SQL's NULL)."""

    index: IndexDefinition
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class IndexRange:
    """A part of an ordered index: the documents whose first columns equal ``prefix`` (None is SQL's NULL), and whose
    next column stands between ``lower`` and ``upper`` in SQLite's order.

    None for a bound means that there is none; NULLs are in no range. The index may be the table's ``pk_index``; after
    the columns of any other one comes the primary key.
    """

    index: IndexDefinition
    prefix: tuple[Value, ...] = ()
    lower: Value = None
    upper: Value = None
    lower_inclusive: bool = True
    upper_inclusive: bool = True


@dataclass(frozen=True, slots=True)
class IndexKeys:
    """The documents of these primary keys, as far as there are any. Of tables whose key is one column only."""

    pks: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class IndexSubquery:
    """The documents whose ``column`` equals one of the values that ``sql``, an uncorrelated subquery, selects; if
    ``negated`` those whose column is known to equal none of them.

    A plan has it; before the index is asked, the values have taken its place. ``index`` is the index on ``column``, or
    None when that is the primary key. ``source_table`` is the subquery's table when it has only one.
    """

    sql: str
    params: tuple[Any, ...]
    column: str
    index: IndexDefinition | None
    source_table: str | None = None
    negated: bool = False


@dataclass(frozen=True, slots=True)
class IndexComplement:
    """Every document of the table but those that ``terms`` name. Documents in doubt are never left out."""

    terms: tuple[IndexTerm, ...]


@dataclass(frozen=True, slots=True)
class IndexCondition:
    """What an index is asked: the intersection of ``clauses``, each the union of its terms.

    No clauses at all means every document of the table (the ``all`` set). A term may be a condition itself.
    """

    clauses: tuple[tuple[IndexTerm, ...], ...] = ()

    @property
    def leaves(self) -> Iterator[IndexEntry | IndexRange | IndexKeys | IndexSubquery]:
        """The terms in it that have no terms of their own, at whatever depth, in their order."""
        for clause in self.clauses:
            for term in clause:
                if isinstance(term, IndexComplement):
                    yield from IndexCondition((term.terms,)).leaves
                elif isinstance(term, IndexCondition):
                    yield from term.leaves
                else:
                    yield term

    @property
    def indexes(self) -> tuple[IndexDefinition, ...]:
        """The indexes that it asks, each once, in their order."""
        indexes = [None if isinstance(term, IndexKeys) else term.index for term in self.leaves]
        found = [index for index in indexes if index is not None]
        return tuple(found) if len(found) < 2 else tuple(dict.fromkeys(found))

    @property
    def has_subquery(self) -> bool:
        """Whether it must be resolved before an index can be asked."""
        return any(isinstance(term, IndexSubquery) for term in self.leaves)


#: What a set, or a part of an ordered index, answers by itself.
IndexLeaf = IndexEntry | IndexRange
IndexTerm = IndexLeaf | IndexKeys | IndexSubquery | IndexComplement | IndexCondition


@dataclass(frozen=True, slots=True)
class Walk:
    """A page of an ordered index: of the documents whose first columns equal ``prefix`` and that meet ``condition``,
    those from ``start`` up to ``stop`` in the order of the next columns, then of the primary key.

    ``within`` bounds the first of these columns, and leaves NULLs out; ``backwards`` turns the order round;
    ``nulls_moved`` puts NULLs at the other end than SQLite does. Documents that are equal in the first ``ties`` of
    these columns are not torn apart at the page's end, since something else orders them; 0 when nothing does.

    With ``alike`` it is no page but the first document of each group, with ``both_ends`` the last one too: of those
    whose next column is equal (0), or a text that begins with the same so many letters.
    """

    index: IndexDefinition
    prefix: tuple[Value, ...] = ()
    within: IndexRange | None = None
    condition: IndexCondition = IndexCondition()
    backwards: bool = False
    nulls_moved: bool = False
    start: int = 0
    stop: int = 1
    ties: int = 0
    alike: int | None = None
    both_ends: bool = False
