"""What a caller asked of a query beyond its SQL: a name for the profiles, and how its rows may be found.

Hints stand in the query's ``__dict__``, which ``Query.clone`` and ``Query.chain`` copy, so they follow a query
through chaining and through ``update()``, ``delete()``, ``count()``, ``exists()``, ``aggregate()`` and ``union()``.
Statements that Django builds afresh (inserts, the batches of a delete, updates of a parent's table) take their name
from the operation that runs them, see ``under_name``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from django.db.models.sql import Query

Access = Literal["any", "index", "scan"]


@dataclass(frozen=True, slots=True)
class QueryHints:
    """``access`` is "index" when a scan is refused, "scan" when no index may be consulted, otherwise "any"."""

    name: str | None = None
    access: Access = "any"


_NO_HINTS = QueryHints()
_operation_name: ContextVar[str | None] = ContextVar("smarterbase_operation_name", default=None)


def set_name(query: Query, name: str) -> None:
    """Name ``query`` and every clone of it."""
    query.__dict__["smarterbase"] = replace(_own(query), name=name)


def set_access(query: Query, access: Access) -> None:
    """Say how the rows of ``query`` and of every clone of it may be found."""
    query.__dict__["smarterbase"] = replace(_own(query), access=access)


def hints_of(query: Query | None) -> QueryHints:
    """The hints of the statement that ``query`` stands for; None stands for raw SQL.

    What the outermost query leaves open is taken from the queries that it wraps (the inner query of an aggregate, the
    parts of a combination), the first in their order that says something; a name that is still missing is taken from
    the operation under way.
    """
    hints = _NO_HINTS if query is None else _gathered(query)
    if hints.name is None and (name := _operation_name.get()) is not None:
        return replace(hints, name=name)
    return hints


@contextmanager
def under_name(name: str | None) -> Iterator[None]:
    """Give the statements run inside the block this name, unless their query has its own; None changes nothing."""
    if name is None:
        yield
        return
    token = _operation_name.set(name)
    try:
        yield
    finally:
        _operation_name.reset(token)


def _own(query: Query) -> QueryHints:
    hints: QueryHints = query.__dict__.get("smarterbase", _NO_HINTS)
    return hints


def _gathered(query: Query) -> QueryHints:
    hints = _own(query)
    for wrapped in _wrapped(query):
        inner = _gathered(wrapped)
        hints = QueryHints(
            name=inner.name if hints.name is None else hints.name,
            access=inner.access if hints.access == "any" else hints.access,
        )
    return hints


def _wrapped(query: Query) -> tuple[Query, ...]:
    inner: Query | None = getattr(query, "inner_query", None)
    return (*((inner,) if inner is not None else ()), *query.combined_queries)
