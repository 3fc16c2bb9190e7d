"""Claims that migrations take for documents as they are: which, and that they go with the transaction or savepoint."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

import orjson
import pytest
from django.db import IntegrityError, migrations, models, transaction
from django.db.models import F

from tests.integration.commands.site import Site
from tests.integration.engine.background import in_thread
from tests.integration.engine.equivalence.migrating import History, model, python

DEADLINE = 20.0  # seconds after which a claim is an orphan's


class TakenBack(Exception):
    """What ends a block that is to be taken back."""


@pytest.fixture
def things(site: Site, history: History) -> History:
    """Two documents with two numbers each, none of which is unique, and no Redis."""
    site.restart(cache=None)
    history.apply(model("Thing", n=models.IntegerField(), m=models.IntegerField()))
    for number in (1, 2):
        history.create("Thing", n=number, m=number)
    return history


def make_unique(things: History, field: str) -> None:
    """Let a field have each value once."""
    things.apply(migrations.AlterField("Thing", field, models.IntegerField(unique=True)))


def take_back(things: History, *fields: str) -> None:
    """Make fields unique in a block that is taken back: a savepoint, in a transaction."""
    before = things.state
    with suppress(TakenBack), transaction.atomic():
        for field in fields:
            make_unique(things, field)
        raise TakenBack
    things.state = before


def claims(site: Site) -> dict[str, bytes]:
    """``{key: body}`` of all claims."""
    return {key: body for key, body in site.objects().items() if "/unique/" in key}


def test_claims_are_given_back_when_several_operations_are(site: Site, things: History) -> None:
    take_back(things, "n", "m")
    assert claims(site) == {}


def test_claims_of_a_savepoint_are_given_back_when_it_is_rolled_back(site: Site, things: History) -> None:
    with transaction.atomic():
        take_back(things, "n", "m")
        assert claims(site) == {}


def test_values_are_free_at_once_when_a_savepoint_had_claimed_them(site: Site, things: History) -> None:
    site.restart(cache=None, write_deadline=DEADLINE)
    with transaction.atomic():
        take_back(things, "n")
    things.rows("Thing").update(n=3 - F("n"))
    began = time.monotonic()
    make_unique(things, "n")
    assert time.monotonic() - began < DEADLINE
    with pytest.raises(IntegrityError):
        things.create("Thing", n=1, m=3)


def test_claims_from_before_a_savepoint_stay_when_it_is_rolled_back(site: Site, things: History) -> None:
    with transaction.atomic():
        make_unique(things, "n")
        before = claims(site)
        take_back(things, "m")
        assert claims(site) == before
    assert claims(site) == before
    assert len(before) == 2
    with pytest.raises(IntegrityError):
        things.create("Thing", n=1, m=3)


def test_claims_of_a_savepoint_that_was_released_go_with_the_transaction(site: Site, things: History) -> None:
    before = things.state
    with suppress(TakenBack), transaction.atomic():
        with transaction.atomic():
            make_unique(things, "n")
        assert len(claims(site)) == 2
        take_back(things, "m")
        raise TakenBack
    things.state = before
    assert claims(site) == {}


def test_values_that_the_migration_has_moved_are_not_claimed_before_they_are_written(
    site: Site, things: History
) -> None:
    make_unique(things, "n")

    def move(rows: Any) -> None:
        rows.filter(n=1).update(n=5)
        rows.filter(n=2).update(n=1)

    things.apply(python("Thing", move), migrations.AlterField("Thing", "m", models.IntegerField(unique=True)))
    assert list(things.rows("Thing").order_by("pk").values_list("n", "m")) == [(5, 1), (1, 2)]
    holders = sorted((key.split("/")[4], orjson.loads(body)["stem"]) for key, body in claims(site).items())
    assert holders == [("m", "1"), ("m", "2"), ("n", "1"), ("n", "2")]
    with pytest.raises(IntegrityError):
        things.create("Thing", n=1, m=3)
    things.create("Thing", n=2, m=3)


def test_claims_of_an_earlier_transaction_stay_when_a_savepoint_is_rolled_back(site: Site, things: History) -> None:
    make_unique(things, "n")
    before = claims(site)
    with transaction.atomic():
        take_back(things, "m")
    assert claims(site) == before
    assert len(before) == 2


def test_claim_that_new_code_relies_on_stays_when_the_savepoint_is_rolled_back(site: Site, things: History) -> None:
    with transaction.atomic(), suppress(TakenBack), transaction.atomic():
        make_unique(things, "n")
        in_thread(lambda: things.rows("Thing").filter(n=1).update(m=7)).join()
        raise TakenBack
    (body,) = claims(site).values()
    assert orjson.loads(body)["stem"] == "1"
    with pytest.raises(IntegrityError):
        things.create("Thing", n=1, m=3)
