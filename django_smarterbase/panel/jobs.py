"""A check, rebuild or packing that was begun in the admin, as every process sees it.

A database has one object for it, ``<NAME>/_sb/job.json``, changed by compare-and-swap. Whoever begins a job replaces
the one before, unless that is still under way; the process at work rewrites it every second and stops when another
has replaced it. A job that gives no sign of life for ``SILENCE`` has died with its process. Clocks of machines may
differ by less than that; if by more, the worst is that a job is stopped by the next one. A table is never rebuilt twice
at a time, since a rebuild has a hold of its own in Redis.
"""

from __future__ import annotations

import enum
import logging
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson

from ..backend.resources import Resources
from ..exceptions import PreconditionFailed

logger = logging.getLogger("django_smarterbase.index")

SILENCE: Final = timedelta(seconds=30)


class Kind(enum.StrEnum):
    """What a job does. The values stand in its object and in addresses."""

    CHECK = "check"
    REINDEX = "reindex"
    PACK = "pack"


class Status(enum.StrEnum):
    """How far a table has come."""

    QUEUED = "queued"
    READING = "reading"
    WAITING = "waiting"
    PACKING = "packing"
    ENDED = "ended"


class Verdict(enum.StrEnum):
    """What became of a table: of a rebuild the first three, of a packing the next and ``LEFT``, of a check the others,
    of all ``FAILED``."""

    REBUILT = "rebuilt"
    LEFT = "left as it is"
    INTERRUPTED = "interrupted"
    PACKED = "packed"
    SOUND = "sound"
    NO_INDEX = "no index"
    UNTRUSTED = "not trusted"
    DAMAGED = "damaged"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class TableProgress:
    """One table of a job. ``part`` is what is done of it, from 0 to 1, as far as anybody can tell.

    ``documents`` are those looked at so far, in the end those that there are; ``expected`` is how many its index held
    before, None if nobody knew. ``figures`` are those of the rebuild, the packing or the findings, ``{name: number}``;
    ``error`` is the message of a failure.
    """

    table: str
    label: str
    status: Status = Status.QUEUED
    documents: int = 0
    expected: int | None = None
    part: float = 0.0
    verdict: Verdict | None = None
    figures: Mapping[str, float] = field(default_factory=dict)
    error: str = ""

    @property
    def went_well(self) -> bool:
        """Whether it has ended and left or found nothing wrong."""
        bad = {Verdict.FAILED, Verdict.INTERRUPTED, Verdict.UNTRUSTED, Verdict.DAMAGED, None}
        return self.verdict not in bad


@dataclass(frozen=True, slots=True)
class Job:
    """``seen_at`` is its last sign of life, ``ended_at`` None while it is under way; all times are UTC.

    ``thorough`` rebuilds read every document; ``sample`` is how many a check looks at in each table, None for all.
    ``problems`` are what concerns the database as a whole. ``user`` is who began it.
    """

    kind: Kind
    user: str
    tables: tuple[TableProgress, ...]
    thorough: bool = False
    sample: int | None = None
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    began_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    seen_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    ended_at: datetime | None = None
    problems: tuple[str, ...] = ()

    @property
    def has_ended(self) -> bool:
        """Whether it has come to its end, good or bad."""
        return self.ended_at is not None

    @property
    def has_died(self) -> bool:
        """Whether its process has died with it."""
        return not self.has_ended and datetime.now(UTC) - self.seen_at > SILENCE

    @property
    def is_under_way(self) -> bool:
        """Whether a process is at it."""
        return not self.has_ended and not self.has_died

    @property
    def went_well(self) -> bool:
        """Whether it has ended and left or found nothing wrong."""
        return self.has_ended and not self.problems and all(each.went_well for each in self.tables)

    @property
    def part(self) -> float:
        """What is done of it, from 0 to 1."""
        if self.has_ended:
            return 1.0
        return sum(each.part for each in self.tables) / max(1, len(self.tables))

    def subject(self, database: str) -> str:
        """What it is about: its only table, or the database."""
        return f"{self.tables[0].label} ({database})" if len(self.tables) == 1 else database

    @property
    def seconds(self) -> float:
        """How long it has taken, up to its last sign of life."""
        return ((self.ended_at or self.seen_at) - self.began_at).total_seconds()


class JobReplaced(Exception):  # not an error: it tells the process at work that it is out of work
    """Another job has taken the place of this one."""


class JobBoard:
    """The object of one database. Each method raises StorageUnavailable."""

    def __init__(self, resources: Resources) -> None:
        self._store = resources.store
        self._key = resources.keys.job()
        self._origin = resources.origin
        self._etag: str | None = None

    def current(self) -> Job | None:
        """The job that was begun last: one GET. One that cannot be read counts as none."""
        stored = self._store.get(self._key)
        self._etag = None if stored is None else stored.etag
        return None if stored is None else self._parse(stored.body)

    def begin(self, job: Job) -> bool:
        """Put ``job`` in the place of one that is not under way; False if one is. One GET and one PUT."""
        current = self.current()
        if current is not None and current.is_under_way:
            return False
        try:
            self.update(job)
        except JobReplaced:
            return False
        return True

    def update(self, job: Job) -> None:
        """Show how far the job has come that was begun or read here. One PUT. Raises JobReplaced."""
        try:
            self._etag = self._store.put(
                self._key, orjson.dumps(asdict(job)), if_match=self._etag, if_absent=self._etag is None
            )
        except PreconditionFailed as error:
            raise JobReplaced from error

    def _parse(self, body: bytes) -> Job | None:
        try:
            return _job(orjson.loads(body))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            logger.warning(
                "%r is not a job (%.200r) and will be replaced by the next one.",
                self._key,
                error,
                extra={"event": "job_unreadable", **self._origin, "key": self._key},
            )
            return None


def _job(raw: dict[str, Any]) -> Job:
    ended_at = raw["ended_at"]
    return Job(
        kind=Kind(raw["kind"]),
        user=str(raw["user"]),
        tables=tuple(_table(each) for each in raw["tables"]),
        thorough=bool(raw["thorough"]),
        sample=_number(raw["sample"]),
        id=str(raw["id"]),
        began_at=_time(raw["began_at"]),
        seen_at=_time(raw["seen_at"]),
        ended_at=None if ended_at is None else _time(ended_at),
        problems=tuple(str(each) for each in raw["problems"]),
    )


def _table(raw: dict[str, Any]) -> TableProgress:
    verdict = raw["verdict"]
    return TableProgress(
        table=str(raw["table"]),
        label=str(raw["label"]),
        status=Status(raw["status"]),
        documents=int(raw["documents"]),
        expected=_number(raw["expected"]),
        part=float(raw["part"]),
        verdict=None if verdict is None else Verdict(verdict),
        figures={str(name): float(figure) for name, figure in raw["figures"].items()},
        error=str(raw["error"]),
    )


def _number(value: Any) -> int | None:
    return None if value is None else int(value)


def _time(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    return time
