"""The write protocol against a real Redis, its steps in any order and with faults: the mirror of the exhaustive model."""

from __future__ import annotations

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


@pytest.mark.parametrize("rebuilds", [0, 1, 2])
@pytest.mark.parametrize("faults", FAULTS.values(), ids=FAULTS)
def test_protocol_keeps_its_invariants_in_any_order_of_steps(redis_url: str, faults: Faults, rebuilds: int) -> None:
    client = redis.Redis.from_url(redis_url)

    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        first=st.sampled_from((None, "red")),
        colors=st.lists(st.sampled_from((*COLORS, None)), min_size=2, max_size=4),
        choices=st.lists(st.integers(0, 2**16), min_size=20, max_size=60),
    )
    def run(first: str | None, colors: list[str | None], choices: list[int]) -> None:
        world = World(MemoryStore(InMemoryStorage(), OPTIONS), "smarterbase", client)
        try:
            world.write(STEM, "red")
            if first is None:
                world.write(STEM, None)
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
    client.close()
