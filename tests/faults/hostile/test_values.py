"""Field values: what a row with them does on the engine is what it does on stock SQLite."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import transaction
from django.test import override_settings

from django_smarterbase.indexes.service import FallbackReason
from django_smarterbase.profiling import profile_queries

from ..tally import TALLY
from . import written
from .bestiary.models import FIELDS, INDEXED, UNIQUE
from .generate import load
from .sides import ALIAS, BARE, Comparison, Question, Sides, raw_rows

TEST = "hostile values"
CORPUS = load("values")
GAP = 10  # between the keys of one entry's rows and those of the next


def entries_of(kind: str) -> list[tuple[int, str, Any]]:
    """(first key, id, value) of every entry of a kind."""
    return [
        (GAP * number, entry["id"], written.read(entry["value"]))
        for number, entry in enumerate(CORPUS)
        if entry["kind"] == kind
    ]


def writes(kind: str, value: Any, first: int) -> Iterator[tuple[str, Question]]:
    """What is done with a value, in this order."""
    rows, unique = INDEXED[kind].objects, UNIQUE[kind].objects
    yield "create", lambda using: rows.using(using).create(id=first, value=value).pk

    def together(using: str) -> None:
        with transaction.atomic(using=using):
            rows.using(using).create(id=first + 1, value=value)
            rows.using(using).create(id=first + 2, value=None)

    yield "create in a transaction", together
    yield "update", lambda using: rows.using(using).filter(id=first + 2).update(value=value)
    yield "save again", lambda using: rows.using(using).get(id=first).save(using=using)
    yield "create unique", lambda using: unique.using(using).create(id=first, value=value).pk
    yield "create unique twice", lambda using: unique.using(using).create(id=first + 1, value=value).pk


def questions(kind: str, value: Any, first: int) -> Iterator[tuple[str, Question]]:
    """What is asked about a value."""
    rows, unique = INDEXED[kind].objects, UNIQUE[kind].objects
    yield "get", lambda using: rows.using(using).values_list("value", flat=True).get(id=first)
    yield "filter", lambda using: sorted(row.pk for row in rows.using(using).filter(value=value))
    yield "keys", lambda using: list(rows.using(using).filter(value=value).order_by("id").values_list("id", flat=True))
    yield "count", lambda using: rows.using(using).filter(value__in=[value]).count()
    yield "unique", lambda using: list(unique.using(using).filter(value=value).values_list("id", "value"))


def scans(kind: str, value: Any, first: int) -> Iterator[tuple[str, Question]]:
    """What is asked about a value without the index."""
    rows = INDEXED[kind].objects
    yield "filter by a scan", lambda using: sorted(row.pk for row in rows.using(using).scan().filter(value=value))
    yield "exclude", lambda using: rows.using(using).exclude(value=value).count()


def removals(kind: str, value: Any, first: int) -> Iterator[tuple[str, Question]]:
    """How a value goes again."""
    rows, unique = INDEXED[kind].objects, UNIQUE[kind].objects
    yield "delete", lambda using: rows.using(using).filter(value=value, id__gte=first).delete()[0]
    yield "free", lambda using: unique.using(using).filter(value=value).update(value=None)
    yield "take again", lambda using: unique.using(using).create(id=first + 3, value=value).pk


def everything(kind: str) -> Question:
    """All rows of both tables."""
    return lambda using: [
        list(models[kind].objects.using(using).order_by("id").values_list("id", "value"))
        for models in (INDEXED, UNIQUE)
    ]


def run_through(compared: Comparison, kind: str, *, thorough: bool) -> None:
    """All entries of a kind through all phases. Scans of everything are for a few of them, unless ``thorough``."""
    entries = entries_of(kind)
    assert entries
    compared.empty(INDEXED[kind], UNIQUE[kind])
    for phase in (writes, questions, scans, removals):
        for first, name, value in entries if thorough or phase is not scans else entries[::4]:
            for what, question in phase(kind, value, first):
                aliases = (ALIAS, BARE) if thorough or what == "filter" else (ALIAS,)
                compared.ask(f"{name} {value!r:.60}: {what}", question, aliases if phase is questions else (ALIAS,))
        if phase is not scans:
            compared.ask_afresh(f"all rows after the {phase.__name__}", everything(kind))
            for model in (INDEXED[kind], UNIQUE[kind]):
                compared.ask(f"what SQLite holds after the {phase.__name__}", raw_rows(model), (ALIAS, BARE))
    compared.check(INDEXED[kind], UNIQUE[kind])


@pytest.mark.parametrize("kind", FIELDS)
def test_value_is_kept_found_and_refused_as_by_stock_sqlite(sides: Sides, kind: str, torture: bool) -> None:
    compared = Comparison(sides, TEST)
    run_through(compared, kind, thorough=torture)
    assert not compared.differences


@override_settings(USE_TZ=False)
def test_moment_is_kept_found_and_refused_as_by_stock_sqlite_without_time_zones(sides: Sides) -> None:
    compared = Comparison(sides, TEST)
    run_through(compared, "moment", thorough=False)
    assert not compared.differences


@pytest.mark.parametrize("kind", ["char", "integer", "decimal", "moment", "binary"])
def test_index_finds_a_value_whenever_it_has_a_code(sides: Sides, kind: str) -> None:
    rows = INDEXED[kind].objects.using(ALIAS)
    Comparison(sides, TEST).empty(INDEXED[kind])
    kept = []
    for first, _, value in entries_of(kind):
        try:
            kept.append((first, rows.create(id=first, value=value).pk, value))
        except Exception:  # noqa: BLE001 - what stock SQLite refuses is looked at elsewhere
            continue
    with profile_queries() as queries:
        for _, key, value in kept:
            assert rows.filter(value=value, id=key).count() <= 1
            assert rows.filter(value=value).count() >= 0
    assert len(kept) >= 5
    TALLY.count(TEST, "answered by the index", len(queries.profiles) - len(queries.full_scans()))
    assert {profile.fallback_reason for profile in queries.fallbacks()} <= {FallbackReason.NOT_INDEXED}
    assert not queries.full_scans()
