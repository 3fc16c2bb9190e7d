"""A process is killed at each step of each protocol; another one sees a right state, and repair leaves no drift."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connections
from django.test import override_settings

import django_smarterbase
from django_smarterbase.packs.format import PackIndex
from django_smarterbase.profiling import profile_queries
from testproject.services import RedisServer

from .asking import QUESTIONS, Contents, contents
from .places import ALIAS, HOLD, Cell, Place, be_patient_for_tests, settings_of
from .tally import TALLY
from .worker import JOBS, join, start, work

TEST = "crash at every step"
ORDINARY = ("begun", "put", "finished")
FEW = ("create", "update", "delete")  # jobs that write one document
CLAIMING = {
    "create_author": ("claim-taken",),
    "rename_author": ("claim-taken", "claim-freed"),
    "delete_author": ("claim-freed",),
}
TRANSACTION = (
    "intent-written",
    "claim-taken",
    "claim-taken:2",
    *ORDINARY,
    "begun:2",
    "put:2",
    "finished:2",
    "claim-freed",
    "intent-removed",
)
MOVE = (
    "intent-written",
    *("claim-taken", "claim-taken:2", "claim-taken:3"),
    "begun",
    *("put", "put:2", "put:3"),
    *("finished", "claim-freed", "intent-removed"),
)
REBUILD = ("claimed", "registered", "filled", "waited", "mended", "published", "marked")
BIRTH = ("claimed", "registered", "published")
PACKING = ("begun", "stored", "written", "published")
WRITES = [
    *((job, step) for job in FEW for step in ORDINARY),
    *((job, step) for job, steps in CLAIMING.items() for step in (*ORDINARY, *steps)),
    *(("update_many", step) for step in ORDINARY),
    *(("transact", step) for step in TRANSACTION),
    *(("pass_names_on", step) for step in MOVE),
]
WITHOUT_REDIS = [
    *((job, "suspected") for job in (*FEW, *CLAIMING)),
    *((job, "put") for job in (*FEW, *CLAIMING)),
    *(("transact", step) for step in ("suspected:2", "put", "put:2", "intent-removed")),
    *(("pass_names_on", step) for step in ("suspected", *MOVE)),
]
#: What a short run takes of these: each step once.
SHORT = [
    *(("update", step) for step in ORDINARY),
    ("create", "put"),
    ("create_author", "claim-taken"),
    ("rename_author", "claim-freed"),
    *(("transact", step) for step in ("intent-written", "put", "finished:2", "intent-removed")),
    ("pass_names_on", "put"),
]
SHORT_WITHOUT_REDIS = [("update", "suspected"), ("transact", "put:2"), ("pass_names_on", "put:2")]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Which jobs die at which steps."""
    torture = metafunc.config.getoption("--torture", default=False)
    if "dead_writer" in metafunc.fixturenames:
        metafunc.parametrize("dead_writer", WRITES if torture else SHORT, ids="-".join)
    if "writer_dead_without_redis" in metafunc.fixturenames:
        cases = WITHOUT_REDIS if torture else SHORT_WITHOUT_REDIS
        metafunc.parametrize("writer_dead_without_redis", cases, ids="-".join)


class Scene:
    """A database, the process that survives (through the index), and one that knows of no index."""

    def __init__(self, place: Place) -> None:
        be_patient_for_tests()
        self.place = place
        self.survivor = Cell(ALIAS, place)
        self.plain = Cell("plain", place.behind(None))
        self._settings = override_settings(**settings_of({ALIAS: place}))

    def __enter__(self) -> Scene:
        self._settings.enable()
        self.survivor.open()
        self.plain.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.survivor.close()
        self.plain.close()
        self._settings.disable()

    def run(self, job: str, step: str = "") -> int | None:
        """Do a job in another process; its exit code."""
        return join([start(work, self.place, job, step)])[0]

    def now(self) -> Contents:
        """What is stored."""
        return contents("plain")

    def assert_answers(self) -> None:
        """Every question has one answer, with the index and without, as long as nothing changes in between: on a slow
        machine a query finds that the dead one's transaction is abandoned, and decides it."""
        for name, question in QUESTIONS.items():
            stored = self.now()
            while question(ALIAS) != question("plain"):
                stored, before = self.now(), stored
                assert stored != before, name
            TALLY.count(TEST, "answers compared")

    def recover(self) -> int:
        """Have the survivor decide the transactions of dead processes."""
        wrapper = connections[ALIAS]
        return wrapper.session.recovery.recover(wrapper.catalog.find)

    def repair(self) -> None:
        """Have sb_check mend what it finds: it finds nothing afterwards, and the indexes answer."""
        # A note that the dead one left is that of a living writer, and right, until the deadline is over.
        time.sleep(self.place.write_deadline)
        self.check("--repair")
        self.check()
        with profile_queries() as queries:
            self.assert_answers()
        assert not [profile for profile in queries.fallbacks() if profile.database == ALIAS]
        TALLY.count(TEST, "repairs without drift")

    def check(self, *arguments: str) -> None:
        """Run sb_check. Fails with what it says when something is wrong at its end."""
        said = StringIO()
        try:
            call_command("sb_check", "articles", "--database", ALIAS, *arguments, stdout=said, stderr=said)
        except CommandError as error:
            pytest.fail(f"sb_check {' '.join(arguments)}: {error}\n{said.getvalue()}")


@pytest.fixture
def scene(place: Place) -> Iterator[Scene]:
    # No Redis hangs here: who is not answered for a while is on a busy machine, and no fallback may come of it.
    quick = replace(place, trust_seconds=0.05, write_deadline=0.25, socket_timeout=10.0)
    with Scene(quick) as scene:
        yield scene


def states_of(scene: Scene, job: str) -> tuple[Contents, Contents]:
    """The contents before and after a job, which is done elsewhere; the scene is as before."""
    twin = Place(**{**scene.place.__dict__, "name": "twin"})
    assert join([start(work, place, "fill") for place in (twin, scene.place)]) == [0, 0]
    assert join([start(work, twin, job)]) == [0]
    elsewhere = Cell("twin", twin.behind(None))
    elsewhere.open()
    before, after = scene.now(), contents("twin")
    elsewhere.close()
    assert before != after
    return before, after


def crash(scene: Scene, job: str, step: str) -> None:
    assert scene.run(job, step) == -signal.SIGKILL, f"{job} does not get to the step {step}"
    TALLY.count(TEST, f"killed at {step.partition(':')[0]}")


def mix_of(found: Contents, before: Contents, after: Contents) -> bool:
    """Whether each document is as before or as after."""
    keys = before.keys() | after.keys() | found.keys()
    return all(found.get(key) in (before.get(key), after.get(key)) for key in keys)


def see_the_crash_through(scene: Scene, job: str, before: Contents, after: Contents) -> None:
    """Right at once, right when the dead one's work is decided, and the job can be done again."""
    assert mix_of(scene.now(), before, after)
    scene.assert_answers()
    decided = scene.recover()
    assert job != "transact" or decided <= 1
    found = scene.now()
    assert mix_of(found, before, after)
    assert found in (before, after) or job == "update_many"
    scene.assert_answers()
    if found == before or job == "update_many":
        assert scene.run(job) == 0
    assert scene.now() == after
    scene.assert_answers()
    if job == "pass_names_on":
        assert scene.run("take_name_passed_on") == 0
        names = sorted(row[1] for (table, _pk), row in scene.now().items() if table == "authors")
        assert names == ["author 0", "author 1", "author 2", "somebody else"]


def test_documents_are_old_or_new_when_a_writer_dies(scene: Scene, dead_writer: tuple[str, str]) -> None:
    job, step = dead_writer
    before, after = states_of(scene, job)
    crash(scene, job, step)
    see_the_crash_through(scene, job, before, after)
    scene.repair()


def test_documents_are_old_or_new_when_a_writer_dies_without_redis(
    scene: Scene, server: RedisServer, writer_dead_without_redis: tuple[str, str]
) -> None:
    job, step = writer_dead_without_redis
    before, after = states_of(scene, job)
    server.kill()
    crash(scene, job, step)
    see_the_crash_through(scene, job, before, after)
    server.start()
    scene.survivor.restart()
    scene.assert_answers()
    scene.repair()


@pytest.mark.parametrize("step", [f"rebuild-{step}" for step in REBUILD])
def test_queries_and_writes_are_right_when_a_rebuild_dies(scene: Scene, step: str) -> None:
    assert scene.run("fill") == 0
    crash(scene, "rebuild", step)
    scene.assert_answers()
    for job in ("create", "update", "rename_author"):
        assert scene.run(job) == 0
        scene.assert_answers()
    time.sleep(HOLD)
    scene.repair()


@pytest.mark.parametrize("step", [f"birth-{step}" for step in BIRTH])
def test_queries_and_writes_are_right_when_a_birth_dies(scene: Scene, step: str) -> None:
    crash(scene, "create_author", step)
    assert scene.now() == {}
    scene.assert_answers()
    for job in ("fill", "create_author"):
        assert scene.run(job) == 0
        scene.assert_answers()
    scene.repair()


@pytest.mark.parametrize("step", [f"pack-{step}" for step in PACKING])
def test_queries_and_writes_are_right_when_a_packing_dies(scene: Scene, step: str) -> None:
    for job in ("fill", "pack", "update", "create"):
        assert scene.run(job) == 0
    before = scene.now()
    crash(scene, "pack", step)
    assert scene.now() == before
    for job in ("delete", "update_many", "rename_author"):
        assert scene.run(job) == 0
        scene.assert_answers()
    # The next packer takes over and leaves nothing of the one that died.
    before = scene.now()
    for _time in range(2):
        assert scene.run("pack") == 0
    assert scene.now() == before
    store, keys = connections["plain"].resources.store, connections["plain"].resources.keys
    for table in ("authors", "articles"):
        packs = keys.packs(table)
        index = PackIndex.load(store.get(packs.list_of_packs()).body)
        assert len(list(store.list(packs.prefix))) == 1 + 2 * len(index.packs)
    scene.repair()


def test_every_step_that_the_package_names_is_died_at() -> None:
    package = Path(django_smarterbase.__file__).parent
    named = {
        name for module in package.rglob("*.py") for name in re.findall(r"\breach\(f?\"([^\"]+)\"", module.read_text())
    }
    for cases in ((*WRITES, *WITHOUT_REDIS), (*SHORT, *SHORT_WITHOUT_REDIS)):
        steps = {step.partition(":")[0] for _, step in cases}
        died_at = steps | {f"rebuild-{step}" for step in REBUILD} | {f"birth-{step}" for step in BIRTH}
        died_at |= {f"pack-{step}" for step in PACKING}
        assert named == died_at
    assert set(SHORT) <= set(WRITES)
    assert set(SHORT_WITHOUT_REDIS) <= set(WITHOUT_REDIS)
    assert {job for job, _ in (*WRITES, *WITHOUT_REDIS)} < JOBS.keys()
