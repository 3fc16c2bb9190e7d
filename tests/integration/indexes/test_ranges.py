"""Ranges of ordered indexes, alone and beside other clauses, with a real Redis."""

from __future__ import annotations

from dataclasses import replace

import pytest
import redis
from django.core.files.storage import InMemoryStorage
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from django_smarterbase.indexes.answers import Change, FallbackReason, IndexUntrusted
from django_smarterbase.storage.memory import MemoryStore
from django_smarterbase.tables import Affinity, Column, IndexCondition, IndexEntry, IndexRange, IndexTerm

from .world import BOTH, COLOR, PATIENT, SCHEMA, World

COLORS = ("blue", "cyan", "green", "red")
BETWEEN = IndexRange(COLOR, lower="cyan", upper="green")
Thing = tuple[str, int]


def matches(thing: Thing, term: IndexTerm) -> bool:
    """Whether a thing of this colour and size is an answer to the term."""
    value: str | int
    values = dict(zip(("color", "size"), thing, strict=True))
    if isinstance(term, IndexEntry):
        return tuple(values[column] for column in term.index.columns) == term.values
    if term.prefix and term.prefix[0] != thing[0]:
        return False
    value = values[term.index.columns[len(term.prefix)]]
    above = term.lower is None or value > term.lower or (value == term.lower and term.lower_inclusive)
    return above and (term.upper is None or value < term.upper or (value == term.upper and term.upper_inclusive))


bounds = {"lower_inclusive": st.booleans(), "upper_inclusive": st.booleans()}
color = st.sampled_from(COLORS)
size = st.integers(0, 3)
terms = st.one_of(
    st.builds(lambda color: IndexEntry(COLOR, (color,)), color),
    st.builds(lambda color, size: IndexEntry(BOTH, (color, size)), color, size),
    st.builds(IndexRange, st.just(COLOR), lower=st.none() | color, upper=st.none() | color, **bounds),
    st.builds(
        IndexRange,
        st.just(BOTH),
        st.tuples(color),
        lower=st.none() | size,
        upper=st.none() | size,
        **bounds,
    ),
)


def test_answers_are_those_of_the_documents_whatever_is_asked(redis_url: str) -> None:
    client = redis.Redis.from_url(redis_url)

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        things=st.lists(st.tuples(color, size), min_size=1, max_size=12),
        under_way=st.lists(st.tuples(st.integers(0, 11), color, size), max_size=3, unique_by=lambda each: each[0]),
        clauses=st.lists(st.lists(terms, min_size=1, max_size=6).map(tuple), min_size=1, max_size=3),
    )
    def run(things: list[Thing], under_way: list[tuple[int, str, int]], clauses: list[tuple[IndexTerm, ...]]) -> None:
        world = World(MemoryStore(InMemoryStorage(), PATIENT), "smarterbase", client, PATIENT)
        try:
            for number, (its_color, its_size) in enumerate(things):
                world.write(str(number), its_color, size=its_size)
            stems = {str(number) for number in range(len(things))}
            for number, its_color, its_size in under_way:
                world.begin(str(number), its_color, size=its_size)
            condition = IndexCondition(tuple(clauses))
            expected = {
                stem
                for stem in stems
                if all(any(matches(things[int(stem)], term) for term in clause) for clause in clauses)
            }
            reading = world.first.read(SCHEMA, condition)
            counted = world.first.read(SCHEMA, condition, members=False)
            certain = set(reading.stems or ()) - reading.in_doubt
            in_doubt = {str(number) for number, _, _ in under_way}
            assert certain == expected - in_doubt
            assert expected & in_doubt <= reading.in_doubt <= in_doubt
            assert (
                (counted.count, counted.in_doubt)
                == (reading.count, reading.in_doubt)
                == (len(certain), reading.in_doubt)
            )
        finally:
            world.remove_keys()

    run()
    client.close()


def test_range_is_drift_when_its_index_has_lost_a_member(world: World) -> None:
    for stem, its_color in (("1", "cyan"), ("2", "red")):
        world.write(stem, its_color)
    (key,) = world.redis_keys("order:*:things-by-color")
    world.redis.zrem(key, world.redis.zrange(key, 0, 0)[0])
    with pytest.raises(IndexUntrusted) as raised:
        world.first.read(SCHEMA, IndexCondition(((BETWEEN,),)))
    assert raised.value.reason is FallbackReason.DRIFT


def test_range_is_refused_that_the_index_cannot_be_asked_for(world: World) -> None:
    world.write("1", "cyan")
    with pytest.raises(IndexUntrusted) as raised:
        world.first.read(SCHEMA, IndexCondition(((replace(BETWEEN, upper="\ud800"),),)))
    assert raised.value.reason is FallbackReason.NOT_INDEXED


def test_member_has_no_stem_of_its_own_where_the_code_ends_with_it(world: World) -> None:
    world.write("1", "cyan")
    numbered = replace(SCHEMA, table="numbered", columns=(Column("id", affinity=Affinity.INTEGER), *SCHEMA.columns[1:]))
    world.first.begin(numbered, [Change("7", {"id": 7, "color": "red", "size": 1}, existed=False)])
    of_texts, of_numbers = (
        world.redis.zrange(key, 0, -1) for key in reversed(world.redis_keys("order:*:things-by-color"))
    )
    assert (of_texts, of_numbers) == ([b"tcyan!t1!"], [b"tred!rc01c! 7"])
    reading = world.first.read(numbered, IndexCondition(((IndexRange(COLOR, lower="red"),),)))
    assert (reading.stems, reading.in_doubt) == (("7",), {"7"})
