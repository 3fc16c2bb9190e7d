"""Damaged system objects: what needs one says which, and everything else goes on."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.db import IntegrityError, connections, transaction

from django_smarterbase.backend.claims import claim_key
from django_smarterbase.backend.uniqueness import plain_claims

from ..tally import TALLY
from . import written
from .bestiary.models import Beast, Cage
from .generate import load
from .sides import ALIAS, BARE, Sides, corrupt_for

TEST = "hostile system objects"
CORPUS = load("systems")
INTENTS = [entry for entry in CORPUS if entry["target"] == "intent"]


def beasts(using: str = ALIAS) -> Any:
    """All beasts."""
    return Beast.objects.using(using)


def cages() -> Any:
    """All cages."""
    return Cage.objects.using(ALIAS)


def key_of(sides: Sides, target: str) -> str:
    """The object key of the system object that is damaged: of the beasts, or of the cages' sequence."""
    keys, table = sides.resources.keys, Beast._meta.db_table
    schema = connections[ALIAS].schema_of_model(Beast)
    (claim,) = plain_claims(schema, {column.name: None for column in schema.columns} | {"tag": "lion"})
    return {
        "manifest": keys.manifest(),
        "schema": keys.schema(table),
        "sequence": keys.sequence(Cage._meta.db_table),
        "claim": claim_key(sides.resources, table, claim),
        "lease": keys.lease(f"reindex-{table}"),
    }[target]


def change_both() -> int:
    """A transaction of two documents."""
    with transaction.atomic(using=ALIAS):
        return sum(beasts().filter(name=name).update(legs=5) for name in ("lion", "tiger"))


def come_and_go() -> int:
    """A document that is made and removed again."""
    beasts().create(name="new", kind="x", tag="new")
    removed: int = beasts().filter(name="new").delete()[0]
    return removed


def change_the_tag() -> list[str]:
    """A claim that is given up and taken again."""
    for tag in ("puma", "lion"):
        beasts().filter(name="lion").update(tag=tag)
    return [beast.tag for beast in beasts().filter(name="lion")]


def take_a_tag_that_is_taken() -> str:
    """A claim that another document has."""
    try:
        beasts().create(name="new", kind="x", tag="lion")
    except IntegrityError:
        return "taken"
    return "given"


def number_a_cage(**key: int) -> int:
    """A row that the sequence numbers, or hears of."""
    cages().create(label="small", **key)
    removed: int = cages().filter(label="small").delete()[0]
    return removed


@dataclass(frozen=True)
class Act:
    """Something that is done, what comes of it, and the targets without which it cannot be done."""

    do: Callable[[], Any]
    comes: Any
    needs: frozenset[str] = frozenset()


SCHEMA, MANIFEST = frozenset({"schema"}), frozenset({"manifest"})
ACTS = {
    "a beast by key": Act(lambda: beasts().get(name="lion").kind, "cat", SCHEMA),
    "beasts by index": Act(
        lambda: sorted(each.name for each in beasts().filter(kind="cat")), ["lion", "tiger"], SCHEMA
    ),
    "a count of beasts": Act(lambda: beasts().filter(kind="cat").count(), 2, SCHEMA),
    "beasts without Redis": Act(lambda: len(beasts(BARE).filter(kind="cat")), 2, SCHEMA),
    "a count of cages": Act(lambda: cages().filter(label="big").count(), 2),
    "all cages": Act(lambda: len(cages().scan()), 2),
    "cages are changed": Act(lambda: cages().filter(label="big").update(label="big"), 2, MANIFEST),
    "beasts are changed": Act(change_both, 2, SCHEMA | MANIFEST),
    "a beast comes and goes": Act(come_and_go, 1, SCHEMA | MANIFEST),
    "a tag is changed": Act(change_the_tag, ["lion"], SCHEMA | MANIFEST | {"claim"}),
    "a tag that is taken": Act(take_a_tag_that_is_taken, "taken", SCHEMA | MANIFEST | {"claim"}),
    "a cage is numbered": Act(number_a_cage, 1, MANIFEST | {"sequence"}),
    "a cage is numbered by hand": Act(lambda: number_a_cage(id=100), 1, MANIFEST | {"sequence"}),
}


OTHERS = 4  # acts that do not need what is damaged, of which a short run looks at so many each time


def acts_beside(target: str, turn: int, *, thorough: bool) -> dict[str, Act]:
    """What needs a target, and others in turn."""
    needing = {what: act for what, act in ACTS.items() if target in act.needs}
    others = [what for what in ACTS if what not in needing]
    chosen = others if thorough else [others[(turn + step) % len(others)] for step in range(OTHERS)]
    return {**needing, **{what: ACTS[what] for what in chosen}}


@pytest.fixture(scope="module")
def zoo(sides: Sides) -> Sides:
    """Two beasts and two cages."""
    for name in ("lion", "tiger"):
        beasts().create(name=name, kind="cat", tag=name)
        cages().create(label="big")
    return sides


@pytest.fixture
def healed(zoo: Sides) -> Iterator[Sides]:
    """The zoo, whose system objects are as they were afterwards."""
    store, prefix = zoo.resources.store, zoo.resources.keys.prefix()
    before = {key: stored.body for key, stored in store.scan(prefix)}
    yield zoo
    for key in {listed.key for listed in store.list(prefix)} - before.keys():
        store.delete(key)
    for key, body in before.items():
        if zoo.body(key) != body:
            zoo.put(key, body)
    zoo.restart()


def documents(sides: Sides) -> set[str]:
    """The keys of the documents that there are."""
    keys = sides.resources.keys
    return {listed.key for listed in sides.resources.store.list(keys.prefix()) if not keys.is_system(listed.key)}


@pytest.mark.parametrize("entry", [entry for entry in CORPUS if entry["target"] != "intent"], ids=lambda e: e["id"])
def test_damaged_system_object_is_named_by_what_needs_it_alone(
    healed: Sides, entry: dict[str, Any], torture: bool
) -> None:
    target, key, before = entry["target"], key_of(healed, entry["target"]), documents(healed)
    body = written.read(entry["body"])
    healed.put(key, body)
    healed.restart()
    refused = []
    for what, act in acts_beside(target, CORPUS.index(entry), thorough=torture).items():
        found, corrupt = corrupt_for(act.do)
        if corrupt is None:
            assert (what, found) == (what, act.comes)
            TALLY.count(TEST, "acts that went on")
        else:
            assert (what, corrupt) == (what, key)
            assert target in act.needs
            refused.append(what)
    TALLY.count(TEST, f"acts that were refused for a {target}", len(refused))
    assert bool(refused) is entry["refuses"]
    assert documents(healed) == before


def test_damaged_intents_are_reported_and_never_carried_out(healed: Sides, caplog: pytest.LogCaptureFixture) -> None:
    keys, before = healed.resources.keys, documents(healed)
    bodies = {key: healed.body(key) for key in before}
    for number, entry in enumerate(INTENTS):
        body = written.read(entry["body"])
        raw = body if isinstance(body, bytes) else body.encode()
        healed.put(keys.intent(f"intent{number}"), raw.replace(b'"@"', f'"intent{number}"'.encode()))
    healed.restart()
    connection = connections[ALIAS]
    with caplog.at_level(logging.ERROR, "django_smarterbase.transactions"):
        assert connection.session.recovery.recover(connection.catalog.find) == 0
    for number, entry in enumerate(INTENTS):
        assert repr(keys.intent(f"intent{number}")) in caplog.text, entry["id"]
    assert len(connection.session.recovery.unfinished()) == len(INTENTS)
    assert {key: healed.body(key) for key in documents(healed)} == bodies
    TALLY.count(TEST, "damaged intents that were left alone", len(INTENTS))

    healed.restart()
    time.sleep(healed.place.write_deadline * 1.1)
    for what, act in ACTS.items():
        assert (what, act.do()) == (what, act.comes)
