"""The write protocol: begin, then the caller's PUT, then finish or abort; or the slow path where Redis cannot help."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from ..exceptions import ConflictError, IndexUnavailable
from ..steps import reach
from ..tables import TableSchema
from .answers import Change, ManifestEntry
from .birth import Midwife
from .client import Argument, IndexDamaged, RedisClient, RedisDown
from .definitions import definition
from .entries import entries_of
from .keys import etag_text, new_token
from .manifest import suspected
from .room import Room
from .rowlocks import PATIENCE, still_locked
from .scripts import Script
from .sweep import Sweeper

logger = logging.getLogger("django_smarterbase.index")

PIECE: Final = 200  # documents for each script
ABORTED: Final = "!"
_BUSY_PAUSE: Final = 0.02  # seconds, the longest between two looks at what another writer does
_REGISTRATION: Final = 1.0  # seconds that a write waits for an epoch that the manifest says is being made


class _Degraded(Exception):  # not an error: the write takes the slow path
    """The index cannot take this write."""


class _Unregistered(_Degraded):
    """Redis answers, but no epoch is live."""


class _Registering(Exception):  # not an error: begin tries again
    """An epoch is being made, and is perhaps live by now."""


@dataclass(frozen=True, slots=True)
class _Piece:
    """Documents announced by one script, the epochs that it fed, and a moment before it (``time.monotonic``)."""

    stems: frozenset[str]
    epochs: tuple[str, ...]
    began: float


@dataclass(frozen=True, slots=True)
class _Begun:
    """What begin was asked for; ``pieces`` grow as documents are announced, in the order of their stems.

    A document that another transaction than ``owner`` has locked is waited for, unless ``owner`` is None. ``missed``
    are the ready epochs that Redis was asked for once more, in case they were registered just after it was asked.
    """

    schema: TableSchema
    changes: tuple[Change, ...]
    owner: str | None
    token: str = field(default_factory=new_token)
    pieces: list[_Piece] = field(default_factory=list)
    missed: set[str | None] = field(default_factory=set)


class OpenWrite:
    """A write between begin and finish. Used by one thread.

    ``deadline`` (``time.monotonic``): each PUT and DELETE must have ended by then, its client's timeouts and retries
    included, or must not be begun; a write that is not done by then begins anew. ``degraded`` tells that the index
    did not take the write: its table's queries scan until ``sb_reindex``.
    """

    def __init__(
        self, room: Room, schema: TableSchema, token: str, pieces: Sequence[_Piece], *, degraded: bool, began: float = 0
    ) -> None:
        began = min([piece.began for piece in pieces], default=began or time.monotonic())
        self.degraded = degraded
        self.deadline = began + room.options.write_deadline
        self._room = room
        self._schema = schema
        self._token = token
        self._pieces = pieces
        self._open = {stem for piece in pieces for stem in piece.stems}

    def finish(self, etags: Mapping[str, str | None]) -> None:
        """Note the new ETags of the documents whose PUT or DELETE succeeded (None: deleted).

        One round trip for 200 documents. Never raises for Redis: a note that stays is settled by a sweep, and until
        then its document is in doubt.
        """
        self._end({stem: etag_text(etag) for stem, etag in etags.items()})

    def abort(self, stems: Iterable[str]) -> None:
        """Take back the announcement of documents that were certainly not written (a failed condition, no request).

        Where it is not known whether the store applied the write (a timeout), call neither: a sweep will look.
        """
        self._end(dict.fromkeys(stems, ABORTED))

    def _end(self, outcomes: Mapping[str, str]) -> None:
        redis = self._room.redis
        ending = {stem: outcome for stem, outcome in outcomes.items() if stem in self._open}
        self._open.difference_update(ending)
        if redis is None or not ending:
            return
        try:
            for piece in self._pieces:
                self._end_piece(redis, piece, ending)
        except RedisDown as down:
            extra = self._room.log_fields("notes_left", self._schema, down)
            logger.info("The notes of a write to table %r stay for a sweep: %s", self._schema.table, down, extra=extra)
        except IndexDamaged as damage:
            _withdraw(self._room, redis, self._schema, str(damage))

    def _end_piece(self, redis: RedisClient, piece: _Piece, ending: Mapping[str, str]) -> None:
        stems = piece.stems & ending.keys()
        if not stems:
            return
        arguments: list[Argument] = [self._token, len(piece.epochs), *piece.epochs]
        for stem in sorted(stems):
            arguments += [stem, ending[stem]]
        missing = redis.run(Script.FINISH, self._room.keys(self._schema), *arguments)
        if missing:
            logger.warning(
                "The index of table %r lacks %s: Redis lost a key, or a process wrote without the index. Queries "
                "scan; run sb_reindex.",
                self._schema.table,
                missing,
                extra=self._room.log_fields("index_damaged", self._schema, missing),
            )


class Writer:
    """Opens the writes of one database."""

    def __init__(self, room: Room, sweeper: Sweeper) -> None:
        self._room = room
        self._sweeper = sweeper
        self._midwife = Midwife(room)

    def attend(self, schema: TableSchema) -> None:
        """See to it that the table has an index, as its first write would."""
        self._midwife.attend(schema)

    def begin(self, schema: TableSchema, changes: Sequence[Change], *, owner: str | None) -> OpenWrite:
        """As ``IndexService.begin``."""
        if len({change.stem for change in changes}) != len(changes):
            raise ValueError(f"A write of {schema.label} names a document twice.")
        self.attend(schema)
        # In the order of the stems, lest two bulk writes that are each other's locks wait for each other.
        begun = _Begun(schema, tuple(sorted(changes, key=lambda change: change.stem)), owner)
        patience = time.monotonic() + _REGISTRATION
        while True:
            try:
                return self._try(begun, hopeful=time.monotonic() < patience)
            except _Registering:
                time.sleep(_BUSY_PAUSE)
            except BaseException:
                self._open(begun, degraded=False).abort(change.stem for change in changes)
                raise

    def _open(self, begun: _Begun, *, degraded: bool, began: float = 0) -> OpenWrite:
        return OpenWrite(self._room, begun.schema, begun.token, begun.pieces, degraded=degraded, began=began)

    def _try(self, begun: _Begun, *, hopeful: bool) -> OpenWrite:
        """Announce what was not announced yet, or take the slow path."""
        try:
            for at in range(len(begun.pieces) * PIECE, len(begun.changes), PIECE):
                begun.pieces.append(self._announce(begun, begun.changes[at : at + PIECE]))
        except _Degraded as cause:
            began = time.monotonic()
            self._degrade(begun, cause, hopeful=hopeful and isinstance(cause, _Unregistered))
            return self._open(begun, degraded=True, began=began)
        return self._open(begun, degraded=False)

    def _announce(self, begun: _Begun, changes: Sequence[Change]) -> _Piece:
        redis, schema = self._room.redis, begun.schema
        if redis is None:
            raise _Degraded("no cache is configured")
        arguments = [text for change in changes for text in _texts(schema, change)]
        first = time.monotonic()
        while True:
            began = time.monotonic()
            answer = self._ask(redis, begun, arguments)
            if answer[0] == "ok":
                return _Piece(frozenset(change.stem for change in changes), tuple(answer[1:]), began)
            if answer[0] == "definitions":
                raise _Degraded("another version of the code keeps this table's index, for other definitions")
            if answer[0] == "none":
                raise _Unregistered("Redis has no index of this table")
            self._await_turn(schema, first, *answer)

    def _ask(self, redis: RedisClient, begun: _Begun, arguments: Sequence[Argument]) -> list[str]:
        schema, exclusive = begun.schema, int(not self._room.store.conditional)
        head: list[Argument] = [definition(schema), begun.token, exclusive, self._room.deadline_ms]
        head.append("" if begun.owner is None else f"+{begun.owner}")
        try:
            answer: list[str] = redis.run(Script.BEGIN, self._room.keys(schema), *head, *arguments)
        except RedisDown as down:
            raise _Degraded(str(down)) from down
        except IndexDamaged as damage:
            _withdraw(self._room, redis, schema, str(damage))
            raise _Degraded(str(damage)) from damage
        return answer

    def _await_turn(self, schema: TableSchema, first: float, status: str, stem: str) -> None:
        """Wait for the transaction that has locked a document, or for another writer of it where notes are the locks:
        in a store without conditions."""
        patience = PATIENCE * self._room.options.write_deadline
        if time.monotonic() - first >= patience:
            if status == "locked":
                raise still_locked(schema, stem, patience)
            raise ConflictError(
                f"The document {stem!r} of {schema.label} has been written by others for {patience:g} s, twice the "
                "write deadline. Try again."
            )
        if status == "overdue":
            try:
                self._sweeper.sweep(schema)
            except (RedisDown, IndexDamaged) as problem:
                raise _Degraded(str(problem)) from problem
        time.sleep(random.uniform(0, _BUSY_PAUSE))

    def _degrade(self, begun: _Begun, cause: _Degraded, *, hopeful: bool) -> None:
        """Make sure that nobody trusts the sets that will miss this write, before it is made.

        Raises _Registering instead when ``hopeful`` and an index is being made, which the change would cut short, or
        was made since Redis was asked.
        """
        room, schema = self._room, begun.schema

        def suspect(entry: ManifestEntry | None) -> ManifestEntry:
            if hopeful and entry is not None:
                self._go_back_if_made(begun, entry)
            return suspected(entry)

        if room.redis is not None and room.options.on_index_outage == "refuse":
            suspect(room.manifest.fresh().entries.get(schema.table))
            raise IndexUnavailable(
                f"A write of {schema.label} was refused, since its index cannot take it: {cause}. Bring Redis back and "
                'run sb_reindex, or set the option on_index_outage to "degrade".'
            )
        while True:
            entry = room.manifest.change(schema.table, suspect)
            reach("suspected")
            room.manifest.wait_out(schema.table, entry)
            # Without conditional writes a rebuild may have overwritten the change unseen; then once more.
            if room.store.conditional or room.manifest.fresh().entries.get(schema.table) == entry:
                return

    @staticmethod
    def _go_back_if_made(begun: _Begun, entry: ManifestEntry) -> None:
        if entry.building is not None:
            raise _Registering
        if entry.ready and entry.epoch not in begun.missed:
            begun.missed.add(entry.epoch)
            raise _Registering


def _texts(schema: TableSchema, change: Change) -> Iterator[str]:
    yield change.stem
    yield "1" if change.existed else "0"
    yield " ".join(entries_of(schema, change.row)) if change.row is not None else ""


def _withdraw(room: Room, redis: RedisClient, schema: TableSchema, why: str) -> None:
    _report_damage(room, schema, why)
    try:
        redis.run(Script.DROP, room.keys(schema), "")
    except RedisDown as down:
        extra = room.log_fields("marker_left", schema, down)
        logger.warning("The marker of table %r could not be withdrawn: %s", schema.table, down, extra=extra)


def _report_damage(room: Room, schema: TableSchema, why: str) -> None:
    extra = room.log_fields("index_damaged", schema, why)
    logger.warning(
        "The index of table %r is damaged: %s. Queries scan; run sb_reindex.", schema.table, why, extra=extra
    )
