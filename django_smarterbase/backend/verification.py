"""What a migration asks of the documents that exist: that they meet a new constraint, and claim their unique values.

One scan of the table, as on any database. The documents are not rewritten: a claim names its document, and a document
that does not list the claim is found to hold it by its values.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from django.db.models import Model
from django.db.utils import IntegrityError

from django_smarterbase.backend.changes import as_row
from django_smarterbase.backend.claims import ClaimBook, ClaimTaken
from django_smarterbase.backend.loader import Loader
from django_smarterbase.backend.snapshot import Snapshot
from django_smarterbase.backend.uniqueness import claims_of
from django_smarterbase.exceptions import CorruptDocument
from django_smarterbase.storage.keys import stem as stem_of
from django_smarterbase.tables import TableSchema

if TYPE_CHECKING:
    from django_smarterbase.backend.base import DatabaseWrapper


def verify_documents(wrapper: DatabaseWrapper, model: type[Model]) -> None:
    """Check every document of a table against the constraints of ``model``, and claim its unique values.

    Raises IntegrityError, which names the document.
    """
    schema = wrapper.schema_of_model(model)
    session, snapshot = wrapper.session, Snapshot()
    wrapper.catalog.ensure_model(model)
    loader = Loader(session.resources, session.workspace, snapshot, lambda _table: schema)
    session.workspace.sqlite.execute("PRAGMA ignore_check_constraints = OFF")
    try:
        loader.overlay(schema)
        loader.scan(schema, strict=True)
        _claim(wrapper, schema)
    except CorruptDocument as error:
        if isinstance(error.__cause__, sqlite3.IntegrityError):
            raise IntegrityError(f"{error.problem} (document {error.key!r})") from error
        raise
    finally:
        session.workspace.sqlite.execute("PRAGMA ignore_check_constraints = ON")
        session.workspace.empty([schema.table])


def _claim(wrapper: DatabaseWrapper, schema: TableSchema) -> None:
    if not schema.unique:
        return
    workspace = wrapper.session.workspace
    book = ClaimBook(wrapper.resources, schema_of=lambda _table: schema)
    positions = [list(schema.by_name).index(column) for column in schema.pk]
    for values in workspace.rows(schema.table):
        pk = tuple(values[position] for position in positions)
        row = as_row(schema, values)
        try:
            book.take(schema.table, stem_of(pk), claims_of(workspace, schema, pk, row))
        except ClaimTaken as taken:
            raise IntegrityError(f"UNIQUE constraint failed: {schema.table} ({taken})") from taken
