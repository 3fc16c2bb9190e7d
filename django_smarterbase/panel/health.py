"""What the page of the indexes shows: of each database its Redis, its tables and their indexes.

Nothing is scanned for it: of each database two objects are read, of each table the one that tells its packs, and Redis
is asked twice.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError
from django.utils.text import slugify

from ..exceptions import SmarterBaseError
from ..indexes.breaker import breaker_of
from ..indexes.definitions import indexable
from ..indexes.service import FallbackReason, IndexState
from ..management.lastchecks import LastCheck, LastChecks
from ..management.tables import connection_of, tables_of
from ..packs.format import PackIndex
from ..planner.advice import remedy
from ..routers import smarterbase_aliases
from ..tables import TableSchema
from .jobs import Job, JobBoard
from .wording import REASONS, Text

_DOWN: Final = frozenset((FallbackReason.UNREACHABLE, FallbackReason.BREAKER_OPEN))
#: What Reindex mends, or what the page says of Redis already.
_OBVIOUS: Final = _DOWN | {
    FallbackReason.NOT_BUILT,
    FallbackReason.SUSPECT,
    FallbackReason.RESTARTED,
    FallbackReason.FLUSHED,
}


class Tone(enum.StrEnum):
    """How a state is to be taken; the name of its style."""

    GOOD = "good"
    BAD = "bad"
    QUIET = "quiet"


@dataclass(frozen=True, slots=True)
class IndexRow:
    """One index: ``values`` is how many distinct ones it holds, ``drift`` per cent; None when nobody knows."""

    name: str
    fields: tuple[str, ...]
    values: int | None
    drift: float | None


@dataclass(frozen=True, slots=True)
class TableRow:
    """One table. ``checked`` is the last check of its index as it is now: None after a rebuild. ``packs`` are None when
    it has none."""

    database: str
    schema: TableSchema
    state: IndexState
    checked: LastCheck | None
    packs: PackIndex | None
    indexes: tuple[IndexRow, ...]

    @property
    def id(self) -> str:
        """What it is called in the log of the admin."""
        return f"{self.database}/{self.schema.table}"

    @property
    def anchor(self) -> str:
        """The fragment of its address."""
        return anchor_of(self.id)

    @property
    def tone(self) -> Tone:
        """How its state is to be taken. A table that was never written to has no index, which is no fault."""
        if self.state.trusted:
            return Tone.GOOD
        unborn = self.state.reason is FallbackReason.NOT_BUILT and self.state.entry is None
        return Tone.QUIET if unborn or self.state.reason is FallbackReason.NO_CACHE else Tone.BAD

    @property
    def reason(self) -> Text:
        """Why its index is not trusted; "" when it is."""
        return "" if self.state.reason is None else REASONS[self.state.reason]

    @property
    def detail(self) -> str:
        """More of the reason, unless the page has said it of Redis already."""
        return "" if self.state.reason in _DOWN else self.state.detail

    @property
    def remedy(self) -> str:
        """What brings its index back, where that is more than the button beside it."""
        reason = self.state.reason
        return "" if reason is None or reason in _OBVIOUS else remedy(reason, self.schema.label)

    @property
    def epoch(self) -> str | None:
        """The epoch that is trusted, or was last."""
        return None if self.state.entry is None else self.state.entry.epoch

    @property
    def built_at(self) -> datetime | None:
        """When its index was last built."""
        return None if self.state.entry is None else self.state.entry.built_at

    @property
    def drift(self) -> float | None:
        """Per cent of its entries that the last check has found wrong."""
        return None if self.checked is None else self.checked.drift


@dataclass(frozen=True, slots=True)
class DatabaseHealth:
    """One database. ``reachable`` is None without a cache, and when nobody knows; ``since`` is since when (UTC).

    ``problem`` is why it could not be looked at. ``write_deadline`` is in seconds. ``packable`` tells whether its
    storage can have packs.
    """

    alias: str
    cache: str | None = None
    reachable: bool | None = None
    since: datetime | None = None
    detail: str = ""
    write_deadline: float = 0.0
    packable: bool = False
    tables: tuple[TableRow, ...] = ()
    job: Job | None = None
    problem: str = ""

    @property
    def anchor(self) -> str:
        """The fragment of its address."""
        return anchor_of(self.alias)

    @property
    def has_actions(self) -> bool:
        """Whether there is anything to be done with its tables."""
        return self.cache is not None or self.packable

    @property
    def untrusted(self) -> int:
        """How many of its tables have an index that is not trusted."""
        return sum(table.tone is Tone.BAD for table in self.tables)


def anchor_of(id: str) -> str:
    """The fragment for a database or table."""
    return f"sb-{slugify(id.replace('/', '-'))}"


def health_of_all() -> list[DatabaseHealth]:
    """Of every smarterbase database, in the order of ``DATABASES``."""
    return [health_of(alias) for alias in smarterbase_aliases()]


def health_of(alias: str) -> DatabaseHealth:
    """Of one database. Never raises for storage or Redis."""
    try:
        return _look(alias)
    except (SmarterBaseError, DatabaseError, OSError, ImproperlyConfigured) as error:
        return DatabaseHealth(alias, problem=str(error))


def _look(alias: str) -> DatabaseHealth:
    resources = connection_of(alias).resources
    schemas = tables_of(alias, None)
    states = resources.indexes.states(schemas)
    checks = LastChecks(resources).read()
    packs = resources.store.look_at_packs([schema.table for schema in schemas])
    rows = [
        _row(alias, schema, state, checks.get(schema.table), packs.get(schema.table))
        for schema, state in zip(schemas, states, strict=True)
    ]
    cache, down = resources.options.cache, next((each for each in states if each.reason in _DOWN), None)
    since = None
    if cache is not None:
        breaker = breaker_of(cache)
        since = breaker.failing_since if down is not None else breaker.answering_since
    return DatabaseHealth(
        alias=alias,
        cache=cache,
        reachable=None if cache is None else down is None,
        since=since,
        detail="" if down is None else down.detail,
        write_deadline=resources.options.write_deadline,
        packable=resources.store.lists_etags,
        # Those that want somebody's attention come first.
        tables=tuple(sorted(rows, key=lambda row: row.tone is not Tone.BAD)),
        job=JobBoard(resources).current(),
    )


def _row(
    alias: str, schema: TableSchema, state: IndexState, checked: LastCheck | None, packs: PackIndex | None
) -> TableRow:
    epoch = None if state.marker is None else state.marker.epoch
    if checked is not None and (not state.trusted or checked.epoch != epoch):
        checked = None
    return TableRow(alias, schema, state, checked, packs, tuple(_indexes(schema, state, checked)))


def _indexes(schema: TableSchema, state: IndexState, checked: LastCheck | None) -> Iterable[IndexRow]:
    for index in indexable(schema):
        fields = tuple(schema.field_names.get(column, column) for column in index.columns)
        values = None if state.marker is None else state.values.get(index.name, 0)
        yield IndexRow(index.name, fields, values, None if checked is None else checked.indexes.get(index.name))
