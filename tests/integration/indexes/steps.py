"""The write protocol cut into the steps of the exhaustive model, with the real scripts and a real Redis.

``Protocol.enabled()`` names the steps that are possible now; a test chooses, or performs a history. What takes time in
life (a lease, the write deadline) is a step here that is enabled once nobody is left that it would have waited for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from django_smarterbase.exceptions import IndexUnavailable, PreconditionFailed
from django_smarterbase.indexes.answers import Change, ManifestEntry
from django_smarterbase.indexes.keys import new_token
from django_smarterbase.indexes.manifest import suspected
from django_smarterbase.indexes.rebuild import Rebuild
from django_smarterbase.indexes.scripts import Script
from django_smarterbase.indexes.sweep import _Overdue
from django_smarterbase.indexes.writes import OpenWrite, _Begun, _Degraded, _Piece
from django_smarterbase.storage.base import Stored

from .world import OPTIONS, SCHEMA, World, decode, row_of

STEM = "1"
COLORS = ("red", "green", "blue")
TABLE = SCHEMA.table
Step = tuple[str, Callable[[], None]]


@dataclass(frozen=True)
class Faults:
    """How often each may happen."""

    flushes: int = 0
    kills: int = 0
    cuts: int = 0


@dataclass
class Actor:
    """A writer; ``pc`` is read, begin, d1, d2, put, finish, abort or done. ``number`` is its place among the begins."""

    name: str
    color: str | None
    etag: str | None = None
    token: str = field(default_factory=new_token)
    pc: str = "read"
    cut: bool = False
    number: int = 0
    fed: tuple[str, ...] = ()
    write: OpenWrite | None = None
    suspect: ManifestEntry | None = None
    ending: str | None = None


class Protocol:
    """One document, some writers, one rebuild at a time, one sweeper, one reader's lease."""

    def __init__(
        self, world: World, colors: list[str | None], *, rebuilds: int = 1, faults: Faults = Faults(9, 9, 9)
    ) -> None:
        self.world = world
        self.room = world.first._room
        self.writer = world.first._writer
        self.sweeper = world.first._sweeper
        self.scripts = self.room.redis
        self.keys = self.room.keys(SCHEMA)
        self.rebuilds = rebuilds
        self.left = {"FLUSH": faults.flushes, "KILL": faults.kills, "CUT": faults.cuts}
        self.actors = [Actor(f"w{number}", color) for number, color in enumerate(colors, 1)]
        self.begun = 0
        self.lease: ManifestEntry | None = None
        self.rebuild: Rebuild | None = None
        self.phase = "claim"
        self.flushed = False
        self.found: list[tuple[str, Stored]] = []
        self.etags: list[tuple[str, str]] = []
        self.records: dict[str, str] = {}
        self.images: list[str] = []
        self.ticket = ""
        self.notes: list[_Overdue] = []
        self.settling: list[str] = []

    def enabled(self) -> list[Step]:
        """Every step that is possible now, in a fixed order."""
        return [*self._writers(), *self._rebuild(), *self._sweep(), *self._reader(), *self._faults()]

    def perform(self, history: str) -> None:
        """Perform the steps that ``history`` names, checking after each."""
        for name in history.split():
            dict(self.enabled())[name]()
            self.check()

    # writers

    def _writers(self) -> Iterator[Step]:
        for actor in self.actors:
            if actor.pc == "done" or (actor.pc == "d2" and not self._lease_is_out(actor)):
                continue
            step = {
                "read": self._read,
                "begin": self._begin,
                "d1": self._make_suspect,
                "d2": self._lease_passes,
                "put": self._put,
                "finish": self._end,
                "abort": self._end,
            }[actor.pc]
            yield f"{actor.name}.{actor.pc}", lambda actor=actor, step=step: step(actor)

    def _read(self, actor: Actor) -> None:
        stored = self.world.store.get(self.world.key(STEM))
        actor.etag = stored.etag if stored is not None else None
        nothing_to_delete = stored is None and actor.color is None
        actor.pc = "done" if nothing_to_delete else "begin"

    def _begin(self, actor: Actor) -> None:
        self.begun += 1
        actor.number = self.begun
        row = row_of(STEM, actor.color) if actor.color else None
        try:
            if actor.cut:
                raise _Degraded("cut off")
            change = Change(STEM, row, actor.etag is not None)
            piece = self.writer._announce(_Begun(SCHEMA, (change,), None, actor.token), [change])
        except _Degraded:
            actor.pc = "d1"
            return
        actor.fed, actor.pc = piece.epochs, "put"
        actor.write = self._open_write(actor, piece)

    def _open_write(self, actor: Actor, piece: _Piece) -> OpenWrite:
        # Late from the start: a note that the sweeper took is no sign of damage here.
        late = replace(piece, began=piece.began - OPTIONS.write_deadline)
        return OpenWrite(self.room, SCHEMA, actor.token, [late], degraded=False)

    def _make_suspect(self, actor: Actor) -> None:
        actor.suspect = self.room.manifest.change(TABLE, suspected)
        actor.pc = "d2"

    def _lease_is_out(self, actor: Actor) -> bool:
        assert actor.suspect is not None
        return actor.suspect.epoch is None or self.lease is None or self.lease.version >= actor.suspect.version

    def _lease_passes(self, actor: Actor) -> None:
        actor.pc = "put"

    def _put(self, actor: Actor) -> None:
        key = self.world.key(STEM)
        body = b'{"id":"%s","color":"%s","size":1}' % (STEM.encode(), (actor.color or "").encode())
        store = self.world.store
        try:
            if actor.color is None:
                store.delete(key, if_match=actor.etag)
            else:
                actor.ending = store.put(key, body, if_match=actor.etag, if_absent=actor.etag is None)
            actor.pc = "finish"
        except PreconditionFailed:
            actor.pc = "abort"

    def _end(self, actor: Actor) -> None:
        if actor.write is not None and not actor.cut:
            if actor.pc == "finish":
                actor.write.finish({STEM: actor.ending})
            else:
                actor.write.abort([STEM])
        actor.pc = "done"

    def _at(self, *pcs: str) -> list[Actor]:
        return [actor for actor in self.actors if actor.pc in pcs]

    # the rebuild

    def _rebuild(self) -> Iterator[Step]:
        if self.phase == "claim" and not self.rebuilds:
            return
        if self.phase == "deadline" and any(self.rebuild.epoch not in actor.fed for actor in self._at("put", "d2")):
            return  # they began before the registration, did not feed the epoch, and may still PUT
        yield f"rebuild.{self.phase}", getattr(self, f"_rebuild_{self.phase}")

    def _rebuild_claim(self) -> None:
        self.rebuilds -= 1
        self.rebuild = Rebuild(self.room, self.sweeper, self.scripts, SCHEMA)
        self.rebuild.claim.make()
        self.phase = "register"

    def _rebuild_register(self) -> None:
        self.rebuild.register()
        self.phase = "scan"

    def _rebuild_scan(self) -> None:
        self.found = list(self.rebuild.filling.scanned())
        self.phase = "fill"

    def _rebuild_fill(self) -> None:
        with self._failing():
            self.rebuild.filling.enter(self.found)
            self.phase = "deadline"

    def _rebuild_deadline(self) -> None:
        with self._failing():
            self.ticket, _ = self.rebuild.standing()
            self.phase = "drain"

    def _rebuild_drain(self) -> None:
        with self._failing():
            _, count = self.rebuild.standing(self.ticket)
            self.phase = "drain" if count else "list"

    def _rebuild_list(self) -> None:
        self.etags = list(self.rebuild.filling.listed())
        self.phase = "compare"

    def _rebuild_compare(self) -> None:
        with self._failing():
            self.records = self.rebuild.filling.compare(self.etags)
            self.records |= self.rebuild.filling.unseen()[1]
            self.phase = "look"

    def _rebuild_look(self) -> None:
        self.images = self.rebuild.filling.images(self.records)
        self.phase = "mend"

    def _rebuild_mend(self) -> None:
        with self._failing():
            self.records = self.rebuild.filling.apply(self.images)
            self.phase = "look" if self.records else "publish"

    def _rebuild_publish(self) -> None:
        with self._failing():
            self.rebuild.publish()
            self.phase = "mark"

    def _rebuild_mark(self) -> None:
        with self._failing():
            self.rebuild.mark()
            self.phase = "claim"

    @contextmanager
    def _failing(self) -> Iterator[None]:
        """The rebuild may fail, as it must when Redis was flushed or the manifest has changed."""
        try:
            yield
        except IndexUnavailable:
            self.rebuild.give_up()
            self.phase = "claim"

    # the sweeper

    def _sweep(self) -> Iterator[Step]:
        if self.settling:
            yield "sweep.settle", self._settle
        elif self.notes:
            yield "sweep.read", self._read_to_settle
        elif overdue := self._overdue():
            yield "sweep.find", lambda: self.notes.extend(overdue)

    def _overdue(self) -> list[_Overdue]:
        flat = self.scripts.run(Script.OVERDUE, self.keys, -1, 100)
        size = len(_Overdue._fields)
        notes = [_Overdue(*flat[at : at + size]) for at in range(0, len(flat), size)]
        return [note for note in notes if self._is_overdue(note)]

    def _is_overdue(self, note: _Overdue) -> bool:
        """The writer is dead, and so are all that began before it; of a creation, all whose notes stand."""
        mine = next((actor for actor in self.actors if actor.token == note.token), None)
        alive = [actor for actor in self.actors if actor.pc in {"put", "finish", "abort"}]
        if note.notes:
            return not [actor for actor in alive if actor.token in note.notes]
        assert mine is not None
        return mine not in alive and not [actor for actor in alive if actor.number < mine.number]

    def _read_to_settle(self) -> None:
        self.settling = list(self.sweeper._answers(SCHEMA, self.notes))

    def _settle(self) -> None:
        self.scripts.run(Script.SETTLE, self.keys, *self.settling)
        self.notes, self.settling = [], []

    # the reader's lease, and faults

    def _reader(self) -> Iterator[Step]:
        if self.lease is not None:
            yield "lease-expires", self._drop_lease
        if self.lease != self.room.manifest.fresh().entries.get(TABLE):
            yield "lease", self._take_lease

    def _take_lease(self) -> None:
        self.lease = self.room.manifest.fresh().entries.get(TABLE)

    def _drop_lease(self) -> None:
        self.lease = None

    def _faults(self) -> Iterator[Step]:
        if self.left["FLUSH"]:
            yield "FLUSH", self._flush
        for actor in self._at("begin", "d1", "d2", "put", "finish", "abort"):
            if self.left["KILL"]:
                yield f"{actor.name}.KILL", lambda actor=actor: self._kill(actor)
            if self.left["CUT"] and not actor.cut:
                yield f"{actor.name}.CUT", lambda actor=actor: self._cut(actor)

    def _flush(self) -> None:
        self.left["FLUSH"] -= 1
        self.flushed = True
        self.world.remove_keys()

    def _kill(self, actor: Actor) -> None:
        self.left["KILL"] -= 1
        actor.pc = "done"

    def _cut(self, actor: Actor) -> None:
        self.left["CUT"] -= 1
        actor.cut = True

    # what must hold

    def check(self) -> None:
        """Whoever may trust the index is told the truth: a reader with a lease, and one that reads the manifest now."""
        now = self.room.manifest.fresh().entries.get(TABLE)
        epochs = {entry.epoch for entry in (self.lease, now) if entry is not None and entry.ready and entry.epoch}
        stored = self.world.store.get(self.world.key(STEM))
        color = decode(SCHEMA, "", stored.body)["color"] if stored is not None else None
        for epoch in epochs:
            for term, holds in _terms(color):
                answer = self.scripts.run(Script.READ, self.keys, epoch, "", "all", 1_000_000, 0, 0, 1, 1, *term, "")
                if answer[0] != "ok":
                    # A lost index is no lie, but only a flush loses one; "other" is the one before or after. Where a
                    # writer has dropped that, there is none between the publishing of the next and its mark.
                    unmarked = answer[0] == "flushed" and self.phase == "mark"
                    assert answer[0] == "other" or self.flushed or unmarked, answer
                    break
                _check_answer(term, holds, answer)


def _terms(color: str | None) -> Iterator[tuple[tuple[str | int, ...], bool]]:
    """What may be asked, and whether a document of this colour (None: there is none) is an answer to it.

    These are sets, what lies outside of them, the same as parts of ordered indexes, and a part in which two colours
    stand.
    """
    yield ("*",), color is not None
    yield ("(k", 1, STEM), color is not None
    yield ("(-", 1, "(k", 1, STEM), False
    yield (f'>:t{STEM}! t{STEM}"',), color is not None
    for each in COLORS:
        yield (f"things-by-color:t{each}",), color == each
        yield ("(-", 1, f"things-by-color:t{each}"), color not in (each, None)
        yield (f'>things-by-color:t{each}! t{each}"',), color == each
    yield ("(-", 1, "(e", "things-by-color", len(COLORS), *(f"t{each}" for each in COLORS)), False
    yield ('>color_size:tblue! tgreen"',), color in ("blue", "green")


def _check_answer(term: tuple[str | int, ...], holds: bool, answer: list) -> None:
    _, _, _, count, _, in_doubt, stems, _, _ = answer
    assert not holds or STEM in stems, f"I1: the document is missed by {term}"
    assert holds or STEM not in stems or STEM in in_doubt, f"exactness: {term} has the document, and no doubt"
    assert count == (1 if holds and STEM not in in_doubt else 0)
