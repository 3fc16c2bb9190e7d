"""Redis goes down and comes back while readers and writers are at work: nobody notices but by the clock."""

from __future__ import annotations

import time
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.test import override_settings

from testproject.articles.models import Article
from testproject.services import RedisServer

from .places import ALIAS, REST, Cell, Place, be_patient_for_tests, settings_of
from .tally import TALLY
from .traffic import GONE, Account, read_diaries, read_lists, write_articles
from .worker import CONTEXT, join, pk_of, start, work

TEST = "outage under load"
WRITERS, READERS = 2, 2


def tell(told: list[Account], outages: int, how: str) -> None:
    """Enter what was done in the report."""
    TALLY.count(TEST, f"outages, {how}", outages)
    for role in ("reader", "writer"):
        accounts = [account for account in told if account.role == role]
        requests = sum(account.requests for account in accounts)
        TALLY.note(
            TEST,
            f"{how}, {len(accounts)} {role}s: {requests:,} requests, "
            f"{sum(account.by_index for account in accounts):,} by index, "
            f"{sum(account.fallbacks for account in accounts):,} with a fallback, "
            f"worst {max(account.worst for account in accounts) * 1000:,.0f} ms",
        )


def reindex() -> None:
    """Run sb_reindex until it succeeds: it cannot as long as a writer has not tried Redis again."""
    until = time.monotonic() + 10 * REST
    while True:
        try:
            call_command("sb_reindex", "articles", database=ALIAS, verbosity=0, stderr=StringIO())
            return
        except CommandError:
            assert time.monotonic() < until
            TALLY.count(TEST, "rebuilds by hand that met a write without the index")


def go_down_and_come_back(server: RedisServer, number: int) -> None:
    """An outage: killed or stopped, gone for a while or only restarted, and always empty afterwards."""
    server.kill() if number % 2 else server.stop()
    time.sleep((0.4, 0.0, 0.8)[number % 3])
    server.start()


@pytest.mark.parametrize("automatic", [False, True], ids=["by hand", "automatic"])
def test_no_error_and_no_missing_article_while_redis_comes_and_goes(
    place: Place, server: RedisServer, torture: bool, automatic: bool
) -> None:
    """The indexes are rebuilt by hand after each outage, or by whoever of the processes sees it."""
    outages = 20 if torture else 5
    place = replace(place, trust_seconds=0.1, write_deadline=0.8, socket_timeout=0.5, auto_reindex=automatic)
    assert join([start(work, place, "fill_authors")]) == [0]
    stop, accounts = CONTEXT.Event(), CONTEXT.SimpleQueue()
    diaries = Path(place.location).parent / "diaries"
    diaries.mkdir()
    processes = [
        *(start(write_articles, place, diaries, number, stop, accounts) for number in range(WRITERS)),
        *(start(read_lists, place, diaries, number, stop, accounts) for number in range(READERS)),
    ]
    be_patient_for_tests()
    with override_settings(**settings_of({ALIAS: place})):
        here = Cell(ALIAS, place)
        here.open()
        for number in range(outages):
            time.sleep(0.8)
            go_down_and_come_back(server, number)
            if automatic:
                time.sleep(1.5)
            else:
                reindex()
        time.sleep(0.8)
        stop.set()
        assert join(processes, deadline=30) == [0] * len(processes)
        told: list[Account] = [accounts.get() for _ in processes]
        stored = {article.pk.hex: article.author_id for article in Article.objects.using(ALIAS).scan()}
        here.close()
    assert [wrong for account in told for wrong in account.wrong] == []
    known = {pk: pk_of(int(entry.author)) for pk, entry in read_diaries(diaries).items() if entry.author != GONE}
    assert stored == known
    tell(told, outages, "automatic rebuilds" if automatic else "rebuilds by hand")
    assert all(account.requests > 10 * outages for account in told)
    assert sum(account.fallbacks for account in told) > outages
    assert sum(account.by_index for account in told) > outages
