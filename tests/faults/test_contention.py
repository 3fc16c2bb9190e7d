"""Eight processes at the same documents: no update is lost, and a unique value has one winner."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import pytest
from django.db.models import Sum
from django.test import override_settings

from testproject.articles.models import Article, Author
from testproject.services import RedisServer, S3Server

from .places import ALIAS, Cell, Place, settings_of
from .tally import TALLY
from .worker import CONTEXT, add_up, claim_names, join, start, work

PROCESSES = 8
#: What a long form may take on a machine that has much else to do. Seconds.
PATIENCE = 5400.0
TEST = "contention"


FILES, S3 = "files", "s3"
WITH, WITHOUT = "with Redis", "without Redis"
EVERYWHERE = [(store, redis) for store in (FILES, S3) for redis in (WITH, WITHOUT)]
ADDING = [(*where, rows) for where in EVERYWHERE for rows in (1, 10)]
#: What a short run takes of these.
ADDING_SHORT = [(FILES, WITH, 1), (FILES, WITHOUT, 10), (S3, WITH, 10)]
EVERYWHERE_SHORT = [(FILES, WITH), (FILES, WITHOUT)]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Where processes meet."""
    torture = metafunc.config.getoption("--torture", default=False)
    if "rows" in metafunc.fixturenames:
        metafunc.parametrize("store, redis, rows", ADDING if torture else ADDING_SHORT)
    elif "redis" in metafunc.fixturenames:
        metafunc.parametrize("store, redis", EVERYWHERE if torture else EVERYWHERE_SHORT)


@pytest.fixture
def crowded(request: pytest.FixtureRequest, place: Place, store: str) -> Place:
    """An empty database. Deadlines are long, as a machine with eight busy processes is slow."""
    patient = replace(place, trust_seconds=0.2, write_deadline=15.0, socket_timeout=10.0)
    if store == FILES:
        return patient
    server: S3Server = request.getfixturevalue("s3")
    return replace(patient, location="faults", endpoint=server.endpoint_url)


@pytest.fixture
def here(crowded: Place) -> Iterator[Cell]:
    """This process's connection to the database."""
    cell = Cell(ALIAS, crowded)
    with override_settings(**settings_of({ALIAS: crowded})):
        cell.open()
        yield cell
        cell.close()


def test_no_update_is_lost_when_eight_processes_add(
    here: Cell, server: RedisServer, store: str, redis: str, rows: int, torture: bool
) -> None:
    times = 500 if torture else 20 if store == FILES else 4
    assert join([start(work, here.place, "fill_ten")]) == [0]
    if redis == WITHOUT:
        server.kill()
    began = time.monotonic()
    gate = CONTEXT.Barrier(PROCESSES)
    processes = [start(add_up, here.place, gate, rows, times, number) for number in range(PROCESSES)]
    assert join(processes, deadline=PATIENCE) == [0] * PROCESSES
    seconds = time.monotonic() - began
    server.start()
    total = Article.objects.using(ALIAS).aggregate(Sum("view_count"))["view_count__sum"]
    assert total == PROCESSES * times
    TALLY.count(TEST, f"updates of {rows} rows on {store} {redis}", total)
    TALLY.note(TEST, f"{rows:>2} rows, {store}, {redis}: {total} updates, {total / seconds:,.0f} a second")


def test_a_unique_value_has_one_winner_when_eight_processes_want_it(
    here: Cell, server: RedisServer, redis: str, torture: bool
) -> None:
    rounds = 200 if torture else 10
    assert join([start(work, here.place, "fill")]) == [0]
    if redis == WITHOUT:
        server.kill()
    gate = CONTEXT.Barrier(PROCESSES)
    wins = CONTEXT.SimpleQueue()
    processes = [start(claim_names, here.place, gate, rounds, number, wins) for number in range(PROCESSES)]
    assert join(processes, deadline=PATIENCE) == [0] * PROCESSES
    won = [wins.get() for _ in processes]  # what they have put fits into the pipe: nobody waited for this
    server.start()
    winners = Counter(name for names in won for name in names)
    assert winners == Counter(f"name {number}" for number in range(rounds))
    stored = Author.objects.using(ALIAS).filter(name__startswith="name ").values_list("name", flat=True)
    assert Counter(stored) == winners
    TALLY.count(TEST, "rounds of eight for one unique value", rounds)
    TALLY.note(TEST, f"unique value: rounds won by each process, {redis}: {sorted(len(names) for names in won)}")
