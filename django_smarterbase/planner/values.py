"""The values that a statement's conditions compare with, for profiles that may show them (option ``show_values``)."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, Final

from django.db.models.expressions import Col
from django.db.models.lookups import Lookup
from django.db.models.sql.where import WhereNode

from django_smarterbase.planner.scopes import Statement

_LONGEST: Final = 200  # characters
_MOST: Final = 50


def filter_values(statement: Statement) -> tuple[str, ...]:
    """Each condition of ``statement`` with a literal value as ``.filter()`` would take it: ``"status='published'"``.

    Each once in the order of the SQL, whatever is negated or combined by OR; the first 50, cut off at 200 characters.
    """
    lookups = itertools.chain.from_iterable(_lookups(scope.where) for scope in statement.scopes)
    # A subquery that the planner has compiled by itself has been noted twice.
    texts = dict.fromkeys(text for lookup in lookups if (text := _argument(lookup)) is not None)
    return tuple(
        text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…" for text in itertools.islice(texts, _MOST)
    )


def _lookups(node: Any) -> Iterator[Lookup[Any]]:
    if isinstance(node, WhereNode):
        for child in node.children:
            yield from _lookups(child)
    elif isinstance(node, Lookup):
        yield node


def _argument(lookup: Lookup[Any]) -> str | None:
    """The lookup as a keyword argument; None when it compares an expression, or with one."""
    path = [] if lookup.lookup_name == "exact" else [str(lookup.lookup_name)]
    lhs: Any = lookup.lhs
    while not isinstance(lhs, Col):
        name = getattr(lhs, "lookup_name", None)
        if name is None:
            return None
        path.insert(0, name)
        lhs = lhs.lhs
    if hasattr(lookup.rhs, "as_sql") or hasattr(lookup.rhs, "resolve_expression"):
        return None
    return f"{'__'.join([lhs.target.name, *path])}={lookup.rhs!r}"
