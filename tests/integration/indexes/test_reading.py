"""Reading an index that is trusted: candidates, counts, round trips, and what is in doubt."""

from __future__ import annotations

from dataclasses import replace

import pytest

from django_smarterbase.indexes.service import FallbackReason, IndexUntrusted
from django_smarterbase.ops import counting
from django_smarterbase.tables import Column, IndexCondition, IndexDefinition, IndexEntry

from .world import BOTH, COLOR, EVERYTHING, SCHEMA, World, colored


@pytest.fixture
def full(patient_world: World) -> World:
    """Three reds (one large), two blues."""
    for stem, color, size in [("1", "red", 1), ("2", "red", 1), ("3", "red", 9), ("4", "blue", 1), ("5", "blue", 2)]:
        patient_world.write(stem, color, size=size)
    return patient_world


def test_read_names_the_documents_of_one_value(full: World) -> None:
    assert full.members("red") == {"1", "2", "3"}
    assert full.members("green") == set()


def test_read_unites_the_entries_of_a_clause_and_intersects_clauses(full: World) -> None:
    red_or_blue = (IndexEntry(COLOR, ("red",)), IndexEntry(COLOR, ("blue",)))
    small_ones = (IndexEntry(BOTH, ("red", 1)), IndexEntry(BOTH, ("blue", 1)))
    red = (IndexEntry(COLOR, ("red",)),)

    def stems(*clauses: tuple[IndexEntry, ...]) -> set[str]:
        reading = full.first.read(SCHEMA, IndexCondition(clauses))
        assert reading.count == len(reading.stems or ())
        return set(reading.stems or ())

    assert stems(red_or_blue) == {"1", "2", "3", "4", "5"}
    assert stems(red_or_blue, small_ones) == {"1", "2", "4"}
    assert stems(red, small_ones) == {"1", "2"}
    assert stems(red, ()) == set()
    assert stems() == {"1", "2", "3", "4", "5"}


def test_read_unites_more_entries_than_a_script_can_unpack(full: World) -> None:
    many = tuple(IndexEntry(COLOR, (f"no {number}",)) for number in range(9000))
    reading = full.first.read(SCHEMA, IndexCondition(((*many, IndexEntry(COLOR, ("blue",))),)))
    assert set(reading.stems or ()) == {"4", "5"}


def test_read_takes_one_round_trip_and_no_object(full: World) -> None:
    full.members("red")
    with counting() as ops:
        full.first.read(SCHEMA, colored("red"))
        full.first.read(SCHEMA, EVERYTHING, members=False)
    assert ops.redis.round_trips == 2
    assert ops.storage.total == 0


@pytest.mark.parametrize("members", [True, False])
def test_count_leaves_out_what_is_in_doubt(full: World, members: bool) -> None:
    write = full.begin("1", "blue")
    red, blue = (full.first.read(SCHEMA, colored(color), members=members) for color in ("red", "blue"))
    assert (red.count, red.in_doubt) == (2, {"1"})
    assert (blue.count, blue.in_doubt) == (2, {"1"})
    full.put("1", "blue")
    assert full.exact_count(full.first.read(SCHEMA, colored("red"), members=members), "red") == 2
    assert full.exact_count(full.first.read(SCHEMA, colored("blue"), members=members), "blue") == 3
    write.finish({"1": full.store.get(full.key("1")).etag})
    blue = full.first.read(SCHEMA, colored("blue"), members=members)
    assert (blue.count, blue.in_doubt) == (3, frozenset())


def test_doubt_concerns_only_the_candidates(full: World) -> None:
    full.begin("4", "green")
    assert full.first.read(SCHEMA, colored("red")).in_doubt == frozenset()


def test_counts_tell_every_combination_without_the_doubtful(full: World) -> None:
    assert full.first.counts(SCHEMA, COLOR).counts == {("red",): 3, ("blue",): 2}
    assert full.first.counts(SCHEMA, BOTH).counts == {("red", 1): 2, ("red", 9): 1, ("blue", 1): 1, ("blue", 2): 1}
    full.begin("3", "green")
    counts = full.first.counts(SCHEMA, COLOR)
    assert counts.counts == {("red",): 2, ("blue",): 2}
    assert counts.in_doubt == {"3"}


def test_counts_read_one_document_for_a_value_that_its_code_does_not_tell(full: World) -> None:
    long = "violet " * 40
    full.write("6", long)
    full.write("7", long)
    full.first.counts(SCHEMA, COLOR)
    with counting() as ops:
        counts = full.first.counts(SCHEMA, COLOR)
    assert counts.counts[(long,)] == 2
    assert (ops.storage.total, ops.redis.round_trips) == (1, 1)


def test_counts_forget_a_value_that_no_document_has_any_more(full: World) -> None:
    full.write("4", "red")
    full.write("5", None)
    assert full.first.counts(SCHEMA, COLOR).counts == {("red",): 4}
    assert not full.redis_keys("set:*:things-by-color:tblue")


def test_read_refuses_an_index_that_is_not_kept(full: World) -> None:
    unknown = IndexDefinition("things-by-size", ("size",))
    with pytest.raises(IndexUntrusted) as caught:
        full.first.read(SCHEMA, IndexCondition(((IndexEntry(unknown, (1,)),),)))
    assert caught.value.reason is FallbackReason.NOT_INDEXED
    with pytest.raises(IndexUntrusted):
        full.first.counts(SCHEMA, unknown)


def test_read_refuses_when_no_cache_is_configured(full: World) -> None:
    with pytest.raises(IndexUntrusted) as caught, counting() as ops:
        full.service(alias=None).read(SCHEMA, colored("red"))
    assert caught.value.reason is FallbackReason.NO_CACHE
    assert ops.storage.system == 0


def test_definition_change_is_noticed_before_redis_is_asked(full: World) -> None:
    longer = replace(
        SCHEMA,
        columns=(*SCHEMA.columns, Column("shape")),
        indexes=(*SCHEMA.indexes, IndexDefinition("things-by-shape", ("shape",))),
    )
    with pytest.raises(IndexUntrusted) as caught:
        full.first.read(longer, EVERYTHING)
    assert caught.value.reason is FallbackReason.DEFINITIONS_CHANGED


def test_table_without_indexes_still_counts_its_documents(world: World) -> None:
    bare = replace(SCHEMA, table="bare", indexes=())
    assert world.first.begin(bare, []).degraded is False
    assert world.first.read(bare, EVERYTHING).count == 0


def test_reader_whose_lease_is_from_before_a_rebuild_looks_again(full: World) -> None:
    reader = full.service()
    reader.read(SCHEMA, EVERYTHING)
    full.hasty().rebuild(SCHEMA)
    with counting() as ops:
        assert reader.read(SCHEMA, EVERYTHING).count == 5
    assert (ops.storage.system, ops.redis.round_trips) == (1, 2)
