"""A SELECT ... FOR UPDATE: which rows it names, and the same SELECT without some of them.

Its columns are followed by the primary keys of the tables to be locked. So what it has found itself tells what to lock;
another query for them could find others, where an ORDER BY leaves the order open. The session locks them, reads them
anew and runs the SELECT again, until it names nothing that is not locked.
"""

from __future__ import annotations

import datetime
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from django.db import NotSupportedError
from django.db.models import Model
from django.db.models.constants import LOOKUP_SEP
from django.db.models.expressions import Col, ColPairs, Value
from django.db.models.fields import Field
from django.db.models.functions import Random
from django.db.models.lookups import Exact, In, IsNull
from django.db.models.sql.query import Query
from django.db.models.sql.where import AND, OR, WhereNode

from django_smarterbase.storage.keys import stem as stem_of

if TYPE_CHECKING:
    from django_smarterbase.backend.compiler import SQLCompiler

Row = tuple[Any, ...]
Select = list[tuple[Any, Any, Any]]  # as SQLCompiler.get_select gives it
Info = Mapping[str, Any]  # klass_info of SQLCompiler.get_select
Path = tuple[str, ...]
Columns = tuple[Col, ...]

_NOT_ROWS: Final = "select_for_update() needs rows of tables, not combined, aggregated or distinct values."


@dataclass(frozen=True, slots=True)
class Target:
    """A table whose rows are to be locked, and the columns of its primary key in the SELECT."""

    table: str
    columns: Columns


@dataclass(frozen=True, slots=True)
class Named:
    """A row that a SELECT names: where it stands there, and its primary key as SQLite holds it."""

    target: Target
    pk: Row


@dataclass
class RowLocking:
    """What one run of a SELECT is to lock, and what came of it.

    The first ``width`` columns of a row are the caller's, of ``selected`` expressions; ``by_chance`` says that the
    SELECT names others each time.
    ``busy`` are the rows that could not be had at once, with ``skip``, and ``chosen`` those that were named by chance
    and locked. With either, the SELECT is to be compiled anew.
    """

    nowait: bool
    skip: bool
    by_chance: bool
    targets: tuple[Target, ...] = ()
    selected: int | None = None
    width: int = 0
    busy: list[Named] = field(default_factory=list)
    chosen: list[Named] = field(default_factory=list)

    def named(self, rows: Iterable[Row]) -> dict[str, dict[str, Named]]:
        """The rows of tables that a result consists of, ``{table: {stem: row}}``."""
        found: dict[str, dict[str, Named]] = defaultdict(dict)
        for row in rows:
            at = self.width
            for target in self.targets:
                pk = tuple(map(_as_stored, row[at : at + len(target.columns)]))
                at += len(target.columns)
                if None not in pk:
                    found[target.table][stem_of(pk)] = Named(target, pk)
        return found


def select_locked(compiler: SQLCompiler, run: Callable[[], Iterable[list[Row]]]) -> list[Row]:
    """The rows of a SELECT, of which each is locked. ``run`` compiles and runs it.

    Raises NotSupportedError, LockNotAvailable, ConflictError.
    """
    original, busy = compiler.query, list[Named]()
    _refuse_what_is_no_row(original)
    try:
        while True:
            locking = compiler.locking = RowLocking(
                nowait=original.select_for_update_nowait,
                skip=original.select_for_update_skip_locked,
                by_chance=original.is_sliced and _is_random(original),
            )
            rows = list(chain.from_iterable(run()))
            busy += locking.busy
            if locking.chosen:
                compiler.query = _only(compiler.query, locking.chosen)
            elif locking.busy:
                compiler.query = _without(original, busy)
            else:
                return [row[: locking.width] for row in rows]
    finally:
        compiler.query, compiler.locking = original, None
        if locking.selected is not None:
            compiler.select, compiler.col_count = compiler.select[: locking.selected], locking.selected


def _refuse_what_is_no_row(query: Query) -> None:
    if query.combinator or query.group_by is not None or (query.distinct and not query.default_cols):
        raise NotSupportedError(_NOT_ROWS)


def add_keys(compiler: SQLCompiler, locking: RowLocking, select: Select, info: Info | None) -> None:
    """Let a SELECT end with the keys of the tables to be locked: of those that ``of`` names, or else of all models
    that are selected."""
    of = compiler.query.select_for_update_of
    found = _Keys(compiler, select).targets(info or {"model": compiler.query.model, "select_fields": ()})
    locking.selected = len(select)
    locking.width = sum(len(each) if isinstance(each, ColPairs) else 1 for each, _sql, _alias in select)
    locking.targets = tuple(target for path, target in found if not of or (LOOKUP_SEP.join(path) or "self") in of)
    for column in chain.from_iterable(target.columns for target in locking.targets):
        select.append((column, compiler.compile(column), None))


class _Keys:
    """Finds the tables of a SELECT and the columns of their primary keys."""

    def __init__(self, compiler: SQLCompiler, select: Select) -> None:
        self.query = compiler.query
        self.select = select
        self.alias = self.query.get_initial_alias()

    def targets(self, info: Info, path: Path = ()) -> Iterator[tuple[Path, Target]]:
        """The tables of all models of which instances are made, each with the path to it from the query's model."""
        model = info["model"]._meta.concrete_model
        columns = self._columns(info, model._meta.pk_fields)
        yield path, Target(model._meta.db_table, columns)
        yield from self._parents(info, model, columns, path)
        related = list(info.get("related_klass_infos", ()))
        for each, name in zip(related, _names(self.query, related, top=not path), strict=True):
            yield from self.targets(each, (*path, name))

    def _parents(self, info: Info, model: type[Model], columns: Columns, path: Path) -> Iterator[tuple[Path, Target]]:
        """The tables of a model's parents. A parent that is not selected itself has the key that the link to it has."""
        for parent, link in model._meta.parents.items():
            if link is None:
                continue
            to_parent = columns if link.primary_key else self._columns(info, [link])
            found = self._columns(info, parent._meta.pk_fields) or to_parent
            if found:
                yield (*path, link.name), Target(parent._meta.db_table, found)
                yield from self._parents(info, parent, found, (*path, link.name))

    def _columns(self, info: Info, fields: Iterable[Field[Any, Any]]) -> Columns:
        """The columns of these fields of a model; none if one of them cannot be had."""
        columns = [self._column(info, field) for field in fields]
        return tuple(column for column in columns if column is not None) if None not in columns else ()

    def _column(self, info: Info, field: Field[Any, Any]) -> Col | None:
        """The column as the document has it: what a field's own ``get_col()`` makes of it is no key."""
        selected = chain.from_iterable(_nodes(self.select[position][0]) for position in info["select_fields"])
        column = next((each for each in selected if isinstance(each, Col) and each.target == field), None)
        if column is not None:
            return Col(column.alias, field)
        base = self.query.model._meta.concrete_model if self.query.model is not None else None
        if info["model"]._meta.concrete_model is base is field.model._meta.concrete_model:
            return Col(self.alias, field)
        return None


def _names(query: Query, related: Sequence[Info], *, top: bool) -> list[str]:
    """The names of relations. Those that a FilteredRelation gave stand at the end of the first level."""
    asked_for = query.select_related if top and isinstance(query.select_related, dict) else {}
    by_filter: Any = query._filtered_relations  # type: ignore[attr-defined]
    filtered = [name for name in asked_for if name in by_filter]
    fields = [each["field"].remote_field if each["reverse"] else each["field"] for each in related]
    return [*(field.name for field in fields[: len(fields) - len(filtered)]), *filtered]


def _without(query: Query, rows: Iterable[Named]) -> Query:
    fewer = query.clone()
    fewer.where.add(WhereNode(_among(rows), OR, negated=True), AND)
    return fewer


def _only(query: Query, rows: Iterable[Named]) -> Query:
    """The query over the rows that it named once. Where a joined table had none, there is none to be locked."""
    same = query.clone()
    same.clear_limits()
    targets: dict[Target, list[Named]] = defaultdict(list)
    for row in rows:
        targets[row.target].append(row)
    for target, named in targets.items():
        conditions: list[Any] = [*_among(named), IsNull(target.columns[0], True)]
        same.where.add(WhereNode(conditions, OR), AND)
    return same


def _among(rows: Iterable[Named]) -> list[Any]:
    """That a row of a SELECT consists of one of these: a condition for each target and beginning of a key, so that
    the expression stays flat however many rows there are."""
    groups: dict[tuple[Target, Row], list[Any]] = defaultdict(list)
    for row in rows:
        groups[row.target, row.pk[:-1]].append(row.pk[-1])
    found = []
    for (target, prefix), last in groups.items():
        *columns, column = target.columns
        conditions: list[Any] = [Exact(each, Value(value)) for each, value in zip(columns, prefix, strict=True)]
        # Of a row that an outer join leaves empty nothing is true, so nothing would be false either.
        conditions += [In(column, [Value(value) for value in last]), IsNull(column, False)]
        found.append(WhereNode(conditions, AND))
    return found


def _is_random(query: Query) -> bool:
    """Whether rows come in another order each time."""
    expressions = [*query.order_by, *query.extra_order_by, *query.annotations.values()]
    return any(
        each.lstrip("-+") == "?" if isinstance(each, str) else any(isinstance(node, Random) for node in _nodes(each))
        for each in expressions
    )


def _nodes(expression: Any) -> Iterable[Any]:
    return expression.flatten() if hasattr(expression, "flatten") else ()


def _as_stored(value: Any) -> Any:
    """What SQLite holds. Where a column is declared so, Django makes an object of it before anybody sees it."""
    if isinstance(value, datetime.datetime):
        return value.isoformat(" ")
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    return int(value) if isinstance(value, bool) else value
