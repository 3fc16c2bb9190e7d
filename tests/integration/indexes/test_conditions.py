"""Trees of conditions: negations, primary keys and nesting, with documents in doubt, with a real Redis."""

from __future__ import annotations

from typing import Any

import pytest
import redis
from django.core.files.storage import InMemoryStorage
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from django_smarterbase.indexes import sets
from django_smarterbase.indexes.answers import FallbackReason, IndexUntrusted
from django_smarterbase.ops import counting
from django_smarterbase.storage.memory import MemoryStore
from django_smarterbase.tables import (
    IndexComplement,
    IndexCondition,
    IndexEntry,
    IndexKeys,
    IndexRange,
    IndexTerm,
)

from .world import BOTH, COLOR, EVERYTHING, PATIENT, SCHEMA, World, colored

COLORS = ("blue", "cyan", "red")
SIZES = (0, 1)
Thing = tuple[str, int]


def is_member(stem: str, thing: Thing, term: IndexTerm) -> bool:
    """Whether a thing of this colour and size is named by the term."""
    if isinstance(term, IndexKeys):
        return stem in term.pks
    if isinstance(term, IndexEntry):
        return thing[: len(term.values)] == term.values
    if isinstance(term, IndexRange):
        return bool(term.lower <= thing[0])  # type: ignore[operator]
    if isinstance(term, IndexComplement):
        return not any(is_member(stem, thing, each) for each in term.terms)
    assert isinstance(term, IndexCondition)
    return all(any(is_member(stem, thing, each) for each in clause) for clause in term.clauses)


color, size = st.sampled_from(COLORS), st.sampled_from(SIZES)
leaves: st.SearchStrategy[IndexTerm] = st.one_of(
    st.builds(lambda color: IndexEntry(COLOR, (color,)), color),
    st.builds(lambda color, size: IndexEntry(BOTH, (color, size)), color, size),
    st.builds(lambda color: IndexRange(COLOR, lower=color), color),
    st.builds(lambda stems: IndexKeys(tuple(stems)), st.lists(st.sampled_from("01234789"), max_size=3, unique=True)),
)


def some(terms: st.SearchStrategy[IndexTerm]) -> st.SearchStrategy[tuple[IndexTerm, ...]]:
    return st.lists(terms, min_size=1, max_size=4).map(tuple)


def conditions(terms: st.SearchStrategy[IndexTerm]) -> st.SearchStrategy[IndexCondition]:
    return st.lists(some(terms), max_size=3).map(lambda clauses: IndexCondition(tuple(clauses)))


terms = st.recursive(
    leaves, lambda inner: st.one_of(st.builds(IndexComplement, some(inner)), conditions(inner)), max_leaves=6
)


def test_answers_are_those_of_the_documents_whatever_is_negated_and_nested(redis_url: str) -> None:
    client = redis.Redis.from_url(redis_url)

    @settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        things=st.lists(st.tuples(color, size), min_size=1, max_size=9),
        under_way=st.lists(
            st.tuples(st.integers(0, 9), color, size), min_size=1, max_size=3, unique_by=lambda each: each[0]
        ),
        condition=conditions(terms),
    )
    def run(things: list[Thing], under_way: list[tuple[int, str, int]], condition: IndexCondition) -> None:
        world = World(MemoryStore(InMemoryStorage(), PATIENT), "smarterbase", client, PATIENT)
        try:
            for number, (its_color, its_size) in enumerate(things):
                world.write(str(number), its_color, size=its_size)
            for number, its_color, its_size in under_way:
                world.begin(str(number), its_color, size=its_size)
            expected = {str(number) for number, thing in enumerate(things) if is_member(str(number), thing, condition)}
            in_doubt = {str(number) for number, _, _ in under_way}
            reading, counted = (world.first.read(SCHEMA, condition, members=members) for members in (True, False))
            stems = set(reading.stems or ())
            assert stems - reading.in_doubt == expected - in_doubt
            assert expected & in_doubt <= reading.in_doubt <= in_doubt & stems
            assert reading.documents == counted.documents == len(in_doubt | set(map(str, range(len(things)))))
            assert (counted.count, counted.in_doubt) == (reading.count, reading.in_doubt)
            assert counted.count == len(expected - in_doubt)
        finally:
            world.remove_keys()

    run()
    client.close()


@pytest.fixture
def full(patient_world: World) -> World:
    """Three reds, two blues."""
    for stem, its_color in [("1", "red"), ("2", "red"), ("3", "red"), ("4", "blue"), ("5", "blue")]:
        patient_world.write(stem, its_color)
    return patient_world


@pytest.mark.parametrize(
    "beside",
    [
        pytest.param((IndexEntry(COLOR, ("red",)),), id="a set"),
        pytest.param((IndexRange(COLOR, lower="red"),), id="a range"),
        pytest.param((IndexEntry(COLOR, ("red",)), IndexKeys(("8",))), id="a set and keys"),
        pytest.param((IndexCondition(((IndexRange(COLOR, lower="red"),), (IndexKeys(("x",)),))),), id="nested"),
    ],
)
def test_document_in_doubt_is_not_left_out_because_of_what_it_gets(full: World, beside: tuple[IndexTerm, ...]) -> None:
    full.write("x", "cyan")
    full.begin("x", "red")
    few = IndexCondition(((IndexEntry(COLOR, ("cyan",)),), (IndexComplement(beside),)))
    for condition in (few, IndexCondition(few.clauses[1:]), IndexCondition(((few, IndexKeys(("9",))),))):
        assert "x" in (full.first.read(SCHEMA, condition).stems or ())
        assert "x" in full.first.read(SCHEMA, condition, members=False).in_doubt


def all_but(*colors: str) -> IndexCondition:
    return IndexCondition(((IndexComplement(colored(*colors).clauses[0]),),))


def test_document_in_doubt_is_a_candidate_of_all_but_what_it_had_and_what_it_gets(full: World) -> None:
    full.begin("1", "blue")
    for condition in (all_but("red"), all_but("blue"), all_but("red", "blue")):
        reading = full.first.read(SCHEMA, condition)
        assert "1" in reading.in_doubt
        assert reading.count == len(reading.stems or ()) - 1


@pytest.mark.parametrize(("at_most", "stems"), [(2, None), (3, 3), (4, 3)])
def test_members_are_left_out_when_there_are_more_than_are_wanted(full: World, at_most: int, stems: int | None) -> None:
    reading = full.first.read(SCHEMA, colored("red"), at_most=at_most)
    assert (reading.count, reading.documents) == (3, 5)
    assert (None if reading.stems is None else len(reading.stems)) == stems


def test_values_with_one_code_are_counted_once(full: World) -> None:
    twice = IndexCondition((tuple(IndexEntry(BOTH, ("red", size)) for size in (1, 1.0, "1")),))
    assert full.first.read(SCHEMA, twice, members=False).count == 3


def test_set_that_was_lost_is_noticed_in_a_negation(full: World) -> None:
    full.redis.delete(*full.redis_keys("set:*:things-by-color:tred"))
    with pytest.raises(IndexUntrusted) as caught:
        full.first.read(SCHEMA, all_but("red"))
    assert caught.value.reason is FallbackReason.DRIFT


def test_lost_set_of_all_documents_is_noticed_by_every_query(full: World) -> None:
    full.redis.srem(full.redis_keys("all:*")[0], "1")
    with pytest.raises(IndexUntrusted) as caught:
        full.first.read(SCHEMA, colored("blue"))
    assert caught.value.reason is FallbackReason.DRIFT


def test_what_two_sets_have_in_common_is_counted_without_what_is_in_doubt(full: World) -> None:
    full.begin("1", "blue")
    both = IndexCondition((*colored("red").clauses, (IndexEntry(BOTH, ("red", 1)),)))
    reading = full.first.read(SCHEMA, both, members=False)
    assert (reading.stems, reading.count, reading.in_doubt) == (None, 2, {"1"})


def test_records_tell_the_values_of_certain_documents_in_one_round_trip(full: World) -> None:
    full.first.records(SCHEMA, (COLOR,), ["1"])
    with counting() as ops:
        found = full.first.records(SCHEMA, (COLOR, BOTH), ["1", "4", "no"])
    assert found == {"1": {"color": "red", "size": 1}, "4": {"color": "blue", "size": 1}}
    assert (ops.redis.round_trips, ops.storage.total) == (1, 0)
    assert full.first.records(SCHEMA, (), ["1", "no"]) == {"1": {}}


def test_records_leave_out_what_is_in_doubt(full: World) -> None:
    write = full.begin("1", "blue")
    assert full.first.records(SCHEMA, (COLOR,), ["1", "2"]) == {"2": {"color": "red"}}
    write.finish({"1": full.put("1", "blue")})
    assert full.first.records(SCHEMA, (COLOR,), ["1"]) == {"1": {"color": "blue"}}
    full.write("1", None)
    assert full.first.records(SCHEMA, (COLOR,), ["1"]) == {}


def test_records_leave_out_values_that_their_codes_do_not_tell(full: World) -> None:
    full.write("6", "violet " * 40)
    assert full.first.records(SCHEMA, (COLOR,), ["5", "6"]) == {"5": {"color": "blue"}}


def test_records_of_an_index_that_was_lost_are_refused(full: World) -> None:
    full.remove_keys()
    with pytest.raises(IndexUntrusted) as caught:
        full.first.records(SCHEMA, (COLOR,), ["1"])
    assert caught.value.reason is FallbackReason.FLUSHED


def test_reading_tells_what_is_known_of_its_certain_candidates_in_the_same_round_trip(full: World) -> None:
    full.begin("1", "blue")
    full.first.read(SCHEMA, EVERYTHING, told=(COLOR,))
    with counting() as ops:
        reading = full.first.read(SCHEMA, colored("red"), told=(BOTH, COLOR))
    assert set(reading.stems or ()) == {"1", "2", "3"}
    assert reading.records == full.first.records(SCHEMA, (BOTH, COLOR), ["1", "2", "3"])
    assert reading.records == {"2": {"color": "red", "size": 1}, "3": {"color": "red", "size": 1}}
    assert (ops.redis.round_trips, ops.storage.total) == (1, 0)
    assert full.first.read(SCHEMA, colored("red"), told=()).records == {"2": {}, "3": {}}


def test_reading_tells_no_records_when_it_is_not_asked_or_has_too_many(
    full: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert full.first.read(SCHEMA, EVERYTHING).records is None
    assert full.first.read(SCHEMA, EVERYTHING, members=False, told=(COLOR,)).records is None
    assert full.first.read(SCHEMA, EVERYTHING, at_most=4, told=(COLOR,)).records is None
    monkeypatch.setattr(sets, "_RECORDS", 4)
    assert full.first.read(SCHEMA, EVERYTHING, told=(COLOR,)).records is None
    monkeypatch.setattr(sets, "_RECORDS", 5)
    assert set(full.first.read(SCHEMA, EVERYTHING, told=(COLOR,)).records or ()) == {"1", "2", "3", "4", "5"}


def test_everything_is_counted_without_what_is_in_doubt(full: World) -> None:
    full.begin("1", "blue")
    reading: Any = full.first.read(SCHEMA, EVERYTHING, members=False)
    assert (reading.count, reading.in_doubt, reading.documents) == (4, {"1"}, 5)
