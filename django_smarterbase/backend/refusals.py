"""What a migration is refused because there are documents, before it changes anything. One listing at most each."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from django.db.models import Field, Model
from django.db.utils import IntegrityError, NotSupportedError, OperationalError

from django_smarterbase.tables import TableSchema

if TYPE_CHECKING:
    from django_smarterbase.backend.base import DatabaseWrapper


def refuse_missing_default(wrapper: DatabaseWrapper, model: type[Model], field: Field[Any, Any], default: Any) -> None:
    """Raise IntegrityError for a new field that documents have no value for."""
    if field.null or field.generated or field.has_db_default() or default is not None:
        return
    document = first_document(wrapper, wrapper.schema_of_model(model))
    if document is not None:
        raise IntegrityError(
            f"NOT NULL constraint failed: {model._meta.label}.{field.name}: the field is not null and has no default, "
            f"so the document {document!r} would have no value for it. Nothing was changed. Give the field a default "
            "(or null=True, fill it by RunPython, then AlterField), and run migrate again."
        )


def refuse_other_key(wrapper: DatabaseWrapper, model: type[Model], field: Field[Any, Any]) -> None:
    """Raise NotSupportedError when another field is to be the primary key of documents."""
    document = first_document(wrapper, wrapper.schema_of_model(model))
    if document is not None:
        raise NotSupportedError(
            f"{model._meta.label}: {field.name!r} cannot become or cease to be the primary key, by which its documents "
            f"are called (as {document!r}). Nothing was changed. Make a new model with that primary key, copy the rows "
            "by RunPython, and delete the old one."
        )


def refuse_taken_name(wrapper: DatabaseWrapper, schema: TableSchema, new_table: str) -> None:
    """Raise OperationalError when a table is to be renamed to one that there is."""
    document = first_document(wrapper, replace(schema, table=new_table))
    if document is None and not wrapper.catalog.has_schema_object(new_table):
        return
    raise OperationalError(
        f"{schema.label}: the table {schema.table!r} cannot be renamed to {new_table!r}, since there is already "
        f"another table with this name{f' (document {document!r})' if document is not None else ''}. Nothing was "
        "changed. Choose another db_table, or delete that table's model first, and run migrate again."
    )


def first_document(wrapper: DatabaseWrapper, schema: TableSchema) -> str | None:
    """The key of some document of a table as the transaction sees it, None when there is none. One listing at most."""
    resources = wrapper.resources
    pending = {document.key: document.body for document in wrapper.session.workspace.pending(schema.table)}
    made = next((key for key, body in pending.items() if body is not None), None)
    if made is not None:
        return made
    for listed in resources.store.list(resources.keys.table_prefix(schema.table)):
        if listed.key not in pending and resources.keys.stem_of_key(schema.table, listed.key) is not None:
            return listed.key
    return None
