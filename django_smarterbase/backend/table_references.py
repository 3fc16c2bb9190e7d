"""``check_constraints()``: the foreign keys of whole tables, as SQLite itself finds them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from django.db.utils import IntegrityError

from django_smarterbase.backend.loader import Loader
from django_smarterbase.backend.workspace import quote
from django_smarterbase.planner.plan import JoinLookup, QueryPlan, Scan, Step
from django_smarterbase.tables import ForeignKey, TableSchema

if TYPE_CHECKING:
    from django_smarterbase.backend.base import DatabaseWrapper


def verify_tables(wrapper: DatabaseWrapper, tables: Iterable[str]) -> None:
    """Verify every reference that rows of ``tables`` make, those that the transaction has pending included.

    Reads each table, and by key or index the rows that it refers to. Raises IntegrityError.
    """
    for table in tables:
        schema = wrapper.catalog.find(table)
        keys = {key.column: key for key in schema.foreign_keys} if schema is not None else {}
        targets = {column: target for column, key in keys.items() if (target := wrapper.catalog.target_of(key))}
        if schema is not None and targets:
            with _loaded(wrapper, schema, {keys[column]: target for column, target in targets.items()}):
                _verify(wrapper, schema, keys, targets)


@contextmanager
def _loaded(wrapper: DatabaseWrapper, schema: TableSchema, targets: dict[ForeignKey, TableSchema]) -> Iterator[None]:
    """The table and what it refers to in the workspace, as the transaction sees it; outside of any, as it is now."""
    session = wrapper.session
    for table in (schema.table, *(target.table for target in targets.values())):
        wrapper.ensure_table(table)
    steps = [Step(schema.table, schema.table, Scan())]
    steps += [Step(target.table, target.table, _join(schema, key, target)) for key, target in targets.items()]
    sqlite, alone = session.workspace.sqlite, not session.in_transaction
    if alone:
        sqlite.execute("BEGIN")
    try:
        loader = Loader(session.resources, session.workspace, session.snapshot(), wrapper.table_schema)
        loader.load(QueryPlan(tuple(steps)))
        yield
    finally:
        if alone:
            sqlite.execute("ROLLBACK")


def _join(schema: TableSchema, key: ForeignKey, target: TableSchema) -> JoinLookup | Scan:
    index = next((index for index in target.indexes if index.columns == (key.target_column,)), None)
    if index is None and target.pk != (key.target_column,):
        return Scan()
    return JoinLookup(schema.table, key.column, key.target_column, index)


def _verify(
    wrapper: DatabaseWrapper, schema: TableSchema, keys: dict[str, ForeignKey], targets: dict[str, TableSchema]
) -> None:
    sqlite, table = wrapper.session.workspace.sqlite, quote(schema.table)
    columns = {row[0]: row[3] for row in sqlite.execute(f"PRAGMA foreign_key_list({table})")}
    for _table, number, _parent, id in sqlite.execute(f"PRAGMA foreign_key_check({table})").fetchall():
        target = targets.get(columns[id])  # of another database, or not to be checked: then it is not among them
        if target is None:
            continue
        key = keys[columns[id]]
        names = ", ".join(f"+{quote(column)}" for column in (key.column, *schema.pk))
        row = f"SELECT {names} FROM {table} WHERE {quote(schema.row_number)} = ?"
        value, *pk = sqlite.execute(row, (number,)).fetchone()
        raise IntegrityError(
            f"FOREIGN KEY constraint failed: the row of {schema.label} with the primary key "
            f"{', '.join(map(repr, pk))} has {value!r} in {schema.field_names.get(key.column, key.column)}, but no "
            f"{target.label} has that value in {target.field_names.get(key.target_column, key.target_column)}. Load or "
            f"save the {target.label} too, or correct the value."
        )
