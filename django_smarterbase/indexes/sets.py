"""Reading: from an index condition to candidates, or to counts, in one round trip."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, Final

from ..storage.keys import may_be_stem
from ..tables import IndexCondition, IndexDefinition, TableSchema, Value, Walk
from .answers import Counts, FallbackReason, IndexUntrusted, Page, Reading, Record
from .client import IndexDamaged, RedisClient, RedisDown
from .conditions import Word, condition_words
from .definitions import indexable
from .encoding import LOSSY, NotIndexable, stored_code, value_of
from .entries import doubtful_entries
from .keys import part
from .ordering import kept_order, odd_entry, walk_bounds
from .room import Room
from .scripts import Script
from .sweep import Sweeper
from .trust import EvictionWatch, believed, check_answer, snapshot_of, unchanged

_TRIES: Final = 3
_RECORDS: Final = 1000  # records for each script
_MOST_GROUPS: Final = 1000
_PAUSE: Final = 0.005  # seconds between a publication in the manifest and in Redis, generously


class SetReader:
    """Asks the sets of one database."""

    def __init__(self, room: Room, sweeper: Sweeper) -> None:
        self._room = room
        self._sweeper = sweeper
        self._eviction = EvictionWatch(allowed=room.options.allow_eviction)

    def read(
        self,
        schema: TableSchema,
        condition: IndexCondition,
        *,
        members: bool,
        at_most: int | None = None,
        told: Sequence[IndexDefinition] | None = None,
    ) -> Reading:
        """As ``IndexService.read``."""
        wanted = "none" if not members else "all" if at_most is None else str(at_most)
        telling = [0, 0] if told is None else [_RECORDS, *_names(told)]
        rest = [wanted, self._room.deadline_ms, *telling, *condition_words(schema, condition)]
        answer = self._ask(schema, Script.READ, rest, condition.indexes)
        _, _, _, count, overdue, in_doubt, stems, documents, rows = answer
        self._refuse_damage(schema, (*in_doubt, *(stems or ())))
        if overdue:
            self._sweeper.lend_a_hand(schema)
        records = None if told is None or rows is None else dict(_values_told(schema, told, stems, rows))
        return Reading(None if stems is None else tuple(stems), count, frozenset(in_doubt), documents, records)

    def walk(self, schema: TableSchema, walk: Walk, *, skip: bool) -> Page | None:
        """As ``IndexService.walk``."""
        rest = [self._room.deadline_ms, *_walk(schema, walk, skip=skip), *condition_words(schema, walk.condition)]
        indexes = (walk.index, *walk.condition.indexes)
        _, _, _, overdue, state, left_out, in_doubt, flat = self._ask(schema, Script.WALK, rest, indexes)
        return self._page(schema, overdue, state, left_out, in_doubt, flat)

    def groups(self, schema: TableSchema, walk: Walk) -> Page | None:
        """As ``IndexService.groups``."""
        rest: list[Word] = [self._room.deadline_ms, *_groups(schema, walk), _MOST_GROUPS]
        _, _, _, overdue, state, in_doubt, flat = self._ask(schema, Script.GROUPS, rest, [walk.index])
        return self._page(schema, overdue, state, 0, in_doubt, flat)

    def _page(
        self, schema: TableSchema, overdue: int, state: str, left_out: int, in_doubt: list[str], flat: list[str]
    ) -> Page | None:
        etags = dict(zip(flat[::2], flat[1::2], strict=True))
        self._refuse_damage(schema, (*in_doubt, *etags))
        if overdue:
            self._sweeper.lend_a_hand(schema)
        return None if state == "beyond" else Page(etags, frozenset(in_doubt), left_out, state == "ended")

    def counts(self, schema: TableSchema, index: IndexDefinition) -> Counts:
        """As ``IndexService.counts``."""
        if index not in indexable(schema):
            raise IndexUntrusted(
                FallbackReason.NOT_INDEXED, f"{schema.table} has no index {index.name!r}", expected=True
            )
        _, _, _, in_doubt, flat = self._ask(schema, Script.COUNTS, [part(index.name)], [index])
        self._refuse_damage(schema, (*in_doubt, *filter(None, flat[2::3])))
        found = _Found(self._room, schema, index)
        counts = {
            found.values(code, sample): count
            for code, count, sample in zip(flat[::3], flat[1::3], flat[2::3], strict=True)
        }
        return Counts(counts, frozenset(in_doubt))

    def records(
        self, schema: TableSchema, indexes: Sequence[IndexDefinition], stems: Sequence[str]
    ) -> dict[str, Record]:
        """As ``IndexService.records``."""
        found: dict[str, Record] = {}
        for start in range(0, len(stems), _RECORDS):
            piece = stems[start : start + _RECORDS]
            *_, rows = self._ask(schema, Script.RECORDS, [*_names(indexes), *piece])
            found.update(_values_told(schema, indexes, piece, rows))
        return found

    def _refuse_damage(self, schema: TableSchema, stems: Collection[str]) -> None:
        """Raise IndexUntrusted, and withdraw the index, when it names what no document can be called."""
        if all(map(may_be_stem, stems)):
            return
        wrong = next(stem for stem in stems if not may_be_stem(stem))
        if (redis := self._room.redis) is not None:
            self._withdraw(redis, schema)
            raise IndexUntrusted(FallbackReason.DRIFT, f"it names {wrong!r:.200}, which no document can be called")

    def _ask(
        self, schema: TableSchema, script: Script, rest: list[Word], indexes: Iterable[IndexDefinition] = ()
    ) -> list[Any]:
        """Run a reading script. Asks again, with the manifest read anew, when another epoch turns out to be marked.

        The answer depends on where documents stand in ``indexes``, so those that stand there twice are in doubt.
        """
        redis = self._room.redis
        if redis is None:
            raise IndexUntrusted(FallbackReason.NO_CACHE, expected=True)
        words = [*rest, doubtful_entries(schema, indexes)]
        for attempt in range(_TRIES):
            answer = self._ask_once(redis, schema, script, words, fresh=attempt > 0)
            if answer is not None and (answer[0] != "other" or attempt == _TRIES - 1):
                check_answer(answer)
                return answer
            time.sleep(_PAUSE * attempt)
        raise IndexUntrusted(FallbackReason.SUSPECT, "the manifest changes all the time")

    def _ask_once(
        self, redis: RedisClient, schema: TableSchema, script: Script, rest: list[Word], *, fresh: bool
    ) -> list[Any] | None:
        """The script's answer; None when the manifest has changed since the lease on it ran out."""
        manifest = self._room.manifest
        snapshot = snapshot_of(manifest, fresh=fresh)
        epoch = believed(schema, snapshot.entries.get(schema.table))
        try:
            answer: list[Any] = redis.run(script, self._room.keys(schema), epoch, self._eviction.known_run(), *rest)
        except RedisDown as down:
            raise IndexUntrusted(down.reason, down.detail) from down
        except IndexDamaged as damage:
            self._withdraw(redis, schema)
            raise IndexUntrusted(FallbackReason.DRIFT, str(damage)) from damage
        self._eviction.learn(answer[1], answer[2])
        return answer if unchanged(manifest, snapshot, schema.table) else None

    def _withdraw(self, redis: RedisClient, schema: TableSchema) -> None:
        try:
            redis.run(Script.DROP, self._room.keys(schema), "")
        except RedisDown as down:
            raise IndexUntrusted(down.reason, down.detail) from down


class _Found:
    """The values behind codes; a document is read where the code does not tell."""

    def __init__(self, room: Room, schema: TableSchema, index: IndexDefinition) -> None:
        self._room = room
        self._schema = schema
        self._columns = [schema.by_name[name] for name in index.columns]

    def values(self, codes: str, sample: str) -> tuple[Value, ...]:
        """The values of an entry's codes. ``sample`` is the stem of a document that has them, where it is needed."""
        parts = codes.split(",")
        if not any(code.startswith(LOSSY) for code in parts):
            return tuple(value_of(column, code) for column, code in zip(self._columns, parts, strict=True))
        if not sample:
            raise IndexUntrusted(FallbackReason.CHANGED, expected=True)
        key = self._room.objects.document(self._schema.table, sample)
        stored = self._room.store.get(key)
        row = self._room.decode(self._schema, key, stored.body) if stored is not None else {}
        if stored is None or [stored_code(column, row[column.name]) for column in self._columns] != parts:
            raise IndexUntrusted(FallbackReason.CHANGED, expected=True)
        return tuple(row[column.name] for column in self._columns)


def _names(indexes: Sequence[IndexDefinition]) -> list[Word]:
    """Indexes as the scripts take them that tell of records."""
    return [len(indexes), *(part(index.name) for index in indexes)]


def _values_told(
    schema: TableSchema, indexes: Sequence[IndexDefinition], stems: Sequence[str], rows: Sequence[str | None]
) -> Iterator[tuple[str, Record]]:
    """The values that the codes of records stand for, without the documents of which these do not tell all."""
    columns = [schema.by_name[name] for index in indexes for name in index.columns]
    known: dict[tuple[int, str], Value] = {}
    for stem, row in zip(stems, rows, strict=True):
        if row is None or LOSSY in row:
            continue
        values = {}
        for position, code in enumerate(row.replace(" ", ",").split(",") if row else ()):
            if (position, code) not in known:
                known[position, code] = value_of(columns[position], code)
            values[columns[position].name] = known[position, code]
        yield stem, values


def _groups(schema: TableSchema, walk: Walk) -> list[Word]:
    """Groups as the script takes them."""
    name, first, last, _null = _bounds(schema, walk)
    column = kept_order(schema, walk.index).columns[len(walk.prefix)]
    return [name, first, last, len(walk.prefix), walk.alike or 0, int(walk.both_ends), odd_entry(column)]


def _bounds(schema: TableSchema, walk: Walk) -> tuple[str, str, str, str]:
    try:
        return walk_bounds(schema, walk)
    except NotIndexable as problem:
        raise IndexUntrusted(FallbackReason.NOT_INDEXED, str(problem), expected=True) from problem


def _walk(schema: TableSchema, walk: Walk, *, skip: bool) -> list[Word]:
    """A walk as the script takes it, but for its condition."""
    name, first, last, null = _bounds(schema, walk)
    whole = len(walk.prefix) + walk.ties if walk.ties else 0
    return [name, first, last, int(walk.backwards), null, whole, walk.start, walk.stop, int(skip)]
