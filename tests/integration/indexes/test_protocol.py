"""The write protocol against a real Redis, its steps in any order and with faults: the mirror of the model."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis
from django.core.files.storage import InMemoryStorage
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from django_smarterbase.storage.memory import MemoryStore

from .steps import COLORS, STEM, Faults, Protocol
from .world import OPTIONS, World

FAULTS = {
    "no fault": Faults(),
    "Redis flushed": Faults(flushes=1),
    "a writer killed": Faults(kills=1),
    "a writer cut off": Faults(cuts=1),
    "everything": Faults(flushes=1, kills=2, cuts=1),
}


#: Histories that the exhaustive model gives as counterexamples when one of its rules is left out, or that break a finer
#: point of the scripts: {what must not happen: (the document at first, what the writers write, the steps)}.
REBUILD = "rebuild.claim rebuild.register rebuild.scan rebuild.fill rebuild.deadline rebuild.drain "
COMPARED = "rebuild.list rebuild.compare rebuild.look rebuild.mend "
HISTORIES = {
    "an earlier write that finishes late undoes a later one": (
        "red",
        ["green", "blue"],
        "w1.read w1.begin w1.put w2.read w2.begin w2.put w2.finish w1.finish lease",
    ),
    "an earlier update that finishes late undoes a deletion": (
        "red",
        ["green", None],
        "w1.read w1.begin w1.put w2.read w2.begin w2.put w2.finish w1.finish lease",
    ),
    "a fill replaces what a writer noted": (
        "red",
        ["green", "blue"],
        "w1.read rebuild.claim rebuild.register w1.begin w1.put w1.finish w2.read w2.begin w2.put rebuild.scan "
        "rebuild.fill w2.finish rebuild.deadline rebuild.drain " + COMPARED + "rebuild.publish rebuild.mark lease",
    ),
    "a late finish removes what another write justifies": (
        "red",
        ["green", "blue"],
        "w1.read "
        + REBUILD.replace("rebuild.drain", "w1.begin w1.put w2.read w2.begin w2.put rebuild.drain")
        + COMPARED
        + "w1.finish rebuild.publish rebuild.mark lease",
    ),
    "an abort removes what the document still has": (
        "red",
        ["red", "green"],
        "w1.read w1.begin w2.read w2.begin w2.put w2.finish w1.put w1.abort lease",
    ),
    "an abort removes what the record justifies": (
        "red",
        ["green", "red"],
        "w1.read w2.read w1.begin w1.put w1.finish w2.begin w2.put w2.abort lease",
    ),
    "a marker survives a flush during the rebuild": (
        "red",
        [],
        REBUILD + COMPARED + "rebuild.publish FLUSH rebuild.mark lease",
    ),
    "a sweep overwrites what a writer finished meanwhile": (
        "red",
        ["green", "blue"],
        "w1.read w1.begin w1.KILL w2.read w2.begin sweep.find sweep.read w2.put w2.finish sweep.settle lease",
    ),
    "a mend overwrites what a writer finished meanwhile": (
        "red",
        ["green", "blue"],
        "w1.read w1.begin "
        + REBUILD.replace("rebuild.fill", "rebuild.fill w1.put w1.finish")
        + "rebuild.list rebuild.compare rebuild.look w2.read w2.begin w2.put w2.finish rebuild.mend rebuild.look "
        "rebuild.mend rebuild.publish rebuild.mark lease",
    ),
    "a mend brings a document back that was deleted meanwhile": (
        None,
        ["green", None],
        "w1.read w1.begin "
        + REBUILD.replace("rebuild.fill", "rebuild.fill w1.put w1.finish")
        + "rebuild.list rebuild.compare rebuild.look w2.read w2.begin w2.put w2.finish rebuild.mend rebuild.look "
        "rebuild.mend rebuild.publish rebuild.mark lease",
    ),
    "a deletion that finishes first hides a creation after it": (
        None,
        ["green", "blue", None],
        "w1.read w1.begin w2.read w1.put w2.begin w3.read w3.begin w3.put w2.put w3.finish w2.finish lease w1.finish",
    ),
    "a deletion that finishes last hides a creation after it": (
        None,
        ["green", "blue", None],
        "w1.read w1.begin w2.read w1.put w2.begin w3.read w3.begin w3.put w2.put w2.finish w3.finish lease w1.finish",
    ),
    "a sweep of a creation overlooks a writer that began meanwhile": (
        None,
        ["green", "blue"],
        "w1.read w1.begin w1.KILL w2.read sweep.find w2.begin sweep.read w2.put sweep.settle lease",
    ),
    "an index that a writer dropped is told as any other thing than lost before the next one is marked": (
        None,
        ["red", "red"],
        "w1.read w1.CUT w1.begin w1.d1 w1.d2 w1.put w1.finish w2.read w2.begin w2.put w2.finish "
        + REBUILD
        + COMPARED
        + "rebuild.publish rebuild.mark lease",
    ),
    "a deletion hides a creation that did not feed the new epoch": (
        None,
        ["green", "blue", None],
        "w1.read w1.begin w2.read w1.put w2.begin w3.read rebuild.claim rebuild.register w3.begin w3.put w2.put "
        "rebuild.scan rebuild.fill rebuild.deadline rebuild.drain rebuild.drain w3.finish rebuild.drain "
        + COMPARED
        + "rebuild.publish rebuild.mark lease",
    ),
}


@pytest.fixture(scope="module")
def client(redis_url: str) -> Iterator[redis.Redis]:
    """A client of the shared Redis."""
    client = redis.Redis.from_url(redis_url)
    yield client
    client.close()


def world_with(client: redis.Redis, color: str | None) -> World:
    """A world whose only document is red, or was."""
    world = World(MemoryStore(InMemoryStorage(), OPTIONS), "smarterbase", client)
    world.write(STEM, "red")
    if color is None:
        world.write(STEM, None)
    return world


@pytest.mark.parametrize("history", HISTORIES.values(), ids=HISTORIES)
def test_protocol_keeps_its_invariants_in_history(
    client: redis.Redis, history: tuple[str | None, list[str | None], str]
) -> None:
    first, colors, steps = history
    world = world_with(client, first)
    try:
        Protocol(world, colors).perform(steps)
    finally:
        world.remove_keys()


@pytest.mark.parametrize("rebuilds", [0, 2])
@pytest.mark.parametrize("faults", FAULTS.values(), ids=FAULTS)
def test_protocol_keeps_its_invariants_in_any_order_of_steps(
    client: redis.Redis, faults: Faults, rebuilds: int
) -> None:
    @settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        first=st.sampled_from((None, "red")),
        colors=st.lists(st.sampled_from((*COLORS, None)), min_size=2, max_size=4),
        choices=st.lists(st.integers(0, 2**16), min_size=20, max_size=60),
    )
    def run(first: str | None, colors: list[str | None], choices: list[int]) -> None:
        world = world_with(client, first)
        try:
            protocol = Protocol(world, colors, rebuilds=rebuilds, faults=faults)
            for choice in choices:
                enabled = protocol.enabled()
                if not enabled:
                    break
                name, step = enabled[choice % len(enabled)]
                note(name)
                step()
                protocol.check()
        finally:
            world.remove_keys()

    run()
