"""The online rebuild of a table's index (``sb_reindex``): readers and writers go on meanwhile, nothing is lost."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

from ..exceptions import IndexUnavailable
from ..signals import index_rebuilt, send
from ..steps import reach
from ..tables import TableSchema
from .answers import RebuildReport
from .claim import Claim
from .client import Argument, IndexDamaged, RedisClient, RedisDown
from .definitions import definition
from .filling import Filling
from .keys import new_epoch
from .room import Room
from .scripts import Script
from .sweep import Sweeper
from .trust import EVICTING

logger = logging.getLogger("django_smarterbase.index")

Progress = Callable[[int, int | None], None]

HOLD: Final = 10.0  # seconds for which a rebuild that gives no sign of life keeps others out
_STEP: Final = 0.5  # seconds between two signs of life while the write deadline runs
_LOOK: Final = 0.02  # seconds between two looks at writes that are to end


class Rebuilder:
    """Rebuilds the tables of one database."""

    def __init__(self, room: Room, sweeper: Sweeper) -> None:
        self._room = room
        self._sweeper = sweeper

    def rebuild(
        self, schema: TableSchema, *, full: bool, progress: Progress | None, automatic: bool = False
    ) -> RebuildReport:
        """As ``IndexService.rebuild``; ``automatic`` when nobody has asked for it."""
        redis = self._room.redis
        if redis is None:
            raise IndexUnavailable(
                f"{schema.label} has no index to rebuild: the option cache is None. Name a CACHES alias there."
            )
        rebuild = Rebuild(self._room, self._sweeper, redis, schema, progress)
        try:
            report = rebuild.run(full=full)
        except RedisDown as down:
            raise IndexUnavailable(
                f"The index of {schema.label} was not rebuilt, since Redis cannot be used ({down}). Queries go on "
                "scanning; run sb_reindex again when Redis answers."
            ) from down
        except IndexDamaged as damage:
            with suppress(RedisDown):
                redis.run(Script.DROP, self._room.keys(schema), "")
            raise IndexUnavailable(
                f"The index of {schema.label} was not rebuilt: {damage}. Find out who wrote it (the indexes want a "
                "Redis database of their own) and run sb_reindex again."
            ) from damage
        send(
            index_rebuilt,
            Rebuilder,
            database=self._room.database,
            table=schema.table,
            documents=report.documents,
            seconds=report.seconds,
            automatic=automatic,
        )
        try:
            rebuild.tidy()
        except (RedisDown, IndexDamaged) as problem:
            extra = self._room.log_fields("leftovers_kept", schema, problem)
            logger.warning(
                "Leftovers of earlier indexes of %s stay in Redis for now: %s", schema.label, problem, extra=extra
            )
        return report


class Rebuild:
    """One rebuild of one table: its steps, in the order of ``run``."""

    def __init__(
        self, room: Room, sweeper: Sweeper, redis: RedisClient, schema: TableSchema, progress: Progress | None = None
    ) -> None:
        self.epoch = new_epoch()
        self.claim = Claim(room, schema, self.epoch)
        self.filling = Filling(room, schema, self.script, self._advance)
        self._room = room
        self._sweeper = sweeper
        self._redis = redis
        self._schema = schema
        self._progress = progress
        self._alive = 0.0
        self._registered = 0.0
        self._total: int | None = None

    def run(self, *, full: bool) -> RebuildReport:
        """All steps. Raises what ``IndexService.rebuild`` raises, RedisDown and IndexDamaged."""
        began = time.monotonic()
        self._refuse_eviction()
        with self._holding():
            self.claim.make()
            reach("rebuild-claimed")
            try:
                self.register()
                reach("rebuild-registered")
                self.filling.fill(None if full else self._earlier())
                self._total = self.filling.entered
                reach("rebuild-filled")
                self._wait_for_deadline()
                self._drain()
                reach("rebuild-waited")
                self.filling.mend()
                reach("rebuild-mended")
                self.publish()
                reach("rebuild-published")
                self.mark()
                reach("rebuild-marked")
            except BaseException:
                self.give_up()
                raise
            return self._report(time.monotonic() - began)

    def script(self, script: Script, *args: Argument) -> Any:
        """Run a script for this epoch. Raises IndexUnavailable where it says that the epoch is no longer live."""
        answer = self._redis.run(script, self._room.keys(self._schema), self.epoch, *args)
        if answer == 0:
            raise IndexUnavailable(
                f"The index of {self._schema.label} was not rebuilt: Redis lost what was already built (flushed, "
                "restarted or damaged), or another rebuild began. Run sb_reindex again."
            )
        return answer

    def register(self) -> None:
        """Have every writer feed the epoch from now on."""
        self.script(Script.REGISTER, definition(self._schema))
        self._registered = time.monotonic()

    def standing(self, ticket: str = "") -> tuple[str, int]:
        """The last ticket taken (or ``ticket``), and how many notes up to it stand."""
        last, count = self.script(Script.STANDING, ticket)
        return last, count

    def publish(self) -> None:
        """Have the manifest trust the epoch."""
        if not self.claim.publish():
            raise IndexUnavailable(
                f"The index of {self._schema.label} was not rebuilt: meanwhile a process wrote without the index (it "
                "cannot reach Redis, or runs code with other indexes). Run sb_reindex again when all can."
            )

    def mark(self) -> None:
        """Have Redis say that the epoch is complete."""
        self.script(Script.MARK)

    def give_up(self) -> None:
        """Leave the table as it was before, as far as Redis and the store can be reached."""
        with suppress(RedisDown, IndexDamaged):
            self.script(Script.DROP)
        self.claim.give_up()

    def tidy(self) -> None:
        """Remove the keys of earlier epochs and of rebuilds that died, a piece at a time, and settle old notes."""
        keys = self._room.keys(self._schema)
        for found in self._redis.keys_of(keys):
            self._redis.run(Script.CLEAR, keys, more_keys=found)
        self._sweeper.sweep(self._schema)

    def _earlier(self) -> str | None:
        """The last trusted epoch, if it was built for the same definition."""
        before = self.claim.before
        return before.epoch if before is not None and before.definition == definition(self._schema) else None

    def _report(self, seconds: float) -> RebuildReport:
        filling = self.filling
        return RebuildReport(
            table=self._schema.table,
            epoch=self.epoch,
            documents=self._inspect()[4],
            read=filling.read,
            reused=filling.reused,
            mended=filling.mended,
            corrupt=len(filling.corrupt),
            seconds=seconds,
        )

    def _inspect(self) -> list[Any]:
        answer: list[Any] = self._redis.run(Script.INSPECT, self._room.keys(self._schema), self._room.deadline_ms)
        return answer

    def _refuse_eviction(self) -> None:
        policy = self._inspect()[1]
        if policy.startswith(EVICTING) and not self._room.options.allow_eviction:
            raise IndexUnavailable(
                f"Redis may evict the index of {self._schema.label}: its maxmemory-policy is {policy}. Set it to "
                "noeviction, or accept lost indexes with the option allow_eviction."
            )

    @contextmanager
    def _holding(self) -> Iterator[None]:
        self._hold(HOLD)
        try:
            yield
        finally:
            with suppress(RedisDown, IndexDamaged, IndexUnavailable):
                self._hold(0)

    def _hold(self, seconds: float) -> None:
        self._alive = time.monotonic()
        keys = self._room.keys(self._schema)
        if self._redis.run(Script.HOLD, keys, self.epoch, int(seconds * 1000)) == 0:
            raise IndexUnavailable(
                f"Another rebuild of {self._schema.label} is under way. Let it end; if it was killed, run sb_reindex "
                f"again in {HOLD:g} s."
            )

    def _advance(self) -> None:
        """A sign of life, to Redis and to whoever watches."""
        if time.monotonic() - self._alive >= HOLD / 10:
            self._hold(HOLD)
        if self._progress is not None:
            filling = self.filling
            self._progress(filling.entered if self._total is None else filling.compared, self._total)

    def _wait_for_deadline(self) -> None:
        """Until every writer that had begun before the epoch was registered, and so did not feed it, is done."""
        until = self._registered + self._room.options.write_deadline
        while (left := until - time.monotonic()) > 0:
            self._advance()
            time.sleep(min(left, _STEP))

    def _drain(self) -> None:
        """Until the writes have ended that fed the epoch while others did not yet.

        A creation that did not feed it may have come between such a write's DELETE and its finish, unseen by it.
        Writers that died are swept, so this ends within one more write deadline.
        """
        patience = time.monotonic() + 2 * self._room.options.write_deadline
        last, count = self.standing()
        while count:
            if time.monotonic() > patience:
                raise IndexUnavailable(
                    f"The index of {self._schema.label} was not rebuilt: {count} writes did not end within the write "
                    f"deadline of {self._room.options.write_deadline:g} s. Run sb_reindex again."
                )
            time.sleep(_LOOK)
            self._advance()
            self._sweeper.sweep(self._schema)
            _, count = self.standing(last)
