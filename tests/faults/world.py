"""Three processes, their lines to one Redis, the objects, and the oracle: the same models on Django's SQLite."""

from __future__ import annotations

import itertools
import random
import shutil
import threading
import time
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import redis
from django.db import connection, connections
from django.db.models import Index
from django.test import override_settings

from django_smarterbase import steps
from django_smarterbase.backend import modeltables
from django_smarterbase.exceptions import IndexUnavailable
from django_smarterbase.indexes.breaker import breaker_of
from django_smarterbase.indexes.client import RedisDown
from django_smarterbase.indexes.service import FallbackReason, IndexState
from django_smarterbase.tables import TableSchema
from testproject.articles.models import Article, Author
from testproject.services import RedisServer, free_port

from .places import Cell, Place, be_patient_for_tests, settings_of
from .wire import Line, Wire

ORACLE = "oracle"
MODELS = (Author, Article)
PROCESSES = ("one", "two", "three")
#: How long a healthy Redis may fail to answer in time on a machine that has much else to do. Seconds.
PATIENCE = 30.0
LATE = (FallbackReason.UNREACHABLE, FallbackReason.BREAKER_OPEN)

_numbers = itertools.count(1)


class Crash(BaseException):
    """A process dies here. Not an Exception, so that nothing is tidied up."""


class AnyOf:
    """Equals each of these steps, and remembers in ``met`` which it was compared with last."""

    def __init__(self, steps: Collection[str]) -> None:
        self._steps = steps
        self.met = ""

    def __eq__(self, step: object) -> bool:
        self.met = str(step)
        return step in self._steps

    __hash__ = None


class World:
    """``reset`` makes it as new. All names are aliases of databases."""

    def __init__(self, folder: Path, server: RedisServer) -> None:
        self.folder = folder
        self.server = server
        self.dump: bytes | None = None
        self.slow = 0.6  # seconds: longer than a write may take
        self.slowed = False
        self.wires = {alias: Wire(server.port, delay=self.slow) for alias in PROCESSES}
        self.place = Place("", str(folder), None, trust_seconds=0.1, write_deadline=0.4, socket_timeout=0.08)
        self.cells: dict[str, Cell] = {}
        self.extra_index = Index(fields=["title"], name="articles-by-title")
        self._settings: override_settings | None = None
        self._rebuilding: list[threading.Thread] = []
        self._problems: list[BaseException] = []
        self._lock = threading.RLock()
        self._armed = 0

    def open(self) -> None:
        """Make the aliases known and the oracle's tables."""
        be_patient_for_tests()
        places = {alias: self.place.behind(wire.url) for alias, wire in self.wires.items()}
        self._settings = override_settings(**settings_of(places))
        self._settings.enable()
        self.cells = {alias: Cell(alias, place) for alias, place in places.items()}
        oracle = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
        every = {"default": connection.settings_dict, ORACLE: oracle}
        connections.settings.update(connections.configure_settings(every))
        with connections[ORACLE].schema_editor() as editor:
            for model in MODELS:
                editor.create_model(model)
        connections[ORACLE].disable_constraint_checking()  # the engine does not enforce foreign keys either

    def close(self) -> None:
        """Forget the aliases."""
        self.settle()
        for cell in self.cells.values():
            cell.close()
        for wire in self.wires.values():
            wire.close()
        connections[ORACLE].connection.close()
        del connections[ORACLE]
        connections.settings.pop(ORACLE)
        if self._settings is not None:
            self._settings.disable()

    def reset(self) -> None:
        """Empty everything and heal what is broken."""
        self.settle()
        self.define(extra=False)
        self.heal()
        with self.client() as client:
            client.flushall()
        self.dump = None
        name = f"world{next(_numbers)}"
        shutil.rmtree(self.folder, ignore_errors=True)
        for cell in self.cells.values():
            cell.restart()
            cell.place = Place(**{**cell.place.__dict__, "name": name})
            cell.open()
        for model in reversed(MODELS):
            model.objects.using(ORACLE).all().delete()

    def heal(self) -> None:
        """Redis runs, takes writes and can be reached by everybody, and what a slow line held has arrived."""
        self.disarm()
        if self.slowed:
            time.sleep(self.slow)
            self.slowed = False
        for wire in self.wires.values():
            wire.become(Line.OPEN)
        self.server.start()
        with self.client() as client:
            client.replicaof("NO", "ONE")
            client.config_set("min-replicas-to-write", 0)
            client.config_set("maxmemory", 0)

    @contextmanager
    def one_at_a_time(self) -> Iterator[None]:
        """What is done to Redis or to a line, in this thread or in a line's, is done before the next thing is."""
        with self._lock:
            yield

    def disarm(self) -> None:
        """Nothing happens within a step or before a request any more; what has begun to happen has ended."""
        with self._lock:
            self._armed += 1
        steps._armed = ""
        for wire in self.wires.values():
            wire.before_request(0, None)

    def before_request(self, alias: str, number: int, action: Callable[[], None]) -> None:
        """Do something once right before a process's n-th request to Redis from now."""
        self.wires[alias].before_request(number, self._unless_disarmed(action))

    def _unless_disarmed(self, action: Callable[[], None]) -> Callable[[], None]:
        armed = self._armed

        def act() -> None:
            with self._lock:
                if armed == self._armed:
                    action()

        return act

    @contextmanager
    def client(self) -> Iterator[redis.Redis]:
        """A client of the server itself."""
        client = redis.Redis.from_url(self.server.url, socket_timeout=5)
        try:
            yield client
        finally:
            client.close()

    def at_step(self, among: Collection[str], number: int, action: Callable[[str], None]) -> None:
        """Do something once, given the step, when any process gets to the n-th step from now of these."""
        armed, reached = AnyOf(among), itertools.count(1)
        act = self._unless_disarmed(lambda: action(armed.met))

        def count_down() -> None:
            if next(reached) == number:
                steps._armed = ""
                act()

        steps._armed, steps._count_down = armed, count_down

    def define(self, *, extra: bool) -> None:
        """The index definitions of the code that all processes run."""
        indexes = Article._meta.indexes
        if extra is (self.extra_index in indexes):
            return
        if extra:
            indexes.append(self.extra_index)
        else:
            indexes.remove(self.extra_index)
        for model in MODELS:
            modeltables._schemas.pop(model, None)

    def schemas(self, alias: str) -> list[TableSchema]:
        """The tables as a process sees them."""
        return [connections[alias].schema_of_model(model) for model in MODELS]

    def states(self, alias: str) -> list[IndexState]:
        """The states of the indexes as a process sees them that is patient with Redis."""
        indexes, until, states = connections[alias].resources.indexes, time.monotonic() + PATIENCE, list[IndexState]()
        for schema in self.schemas(alias):
            while (state := indexes.state(schema)).reason in LATE and time.monotonic() < until:
                breaker_of(alias).reset()
            states.append(state)
        return states

    def recover(self, alias: str) -> int:
        """Have a process decide the transactions of dead ones; returns how many."""
        wrapper = connections[alias]
        return wrapper.session.recovery.recover(wrapper.catalog.find)

    def reindex(self, alias: str) -> None:
        """Rebuild both tables at once, as sb_reindex does. Raises IndexUnavailable."""
        breaker_of(alias).reset()
        with ThreadPoolExecutor(len(MODELS)) as threads:
            list(threads.map(partial(self._rebuild, alias), self.schemas(alias)))

    def _rebuild(self, alias: str, schema: TableSchema) -> None:
        until = time.monotonic() + PATIENCE
        while True:
            try:
                connections[alias].resources.indexes.rebuild(schema)
                return
            except IndexUnavailable as unavailable:
                # On a busy machine an answer may come too late for the short timeout; and an old dump may bring the
                # right to rebuild back that another rebuild had then.
                late = isinstance(unavailable.__cause__, RedisDown)
                if not (late or "Another rebuild" in str(unavailable)) or time.monotonic() > until:
                    raise
                breaker_of(alias).reset()
            time.sleep(0.05)

    def reindex_in_background(self, alias: str) -> None:
        """Begin to rebuild both tables; one that fails for Redis is no problem."""
        indexes, schemas = connections[alias].resources.indexes, self.schemas(alias)

        def work() -> None:
            try:
                for schema in schemas:
                    with suppress(IndexUnavailable):
                        indexes.rebuild(schema)
            except BaseException as problem:  # noqa: BLE001 - raised again by ``settle``
                self._problems.append(problem)

        thread = threading.Thread(target=work)
        self._rebuilding.append(thread)
        thread.start()

    def settle(self) -> None:
        """Wait for rebuilds in the background. Raises what they met."""
        while self._rebuilding:
            self._rebuilding.pop().join(30)
        if self._problems:
            raise self._problems.pop()

    def keys(self) -> list[bytes]:
        """The Redis keys of the database."""
        with self.client() as client:
            return sorted(client.scan_iter(match="sb:*", count=1000))


class Faults:
    """What can go wrong with Redis; each method is one kind. ``seed`` chooses what a kind leaves open."""

    def __init__(self, world: World) -> None:
        self.world = world

    def happen(self, kind: str, alias: str, seed: int) -> None:
        """One of KINDS."""
        with self.world.one_at_a_time():
            getattr(self, kind)(alias, seed)

    def killed(self, alias: str, seed: int) -> None:
        """kill -9, and nobody starts it again."""
        self.world.server.kill()

    def restarted_empty(self, alias: str, seed: int) -> None:
        """kill -9, and it comes back without data."""
        self.world.server.kill()
        self.world.server.start()

    def saved(self, alias: str, seed: int) -> None:
        """A dump is put aside (no fault yet)."""
        with self._open() as client:
            if client is not None:
                client.save()
                self.world.dump = self._file().read_bytes()
                self._file().unlink()

    def restarted_old(self, alias: str, seed: int) -> None:
        """kill -9, and it comes back with what was put aside."""
        self.world.server.kill()
        if self.world.dump is not None:
            self._file().write_bytes(self.world.dump)
        self.world.server.start()
        self._file().unlink(missing_ok=True)

    def flushed(self, alias: str, seed: int) -> None:
        """FLUSHALL."""
        with self._open() as client:
            if client is not None:
                client.flushall()

    def keys_deleted(self, alias: str, seed: int) -> None:
        """A few keys are gone."""
        with self._open() as client:
            if client is not None and (keys := sorted(client.scan_iter(match="sb:*", count=1000))):
                client.delete(*random.Random(seed).sample(keys, min(len(keys), 1 + seed % 3)))

    def read_only(self, alias: str, seed: int) -> None:
        """It is made the replica of a master that does not answer."""
        with self._open() as client:
            if client is not None:
                client.replicaof("127.0.0.1", free_port())

    def no_replicas(self, alias: str, seed: int) -> None:
        """It takes no writes for want of replicas."""
        with self._open() as client:
            if client is not None:
                client.config_set("min-replicas-to-write", 1)

    def out_of_memory(self, alias: str, seed: int) -> None:
        """Its memory is used up."""
        with self._open() as client:
            if client is not None:
                client.config_set("maxmemory", "1mb")

    def slow(self, alias: str, seed: int) -> None:
        """Requests of everybody arrive later than any write may take."""
        for wire_of in self.world.wires:
            self.slow_for_one(wire_of, seed)

    def slow_for_one(self, alias: str, seed: int) -> None:
        """Requests of one process arrive later than any write may take."""
        self.world.wires[alias].become(Line.SLOW)
        self.world.slowed = True

    def partitioned(self, alias: str, seed: int) -> None:
        """One process cannot reach it: refused, unanswered, or answered in vain."""
        self.world.wires[alias].become((Line.CUT, Line.SILENT, Line.DEAF)[seed % 3])

    @contextmanager
    def _open(self) -> Iterator[redis.Redis | None]:
        """A client, or None while nobody answers or writes are refused."""
        if self.world.server.pid is None:
            yield None
            return
        with self.world.client() as client, suppress(redis.RedisError):
            yield client

    def _file(self) -> Path:
        return self.world.server.dump_file


KINDS = (
    "killed",
    "restarted_empty",
    "saved",
    "restarted_old",
    "flushed",
    "keys_deleted",
    "read_only",
    "no_replicas",
    "out_of_memory",
    "slow",
    "slow_for_one",
    "partitioned",
)
