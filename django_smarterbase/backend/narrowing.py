"""What a scan that stands in for an index need not load: documents that the index would not have named either.

A document's values have the codes that stand for them in the index sets, so this is the index's own rule, applied to
the document itself: whatever it lets pass, SQLite judges. Only the columns of the condition are read of the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from django_smarterbase.indexes.affinity import compared
from django_smarterbase.indexes.encoding import NotIndexable, code, stored_code
from django_smarterbase.storage.codec import DocumentCodec, attribute_of
from django_smarterbase.storage.values import exact_type
from django_smarterbase.tables import Affinity, Column, IndexCondition, IndexEntry, Value

_Codes = tuple[str, ...]
_PLAIN: Final[Mapping[Affinity, type[Value]]] = {Affinity.TEXT: str, Affinity.INTEGER: int}
_REMEMBERED: Final = 10_000  # verdicts on values that many documents share


class _Plain(NamedTuple):
    """A clause on one column: of the values of ``type_`` it wants those that Python calls equal to one of ``wanted``,
    which are those that SQLite calls so."""

    column: Column
    type_: type[Value]
    wanted: frozenset[Value]


class Narrowing:
    """Tells of a document's body whether it may meet ``condition``. Raises CorruptDocument for one it cannot read."""

    def __init__(self, codec: DocumentCodec, condition: IndexCondition) -> None:
        self._outline = codec.outline
        columns = {column for clause in condition.clauses for entry in clause for column in entry.index.columns}
        self._columns = [column for column in codec.schema.columns if column.name in columns]
        self._pick = codec.picker([column.name for column in self._columns])
        self._verdicts: dict[tuple[Value, ...], bool] = {}
        places = {column.name: place for place, column in enumerate(self._columns)}
        clauses = [_by_columns(codec, clause, places) for clause in condition.clauses]
        self._clauses = [clause for clause in clauses if clause is not None]
        plain = [_plainly(codec, clause) for clause in condition.clauses]
        self._plain = [(places[each.column.name], each.type_, each.wanted) for each in plain if each is not None]
        self._written = [
            (attribute_of(each.column.name), each.wanted)
            for each in plain
            if each is not None and exact_type(each.column) is str
        ]

    def admits(self, key: str, body: bytes) -> bool:
        """Whether the document may meet the condition."""
        raw = self._outline(key, body)
        if raw is None:
            return True
        for attribute, texts in self._written:  # most documents end here
            text = raw.get(attribute)
            if type(text) is str and text not in texts:
                return False
        values = self._pick(raw)
        if values is None:
            return True
        for place, type_, wanted in self._plain:
            if type(values[place]) is type_ and values[place] not in wanted:
                return False
        verdict = self._verdicts.get(values)
        if verdict is None:
            if len(self._verdicts) >= _REMEMBERED:
                self._verdicts.clear()
            verdict = self._verdicts[values] = self._judge(values)
        return verdict

    def _judge(self, values: tuple[Value, ...]) -> bool:
        try:
            codes = [stored_code(column, value) for column, value in zip(self._columns, values, strict=True)]
        except NotIndexable:
            return True
        return all(
            any(tuple(codes[place] for place in places) in wanted for places, wanted in clause.items())
            for clause in self._clauses
        )


def _by_columns(
    codec: DocumentCodec, clause: tuple[IndexEntry, ...], places: dict[str, int]
) -> dict[tuple[int, ...], set[_Codes]] | None:
    """``{places of an index's columns among the values: codes of the entries}``; None when a value has no code."""
    found: dict[tuple[int, ...], set[_Codes]] = {}
    for entry in clause:
        columns = [codec.schema.by_name[name] for name in entry.index.columns]
        try:
            codes = tuple(code(column, value) for column, value in zip(columns, entry.values, strict=True))
        except NotIndexable:
            return None
        found.setdefault(tuple(places[column.name] for column in columns), set()).add(codes)
    return found


def _plainly(codec: DocumentCodec, clause: tuple[IndexEntry, ...]) -> _Plain | None:
    """The clause, if it is about one column and Python can judge its values."""
    names = {entry.index.columns for entry in clause}
    if len(names) != 1 or len(clause[0].index.columns) != 1:
        return None
    column = codec.schema.by_name[clause[0].index.columns[0]]
    type_ = _PLAIN.get(column.affinity)
    if type_ is None or column.collation.upper() not in ("", "BINARY"):
        return None
    return _Plain(column, type_, frozenset(compared(column.affinity, entry.values[0]) for entry in clause))
