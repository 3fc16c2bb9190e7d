"""Which unique values a row holds, each as the name of a claim: ``<rule>/<digest of the values>``."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from django.db.utils import NotSupportedError

from django_smarterbase.backend.workspace import Workspace, quote
from django_smarterbase.indexes.encoding import NotIndexable, code
from django_smarterbase.storage.codec import CLAIMS
from django_smarterbase.tables import Column, Row, TableSchema, UniqueRule, Value

_DIGITS: Final = 40
_NO_AFFINITY: Final = Column("")


class Place(NamedTuple):
    """Where a row stands in the workspace: ``where`` is SQL that it alone meets of the rows of ``table``."""

    table: str
    where: str
    params: tuple[Value, ...]


def place_of(schema: TableSchema, pk: tuple[Value, ...]) -> Place:
    """The place of a row of the scratch table."""
    return Place(schema.table, " AND ".join(f"{quote(column)} IS ?" for column in schema.pk), pk)


def held_claims(extras: Mapping[str, Any]) -> tuple[str, ...]:
    """The claims that a document says it holds."""
    claims = extras.get(CLAIMS, ())
    return tuple(claim for claim in claims if isinstance(claim, str)) if isinstance(claims, Sequence) else ()


def unknown_claims(schema: TableSchema, extras: Mapping[str, Any]) -> tuple[str, ...]:
    """The claims that a document says it holds by rules that the schema does not have: code of another version, which
    knows more unique values, has taken them."""
    known = {rule.name for rule in schema.unique}
    return tuple(claim for claim in held_claims(extras) if claim.rpartition("/")[0] not in known)


def with_claims(extras: Mapping[str, Any], claims: Sequence[str]) -> dict[str, Any]:
    """``extras`` of a document that holds ``claims``."""
    rest = {name: value for name, value in extras.items() if name != CLAIMS}
    return {**rest, CLAIMS: list(claims)} if claims else rest


def claims_of(workspace: Workspace, schema: TableSchema, place: Place, row: Row) -> tuple[str, ...]:
    """The claims of a row that stands in the workspace, where SQL conditions and expressions are evaluated."""
    return tuple(_claims(workspace, schema, place, row))


def _claims(workspace: Workspace, schema: TableSchema, place: Place, row: Row) -> Iterator[str]:
    for rule in schema.unique:
        values = _values(workspace, schema, rule, place, row)
        if values is not None:
            yield claim_name(rule, values)


def claim_name(rule: UniqueRule, codes: Sequence[str]) -> str:
    """The claim to one combination of values, each given by its code."""
    return f"{rule.name}/{hashlib.sha256(chr(31).join(codes).encode()).hexdigest()[:_DIGITS]}"


def is_plain(rule: UniqueRule) -> bool:
    """Whether a rule needs no SQL to be judged: plain columns, no condition."""
    return rule.condition is None and not rule.expressions


def plain_claims(schema: TableSchema, row: Row) -> tuple[str, ...]:
    """The claims of a row to the values of plain rules, which need no workspace."""
    named = (
        (rule, _codes(schema, rule, [row[column] for column in rule.columns]))
        for rule in schema.unique
        if is_plain(rule)
    )
    return tuple(claim_name(rule, codes) for rule, codes in named if codes is not None)


def _values(workspace: Workspace, schema: TableSchema, rule: UniqueRule, place: Place, row: Row) -> list[str] | None:
    """The codes of the values that a rule is about; None when the row is free of it."""
    if is_plain(rule):
        return _codes(schema, rule, [row[column] for column in rule.columns])
    values = _evaluated(workspace, rule, place)
    return None if values is None else _codes(schema, rule, values)


def _codes(schema: TableSchema, rule: UniqueRule, values: Sequence[Value]) -> list[str] | None:
    if any(value is None for value in values):
        return None
    columns = [_NO_AFFINITY] * len(values) if rule.expressions else [schema.by_name[name] for name in rule.columns]
    try:
        return [code(column, value) for column, value in zip(columns, values, strict=True)]
    except NotIndexable as error:
        raise NotSupportedError(
            f"{schema.label}: the unique values of {rule.name!r} cannot be kept apart between documents, since "
            f"{error}. Give the field one of SQLite's own collations: BINARY, NOCASE or RTRIM."
        ) from error


def _evaluated(workspace: Workspace, rule: UniqueRule, place: Place) -> Sequence[Value] | None:
    selected = ", ".join(rule.expressions or [f"+{quote(column)}" for column in rule.columns])
    condition = f" AND ({rule.condition})" if rule.condition is not None else ""
    sql = f"SELECT {selected} FROM {quote(place.table)} WHERE {place.where}{condition}"
    row: Sequence[Value] | None = workspace.sqlite.execute(sql, place.params).fetchone()
    return row
