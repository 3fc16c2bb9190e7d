"""Pages of ordered indexes, with a real Redis: whatever is under way, nothing of a page is missing."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
import redis
from django.core.files.storage import InMemoryStorage
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from django_smarterbase.indexes import client, scripts
from django_smarterbase.indexes.answers import Change, FallbackReason, IndexUntrusted
from django_smarterbase.indexes.scripts import Script
from django_smarterbase.ops import counting
from django_smarterbase.storage.memory import MemoryStore
from django_smarterbase.tables import IndexCondition, IndexEntry, IndexRange, TableSchema, Value, Walk

from .world import BOTH, COLOR, PATIENT, SCHEMA, World

Row = dict[str, Value]
LONG = "x" * 64
BYTEWISE = "local BYTEWISE = 'B' < 'a' and '_' < 'a' and '!' < '\"'"
WALKED = "if smallest > visits and visits <= MOST_VISITED then"
SORTED, VISITED = "MOST_SORTED = 2000", "MOST_VISITED = 10000"
COLORS = (None, "blue", "cyan", "green", "red", f"{LONG}a", f"{LONG}b")
EARLY = IndexRange(COLOR, upper="cyan")

color, size = st.sampled_from(COLORS), st.sampled_from([None, 1, 2, 3])
things = st.tuples(color, size)
orders = st.fixed_dictionaries({"backwards": st.booleans(), "nulls_moved": st.booleans()})
walks = st.one_of(
    st.builds(lambda how: Walk(COLOR, **how), orders),
    st.builds(lambda how: Walk(COLOR, ties=1, **how), orders),
    st.builds(lambda how: Walk(BOTH, **{**how, "nulls_moved": False}), orders),
    st.builds(lambda color, how: Walk(BOTH, (color,), **how), st.sampled_from(COLORS[:5]), orders),
    st.builds(lambda backwards: Walk(SCHEMA.pk_index, backwards=backwards), st.booleans()),
    st.builds(lambda backwards: Walk(COLOR, within=EARLY, backwards=backwards), st.booleans()),
)
conditions = st.sampled_from(
    [
        IndexCondition(),
        IndexCondition(((IndexEntry(COLOR, ("cyan",)), IndexEntry(COLOR, ("red",))),)),
        IndexCondition(((IndexEntry(COLOR, ("cyan",)),), (IndexRange(BOTH, ("cyan",), lower=2),))),
        IndexCondition(((IndexRange(COLOR, upper="green", upper_inclusive=False),),)),
    ]
)


def named(stem: str, thing: tuple[Value, Value]) -> Row:
    return {"id": stem, "color": thing[0], "size": thing[1]}


def is_within(row: Row, walk: Walk) -> bool:
    if walk.prefix and row["color"] != walk.prefix[0]:
        return False
    return walk.within is None or (row["color"] is not None and str(row["color"]) <= "cyan")


def meets(row: Row, condition: IndexCondition) -> bool:
    def holds(term: IndexEntry | IndexRange) -> bool:
        if isinstance(term, IndexEntry):
            return row["color"] == term.values[0]
        if term.prefix:
            return row["color"] == "cyan" and isinstance(row["size"], int) and row["size"] >= 2
        return isinstance(row["color"], str) and row["color"] < "green"

    return all(any(map(holds, clause)) for clause in condition.clauses)


def sort_key(row: Row, walk: Walk) -> list[tuple[int, Value]]:
    """The row's place among others; NULLs first, or last when they are moved."""
    names = {COLOR: ("color", "id"), BOTH: ("color", "size", "id"), SCHEMA.pk_index: ("id",)}[walk.index]
    key: list[tuple[int, Value]] = []
    for name in names[len(walk.prefix) :]:
        value = row[name]
        last = walk.nulls_moved and not key
        key.append((2 if last else 0, "") if value is None else (1, value))
    return key


def told(key: list[tuple[int, Value]], walk: Walk) -> list[tuple[int, Value]]:
    """What the index knows of a place, as far as ties are not to be torn apart."""
    cut = [(rank, value[:64] if isinstance(value, str) else value) for rank, value in key]
    if walk.index == COLOR and isinstance(cut[0][1], str) and len(cut[0][1]) == 64:
        return cut[:1]
    if walk.index == BOTH and not walk.prefix and isinstance(cut[0][1], str) and len(cut[0][1]) == 64:
        return cut[:1]
    return cut[: walk.ties] if walk.ties else key


@pytest.mark.parametrize("changes", [{}, {BYTEWISE: "local BYTEWISE = false"}, {WALKED: "if true then"}], ids=str)
def test_page_lacks_nothing_whatever_is_under_way(
    redis_url: str, monkeypatch: pytest.MonkeyPatch, changes: dict[str, str]
) -> None:
    with_changes(monkeypatch, changes)
    client = redis.Redis.from_url(redis_url)

    @settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        before=st.lists(things, min_size=1, max_size=14),
        under_way=st.dictionaries(st.integers(0, 13), things, max_size=3),
        walk=walks,
        condition=conditions,
        start=st.integers(0, 6),
        length=st.integers(1, 5),
        skip=st.booleans(),
    )
    def run(
        before: list[tuple[Value, Value]],
        under_way: dict[int, tuple[Value, Value]],
        walk: Walk,
        condition: IndexCondition,
        start: int,
        length: int,
        skip: bool,
    ) -> None:
        world = World(MemoryStore(InMemoryStorage(), PATIENT), "smarterbase", client, PATIENT)
        walk = replace(walk, condition=condition, start=start, stop=start + length)
        try:
            rows = [named(f"{number:02}", thing) for number, thing in enumerate(before)]
            after = {f"{number:02}": named(f"{number:02}", thing) for number, thing in under_way.items()}
            enter(world, rows, SCHEMA)
            world.first.begin(
                SCHEMA, [Change(stem, row, existed=stem in {r["id"] for r in rows}) for stem, row in after.items()]
            )
            page = world.first.walk(SCHEMA, walk, skip=skip)
            assert page is not None
            check(page.etags, page.in_doubt, page.left_out, page.ended, rows, after, walk, skip=skip)
        finally:
            world.remove_keys()

    run()
    client.close()


def enter(world: World, rows: list[Row], schema: TableSchema) -> None:
    write = world.first.begin(schema, [Change(str(row["id"]), row, existed=False) for row in rows])
    write.finish({str(row["id"]): f"etag-{row['id']}" for row in rows})


def check(
    etags: dict[str, str],
    in_doubt: frozenset[str],
    left_out: int,
    ended: bool,
    rows: list[Row],
    after: dict[str, Row],
    walk: Walk,
    *,
    skip: bool,
) -> None:
    def selected(rows: list[Row]) -> list[Row]:
        found = [row for row in rows if is_within(row, walk) and meets(row, walk.condition)]
        return sorted(found, key=lambda row: sort_key(row, walk), reverse=walk.backwards)

    certain = selected([row for row in rows if row["id"] not in after])
    assert in_doubt <= after.keys()
    assert left_out == 0 or (skip and left_out <= walk.start - len(in_doubt))
    shown = [row for row in certain if row["id"] in etags]
    assert len(shown) == len(etags)
    assert all(etags[str(row["id"])] == f"eetag-{row['id']}" for row in shown)
    page_end = max(walk.stop, 1)
    if len(certain) > page_end:
        tie = told(sort_key(certain[page_end - 1], walk), walk)
        while page_end < len(certain) and told(sort_key(certain[page_end], walk), walk) == tie:
            page_end += 1
    # Texts that the index does not tell apart stand in the order of their keys there.
    assert {row["id"] for row in shown} == {row["id"] for row in certain[left_out:page_end]}
    assert not ended or len(certain) <= page_end
    # Whichever of the rows under way are applied: the page that SQLite finds is the true one.
    for applied in (False, True):
        now = {str(row["id"]): row for row in rows} | (after if applied else {})
        truth = selected(list(now.values()))
        loaded = selected([row for stem, row in now.items() if stem in etags or stem in in_doubt])
        page = loaded[walk.start - left_out : walk.stop - left_out]
        wanted = truth[walk.start : walk.stop]
        assert [sort_key(row, walk) for row in page] == [sort_key(row, walk) for row in wanted]


def test_page_of_a_large_index_is_one_round_trip_and_names_the_page_alone(world: World) -> None:
    enter(world, [{"id": f"{number:04}", "color": "red", "size": number} for number in range(1000)], SCHEMA)
    walk = Walk(BOTH, ("red",), backwards=True, start=500, stop=520)
    world.first.walk(SCHEMA, walk)  # Redis has the script now, and the process the manifest
    with counting() as ops:
        page = world.first.walk(SCHEMA, walk, skip=True)
    assert page is not None
    assert list(page.etags) == [f"{number:04}" for number in range(499, 479, -1)]
    assert (page.left_out, page.in_doubt, page.ended) == (500, frozenset(), False)
    assert (ops.redis.round_trips, ops.storage.total) == (1, 0)


def test_page_gives_up_when_few_documents_of_a_large_index_meet_its_condition(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows: list[Row] = [{"id": f"{number:04}", "color": "red", "size": number} for number in range(300)]
    rows += [{"id": f"b{number:03}", "color": "blue", "size": number} for number in range(300)]
    enter(world, rows, SCHEMA)
    with_changes(monkeypatch, {SORTED: "MOST_SORTED = 40", VISITED: "MOST_VISITED = 100"})
    walk = Walk(SCHEMA.pk_index, stop=5, condition=IndexCondition(((IndexEntry(COLOR, ("blue",)),),)))
    assert world.first.walk(SCHEMA, walk) is None
    found = world.first.walk(SCHEMA, replace(walk, backwards=True))
    assert found is not None
    assert list(found.etags) == [f"b{number}" for number in range(299, 294, -1)]


def test_page_is_sorted_when_its_documents_are_few_and_far_away(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[Row] = [{"id": f"{number:04}", "color": "red", "size": number} for number in range(300)]
    rows += [{"id": f"b{number:03}", "color": "blue", "size": number} for number in range(300)]
    enter(world, rows, SCHEMA)
    with_changes(monkeypatch, {VISITED: "MOST_VISITED = 100"})
    walk = Walk(SCHEMA.pk_index, stop=5, condition=IndexCondition(((IndexEntry(COLOR, ("blue",)),),)))
    found = world.first.walk(SCHEMA, walk)
    assert found is not None
    assert list(found.etags) == [f"b{number:03}" for number in range(5)]


def with_changes(monkeypatch: pytest.MonkeyPatch, changes: dict[str, str]) -> None:
    """Give the script other limits, or the locale of a server that sorts as people do."""
    source = scripts.source_of(Script.WALK).text
    for old, new in changes.items():
        assert old in source
        source = source.replace(old, new)
    sha = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()
    changed = scripts.Source(source, sha)
    original = scripts.source_of
    monkeypatch.setattr(client, "source_of", lambda script: changed if script is Script.WALK else original(script))


def test_page_is_drift_when_the_index_has_lost_a_member(world: World) -> None:
    enter(world, [{"id": "1", "color": "red", "size": 1}], SCHEMA)
    (key,) = world.redis_keys("order:*:")
    world.redis.zrem(key, "t1!")
    with pytest.raises(IndexUntrusted) as raised:
        world.first.walk(SCHEMA, Walk(SCHEMA.pk_index))
    assert raised.value.reason is FallbackReason.DRIFT
