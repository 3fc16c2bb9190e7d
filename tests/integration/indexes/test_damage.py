"""Members, fields and values in Redis that the index never wrote: bytes that are no text, and names of no document."""

from __future__ import annotations

import pytest

from django_smarterbase.indexes.service import FallbackReason, IndexUntrusted

from .world import EVERYTHING, SCHEMA, World, colored

GARBAGE = [b"\xff\xfe", b"", b" ", b"a b", b"../x", b"a\nb", "é".encode()]


def exchange(world: World, ending: str, garbage: bytes) -> None:
    """Put garbage in a member's or field's place, so that the number of them is right."""
    (key,) = world.redis_keys(ending)
    if world.redis.type(key) == b"set":
        world.redis.spop(key)
        world.redis.sadd(key, garbage)
    else:
        field, value = next(iter(world.redis.hgetall(key).items()))
        world.redis.hdel(key, field)
        world.redis.hset(key, garbage, value)


@pytest.mark.parametrize("garbage", GARBAGE, ids=repr)
def test_set_that_names_what_no_document_can_be_called_is_no_answer(world: World, garbage: bytes) -> None:
    world.write("1", "red")
    exchange(world, "set:*:things-by-color:tred", garbage)
    with pytest.raises(IndexUntrusted) as caught:
        world.first.read(SCHEMA, colored("red"))
    assert caught.value.reason is FallbackReason.DRIFT
    assert "no document can be called" in caught.value.detail
    with pytest.raises(IndexUntrusted) as caught:
        world.service().read(SCHEMA, EVERYTHING)
    assert caught.value.reason is FallbackReason.FLUSHED
    world.first.rebuild(SCHEMA, full=True)
    assert world.members("red") == {"1"}


@pytest.mark.parametrize("garbage", GARBAGE, ids=repr)
def test_record_of_what_no_document_can_be_called_is_found_by_an_audit_and_mended_by_a_rebuild(
    world: World, garbage: bytes
) -> None:
    world.write("1", "red")
    world.write("2", "red")
    exchange(world, "docs:*", garbage)
    found = world.first.audit(SCHEMA)
    assert not found.is_sound
    world.first.rebuild(SCHEMA, full=True)
    assert world.first.audit(SCHEMA).is_sound
    assert world.members("red") == {"1", "2"}


def test_note_of_what_no_document_can_be_called_hinders_no_query(world: World) -> None:
    world.write("1", "red")
    world.begin("2", "red")
    exchange(world, "pend:*", b"../x")
    (age,) = world.redis_keys("age:*")
    ((member, ticket),) = world.redis.zrange(age, 0, -1, withscores=True)
    world.redis.zrem(age, member)
    world.redis.zadd(age, {member.replace(b"2", b"../x", 1): ticket})
    assert world.members("red") >= {"1"}
    world.first.rebuild(SCHEMA)
    assert world.members("red") == {"1"}


@pytest.mark.parametrize("field", ["epoch", "run_id"])
def test_marker_that_is_no_text_marks_nothing(world: World, field: str) -> None:
    world.write("1", "red")
    (marker,) = world.redis_keys("marker")
    world.redis.hset(marker, field, b"\xff")
    state = world.service().state(SCHEMA)
    assert state.reason in {FallbackReason.FLUSHED, FallbackReason.RESTARTED}
    with pytest.raises(IndexUntrusted):
        world.service().read(SCHEMA, colored("red"))
    world.write("1", "blue")
    world.first.rebuild(SCHEMA)
    assert world.members("blue") == {"1"}
