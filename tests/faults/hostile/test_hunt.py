"""Beyond the corpus: keys, values and damage by chance, for as long as one likes (``--torture``)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from django.db import connections
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ..tally import TALLY
from .bestiary.models import INDEXED, KEYED, UNIQUE, Beast, Cage
from .documents import text_of
from .sides import ALIAS, BARE, Comparison, Sides, corrupt_for, raw_rows
from .test_systems import key_of

TEST = "hostile input by chance"
CHARACTERS = st.characters() | st.sampled_from("aA.%/\\ !=_-~:,{}\0\n'\"é\u0301\u202e0\ud800")
TEXTS = st.text(CHARACTERS, max_size=12) | st.text("xé%.", min_size=60, max_size=260)
NUMBERS = st.integers() | st.integers(-(2**63) - 2, -(2**63) + 2) | st.integers(2**63 - 2, 2**63 + 2) | st.floats()
ATTRIBUTES = st.recursive(
    st.none() | st.booleans() | NUMBERS.filter(lambda n: abs(n) < 1e300) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS.filter(str.isprintable), inner, max_size=3),
    max_leaves=6,
)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "char": TEXTS | NUMBERS,
    "nocase": TEXTS,
    "integer": NUMBERS | TEXTS,
    "float": NUMBERS | TEXTS,
    "decimal": st.decimals() | NUMBERS | TEXTS,
    "moment": st.datetimes(timezones=st.none() | st.timezones()) | TEXTS,
    "span": st.timedeltas() | NUMBERS,
    "uuid": st.uuids() | TEXTS,
    "binary": st.binary(max_size=80),
    "json": ATTRIBUTES,
}


def hunted(examples: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """So many examples, however long they take."""
    return settings(
        max_examples=examples,
        deadline=None,
        phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )


@pytest.fixture
def examples(torture: bool) -> int:
    """How many each hunt looks at."""
    return 2000 if torture else 15


def test_any_key_is_kept_found_and_refused_as_by_stock_sqlite(sides: Sides, examples: int) -> None:
    model = KEYED["text"]
    Comparison(sides, TEST).empty(model)

    @hunted(examples)
    @given(keys=st.lists(TEXTS, min_size=1, max_size=4))
    def hunt(keys: list[str]) -> None:
        compared, rows = Comparison(sides, TEST), model.objects
        for key in keys:
            compared.ask("create", lambda using: rows.using(using).create(key=key, mark="m").pk)  # noqa: B023
            compared.ask("get", lambda using: rows.using(using).get(key=key).pk)  # noqa: B023
        compared.ask("keys", lambda using: sorted(rows.using(using).filter(mark="m").values_list("pk", flat=True)))
        compared.ask("rows", raw_rows(model), (ALIAS, BARE))
        for key in keys:
            compared.ask("delete", lambda using: rows.using(using).filter(key=key).delete()[0])  # noqa: B023
        compared.ask("none left", lambda using: rows.using(using).count())
        assert not compared.differences

    hunt()


@pytest.mark.parametrize("kind", VALUES)
def test_any_value_is_kept_found_and_refused_as_by_stock_sqlite(sides: Sides, examples: int, kind: str) -> None:
    numbers = iter(range(1, 10**9))
    Comparison(sides, TEST).empty(INDEXED[kind], UNIQUE[kind])

    @hunted(examples)
    @given(value=VALUES[kind])
    def hunt(value: Any) -> None:
        compared, key = Comparison(sides, TEST), next(numbers)
        for model in (INDEXED[kind], UNIQUE[kind]):
            rows = model.objects
            compared.ask("create", lambda using: rows.using(using).create(id=key, value=value).pk)  # noqa: B023
            compared.ask("get", lambda using: rows.using(using).get(id=key).value)  # noqa: B023
            compared.ask("filter", lambda using: sorted(row.pk for row in rows.using(using).filter(value=value)))  # noqa: B023
            compared.ask("count", lambda using: rows.using(using).filter(value=value).count(), (ALIAS, BARE))  # noqa: B023
            compared.ask("rows", raw_rows(model))
            if key % 8 == 0:
                compared.ask("clear", lambda using: rows.using(using).all().delete()[0])  # noqa: B023
        assert not compared.differences

    hunt()


def damaged(sound: str) -> st.SearchStrategy[bytes]:
    """A body with one or two places overwritten, or an attribute exchanged."""
    body = sound.encode()
    texts = st.binary(max_size=6) | st.sampled_from([b'"', b"{", b"}", b"[", b"]", b",", b"null", b"-", b"1e9", b"\\u"])
    places = st.tuples(st.integers(0, len(body)), st.integers(0, 6), texts)

    def overwritten(cuts: list[tuple[int, int, bytes]]) -> bytes:
        changed = body
        for at, length, text in cuts:
            changed = changed[:at] + text + changed[at + length :]
        return changed

    def exchanged(pair: tuple[str, Any]) -> bytes:
        try:
            return orjson.dumps({**orjson.loads(body), pair[0]: pair[1]})
        except (TypeError, ValueError):
            return b""

    attributes = st.sampled_from(sorted(orjson.loads(body)))
    return st.lists(places, min_size=1, max_size=2).map(overwritten) | st.tuples(attributes, ATTRIBUTES).map(exchanged)


def test_any_damage_to_a_document_is_corrupt_or_a_document_that_can_be_written_again(
    sides: Sides, examples: int
) -> None:
    key, rows = sides.key(Beast, "b"), Beast.objects.using(ALIAS)

    @hunted(examples * 8)
    @given(body=damaged(text_of("b", lair={"a": [1, 2.5]}, _claims=["tag/0"], _txn="t")))
    def hunt(body: bytes) -> None:
        sides.put(key, body)
        found, corrupt = corrupt_for(lambda: [beast.name for beast in rows.scan()])
        if corrupt is None:
            assert found == ["b"]
            assert list(Beast.objects.using(BARE).filter(name="b").values_list()) == list(rows.values_list())
            assert rows.filter(name="b").update(legs=6) == 1
            assert rows.get().legs == 6
            TALLY.count(TEST, "damaged documents that were read")
        else:
            assert (corrupt, sides.body(key)) == (key, body)
            TALLY.count(TEST, "damaged documents that were corrupt")
        sides.resources.store.delete(key)

    hunt()


SYSTEMS = {
    "manifest": (
        '{"tables":{"bestiary_beast":{"state":"ready","epoch":"e","building":null,"version":3,"definition":"d"}}}'
    ),
    "schema": (
        '{"version":2,"steps":[{"version":2,"change":"retype","column":"legs","kind":"plain","affinity":"text"}]}'
    ),
    "sequence": '{"last":7}',
    "claim": '{"table":"bestiary_beast","stem":"lion","_rev":"0"}',
}


@pytest.mark.parametrize("target", SYSTEMS)
def test_any_damage_to_a_system_object_is_named_or_ignored(sides: Sides, examples: int, target: str) -> None:
    rows, cages = Beast.objects.using(ALIAS), Cage.objects.using(ALIAS)
    rows.create(name="lion", kind="cat", tag="lion")
    key = key_of(sides, target)
    before = sides.body(key)

    @hunted(examples)
    @given(body=damaged(SYSTEMS[target]))
    def hunt(body: bytes) -> None:
        sides.put(key, body)
        sides.restart()
        for act in (
            lambda: rows.filter(kind="cat").count(),
            lambda: rows.filter(name="lion").update(tag="lion"),
            lambda: cages.create(label="x").delete(),
        ):
            _, corrupt = corrupt_for(act)
            assert corrupt in (None, key)
            TALLY.count(TEST, f"acts beside a damaged {target} that {'went on' if corrupt is None else 'it refused'}")

    try:
        hunt()
    finally:
        if before is None:
            sides.resources.store.delete(key)
        else:
            sides.put(key, before)
        sides.restart()
        rows.all().delete()
        cages.all().delete()
        assert not connections[ALIAS].in_atomic_block
