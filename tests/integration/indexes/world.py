"""The world of these tests: one table of things with a colour and a size, and processes that read and write it."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import orjson
import redis

from django_smarterbase.conf import Options
from django_smarterbase.exceptions import CorruptDocument
from django_smarterbase.indexes.service import Change, IndexService, OpenWrite, Reading
from django_smarterbase.storage.base import ObjectStore
from django_smarterbase.storage.keys import Keyspace
from django_smarterbase.tables import (
    Affinity,
    Column,
    IndexCondition,
    IndexDefinition,
    IndexEntry,
    Row,
    TableSchema,
    Value,
)

#: Short, for those who wait for a lease or a deadline to run out.
OPTIONS = Options(trust_seconds=0.15, write_deadline=0.6, auto_reindex=False)
#: Long, for those in whose middle nothing is to run out, however long the machine stands still.
PATIENT = replace(OPTIONS, trust_seconds=100.0, write_deadline=200.0)

COLOR = IndexDefinition("things-by-color", ("color",))
BOTH = IndexDefinition("color_size", ("color", "size"))
SCHEMA = TableSchema(
    "things",
    "app.Thing",
    (
        Column("id", affinity=Affinity.TEXT),
        Column("color", affinity=Affinity.TEXT),
        Column("size", affinity=Affinity.INTEGER),
    ),
    ("id",),
    indexes=(COLOR, BOTH),
)
OTHER_CODE = replace(SCHEMA, indexes=(COLOR,))


def decode(schema: TableSchema, key: str, body: bytes) -> Row:
    """A row from its JSON."""
    try:
        row: Row = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise CorruptDocument(key, "not JSON") from error
    return row


def row_of(stem: str, color: str, size: int = 1) -> dict[str, Value]:
    """A thing."""
    return {"id": stem, "color": color, "size": size}


def colored(*colors: str) -> IndexCondition:
    """Things of one of these colours."""
    return IndexCondition((tuple(IndexEntry(COLOR, (color,)) for color in colors),))


EVERYTHING = IndexCondition()


@dataclass
class World:
    """One database. ``service()`` makes what a process has of it."""

    store: ObjectStore
    alias: str | None
    redis: redis.Redis
    options: Options = OPTIONS
    name: str = field(default_factory=lambda: f"w{secrets.token_hex(4)}")

    def __post_init__(self) -> None:
        self.keys = Keyspace(self.name)
        self.first = self.service()

    def service(self, **changes: Any) -> IndexService:
        """Another process: a service of its own. ``changes`` are of the options, or ``alias`` and ``store``."""
        alias = changes.pop("alias", self.alias)
        store = changes.pop("store", self.store)
        options = replace(self.options, **changes)
        return IndexService(
            store=store,
            keys=self.keys,
            name=self.name,
            database="default",
            alias=alias,
            options=options,
            decode=decode,
        )

    def hasty(self, **changes: Any) -> IndexService:
        """A service that waits for leases and deadlines for a moment only."""
        return self.service(trust_seconds=OPTIONS.trust_seconds, write_deadline=OPTIONS.write_deadline, **changes)

    def key(self, stem: str) -> str:
        """The object key of a thing."""
        return self.keys.document(SCHEMA.table, stem)

    def begin(
        self,
        stem: str,
        color: str | None,
        *,
        service: IndexService | None = None,
        schema: TableSchema = SCHEMA,
        size: int = 1,
    ) -> OpenWrite:
        """Begin a write of one thing; ``color`` None deletes it."""
        row = row_of(stem, color, size) if color is not None else None
        existed = self.store.get(self.key(stem)) is not None
        return (service or self.first).begin(schema, [Change(stem, row, existed)])

    def put(self, stem: str, color: str | None, size: int = 1) -> str | None:
        """Write a thing's object on the condition of what is there; its new ETag."""
        key, stored = self.key(stem), self.store.get(self.key(stem))
        if color is None:
            self.store.delete(key, if_match=stored.etag if stored else None)
            return None
        body = orjson.dumps(row_of(stem, color, size))
        return self.store.put(key, body, if_match=stored.etag if stored else None, if_absent=stored is None)

    def write(self, stem: str, color: str | None, *, size: int = 1, **how: Any) -> OpenWrite:
        """A whole write: begin, PUT, finish."""
        write = self.begin(stem, color, size=size, **how)
        write.finish({stem: self.put(stem, color, size)})
        return write

    def truth(self, colors: Iterable[str]) -> set[str]:
        """The stems of the stored things that have one of these colours."""
        wanted = set(colors)
        found = {
            stem: stored
            for key, stored in self.store.scan(self.keys.table_prefix(SCHEMA.table))
            if (stem := self.keys.stem_of_key(SCHEMA.table, key))
        }
        return {stem for stem, stored in found.items() if decode(SCHEMA, stem, stored.body)["color"] in wanted}

    def members(self, *colors: str, service: IndexService | None = None) -> set[str]:
        """The candidates that the index names for these colours."""
        return set((service or self.first).read(SCHEMA, colored(*colors)).stems or ())

    def exact_count(self, reading: Reading, *colors: str) -> int:
        """The exact count: what is certain, and those in doubt that turn out to be of these colours."""
        return reading.count + len(self.truth(colors) & reading.in_doubt)

    def redis_keys(self, ending: str = "*") -> list[str]:
        """The Redis keys of the world that end so."""
        return sorted(key.decode() for key in self.redis.scan_iter(match=f"sb:{{{self.name}:*}}:{ending}", count=1000))

    def pass_deadline(self) -> None:
        """Make all notes in Redis older by more than the write deadline."""
        passed = int(self.options.write_deadline * 1000) + 1
        for key in self.redis_keys("pend:*"):
            for stem, notes in self.redis.hgetall(key).items():
                parts = [note.split(b" ") for note in notes.split(b"\n")]
                aged = [[*note[:2], b"%d" % (int(note[2]) - passed), *note[3:]] for note in parts]
                self.redis.hset(key, stem, b"\n".join(b" ".join(note) for note in aged))

    def remove_keys(self) -> None:
        """Forget everything in Redis, as a flush of this database's keys would."""
        keys = self.redis_keys()
        if keys:
            self.redis.delete(*keys)
