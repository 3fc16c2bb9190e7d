"""From a model to its ``TableSchema``: the model in the query is the schema."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final, cast
from weakref import WeakKeyDictionary

from django.conf import settings
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import AutoField, BigAutoField, CheckConstraint, Field, Model, SmallAutoField, UniqueConstraint
from django.db.models.fields import NOT_PROVIDED
from django.db.models.sql import Query

from django_smarterbase.tables import (
    Affinity,
    Column,
    ForeignKey,
    IndexDefinition,
    Kind,
    TableSchema,
    UniqueRule,
    Value,
)

_KINDS: Final = {
    "BooleanField": Kind.BOOL,
    "DateField": Kind.DATE,
    "TimeField": Kind.TIME,
    "DateTimeField": Kind.DATETIME,
    "DurationField": Kind.DURATION,
    "DecimalField": Kind.DECIMAL,
    "UUIDField": Kind.UUID,
    "BinaryField": Kind.BINARY,
    "JSONField": Kind.JSON,
}

_COLLATE: Final = re.compile(r"\bCOLLATE\s+[\"'`\[]?(\w+)", re.IGNORECASE)

_schemas: WeakKeyDictionary[type[Model], dict[tuple[str, bool], TableSchema]] = WeakKeyDictionary()


def column_name(field: Any) -> str:
    """The column of a concrete field, which has one (for the type checker, that of any field may be None)."""
    name: str = field.column
    return name


def schema_of_model(model: type[Model], connection: BaseDatabaseWrapper) -> TableSchema:
    """The table of ``model`` (of its concrete model, for a proxy). Kept for as long as the model class lives."""
    concrete = model._meta.concrete_model or model
    kept = _schemas.get(concrete)
    if kept is None:
        kept = _schemas[concrete] = {}
    key = (concrete._meta.db_table, settings.USE_TZ)
    if key not in kept:
        kept[key] = _build(concrete, connection)
    return kept[key]


def named(model: type[Model], table: str, connection: BaseDatabaseWrapper) -> TableSchema:
    """The table of ``model`` under another name, as it was before a migration or is going to be after it."""
    return replace(schema_of_model(model, connection), table=table)


def _build(model: type[Model], connection: BaseDatabaseWrapper) -> TableSchema:
    meta = model._meta
    fields = [field for field in meta.local_concrete_fields if field.db_type(connection) is not None]
    columns = tuple(column_of(field, connection) for field in fields)
    indexable = {column.name for column in columns if column.indexable}
    pk = tuple(map(column_name, meta.pk_fields))
    return TableSchema(
        table=meta.db_table,
        label=meta.label,
        columns=columns,
        pk=pk,
        numbers_rows=len(pk) == 1 and is_row_number(meta.pk_fields[0].db_type(connection) or ""),
        auto=meta.pk.column if isinstance(meta.pk, (AutoField, BigAutoField, SmallAutoField)) else None,
        indexes=tuple(_indexes(model, indexable, pk, connection)),
        unique=tuple(_unique_rules(model, connection)),
        foreign_keys=tuple(_foreign_keys(model)),
        checks=tuple(_checks(model, fields, connection)),
        field_names={column_name(field): field.name for field in fields},
    )


def column_of(field: Field[Any, Any], connection: BaseDatabaseWrapper) -> Column:
    """The column of a field that has one."""
    value_field = _value_field(field)
    kind = _KINDS.get(value_field.get_internal_type(), Kind.PLAIN)
    required, default = _default(field, connection)
    return Column(
        name=column_name(field),
        kind=kind,
        affinity=affinity_of(field.db_type(connection) or ""),
        collation=_collation(field, connection),
        generated=field.generated,
        nullable=field.null or field.generated,
        required=required,
        default=default,
        utc=kind is Kind.DATETIME and settings.USE_TZ and connection.timezone_name == "UTC",
        decimal_places=getattr(value_field, "decimal_places", None) if kind is Kind.DECIMAL else None,
    )


def _value_field(field: Field[Any, Any]) -> Field[Any, Any]:
    """The field whose values the column holds: for a foreign key, the one that it finally points to."""
    while field.remote_field is not None and hasattr(field, "target_field"):
        field = field.target_field
    return field


def _collation(field: Field[Any, Any], connection: BaseDatabaseWrapper) -> str:
    """The collation of a field's column, "" for SQLite's default: a field of one's own may have it in its type."""
    parameters = field.db_parameters(connection)
    declared = _COLLATE.search(parameters["type"] or "")
    return parameters.get("collation") or (declared.group(1) if declared else "")


def _is_binary(field: Field[Any, Any], connection: BaseDatabaseWrapper) -> bool:
    """Whether the column tells its values apart byte by byte."""
    return _collation(field, connection).upper() in ("", "BINARY")


def affinity_of(declared: str) -> Affinity:
    """The affinity of a declared type, by the rules of https://www.sqlite.org/datatype3.html, section 3.1."""
    declared = declared.upper()
    if "INT" in declared:
        return Affinity.INTEGER
    if any(name in declared for name in ("CHAR", "CLOB", "TEXT")):
        return Affinity.TEXT
    if "BLOB" in declared or not declared:
        return Affinity.BLOB
    if any(name in declared for name in ("REAL", "FLOA", "DOUB")):
        return Affinity.REAL
    return Affinity.NUMERIC


def is_row_number(declared: str) -> bool:
    """Whether a primary key of this declared type is SQLite's number of the row: section 5 of
    https://www.sqlite.org/lang_createtable.html."""
    return declared.upper() == "INTEGER"


def _default(field: Field[Any, Any], connection: BaseDatabaseWrapper) -> tuple[bool, Value]:
    """Whether a document must have the attribute, and what stands in for it otherwise.

    A callable default is not called (it may answer something else each time) unless it is a plain container type.
    """
    if field.null or field.generated:
        return False, None
    if field.default is not NOT_PROVIDED and (not callable(field.default) or field.default in (dict, list)):
        return False, sqlite_value(field.get_db_prep_save(field.get_default(), connection))
    if field.blank and field.empty_strings_allowed and field.get_internal_type() != "BinaryField":
        return False, ""
    return True, None


def sqlite_value(prepared: Any) -> Value:
    """A value prepared by Django as SQLite is going to hold it."""
    if prepared is None or type(prepared) in (int, float, str, bytes):
        value: Value = prepared
        return value
    if isinstance(prepared, bool):
        return int(prepared)
    if isinstance(prepared, str):
        return str.__str__(prepared)  # a member of an enumeration may call itself otherwise
    if isinstance(prepared, (memoryview, bytearray)):
        return bytes(prepared)
    if isinstance(prepared, Decimal):
        return str(prepared)
    return str(prepared)


def _indexes(
    model: type[Model], indexable: set[str], pk: tuple[str, ...], connection: BaseDatabaseWrapper
) -> Iterator[IndexDefinition]:
    """The index definitions, each set of columns once: named ones first, prefixes of composite ones last."""
    seen: set[tuple[str, ...]] = {pk} if len(pk) == 1 and _is_binary(model._meta.pk_fields[0], connection) else set()
    for definition in (*_named(model), *_of_fields(model), *_composite(model), *_prefixes(model)):
        if definition.columns not in seen and indexable.issuperset(definition.columns):
            seen.add(definition.columns)
            yield definition


def _named(model: type[Model]) -> Iterator[IndexDefinition]:
    meta = model._meta
    for index in meta.indexes:
        if index.fields and not index.expressions:
            columns = tuple(column_name(meta.get_field(name)) for name, _order in index.fields_orders)
            yield IndexDefinition(index.name, columns)


def _of_fields(model: type[Model]) -> Iterator[IndexDefinition]:
    for field in model._meta.local_concrete_fields:
        if getattr(field, "db_index", False) or field.unique:
            yield _default_name(model, (field.name,))


def _composite(model: type[Model]) -> Iterator[IndexDefinition]:
    for names in _constraint_fields(model):
        yield _default_name(model, names)


def _prefixes(model: type[Model]) -> Iterator[IndexDefinition]:
    """As in a B-tree, an index over several columns also finds by the first ones of them."""
    named = (tuple(name for name, _order in index.fields_orders) for index in model._meta.indexes if index.fields)
    for names in (*named, *_constraint_fields(model)):
        for length in range(len(names) - 1, 0, -1):
            yield _default_name(model, names[:length])


def _default_name(model: type[Model], names: tuple[str, ...]) -> IndexDefinition:
    meta = model._meta
    columns = tuple(column_name(meta.get_field(name)) for name in names)
    return IndexDefinition(f"{meta.db_table}-by-{'-'.join(names)}", columns)


def _constraint_fields(model: type[Model]) -> Iterator[tuple[str, ...]]:
    meta = model._meta
    local = {field.name for field in meta.local_concrete_fields}
    candidates = [tuple(names) for names in meta.unique_together]
    candidates += [tuple(each.fields) for each in meta.constraints if isinstance(each, UniqueConstraint)]
    for names in candidates:
        if names and local.issuperset(names):
            yield names


def _unique_rules(model: type[Model], connection: BaseDatabaseWrapper) -> Iterator[UniqueRule]:
    """What no two documents share, the primary key apart: that is the object key, unless a collation likens keys."""
    meta = model._meta
    for field in meta.local_concrete_fields:
        if field.unique and not (field.primary_key and _is_binary(field, connection)):
            yield UniqueRule(column_name(field), (column_name(field),))
    local = {field.name for field in meta.local_concrete_fields}
    for names in meta.unique_together:
        if local.issuperset(names):
            columns = tuple(column_name(meta.get_field(name)) for name in names)
            yield UniqueRule("-".join(columns), columns)
    for constraint in meta.constraints:
        if isinstance(constraint, UniqueConstraint) and local.issuperset(constraint.fields):
            yield _constraint_rule(model, constraint, connection)


def _foreign_keys(model: type[Model]) -> Iterator[ForeignKey]:
    for field in model._meta.local_concrete_fields:
        remote: Any = field.remote_field
        if remote is None or not getattr(field, "db_constraint", False) or not isinstance(remote.model, type):
            continue
        meta = cast("Any", remote.model)._meta.concrete_model._meta
        target = meta.get_field(remote.field_name)
        if target in meta.local_concrete_fields:
            yield ForeignKey(column_name(field), meta.db_table, column_name(target))


def _checks(model: type[Model], fields: Iterable[Field[Any, Any]], connection: BaseDatabaseWrapper) -> Iterator[str]:
    """What the CHECK constraints of fields and model come to, in whatever words."""
    for field in fields:
        check = field.db_parameters(connection)["check"]
        if check is not None:
            yield check
    for constraint in model._meta.constraints:
        if isinstance(constraint, CheckConstraint):
            yield repr(constraint)


def _constraint_rule(model: type[Model], constraint: Any, connection: Any) -> UniqueRule:
    """A UniqueConstraint; its condition and expressions as the SQL that Django writes for SQLite's index."""
    editor = connection.SchemaEditorClass(connection)
    expressions: tuple[str, ...] = ()
    if constraint.expressions:
        compiler = Query(model, alias_cols=False).get_compiler(connection=connection)
        resolved = constraint._get_index_expressions(model, editor)
        sql, params = compiler.compile(resolved)
        expressions = (sql % tuple(editor.quote_value(param) for param in params),)
    return UniqueRule(
        name=constraint.name,
        columns=tuple(column_name(model._meta.get_field(name)) for name in constraint.fields),
        condition=constraint._get_condition_sql(model, editor),
        expressions=expressions,
    )
