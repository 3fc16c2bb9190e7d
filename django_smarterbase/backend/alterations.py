"""What altering a field means for the documents: the steps that it comes to, and what they must be asked first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Field, Model

from django_smarterbase.backend.modeltables import affinity_of, column_of
from django_smarterbase.storage.history import Change
from django_smarterbase.tables import Column


class Alteration(NamedTuple):
    """One change of a column, as ``History.with_step`` takes it."""

    change: Change
    column: str
    details: dict[str, Any]


def addition(column: Column, default: Any) -> Alteration:
    """A new column; ``default`` is the tagged value that documents without it read."""
    return Alteration(Change.ADD, column.name, {"value": default, **_since(column)})


def removal(column: str) -> Alteration:
    """A column less."""
    return Alteration(Change.REMOVE, column, {})


def alterations(old: Column, new: Column, default: Any) -> Iterator[Alteration]:
    """What becomes of a column; ``default`` is the tagged value that stands in for nulls which may not be any more."""
    if _form(old) != _form(new):
        value = default if old.nullable and not new.nullable else None
        before = {"kind": old.kind.value, "affinity": old.affinity.value, "nullable": old.nullable}
        yield Alteration(Change.RETYPE, old.name, {"value": value, **before, **_since(new)})
    if old.name != new.name:
        yield Alteration(Change.RENAME, old.name, {"to": new.name})


def is_retyped(old: Column, new: Column) -> bool:
    """Whether values that the old column holds might be none that the new one can hold, or be compared otherwise."""
    return _form(old)[:2] != _form(new)[:2] or old.collation.upper() != new.collation.upper()


def may_break(old: Field[Any, Any], new: Field[Any, Any], default: Any, connection: BaseDatabaseWrapper) -> bool:
    """Whether documents that the old field admits may be none that the new one does; ``default`` as ``alterations``."""
    before, after = column_of(old, connection), column_of(new, connection)
    filled = before.nullable and not after.nullable
    tightened = (filled and (default is None or new.unique)) or (new.unique and not old.unique)
    checks = [field.db_parameters(connection)["check"] for field in (old, new)]
    return tightened or is_retyped(before, after) or (checks[1] is not None and checks[0] != checks[1])


def model_since(field: Field[Any, Any]) -> type[Model] | None:
    """The model with the field, as it is after an operation; None for a field that was made by hand, of which no model
    knows."""
    model: type[Model] | None = getattr(field, "model", None)
    return model if model is not None and field in model._meta.local_fields else None


def references_to(field: Field[Any, Any]) -> Iterator[Field[Any, Any]]:
    """The foreign keys whose columns hold this field's values: also those of children and links, and what leads on."""
    for relation in field.model._meta.get_fields(include_hidden=True):
        if not (relation.auto_created and not relation.concrete and (relation.one_to_one or relation.one_to_many)):
            continue
        key: Any = getattr(relation, "field", None)
        target = getattr(key, "target_field", None)
        if getattr(key, "concrete", False) and target is not None and target.name == field.name:
            yield key
            if key.primary_key or key.unique:
                yield from references_to(key)


def reference_before(key: Field[Any, Any], target: Field[Any, Any], connection: BaseDatabaseWrapper) -> Column:
    """The column of a foreign key as it was when it pointed to ``target``, which was altered since."""
    kind = column_of(target, connection).kind
    return replace(column_of(key, connection), kind=kind, affinity=affinity_of(target.rel_db_type(connection) or ""))


def _form(column: Column) -> tuple[Any, ...]:
    return column.kind, column.affinity, column.nullable


def _since(column: Column) -> dict[str, Any]:
    return {
        "new_kind": column.kind.value,
        "new_affinity": column.affinity.value,
        "new_nullable": column.nullable,
    }
