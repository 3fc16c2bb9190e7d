"""What goes over a table holds a piece of it, in processes of their own, whose peak is looked at."""

from __future__ import annotations

from pathlib import Path

from benchmarks.engines import Place
from benchmarks.memory import footprints
from testproject.services import RedisServer

SIZES = (2_000, 16_000)  # documents of 1 KiB, of which 14,000 took 35 MiB and more when they were held
LIMIT = 15.0  # MiB
TASKS = (
    "filter(title=…)",
    "iterator()",
    "iterator(), sorted",
    "dumpdata",
)


def test_memory_does_not_grow_with_the_table(tmp_path: Path, server: RedisServer) -> None:
    found = list(footprints(Place(str(tmp_path), server.url), SIZES, lambda _what: None, TASKS))
    small = {each.task: each.peak for each in found[: len(TASKS)]}
    grown = {each.task: each.peak - small[each.task] for each in found[len(TASKS) :]}
    assert grown.keys() == set(TASKS)
    assert {task: more for task, more in grown.items() if more > LIMIT} == {}
