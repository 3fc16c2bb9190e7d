"""Three processes, an oracle and a Redis that comes to every kind of harm: each answer is the oracle's."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from django.db import transaction
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from django_smarterbase.exceptions import ConflictError
from django_smarterbase.profiling import profile_queries
from testproject.articles.models import Article, Author
from testproject.services import RedisServer

from .actions import CATEGORIES, NAMES, STATUSES, Action, Rows, actions
from .asking import FIELDS, QUESTIONS, Contents, contents
from .tally import TALLY
from .world import KINDS, ORACLE, PROCESSES, Crash, Faults, World

TEST = "model-based"
WRITE_STEPS = (
    "begun",
    "put",
    "finished",
    "intent-written",
    "intent-removed",
    "claim-taken",
    "claim-freed",
    "suspected",
    "birth-claimed",
    "birth-registered",
)

#: Statements that Django runs in autocommit: a process that dies in one has changed some documents and not others.
BY_DOCUMENT = ("update_where", "update_of_author", "rename_author", "swap_names", "delete_where")

DISTURBANCES = (
    "fault",
    "fault",
    "fault at a step",
    "fault before a request",
    "other definitions",
    "process restarted",
    "pause",
    "rebuild in the background",
    "healed",
)

process = st.sampled_from(PROCESSES)
fault_kind = st.sampled_from(KINDS)
seeds = st.integers(0, 1000)


def count(what: str, times: int = 1) -> None:
    TALLY.count(TEST, what, times)


class Machine(RuleBasedStateMachine):
    """``world`` is given by the test."""

    world: World

    def __init__(self) -> None:
        super().__init__()
        self.faults = Faults(self.world)
        self.turn = 0
        self.hurt = False

    @initialize()
    def begin(self) -> None:
        self.world.reset()
        for using in (PROCESSES[0], ORACLE):
            authors = [Author(pk=uuid.UUID(int=number), name=name) for number, name in enumerate(NAMES[:3], 1)]
            Author.objects.using(using).bulk_create(authors)
            articles = (
                Article(
                    pk=uuid.UUID(int=100 + number),
                    author_id=authors[number % 3].pk,
                    category=CATEGORIES[number % 4],
                    status=STATUSES[number % 3],
                )
                for number in range(5)
            )
            Article.objects.using(using).bulk_create(articles)
        self.faults.saved(PROCESSES[0], 0)
        count("examples")

    def teardown(self) -> None:
        self.world.disarm()
        self.world.settle()

    @rule(several=st.lists(st.tuples(process, process, actions()), min_size=1, max_size=5))
    def act(self, several: list[tuple[str, str, Action]]) -> None:
        """Processes write, each beside one that asks right before and right after, on the strength of one lease."""
        for alias, witness, action in several:
            self.answers_are_the_oracles(witness)
            rows = Rows.of(ORACLE)
            assert action(rows, alias) == action(rows, ORACLE)
            self.answers_are_the_oracles(witness)
            count(f"action {action.name}")

    @rule(alias=process, several=st.lists(actions(), min_size=1, max_size=4), kept=st.booleans(), data=st.data())
    def transact(self, alias: str, several: list[Action], kept: bool, data: st.DataObject) -> None:
        """A transaction with savepoints, reads of its own writes, and perhaps a fault in its midst."""
        fault = data.draw(st.none() | st.tuples(st.integers(0, 3), fault_kind, seeds))
        with transaction.atomic(using=alias), transaction.atomic(using=ORACLE):
            for number, action in enumerate(several):
                if action.name == "create_again":  # the engine says so at COMMIT only, which has a test of its own
                    continue
                if fault is not None and fault[0] == number:
                    self.hurt_by(fault[1], alias, fault[2])
                self.savepoint(
                    alias,
                    replace(action, fresh=uuid.uuid5(action.fresh, str(self.turn))),
                    undone=data.draw(st.booleans()),
                )
            if not kept:
                transaction.set_rollback(True, using=alias)
                transaction.set_rollback(True, using=ORACLE)
        count("transactions committed" if kept else "transactions rolled back")

    def savepoint(self, alias: str, action: Action, *, undone: bool) -> None:
        rows, results = Rows.of(ORACLE), []
        for using in (alias, ORACLE):
            with transaction.atomic(using=using):
                results.append(action(rows, using))
                if undone or (results[-1] is not None and isinstance(results[-1], type)):
                    transaction.set_rollback(True, using=using)
        assert results[0] == results[1]
        assert contents(alias) == contents(ORACLE)
        count("savepoints")

    @rule(alias=process, rival=process, which=st.integers(0, 11), same=st.booleans(), kept=st.booleans())
    def collide(self, alias: str, rival: str, which: int, same: bool, kept: bool) -> None:
        """A transaction reads and writes a row that another process writes meanwhile: it fails as a whole."""
        if alias == rival or not Article.objects.using(ORACLE).exists():
            return
        pk, newcomer = Rows.of(ORACLE).article(which), uuid.uuid4()
        try:
            with transaction.atomic(using=alias):
                article = Article.objects.using(alias).get(pk=pk)
                article.view_count += 100
                article.save(using=alias)
                Author(pk=newcomer, name=f"met {newcomer}").save(using=alias)
                if same:
                    Article.objects.using(rival).filter(pk=pk).update(category=CATEGORIES[which % 4])
                    Article.objects.using(ORACLE).filter(pk=pk).update(category=CATEGORIES[which % 4])
                if not kept:
                    transaction.set_rollback(True, using=alias)
        except ConflictError:
            assert same
            assert kept
            count("conflicts found at COMMIT")
            return
        assert not (same and kept)
        if kept:
            article = Article.objects.using(ORACLE).get(pk=pk)
            article.view_count += 100
            article.save(using=ORACLE)
            Author(pk=newcomer, name=f"met {newcomer}").save(using=ORACLE)

    def hurt_by(self, kind: str, alias: str, seed: int) -> None:
        self.faults.happen(kind, alias, seed)
        self.hurt = True
        count(f"fault {kind}")

    @rule(
        how=st.sampled_from(DISTURBANCES),
        alias=process,
        kind=fault_kind,
        seed=seeds,
        number=st.integers(1, 8),
    )
    def disturb(self, how: str, alias: str, kind: str, seed: int, number: int) -> None:
        """One of DISTURBANCES."""
        hurt = partial(self.hurt_by, kind, alias, seed)
        if how == "fault":
            hurt()
        elif how == "fault at a step":
            self.world.at_step(WRITE_STEPS, number, lambda _: hurt())
        elif how == "fault before a request":
            self.world.before_request(alias, number, hurt)
        elif how == "other definitions":
            self.world.define(extra=bool(seed % 2))
        elif how == "process restarted":
            self.world.cells[alias].restart()
        elif how == "pause":  # the notes of writers that died become overdue
            time.sleep(self.world.place.write_deadline * 1.1)
        elif how == "rebuild in the background":
            self.world.reindex_in_background(alias)
        else:
            self.world.heal()
            self.hurt = False
        count(f"disturbance: {how}")

    @rule(alias=process, action=actions(), number=st.integers(1, 6))
    def crash(self, alias: str, action: Action, number: int) -> None:
        """The process dies at the n-th step of a statement: each of its documents is old or new."""
        rows, before = Rows.of(ORACLE), contents(ORACLE)

        def die(step: str) -> None:
            raise Crash(step)

        self.world.at_step(WRITE_STEPS, number, die)
        try:
            result = action(rows, alias)
        except Crash as death:
            self.world.cells[alias].restart()
            self.take_over(before, action, rows)
            count(f"crashes at step {death}")
        else:
            assert result == action(rows, ORACLE)
            self.world.disarm()

    def take_over(self, before: Contents, action: Action, rows: Rows) -> None:
        """Another process decides what the dead one has left behind, which the oracle then follows."""
        action(rows, ORACLE)
        after = contents(ORACLE)
        self.world.recover(PROCESSES[0])
        found = contents(PROCESSES[0], scan=True)
        for key in before.keys() | after.keys() | found.keys():
            assert found.get(key) in (before.get(key), after.get(key))
        assert action.name in BY_DOCUMENT or found in (before, after)
        for model in (Article, Author):
            model.objects.using(ORACLE).all().delete()
        for (table, _), values in sorted(found.items(), reverse=True):
            if table == "authors":
                Author(pk=values[0], name=values[1]).save(using=ORACLE)
            else:
                Article(**dict(zip(FIELDS, values, strict=True))).save(using=ORACLE)

    @rule(alias=process)
    def repair(self, alias: str) -> None:
        """Everything is healthy again, and one rebuild later the indexes are trusted."""
        if not self.hurt:  # no as that must not depend on when something happened
            return
        self.world.settle()
        self.world.heal()
        self.hurt = False
        self.world.reindex(alias)
        for state in self.world.states(alias):
            assert state.trusted, state
        self.faults.saved(alias, 0)  # so that a restart with old data brings back an index that was trusted once
        count("repairs")

    @invariant()
    def step_was_right(self) -> None:
        """Every question to the next process in turn."""
        count("steps")
        self.turn += 1
        self.answers_are_the_oracles(PROCESSES[self.turn % len(PROCESSES)])

    def answers_are_the_oracles(self, alias: str) -> None:
        """Every question, to this process."""
        for name, question in QUESTIONS.items():
            with profile_queries() as queries:
                found = question(alias)
            assert found == question(ORACLE), (name, alias, [profile.index_used for profile in queries.profiles])
            count("answers compared")
            for profile in queries.profiles:
                if profile.index_used.startswith("redis:"):
                    count("statements answered by index")
                elif profile.fallback:
                    count(f"statements fallen back: {profile.fallback_reason}")


@pytest.fixture
def world(tmp_path: Path, server: RedisServer) -> Iterator[World]:
    world = World(tmp_path / "objects", server)
    world.open()
    yield world
    world.close()


def test_answers_are_the_oracles_whatever_becomes_of_redis(world: World, torture: bool) -> None:
    machine = type("BoundMachine", (Machine,), {"world": world})
    how = settings(
        max_examples=150 if torture else 10,
        stateful_step_count=50 if torture else 20,
        # To shrink a failure takes minutes, which only those have who asked for a long run.
        phases=list(Phase) if torture else [Phase.explicit, Phase.reuse, Phase.generate],
        derandomize=not torture,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        print_blob=True,
    )
    run_state_machine_as_test(machine, settings=how)
    done = TALLY.of(TEST)
    assert done["answers compared"] > 1000
    assert done["statements answered by index"] > 100
