"""Foreign keys, with the option ``check_foreign_keys``: verified when a statement or transaction is written.

As SQLite does with deferred constraints, what counts is how things stand at the end: a row that the same transaction
makes may be referred to, and one that it deletes may not. References that a write leaves as they were are not verified
again. Nobody else is kept from deleting a row in the moment between its being looked at and the write.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.db.utils import IntegrityError

from django_smarterbase.backend.document_writes import DocumentWrite
from django_smarterbase.backend.loader import Loader
from django_smarterbase.backend.snapshot import Known, Snapshot
from django_smarterbase.indexes.encoding import NotIndexable, stored_code
from django_smarterbase.storage.affinity import stored as value_as_stored
from django_smarterbase.storage.keys import stem as stem_of
from django_smarterbase.tables import Column, ForeignKey, IndexCondition, IndexEntry, Row, TableSchema, Value

if TYPE_CHECKING:
    from django_smarterbase.backend.session import Session

_VALUES_A_READ: Final = 1000


def verify_references(session: Session, writes: Sequence[DocumentWrite]) -> None:
    """Verify the foreign keys that ``writes`` touch, if that is wanted. Raises IntegrityError."""
    wrapper = session.wrapper
    if not session.resources.options.check_foreign_keys or wrapper.constraints_disabled:
        return
    documents = [write for write in writes if write.schema is not None]
    if documents:
        with wrapper.catalog.seen_from(session.written_by):
            _Verification(session, documents).run()


@dataclass(frozen=True, slots=True)
class _Reference:
    """A foreign key of a row that is written, to a row of ``target``."""

    write: DocumentWrite
    key: ForeignKey
    target: TableSchema
    value: Value

    def broken(self) -> IntegrityError:
        """The error when there is no such row."""
        referrer = f"{_field(_schema_of(self.write), self.key.column)} of {self.write.stem!r}"
        label, name = self.target.label, _name(self.target, self.key.target_column)
        return IntegrityError(
            f"FOREIGN KEY constraint failed: {referrer} is {self.value!r}, but no {label} has that value in {name}. "
            f"Save the {label} before or in the same transaction, or correct the value."
        )


class _Writes:
    """What the rows of a unit have and had in the columns that are referred to."""

    def __init__(self, writes: Sequence[DocumentWrite]) -> None:
        self._by_table: dict[str, list[DocumentWrite]] = defaultdict(list)
        for write in writes:
            self._by_table[write.table].append(write)
        self._has: dict[tuple[str, str], dict[str, Value]] = {}
        self._loses: dict[tuple[str, str], dict[str, Value]] = {}

    def tables(self) -> set[str]:
        """The tables that are written."""
        return set(self._by_table)

    def keys(self, table: str) -> set[str]:
        """The keys of the documents of a table that are written or deleted."""
        return {write.key for write in self._by_table.get(table, ())}

    def has(self, table: str, column: Column) -> dict[str, Value]:
        """``{code: value}`` of a column in the rows as they are going to be."""
        place = (table, column.name)
        if place not in self._has:
            self._has[place] = dict(_coded(column, (write.row for write in self._by_table.get(table, ()))))
        return self._has[place]

    def loses(self, table: str, column: Column) -> dict[str, Value]:
        """``{code: value}`` of a column in the rows as they were, where none of them is going to have the value."""
        place = (table, column.name)
        if place not in self._loses:
            had = _coded(column, (write.undo_row for write in self._by_table.get(table, ())))
            has = self.has(table, column)
            self._loses[place] = {code: value for code, value in had if code not in has}
        return self._loses[place]


class _Verification:
    """The verification of one unit. Reads what is stored now, whatever the transaction has read before."""

    def __init__(self, session: Session, writes: Sequence[DocumentWrite]) -> None:
        self._catalog = session.wrapper.catalog
        self._resources = session.resources
        self._writes = writes
        self._unit = _Writes(writes)
        has = session.wrapper.catalog.has_schema_object
        self._gone = {table for table in session.migrating if not has(table)}  # a migration has dropped or renamed them
        self._loader = Loader(
            session.resources,
            session.workspace,
            Snapshot(),
            session.wrapper.table_schema,
            repeatable=False,
            account=session.account,
        )

    def run(self) -> None:
        """Raise IntegrityError for a reference that leads nowhere, and for one to a row that goes.

        One round of reads for all rows that are referred to by primary key. For each other column that is referred to,
        and for each table with a foreign key to rows that go: one look at its index, and a read for each row that it
        names; a scan where the index is not trusted or there is none.
        """
        by_key: dict[str, _Reference] = {}
        by_column: dict[tuple[TableSchema, str], dict[str, _Reference]] = defaultdict(dict)
        for reference in self._made():
            target, column = reference.target, reference.target.by_name[reference.key.target_column]
            if target.pk == (column.name,) and column.collation.upper() in ("", "BINARY"):
                by_key[self._key(target, column, reference.value)] = reference
            else:
                by_column[target, column.name][_code(column, reference.value)] = reference
        self._demand_keys(by_key)
        for (target, name), references in by_column.items():
            self._demand_values(target, target.by_name[name], references)
        for table in self._unit.tables() - self._gone:
            self._refuse_losses(table)

    def _made(self) -> Iterator[_Reference]:
        """The references that the unit makes to rows that it does not write. Raises IntegrityError for one to a row
        that it takes away."""
        for write in self._writes:
            for key in _schema_of(write).foreign_keys if write.row is not None else ():
                value = write.row[key.column] if write.row is not None else None
                target = self._catalog.target_of(key) if value is not None else None
                if target is None or target.table in self._gone:
                    continue
                column = target.by_name[key.target_column]
                reference, code = _Reference(write, key, target, value), _code(column, value)
                if code in self._unit.has(target.table, column):
                    continue
                if code in self._unit.loses(target.table, column):
                    raise reference.broken()
                if write.undo_row is None or _code(column, write.undo_row.get(key.column)) != code:
                    yield reference

    def _key(self, schema: TableSchema, column: Column, value: Value) -> str:
        return self._resources.keys.document(schema.table, stem_of([value_as_stored(column.affinity, value)]))

    def _demand_keys(self, references: dict[str, _Reference]) -> None:
        deleted = {write.key for write in self._writes if write.body is None}
        for key, stored in self._resources.store.get_many(references):
            if stored is None or key in deleted:
                raise references[key].broken()

    def _demand_values(self, target: TableSchema, column: Column, references: dict[str, _Reference]) -> None:
        values = [reference.value for reference in references.values()]
        found = {_code(column, value) for _stem, value in self._others(target, column.name, values)}
        for code, reference in references.items():
            if code not in found:
                raise reference.broken()

    def _refuse_losses(self, table: str) -> None:
        for schema, key in self._catalog.referrers(table):
            target = self._catalog.target_of(key)
            lost = self._unit.loses(table, target.by_name[key.target_column]) if target is not None else {}
            if target is None or not lost:
                continue
            for stem, value in self._others(schema, key.column, list(lost.values())):
                if _code(target.by_name[key.target_column], value) in lost:
                    raise _referred_to(target, key, value, f"{_field(schema, key.column)} of {stem!r}")

    def _others(self, schema: TableSchema, name: str, values: Sequence[Value]) -> Iterator[tuple[str, Value]]:
        """At least those stored rows that have one of ``values`` in the column ``name`` and that the unit does not
        write, as (stem, value)."""
        position, written = list(schema.by_name).index(name), self._unit.keys(schema.table)
        for stem, known in self._documents(schema, name, values):
            value = known.values[position]
            if value is not None and self._resources.keys.document(schema.table, stem) not in written:
                yield stem, value

    def _documents(self, schema: TableSchema, name: str, values: Sequence[Value]) -> Iterator[tuple[str, Known]]:
        stems = self._stems(schema, name, values)
        if stems is None:
            self._loader.learn_all(schema)
        else:
            self._loader.learn(schema, stems)
        known = self._loader.snapshot.table(schema.table).known
        for stem in known if stems is None else stems:
            if (document := known.get(stem)) is not None:
                yield stem, document

    def _stems(self, schema: TableSchema, name: str, values: Sequence[Value]) -> list[str] | None:
        """The stems of rows that may have one of ``values``; None when any row may."""
        column = schema.by_name[name]
        if schema.pk == (name,):
            return [stem_of([value_as_stored(column.affinity, value)]) for value in values]
        index = next((index for index in schema.indexes if index.columns == (name,)), None)
        if index is None:
            return None
        stems: dict[str, None] = {}
        for start in range(0, len(values), _VALUES_A_READ):
            clause = tuple(IndexEntry(index, (value,)) for value in values[start : start + _VALUES_A_READ])
            reading = self._loader.ask(schema, IndexCondition((clause,)))
            if reading is None:
                return None
            stems |= dict.fromkeys(reading.stems or ())
        return list(stems)


def _referred_to(target: TableSchema, key: ForeignKey, value: Value, referrer: str) -> IntegrityError:
    name = _name(target, key.target_column)
    return IntegrityError(
        f"FOREIGN KEY constraint failed: the {target.label} with {value!r} in {name} would be deleted or changed, but "
        f"{referrer} refers to it. Delete or change that first, in the same transaction or before."
    )


def _coded(column: Column, rows: Iterable[Row | None]) -> Iterator[tuple[str, Value]]:
    for row in rows:
        value = row.get(column.name) if row is not None else None
        if value is not None:
            yield _code(column, value), value


def _code(column: Column, value: Value) -> str:
    """Equal for two values when the column that is referred to has them for equal."""
    try:
        return stored_code(column, value)
    except NotIndexable:  # a collation that only SQLite knows: then equal values are the same ones
        return repr(value)


def _schema_of(write: DocumentWrite) -> TableSchema:
    if write.schema is None:
        raise LookupError("A system object has no foreign keys.")
    return write.schema


def _name(schema: TableSchema, column: str) -> str:
    """The model field of a column."""
    return schema.field_names.get(column, column)


def _field(schema: TableSchema, column: str) -> str:
    return f"{schema.label}.{_name(schema, column)}"
