"""Damaged documents: each is read as the documentation says, or is corrupt, and nothing else suffers."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connections, transaction

from django_smarterbase.exceptions import CorruptDocument
from django_smarterbase.profiling import profile_queries

from ..tally import TALLY
from . import written
from .bestiary.models import Beast, Cage
from .documents import text_of
from .generate import load
from .sides import ALIAS, BARE, SKIPPING, Sides, told

TEST = "hostile documents"
CORRUPT = [entry for entry in load("documents") if entry["problem"] is not None]
SOUND = [entry for entry in load("documents") if entry["problem"] is None]
NAMES = [field.attname for field in Beast._meta.concrete_fields]


def beasts(using: str = ALIAS) -> Any:
    """All beasts."""
    return Beast.objects.using(using)


def in_transaction(act: Callable[[], Any]) -> Any:
    """Do it in a transaction together with something else."""
    with transaction.atomic(using=ALIAS):
        beasts().filter(name="lion").update(legs=4)
        return act()


def error_of(act: Callable[[], Any], *kinds: type[Exception]) -> tuple[Any, Exception | None]:
    """What an act comes to, or the error of these kinds that it raises."""
    try:
        return act(), None
    except kinds as error:
        return None, error


def names(rows: Any) -> list[str]:
    """Their names, in order."""
    return sorted(rows.values_list("name", flat=True))


@pytest.fixture(scope="module")
def zoo(sides: Sides) -> Sides:
    """Two sound beasts and a cage."""
    for name in ("lion", "tiger"):
        beasts().create(name=name, kind="cat", tag=name)
    Cage.objects.using(ALIAS).create(label="big")
    return sides


@pytest.fixture
def peaceful(zoo: Sides) -> Iterator[Sides]:
    """The zoo, of which it is looked afterwards that the others are as they were."""
    yield zoo
    assert zoo.resources.indexes.state(connections[ALIAS].schema_of_model(Beast)).trusted
    sound = {zoo.key(Beast, name) for name in ("lion", "tiger")}
    for listed in list(zoo.resources.store.list(zoo.resources.keys.table_prefix(Beast._meta.db_table))):
        if listed.key not in sound:
            zoo.resources.store.delete(listed.key)
    assert names(beasts()) == names(beasts(BARE)) == ["lion", "tiger"]
    assert names(beasts().filter(kind="cat")) == ["lion", "tiger"]
    assert Cage.objects.using(ALIAS).filter(label="big").count() == 1


@pytest.fixture(scope="module")
def usual(zoo: Sides) -> dict[str, Any]:
    """The columns of a sound document as they are read."""
    beasts().create(name="usual", kind="placed")
    zoo.put(zoo.key(Beast, "usual"), text_of("usual"))
    values = dict(zip(NAMES, beasts().values_list(*NAMES).get(name="usual"), strict=True))
    beasts().filter(name="usual").delete()
    return values


def attempts(stem: str) -> dict[str, Callable[[], Any]]:
    """All that needs the document itself."""
    one = beasts().filter(name=stem)
    return {
        "get": lambda: beasts().get(name=stem),
        "by index": lambda: list(beasts().filter(kind="placed")),
        "by unique index": lambda: list(beasts().filter(tag=stem)),
        "scan": lambda: list(beasts().scan()),
        "scan without Redis": lambda: list(beasts(BARE).all()),
        "get though corrupt ones are skipped": lambda: beasts(SKIPPING).get(name=stem),
        "update": lambda: one.update(legs=3),
        "update in a transaction": lambda: in_transaction(lambda: one.update(legs=3)),
        "delete": one.delete,
        "save": lambda: Beast(name=stem, kind="new").save(using=ALIAS),
        "upsert": lambda: beasts().bulk_create(
            [Beast(name=stem, kind="new")], update_conflicts=True, update_fields=["kind"], unique_fields=["name"]
        ),
        "create": lambda: beasts().create(name=stem, kind="new"),
        "create in a transaction": lambda: in_transaction(lambda: beasts().create(name=stem, kind="new")),
        "take its tag": lambda: beasts().create(name="thief", kind="new", tag=stem),
    }


@pytest.mark.parametrize("entry", CORRUPT, ids=lambda entry: entry["id"])
def test_damaged_document_is_corrupt_and_hinders_nobody_else(peaceful: Sides, entry: dict[str, Any]) -> None:
    stem, key = entry["stem"], peaceful.key(Beast, entry["stem"])
    beasts().create(name=stem, kind="placed", tag=stem)
    sound = peaceful.body(key)
    assert sound is not None
    raw = peaceful.put(key, written.read(entry["body"]))
    for what, act in attempts(stem).items():
        TALLY.count(TEST, "attempts at a corrupt document")
        # That the key or the tag is taken is true as well, and may be known without reading the document.
        others = (IntegrityError,) if what.startswith(("create", "take")) else ()
        found, error = error_of(act, CorruptDocument, *others)
        assert (what, found, type(error)) in [(what, None, kind) for kind in (CorruptDocument, *others)]
        if isinstance(error, CorruptDocument):
            assert (what, error.key) == (what, key)
            assert entry["problem"] in error.problem
    assert peaceful.body(key) == raw
    with profile_queries() as queries:
        assert names(beasts(SKIPPING).scan()) == ["lion", "tiger"]
    assert queries.profiles[0].skipped_documents == 1
    peaceful.put(key, sound)
    assert beasts().filter(name=stem).delete()[0] == 1


@pytest.mark.parametrize("entry", SOUND, ids=lambda entry: entry["id"])
def test_unusual_document_is_read_and_written_again(
    peaceful: Sides, usual: dict[str, Any], entry: dict[str, Any]
) -> None:
    stem, key = entry["stem"], peaceful.key(Beast, entry["stem"])
    changed = {name: written.read(value) for name, value in entry["reads"].items()}
    # An index withdraws when it sees a document change of which it has never heard, so this one it has.
    beasts().create(name=stem, kind="placed")
    peaceful.put(key, written.read(entry["body"]))

    def look(rows: Any, **since: Any) -> None:
        TALLY.count(TEST, "looks at an unusual document")
        expected = {**usual, "name": stem, **changed, **since}
        assert told(list(rows.values_list(*NAMES).get(name=stem))) == told([expected[name] for name in NAMES])

    for using in (ALIAS, BARE, SKIPPING):
        look(beasts(using))
    look(beasts().scan())
    assert beasts().filter(name=stem).update(tame=False) == 1
    look(beasts(), tame=False)
    assert in_transaction(lambda: beasts().filter(name=stem).update(tame=None)) == 1
    look(beasts(BARE), tame=None)
    row = beasts().get(name=stem)
    row.kind = "saved"
    row.save()
    look(beasts().filter(kind="saved"), tame=None, kind="saved")
    if entry["keeps"] is not None:
        assert entry["keeps"].encode() in (peaceful.body(key) or b"")
    assert beasts().filter(name=stem).delete()[0] == 1
    assert peaceful.body(key) is None


def test_check_and_rebuild_know_every_document_of_the_corpus(peaceful: Sides) -> None:
    for entry in (*CORRUPT, *SOUND):
        peaceful.put(peaceful.key(Beast, entry["stem"]), written.read(entry["body"]))
    corrupt = sorted(peaceful.key(Beast, entry["stem"]) for entry in CORRUPT)
    schema = connections[ALIAS].schema_of_model(Beast)
    with pytest.raises(CorruptDocument) as raised:
        connections[ALIAS].resources.indexes.rebuild(schema, full=True)
    assert raised.value.key in corrupt

    report = connections[SKIPPING].resources.indexes.rebuild(schema, full=True)
    assert (report.documents, report.corrupt) == (len(SOUND) + 2, len(CORRUPT))
    with profile_queries() as queries:
        assert beasts(SKIPPING).count() == len(SOUND) + 2
        assert len(beasts(SKIPPING).filter(kind="lynx")) >= len(SOUND) - 10
    assert not queries.full_scans()
    with profile_queries() as queries:
        assert len(beasts(SKIPPING).scan()) == len(SOUND) + 2
    assert queries.profiles[0].skipped_documents == len(CORRUPT)

    out = io.StringIO()
    with pytest.raises(CommandError):
        call_command("sb_check", "bestiary.Beast", database=[ALIAS], json=True, stdout=out, stderr=io.StringIO())
    (table,) = json.loads(out.getvalue())["tables"]
    assert sorted(table["found"]["corrupt"]) == corrupt
    assert (table["found"]["missing"], table["found"]["extra"]) == (0, 0)
    TALLY.count(TEST, "corrupt documents that sb_check named", len(corrupt))
    for entry in (*CORRUPT, *SOUND):
        peaceful.resources.store.delete(peaceful.key(Beast, entry["stem"]))
    connections[ALIAS].resources.indexes.rebuild(schema)
