"""What is known of indexes without reading a document: one look at many tables, and what it tells."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from django_smarterbase.indexes.client import IndexDamaged
from django_smarterbase.indexes.service import FallbackReason, IndexState
from django_smarterbase.ops import counting

from .world import SCHEMA, World

OTHER = replace(SCHEMA, table="others")


def test_states_of_several_tables_take_one_request_and_one_round_trip(written: Callable[..., World]) -> None:
    world = written({"1": "red", "2": "blue"})
    world.first.states([SCHEMA])  # the server knows the script from now on
    with counting() as ops:
        things, others = world.first.states([SCHEMA, OTHER])
    assert (ops.storage.system, ops.storage.total, ops.redis.round_trips, ops.redis.commands) == (1, 0, 1, 2)
    assert (things.trusted, things.documents, things.pending, things.overdue) == (True, 2, 0, 0)
    assert others == IndexState("others", None, None, FallbackReason.NOT_BUILT, others.detail)


def test_state_counts_the_distinct_values_of_each_index(written: Callable[..., World]) -> None:
    world = written({"1": "red", "2": "red", "3": "blue"})
    assert world.first.state(SCHEMA).values == {"things-by-color": 2, "color_size": 2}
    world.write("4", "red", size=9)
    assert world.first.state(SCHEMA).values == {"things-by-color": 2, "color_size": 3}
    world.write("3", None)
    assert world.first.state(SCHEMA).values == {"things-by-color": 1, "color_size": 2}


def test_state_tells_when_the_index_was_built(world: World) -> None:
    before = datetime.now(UTC)
    world.write("1", "red")
    born = world.first.state(SCHEMA).entry
    assert born is not None
    assert born.built_at is not None
    assert before <= born.built_at <= datetime.now(UTC)
    world.first.rebuild(SCHEMA)
    rebuilt = world.service().state(SCHEMA).entry
    assert rebuilt is not None
    assert rebuilt.built_at is not None
    assert rebuilt.built_at > born.built_at


def test_state_tells_of_a_rebuild_under_way(world: World) -> None:
    world.write("1", "red")
    seen: list[bool] = []
    world.first.rebuild(SCHEMA, progress=lambda _done, _total: seen.append(world.service().state(SCHEMA).rebuilding))
    assert seen
    assert all(seen)
    assert not world.first.state(SCHEMA).rebuilding


def test_damage_of_one_table_says_nothing_of_the_others(written: Callable[..., World]) -> None:
    world = written({"1": "red"})
    marker = f"sb:{{{world.name}:others}}:marker"
    world.redis.set(marker, "not a hash")
    others, things = world.first.states([OTHER, SCHEMA])
    assert things.trusted
    assert (others.reason, others.detail) == (FallbackReason.DRIFT, str(IndexDamaged(marker)))


def test_states_say_unreachable_for_all_tables_when_redis_is_down(own_world: World) -> None:
    own_world.redis.shutdown(nosave=True)
    first, second = own_world.first.states([SCHEMA, OTHER])
    assert (first.reason, second.reason) == (FallbackReason.UNREACHABLE, FallbackReason.UNREACHABLE)
    assert first.detail == second.detail != ""
