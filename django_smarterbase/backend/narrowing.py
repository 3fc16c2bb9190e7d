"""What a scan that stands in for an index need not load: documents that the index would not have named either.

A document's values have the codes that stand for them in the index sets, so this is the index's own rule, applied to
the document itself: whatever it lets pass, SQLite judges. Only the columns of the condition are read of the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from django.utils.functional import cached_property

from django_smarterbase.indexes.encoding import NotIndexable, code, stored_code
from django_smarterbase.indexes.entries import is_odd
from django_smarterbase.indexes.ordering import bounds_of, stored_order
from django_smarterbase.storage.affinity import compared
from django_smarterbase.storage.codec import FIRST_VERSION, VERSION, DocumentCodec, outline
from django_smarterbase.storage.readers import UNREADABLE
from django_smarterbase.storage.values import Decoder
from django_smarterbase.tables import (
    Affinity,
    IndexComplement,
    IndexCondition,
    IndexEntry,
    IndexKeys,
    IndexRange,
    IndexTerm,
    Kind,
    Row,
    TableSchema,
    Value,
)

_Test = Callable[[Row], bool]  # raises NotIndexable for a value that has no code
_REMEMBERED: Final = 10_000  # verdicts on values that many documents share
_PLAIN: Final[Mapping[Affinity, type[Value]]] = {Affinity.TEXT: str, Affinity.INTEGER: int}


#: A clause on one column: its reading, a type, and those values of that type which it wants, as Python calls them equal
#: exactly when SQLite does. No class, since a loop unpacks plain tuples four times as fast: scans live there.
_Plain = tuple[Any, type[Any] | None, Decoder, type[Value], frozenset[Value]]


class Narrowing:
    """Tells of a document's body whether it may meet ``condition``. Raises CorruptDocument for one it cannot read."""

    def __init__(self, codec: DocumentCodec, condition: IndexCondition) -> None:
        self._codec = codec
        self._condition = condition
        self._version = codec.version
        self._plain = [each for clause in condition.clauses if (each := _plainly(codec, clause)) is not None]
        self._is_plain = len(self._plain) == len(condition.clauses)

    def admits(self, key: str, body: bytes) -> bool:
        """Whether the document may meet the condition."""
        raw = outline(key, body)
        if raw.get(VERSION, FIRST_VERSION) != self._version:
            return True
        is_judged = self._is_plain
        for attribute, exact, decode, type_, wanted in self._plain:  # by which most documents are left out
            value = raw.get(attribute)
            if type(value) is not exact:
                try:
                    value = None if value is None else decode(value)
                except UNREADABLE:
                    return True
            if type(value) is not type_:
                is_judged = False
            elif value not in wanted:
                return False
        return is_judged or self._judge.admits(raw)

    @cached_property
    def _judge(self) -> _Judge:
        return _Judge(self._codec, self._condition)


class _Judge:
    """Tells of a document's outline whether it may meet ``condition``, by the codes of its values."""

    def __init__(self, codec: DocumentCodec, condition: IndexCondition) -> None:
        schema = codec.schema
        self._names = _columns_of(schema, condition)
        self._pick = codec.picker(self._names)
        self._booleans = [column for name in self._names if (column := schema.by_name[name]).kind is Kind.BOOL]
        self._verdicts: dict[tuple[Value, ...], bool] = {}
        tests = [_test_of_clause(schema, clause) for clause in condition.clauses]
        self._tests = [test for test in tests if test is not None]

    def admits(self, raw: Mapping[str, Any]) -> bool:
        """Whether the document may meet the condition."""
        values = self._pick(raw)
        if values is None:
            return True
        verdict = self._verdicts.get(values)
        if verdict is None:
            if len(self._verdicts) >= _REMEMBERED:
                self._verdicts.clear()
            verdict = self._verdicts[values] = self._judged(dict(zip(self._names, values, strict=True)))
        return verdict

    def _judged(self, row: Row) -> bool:
        try:
            if any(is_odd(column, row[column.name]) for column in self._booleans):
                return True  # SQLite may be asked what it takes the value for
            return all(test(row) for test in self._tests)
        except NotIndexable:
            return True


def _plainly(codec: DocumentCodec, clause: tuple[IndexTerm, ...]) -> _Plain | None:
    """The clause, if it is about one column and Python can judge its values."""
    entries = [term for term in clause if isinstance(term, IndexEntry)]
    names = {entry.index.columns for entry in entries}
    if not entries or len(entries) < len(clause) or len(names) != 1 or len(entries[0].values) != 1:
        return None
    column = codec.schema.by_name[entries[0].index.columns[0]]
    type_ = _PLAIN.get(column.affinity)
    judged_elsewhere = column.kind in (Kind.BOOL, Kind.JSON)
    if type_ is None or judged_elsewhere or column.collation.upper() not in ("", "BINARY"):
        return None
    wanted = frozenset(compared(column.affinity, entry.values[0]) for entry in entries)
    return (*codec.reading(column.name), type_, wanted)


def _columns_of(schema: TableSchema, condition: IndexCondition) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for term in condition.leaves:
        if isinstance(term, IndexRange):
            found |= dict.fromkeys((*term.index.columns, *schema.ordering_key)[: len(term.prefix) + 1])
        else:
            found |= dict.fromkeys(term.index.columns if isinstance(term, IndexEntry) else schema.pk)
    return tuple(found)


def _test_of_clause(schema: TableSchema, clause: tuple[IndexTerm, ...]) -> _Test | None:
    """The test of a clause; None when one of its values has no code, of which nothing can be said then."""
    try:
        return _any(schema, clause)
    except NotIndexable:
        return None


def _any(schema: TableSchema, terms: tuple[IndexTerm, ...]) -> _Test:
    """Whether a document is a member of one of the terms. The entries of an index are looked up together."""
    wanted: dict[tuple[str, ...], set[tuple[str, ...]]] = {}
    tests: list[_Test] = []
    for term in terms:
        if isinstance(term, IndexEntry):
            wanted.setdefault(term.index.columns, set()).add(_codes(schema, term.index.columns, term.values))
        elif isinstance(term, IndexKeys):
            wanted.setdefault(schema.pk, set()).update(_codes(schema, schema.pk, (pk,)) for pk in term.pks)
        elif isinstance(term, IndexRange):
            tests.append(_between(schema, term))
        elif isinstance(term, IndexComplement):
            tests.append(_not(_any(schema, term.terms)))
        elif isinstance(term, IndexCondition):
            tests.append(_all([_any(schema, clause) for clause in term.clauses]))
    tests += [_one_of(schema, columns, codes) for columns, codes in wanted.items()]
    return lambda row: any(test(row) for test in tests)


def _one_of(schema: TableSchema, names: tuple[str, ...], wanted: set[tuple[str, ...]]) -> _Test:
    columns = [schema.by_name[name] for name in names]
    return lambda row: tuple(stored_code(column, row[column.name]) for column in columns) in wanted


def _between(schema: TableSchema, term: IndexRange) -> _Test:
    columns, first, last = bounds_of(schema, term)
    return lambda row: first <= "".join([stored_order(column, row[column.name]) for column in columns]) < last


def _not(test: _Test) -> _Test:
    return lambda row: not test(row)


def _all(tests: list[_Test]) -> _Test:
    return lambda row: all(test(row) for test in tests)


def _codes(schema: TableSchema, columns: tuple[str, ...], values: tuple[Value, ...]) -> tuple[str, ...]:
    return tuple(code(schema.by_name[name], value) for name, value in zip(columns, values, strict=True))
