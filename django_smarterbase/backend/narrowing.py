"""What a scan that stands in for an index need not load: documents that the index would not have named either.

A document's values have the codes that stand for them in the index sets, so this is the index's own rule, applied to
the document itself: whatever it lets pass, SQLite judges. Only the columns of the condition are read of the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from django_smarterbase.indexes.encoding import NotIndexable, code, stored_code
from django_smarterbase.indexes.ordering import bounds_of, stored_order
from django_smarterbase.storage.codec import DocumentCodec
from django_smarterbase.tables import Column, IndexCondition, IndexRange, IndexTerm, Row, TableSchema, Value

_REMEMBERED: Final = 10_000  # verdicts on values that many documents share
_Values = tuple[Value, ...]


class Narrowing:
    """Tells of a document's body whether it may meet ``condition``. Raises CorruptDocument for one it cannot read."""

    def __init__(self, codec: DocumentCodec, condition: IndexCondition) -> None:
        self._codec = codec
        self._verdicts: dict[_Values, bool] = {}
        clauses = [_clause(codec.schema, clause) for clause in condition.clauses]
        self._clauses = [clause for clause in clauses if clause is not None]
        self._names = tuple(dict.fromkeys(name for clause in self._clauses for name in clause.names))

    def admits(self, key: str, body: bytes) -> bool:
        """Whether the document may meet the condition."""
        values = self._codec.peek(key, body, self._names)
        if values is None:
            return True
        verdict = self._verdicts.get(values)
        if verdict is None:
            if len(self._verdicts) >= _REMEMBERED:
                self._verdicts.clear()
            verdict = self._verdicts[values] = self._judge(dict(zip(self._names, values, strict=True)))
        return verdict

    def _judge(self, row: Row) -> bool:
        try:
            return all(clause.admits(row) for clause in self._clauses)
        except NotIndexable:
            return True


@dataclass(frozen=True, slots=True)
class _Clause:
    """One clause: ``entries`` are ``{columns of an index: codes of the entries}``, ``ranges`` columns and codes between
    which theirs must stand."""

    entries: Mapping[tuple[Column, ...], set[tuple[str, ...]]]
    ranges: tuple[tuple[tuple[Column, ...], str, str], ...]

    @property
    def names(self) -> Iterator[str]:
        """The columns that it is about."""
        for columns in (*self.entries, *(columns for columns, _first, _last in self.ranges)):
            yield from (column.name for column in columns)

    def admits(self, row: Row) -> bool:
        """Whether one of its terms names the row. Raises NotIndexable for a value that has no code."""
        return any(
            tuple(stored_code(column, row[column.name]) for column in columns) in wanted
            for columns, wanted in self.entries.items()
        ) or any(
            first <= "".join([stored_order(column, row[column.name]) for column in columns]) < last
            for columns, first, last in self.ranges
        )


def _clause(schema: TableSchema, clause: tuple[IndexTerm, ...]) -> _Clause | None:
    """What a clause comes to; None when one of its values has no code."""
    entries: dict[tuple[Column, ...], set[tuple[str, ...]]] = {}
    ranges = []
    try:
        for term in clause:
            if isinstance(term, IndexRange):
                ranges.append(bounds_of(schema, term))
                continue
            columns = tuple(schema.by_name[name] for name in term.index.columns)
            codes = tuple(code(column, value) for column, value in zip(columns, term.values, strict=True))
            entries.setdefault(columns, set()).add(codes)
    except NotIndexable:
        return None
    return _Clause(entries, tuple(ranges))
