"""A look at an index that asks it nothing: trusted or why not, and how much stands in it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.conf import settings
from django.test import override_settings

from django_smarterbase.indexes.service import FallbackReason, IndexUntrusted
from django_smarterbase.ops import counting
from django_smarterbase.outlook import Outlook
from django_smarterbase.tables import IndexDefinition, IndexEntry
from testproject.services import RedisServer

from .world import BOTH, COLOR, OTHER_CODE, SCHEMA, World, colored

NOBODY = {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": "redis://127.0.0.1:1/0"}

RED, BLUE, GREEN = (IndexEntry(COLOR, (color,)) for color in ("red", "blue", "green"))
LARGE_RED = IndexEntry(BOTH, ("red", 9))
ENTRIES = (RED, BLUE, GREEN, LARGE_RED)


@pytest.fixture
def full(patient_world: World) -> World:
    """Three reds (one large), two blues."""
    for stem, color, size in [("1", "red", 1), ("2", "red", 1), ("3", "red", 9), ("4", "blue", 1), ("5", "blue", 2)]:
        patient_world.write(stem, color, size=size)
    return patient_world


def test_outlook_weighs_the_sets_that_it_is_asked_about(full: World) -> None:
    assert full.first.outlook(SCHEMA, ENTRIES, [COLOR, BOTH]) == Outlook(
        documents=5, sizes={RED: 3, BLUE: 2, GREEN: 0, LARGE_RED: 1}, values={COLOR: 2, BOTH: 4}
    )
    assert full.first.outlook(SCHEMA) == Outlook(documents=5)


def test_outlook_takes_one_round_trip_and_reads_no_document(full: World) -> None:
    full.first.outlook(SCHEMA, ENTRIES)  # the server knows the script from now on
    service = full.service()
    with counting() as ops:
        service.outlook(SCHEMA, ENTRIES, [COLOR, BOTH])
    assert (ops.redis.round_trips, ops.storage.total, ops.storage.system) == (1, 0, 1)
    with counting() as ops:
        service.outlook(SCHEMA, ENTRIES, [COLOR, BOTH])
    assert (ops.redis.round_trips, ops.storage.system) == (1, 0)


def test_outlook_tells_of_values_that_no_index_can_hold(full: World) -> None:
    huge, other = IndexEntry(BOTH, ("red", 2**70)), IndexEntry(IndexDefinition("unknown", ("size",)), (1,))
    outlook = full.first.outlook(SCHEMA, [RED, huge, other], [IndexDefinition("unknown", ("size",))])
    assert outlook == Outlook(documents=5, sizes={RED: 3}, unaskable=frozenset({huge, other}))


def test_outlook_counts_documents_in_doubt_too(full: World) -> None:
    full.begin("6", "red")
    assert full.first.outlook(SCHEMA, [RED]) == Outlook(documents=6, sizes={RED: 4})


def test_outlook_after_a_flush_knows_no_number(full: World) -> None:
    full.remove_keys()
    assert full.first.outlook(SCHEMA, ENTRIES, [COLOR]) == Outlook(FallbackReason.FLUSHED)


def test_outlook_for_other_definitions_is_that_the_index_is_not_of_these(full: World) -> None:
    outlook = full.first.outlook(OTHER_CODE, [RED])
    assert (outlook.reason, outlook.documents, outlook.sizes) == (FallbackReason.DEFINITIONS_CHANGED, 5, {RED: 3})


def test_outlook_trusts_what_another_process_has_rebuilt_since_the_lease_began(full: World) -> None:
    full.first.outlook(SCHEMA)
    full.hasty().rebuild(SCHEMA)
    assert full.first.outlook(SCHEMA, [RED]) == Outlook(documents=5, sizes={RED: 3})


def take_a_member(world: World) -> None:
    (key,) = world.redis_keys("set:*:tred")
    world.redis.srem(key, "1")


def spoil_a_key(world: World) -> None:
    (key,) = world.redis_keys("docs:*")
    world.redis.set(key, "a string")


DAMAGES: dict[FallbackReason, Callable[[World], object]] = {
    FallbackReason.NOT_BUILT: lambda world: world.store.delete(world.keys.manifest()),
    FallbackReason.FLUSHED: World.remove_keys,
    FallbackReason.RESTARTED: lambda world: world.redis.hset(world.redis_keys("marker")[0], "run_id", "another"),
    FallbackReason.DRIFT: take_a_member,
}


@pytest.mark.parametrize("reason", DAMAGES)
def test_outlook_judges_as_a_reader_would(full: World, reason: FallbackReason) -> None:
    DAMAGES[reason](full)
    assert full.service().outlook(SCHEMA, [RED]).reason is reason
    with pytest.raises(IndexUntrusted) as caught:
        full.service().read(SCHEMA, colored("red"))
    assert caught.value.reason is reason


def test_outlook_leaves_a_damaged_index_to_the_readers_and_quotes_no_value(full: World) -> None:
    take_a_member(full)
    before = full.redis_keys()
    outlook = full.first.outlook(SCHEMA, [RED])
    assert (outlook.reason, outlook.detail) == (FallbackReason.DRIFT, "'things-by-color' has lost or gained members")
    assert full.redis_keys() == before
    assert full.first.outlook(SCHEMA, [BLUE]).reason is None


def test_outlook_of_an_index_whose_key_somebody_has_overwritten_is_that_it_is_damaged(full: World) -> None:
    spoil_a_key(full)
    outlook = full.first.outlook(SCHEMA, [RED])
    assert (outlook.reason, outlook.documents) == (FallbackReason.DRIFT, None)


def test_outlook_without_a_cache_says_so(full: World) -> None:
    assert full.service(alias=None).outlook(SCHEMA, ENTRIES) == Outlook(FallbackReason.NO_CACHE)


def test_outlook_while_redis_is_down_knows_nothing_but_that(own_world: World, own_redis: RedisServer) -> None:
    own_world.write("1", "red")
    own_redis.stop()
    outlook = own_world.first.outlook(SCHEMA, ENTRIES, [COLOR])
    assert (outlook.reason, outlook.documents, outlook.sizes) == (FallbackReason.UNREACHABLE, None, {})
    assert "ConnectionError" in outlook.detail


def test_outlook_of_a_suspect_index_tells_what_it_still_holds(full: World) -> None:
    writer = full.hasty(alias="unreachable")
    with override_settings(CACHES={**settings.CACHES, "unreachable": NOBODY}):
        full.write("6", "red", service=writer)
    assert full.service().outlook(SCHEMA, [RED]) == Outlook(FallbackReason.SUSPECT, documents=5, sizes={RED: 3})


def test_outlook_of_a_redis_that_may_evict_is_that_it_is_not_believed(own_world: World) -> None:
    own_world.write("1", "red")
    own_world.redis.config_set("maxmemory-policy", "allkeys-lru")
    assert own_world.first.outlook(SCHEMA).reason is FallbackReason.EVICTING
    assert own_world.service(allow_eviction=True).outlook(SCHEMA) == Outlook(documents=1)
