"""What a scan that stands in for an index need not load: documents that the index would not have named either.

A document's values have the codes that stand for them in the index sets, so this is the index's own rule, applied to
the document itself: whatever it lets pass, SQLite judges. Only the columns of the condition are read of the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from django_smarterbase.indexes.encoding import NotIndexable, code, stored_code
from django_smarterbase.storage.codec import DocumentCodec
from django_smarterbase.tables import (
    IndexComplement,
    IndexCondition,
    IndexEntry,
    IndexKeys,
    IndexTerm,
    TableSchema,
    Value,
)

_Codes = Mapping[str, str]  # of a document's columns
_Test = Callable[[_Codes], bool]
_REMEMBERED: Final = 10_000  # verdicts on values that many documents share


class Narrowing:
    """Tells of a document's body whether it may meet ``condition``. Raises CorruptDocument for one it cannot read."""

    def __init__(self, codec: DocumentCodec, condition: IndexCondition) -> None:
        self._codec = codec
        columns = _columns_of(codec.schema, condition)
        self._columns = [column for column in codec.schema.columns if column.name in columns]
        self._names = tuple(column.name for column in self._columns)
        self._verdicts: dict[tuple[Value, ...], bool] = {}
        tests = [_askable(codec.schema, clause) for clause in condition.clauses]
        self._tests = [test for test in tests if test is not None]

    def admits(self, key: str, body: bytes) -> bool:
        """Whether the document may meet the condition."""
        values = self._codec.peek(key, body, self._names)
        if values is None:
            return True
        verdict = self._verdicts.get(values)
        if verdict is None:
            if len(self._verdicts) >= _REMEMBERED:
                self._verdicts.clear()
            verdict = self._verdicts[values] = self._judge(values)
        return verdict

    def _judge(self, values: tuple[Value, ...]) -> bool:
        try:
            codes = {
                column.name: stored_code(column, value) for column, value in zip(self._columns, values, strict=True)
            }
        except NotIndexable:
            return True
        return all(test(codes) for test in self._tests)


def _columns_of(schema: TableSchema, condition: IndexCondition) -> set[str]:
    found: set[str] = set()
    for term in condition.leaves:
        found.update(term.index.columns if isinstance(term, IndexEntry) else schema.pk)
    return found


def _askable(schema: TableSchema, clause: tuple[IndexTerm, ...]) -> _Test | None:
    """The test of a clause; None when one of its values has no code, of which nothing can be said then."""
    try:
        return _any(schema, clause)
    except NotIndexable:
        return None


def _any(schema: TableSchema, terms: tuple[IndexTerm, ...]) -> _Test:
    """Whether a document is a member of one of the terms. The entries of an index are looked up together."""
    wanted: dict[tuple[str, ...], set[tuple[str, ...]]] = {}
    others: list[_Test] = []
    for term in terms:
        if isinstance(term, IndexEntry):
            wanted.setdefault(term.index.columns, set()).add(_codes(schema, term.index.columns, term.values))
        elif isinstance(term, IndexKeys):
            wanted.setdefault(schema.pk, set()).update(_codes(schema, schema.pk, (pk,)) for pk in term.pks)
        elif isinstance(term, IndexComplement):
            others.append(_not(_any(schema, term.terms)))
        elif isinstance(term, IndexCondition):
            others.append(_all([_any(schema, clause) for clause in term.clauses]))

    def test(codes: _Codes) -> bool:
        found = any(tuple(codes[name] for name in columns) in each for columns, each in wanted.items())
        return found or any(other(codes) for other in others)

    return test


def _not(test: _Test) -> _Test:
    return lambda codes: not test(codes)


def _all(tests: list[_Test]) -> _Test:
    return lambda codes: all(test(codes) for test in tests)


def _codes(schema: TableSchema, columns: tuple[str, ...], values: tuple[Value, ...]) -> tuple[str, ...]:
    return tuple(code(schema.by_name[name], value) for name, value in zip(columns, values, strict=True))
