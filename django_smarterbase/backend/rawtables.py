"""Raw tables: those that raw DDL made, such as that of ``createcachetable``, and no model describes.

The object ``_sb/tables/<table>.json`` holds ``{"sql": [...]}``, the statements that make the table and its indexes, so
that every connection has it. It is written when the DDL is committed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import orjson

from django_smarterbase.backend.document_writes import DocumentWrite, WriteFailed
from django_smarterbase.backend.rawsql import defined_table, first_word
from django_smarterbase.backend.unit_of_work import UnitOfWork
from django_smarterbase.backend.workspace import PendingDocument
from django_smarterbase.exceptions import CorruptDocument

if TYPE_CHECKING:
    from django_smarterbase.backend.base import DatabaseWrapper

_MEND: Final = "Drop the table by raw SQL and make it again (manage.py createcachetable); its documents go with it."


def keep_raw_table(wrapper: DatabaseWrapper, table: str) -> None:
    """Write down the SQL of a raw table as it stands in the workspace: at COMMIT, or at once outside of a transaction.

    A table of a model, or that migrations made, is left to these. Raises ConflictError and StorageUnavailable.
    """
    workspace = wrapper.session.workspace
    statements = workspace.definition(table)
    if statements and wrapper.catalog.model_of(table) is None and not wrapper.catalog.has_schema_object(table):
        _write(wrapper, table, orjson.dumps({"sql": statements}, option=orjson.OPT_INDENT_2))


def restore_raw_table(wrapper: DatabaseWrapper, table: str) -> bool:
    """Make a raw table in this workspace; False when there is none of that name. One GET. Raises CorruptDocument."""
    key = wrapper.resources.keys.raw_table(table)
    pending = wrapper.session.workspace.pending_one(key)
    if pending is not None:
        body = pending.body
    else:
        stored = wrapper.resources.store.get(key)
        body = stored.body if stored is not None else None
    if body is None:
        return False
    for sql in _statements(table, key, body):
        wrapper.session.workspace.sqlite.execute(sql)
    return True


def forget_raw_table(wrapper: DatabaseWrapper, table: str) -> None:
    """Delete the object at once, as the documents of a table that raw SQL drops are."""
    key = wrapper.resources.keys.raw_table(table)
    wrapper.session.workspace.unstage(key)
    wrapper.resources.store.delete(key)


def _statements(table: str, key: str, body: bytes) -> Sequence[str]:
    try:
        statements: list[str] = orjson.loads(body)["sql"]
        if not statements or any(first_word(sql) != "CREATE" or defined_table(sql) != table for sql in statements):
            raise ValueError("it does something else")
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptDocument(key, f"it does not hold the SQL of a table ({error!r:.200})", _MEND) from error
    return statements


def _write(wrapper: DatabaseWrapper, table: str, body: bytes) -> None:
    resources, session = wrapper.resources, wrapper.session
    key = resources.keys.raw_table(table)
    pending, stored = session.workspace.pending_one(key), resources.store.get(key)
    etag = pending.base_etag if pending is not None else stored.etag if stored is not None else None
    if session.in_transaction:
        session.workspace.stage(PendingDocument(key, "", table, body, etag))
        return
    try:
        UnitOfWork(resources).commit([DocumentWrite(None, table, key, body, etag, None)])
    except WriteFailed as failure:
        raise failure.error from failure
