"""What a migration asks of the documents that exist: that they meet what is new, and claim their unique values.

One scan of the table, as on any database. The documents are not rewritten: a claim names its document, and a document
that does not list the claim is found to hold it by its values. Everything is asked before anything is changed.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from django.db.models import Model
from django.db.utils import DataError, IntegrityError
from django.utils.dateparse import parse_date, parse_datetime, parse_time

from django_smarterbase.backend.changes import ChangeReader, as_row
from django_smarterbase.backend.claims import ClaimBook, ClaimTaken, DocumentClaim
from django_smarterbase.backend.loader import Loader
from django_smarterbase.backend.snapshot import Snapshot
from django_smarterbase.backend.uniqueness import claims_of, is_plain, place_of
from django_smarterbase.backend.workspace import definition, quote
from django_smarterbase.exceptions import CorruptDocument
from django_smarterbase.storage.keys import stem as stem_of
from django_smarterbase.tables import Affinity, Column, Kind, TableSchema, UniqueRule, Value

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django_smarterbase.backend.base import DatabaseWrapper

_VERIFYING: Final = "_sb_verifying"
_REMEDY: Final = "Nothing was changed. Mend the document, or change the migration, and run migrate again."


def verify_documents(wrapper: DatabaseWrapper, model: type[Model], retyped: Column | None = None) -> ClaimBook:
    """Check every document of a table against the constraints of ``model``, and claim its unique values.

    ``retyped`` is a column whose values may be none that it can hold. Returns the claims, to be given back when the
    migration fails after all. Raises IntegrityError and DataError, which name the document; then no claim was taken.
    """
    schema = wrapper.schema_of_model(model)
    wrapper.catalog.define(model)
    book = ClaimBook(wrapper.resources, schema_of=lambda _table: schema)
    with _loaded(wrapper, schema):
        if retyped is not None:
            _check_values(wrapper, schema, retyped)
        try:
            _claim(wrapper, schema, book)
        except BaseException:
            book.abandon()
            raise
    return book


def verify_unique_index(wrapper: DatabaseWrapper, schema: TableSchema, make: Callable[[], None]) -> ClaimBook:
    """Check every document of a table against the unique index that ``make`` makes by SQL, and claim the values of the
    rule of the model that it stands for, if it does.

    Returns and raises as ``verify_documents``.
    """
    book = ClaimBook(wrapper.resources, schema_of=lambda _table: schema)
    sqlite = wrapper.session.workspace.sqlite
    loader = Loader(wrapper.session.resources, wrapper.session.workspace, Snapshot(), lambda _table: schema)
    sqlite.execute(f"SAVEPOINT {_VERIFYING}")
    try:
        _bare(wrapper, schema)
        loader.overlay(schema)
        loader.scan(schema, strict=True)
        make()
        _claim(wrapper, replace(schema, unique=tuple(_rules_of_index(wrapper, schema))), book)
    except BaseException:
        book.abandon()
        raise
    finally:
        sqlite.execute(f"ROLLBACK TO {_VERIFYING}")
        sqlite.execute(f"RELEASE {_VERIFYING}")
    return book


def _bare(wrapper: DatabaseWrapper, schema: TableSchema) -> None:
    """Empty the scratch table. That of a model loses its constraints too, which may be ahead of the migrations."""
    workspace = wrapper.session.workspace
    if wrapper.catalog.model_of(schema.table) is None:
        workspace.empty([schema.table])
        return
    columns = ", ".join(definition(column) for column in schema.columns)
    workspace.sqlite.execute(f"DROP TABLE {quote(schema.table)}")
    workspace.sqlite.execute(f"CREATE TABLE {quote(schema.table)} ({columns})")


def _rules_of_index(wrapper: DatabaseWrapper, schema: TableSchema) -> Iterator[UniqueRule]:
    """The rules of a model that the only index of its bare table stands for: by its name, or by its columns."""
    sqlite = wrapper.session.workspace.sqlite
    for _number, name, _unique, _origin, partial in sqlite.execute(f"PRAGMA index_list({quote(schema.table)})"):
        columns = tuple(row[2] for row in sqlite.execute(f"PRAGMA index_info({quote(name)})"))
        for rule in schema.unique:
            if rule.name == name or (is_plain(rule) and not partial and rule.columns == columns):
                yield rule


@contextmanager
def _loaded(wrapper: DatabaseWrapper, schema: TableSchema) -> Iterator[None]:
    """All documents of the table in its scratch table, under all of its constraints."""
    workspace = wrapper.session.workspace
    loader = Loader(wrapper.session.resources, workspace, Snapshot(), lambda _table: schema)
    try:
        with workspace.strict():
            loader.overlay(schema)
            loader.scan(schema, strict=True)
            yield
    except CorruptDocument as error:
        if isinstance(error.__cause__, sqlite3.IntegrityError):
            raise IntegrityError(_refusal(schema, error.problem, error.key)) from error
        raise
    except sqlite3.IntegrityError as error:
        raise IntegrityError(_refusal(schema, str(error), "that the migration has made")) from error
    finally:
        workspace.empty([schema.table])


def _refusal(schema: TableSchema, problem: str, document: str) -> str:
    return f"{problem} ({schema.label}, document {document!r}). {_REMEDY}"


def _check_values(wrapper: DatabaseWrapper, schema: TableSchema, column: Column) -> None:
    position = list(schema.by_name).index(column.name)
    for values in wrapper.session.workspace.rows(schema.table):
        if values[position] is not None and not can_hold(column, values[position]):
            stem = stem_of([values[place] for place in schema.pk_positions])
            field = schema.field_names.get(column.name, column.name)
            raise DataError(
                f"{schema.label}.{field}: the document {wrapper.resources.keys.document(schema.table, stem)!r} has "
                f"{values[position]!r:.60}, which is no {_called(column)}. {_REMEDY}"
            )


def _called(column: Column) -> str:
    return f"{column.affinity} value" if column.kind is Kind.PLAIN else f"{column.kind} value"


def can_hold(column: Column, value: Value) -> bool:
    """Whether Django could read the value from the column; SQLite would put anything there."""
    test = _TESTS.get(column.kind)
    if test is None:
        return not isinstance(value, _STRANGE[column.affinity])
    with suppress(ValueError, TypeError):
        return test(value) not in (None, False)
    return False


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float))


_STRANGE: Final[Mapping[Affinity, tuple[type[Any], ...]]] = {
    Affinity.INTEGER: (str, bytes),
    Affinity.REAL: (str, bytes),
    Affinity.NUMERIC: (str, bytes),
    Affinity.TEXT: (bytes,),
    Affinity.BLOB: (),
}
_TESTS: Final[Mapping[Kind, Callable[[Any], object]]] = {
    Kind.BOOL: lambda value: value in (0, 1),
    Kind.DATE: parse_date,
    Kind.TIME: parse_time,
    Kind.DATETIME: parse_datetime,
    Kind.DURATION: lambda value: isinstance(value, int),
    Kind.DECIMAL: _is_number,
    Kind.UUID: UUID,
    Kind.BINARY: lambda value: isinstance(value, bytes),
    Kind.JSON: lambda value: isinstance(value, str),  # that it is JSON, a constraint of Django's sees to
}


def _coming(wrapper: DatabaseWrapper, schema: TableSchema) -> set[DocumentClaim]:
    """What documents that the migration itself has written take at COMMIT, perhaps from each other."""
    session = wrapper.session
    if not session.in_transaction:
        return set()
    changes = ChangeReader(session.resources, session.workspace, session.snapshot())
    writes = (changes.staged(pending, schema) for pending in session.workspace.pending(schema.table))
    return {each for write in writes for each in write.document_claims(write.takes)}


def _claim(wrapper: DatabaseWrapper, schema: TableSchema, book: ClaimBook) -> None:
    if not schema.unique:
        return
    workspace = wrapper.session.workspace
    held: dict[str, tuple[str, ...]] = {}
    for values in workspace.rows(schema.table):
        pk = tuple(values[position] for position in schema.pk_positions)
        held[stem_of(pk)] = claims_of(workspace, schema, place_of(schema, pk), as_row(schema, values))
    earlier, coming = wrapper.session.migration_claims, _coming(wrapper, schema)
    wanted = {DocumentClaim(schema.table, stem, claim) for stem in held for claim in held[stem]} - coming
    for each in sorted(book.take_free(each for each in wanted if not earlier.have_taken(each))):
        try:
            book.take(each, contested=True)
        except ClaimTaken as taken:
            document = wrapper.resources.keys.document(schema.table, each.stem)
            problem = f"UNIQUE constraint failed: {schema.table}: {taken}"
            raise IntegrityError(_refusal(schema, problem, document)) from taken
