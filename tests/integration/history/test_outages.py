"""The history while Redis is down, slow, deaf or full: nothing waits, nothing breaks, nothing comes twice."""

from __future__ import annotations

import copy
import itertools
import logging
import threading
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from django.conf import settings
from django.test import override_settings

from django_smarterbase.exceptions import HistoryUnavailable
from django_smarterbase.history import ProfileHistory, history_of, registry
from django_smarterbase.history import history as history_module
from django_smarterbase.indexes.breaker import breaker_of
from django_smarterbase.indexes.client import RedisClient
from django_smarterbase.indexes.scripts import Script
from django_smarterbase.profiling import QueryProfile, profile_queries
from django_smarterbase.signals import breaker_changed, profiles_dropped
from testproject.articles.models import Author
from tests.faults.wire import Line, Wire
from tests.integration.commands.site import ALIAS, Site, limits

from .conftest import wait_until

TIMEOUT = 1.0  # seconds for which Redis is waited for on a line that may hold an answer back


def numbers(profiles: tuple[QueryProfile, ...]) -> list[int]:
    return [int(profile.method) for profile in profiles]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Redis is tried again at once."""
    monkeypatch.setattr(history_module, "_REST", 0.0)


@pytest.fixture
def wire(site: Site) -> Iterator[Wire]:
    """The site's line to Redis, twice as slow as it has patience for once it is slowed down."""
    wire = Wire(site.server.port, delay=2 * TIMEOUT)
    cache = {**settings.CACHES[ALIAS], "LOCATION": wire.url, "OPTIONS": limits(TIMEOUT)}
    with override_settings(CACHES={**settings.CACHES, ALIAS: cache}):
        yield wire
    wire.close()


def test_profiles_stay_in_the_process_while_redis_is_down_and_are_sent_when_it_is_back(
    site: Site, history: ProfileHistory, other_process, made
) -> None:
    history.keep(made(1))
    assert history.read().source == "redis"
    site.server.stop()
    before = datetime.now(UTC)
    history.keep(made(2))
    history.keep(made(3))

    page = history.read()

    assert (page.source, numbers(page.profiles)) == ("local", [3, 2, 1])
    assert page.unavailable_since is not None
    assert before <= page.unavailable_since <= datetime.now(UTC)
    assert history.unavailable_since == page.unavailable_since == history.read().unavailable_since
    assert "ConnectionError" in (page.problem or "")
    other = other_process()
    assert (other.read().source, other.read().profiles) == ("local", ())

    site.server.start()  # empty: the first profile is lost

    page = history.read()
    assert (page.source, numbers(page.profiles), page.dropped) == ("redis", [3, 2], 0)
    assert (page.unavailable_since, page.problem, history.unavailable_since) == (None, None, None)
    assert numbers(other.read().profiles) == [3, 2]


def found(method: str, history: ProfileHistory) -> list[QueryProfile]:
    """The profiles of a method in the history; what this process has is not sent for it."""
    return [profile for profile in history.news("0-0").profiles if profile.method == method]


def test_thread_sends_what_waited_when_redis_is_back(recording: Site, other_process) -> None:
    Author.objects.named("Before").create(name="Ada")
    recording.server.kill()
    list(Author.objects.named("Meanwhile").filter(name="Ada"))
    recording.server.start()
    reader = other_process()
    wait_until(lambda: bool(found("Meanwhile", reader)))

    assert [profile.fallback for profile in found("Meanwhile", reader)] == [True]


def test_outage_is_logged_once_and_so_is_its_end(site: Site, history: ProfileHistory, made, caplog) -> None:
    caplog.set_level(logging.INFO, "django_smarterbase.query")
    site.server.stop()
    for number in range(3):
        history.keep(made(number))
        assert not history.flush()
    site.server.start()
    assert history.flush()

    (lost, found) = [record for record in caplog.records if record.name == "django_smarterbase.query"]
    assert (lost.levelname, found.levelname) == ("WARNING", "INFO")
    assert "Profiles stay in this process until it answers." in lost.message
    assert "answers again" in found.message


def test_failures_of_the_history_do_not_count_for_the_index(site: Site, history: ProfileHistory, made) -> None:
    site.server.stop()
    for number in range(10):
        history.keep(made(number))
        history.flush()
        history.read()
        history.news()

    index = breaker_of(ALIAS)
    assert (index._failures, index.admits()) == (0, True)


def test_redis_that_is_down_is_left_alone_for_a_while(
    site: Site, made, monkeypatch: pytest.MonkeyPatch, wire: Wire
) -> None:
    monkeypatch.setattr(history_module, "_REST", 60.0)
    site.restart(write_deadline=1.5)  # a history of its own, which rests
    history = history_of("default")
    wire.become(Line.CUT)
    history.keep(made(1))
    assert not history.flush()
    wire.become(Line.OPEN)

    for _ in range(5):
        assert not history.flush()
        assert (history.read().source, history.news().profiles) == ("local", ())
    assert wire.requests == 0


def test_batch_whose_answer_was_lost_is_not_added_twice(site: Site, history: ProfileHistory, made, wire: Wire) -> None:
    history.keep(made(1))
    assert history.flush()
    wire.become(Line.DEAF)
    for number in (2, 3):
        history.keep(made(number))
        assert not history.flush()
    wire.become(Line.OPEN)
    history.keep(made(4))
    assert history.flush()

    with site.redis() as client:
        assert client.xlen(f"sb:{{{site.name}}}:profiles") == 4
    assert numbers(history.read().profiles) == [4, 3, 2, 1]


def test_redis_that_answers_too_late_gets_each_profile_once(
    site: Site, history: ProfileHistory, made, wire: Wire
) -> None:
    wire.become(Line.SLOW)
    for number in range(3):
        history.keep(made(number))
        assert not history.flush()
    assert history.read().source == "local"
    wire.become(Line.OPEN)
    assert history.flush()

    assert numbers(history.read().profiles) == [2, 1, 0]


@pytest.mark.parametrize("line", [Line.CUT, Line.SILENT, Line.DEAF, Line.SLOW])
def test_no_statement_asks_redis_for_the_history(recording: Site, wire: Wire, line: Line, monkeypatch) -> None:
    """A statement by key needs no index; what it then waits for could only be the history."""
    author = Author.objects.create(name="Ada")
    asked_by: list[tuple[Script, str]] = []
    run_on = RedisClient.run_on

    def noting(self: RedisClient, script: Script, *args: Any) -> Any:
        asked_by.append((script, threading.current_thread().name))
        return run_on(self, script, *args)

    monkeypatch.setattr(RedisClient, "run_on", noting)
    wire.become(line)

    def get_and_look() -> bool:
        assert Author.objects.get(pk=author.pk).name == "Ada"
        return any(script is Script.APPEND for script, _ in asked_by)

    with profile_queries() as queries:
        wait_until(get_and_look)

    assert {thread for _, thread in asked_by} == {"smarterbase-history"}
    assert {profile.redis_ops.round_trips for profile in queries.profiles} == {0}
    assert {profile.error for profile in queries.profiles} == {None}


def test_full_ring_drops_the_oldest_and_says_how_many(
    site: Site, other_process, made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history_module, "RING", 50)
    site.restart(write_deadline=1.5)  # another history, with a ring of this size
    history = history_of("default")
    site.server.stop()
    told: list[int] = []

    def hear(number: int, **_: object) -> None:
        told.append(number)

    profiles_dropped.connect(hear, sender=ProfileHistory)
    for number in range(80):
        history.keep(made(number))
    profiles_dropped.disconnect(hear, sender=ProfileHistory)
    assert not history.flush()

    page = history.read()
    assert (page.source, numbers(page.profiles), page.dropped) == ("local", list(range(79, 29, -1)), 30)
    assert sum(told) == 30

    site.server.start()
    page = history.read()
    assert (page.source, numbers(page.profiles), page.dropped) == ("redis", list(range(79, 29, -1)), 30)
    history.keep(made(80))
    assert (history.read().dropped, other_process().read().dropped) == (30, 30)
    history.clear()
    assert history.read().dropped == 0


def test_dropped_profiles_of_several_processes_are_added_up(site: Site, made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history_module, "RING", 10)
    processes = [ProfileHistory("default", site.name, history_of("default").options) for _ in range(2)]
    site.server.stop()
    for process, number in itertools.product(processes, range(15)):
        process.keep(made(number))
    site.server.start()
    assert all(process.flush() for process in processes)

    assert {process.read().dropped for process in processes} == {10}


def test_memory_does_not_grow_with_an_outage(site: Site, history: ProfileHistory, made) -> None:
    site.server.stop()
    profile = made(1, plan=("authors: Scan of every document, O(n)",), filter_fields=("name",))

    def grow() -> int:
        for _ in range(3 * history_module.RING):
            history.keep(copy.deepcopy(profile))
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        first, second = grow(), grow()
    finally:
        tracemalloc.stop()

    assert len(history.read().profiles) == history_module.RING
    assert second < first * 1.05
    assert first < history_module.RING * 4096


def test_full_redis_leaves_the_profiles_here(site: Site, history: ProfileHistory, made) -> None:
    history.keep(made(1))
    assert history.flush()
    with site.redis() as client:
        client.config_set("maxmemory", 1)
        history.keep(made(2))
        try:
            assert not history.flush()
            assert "OOM" in (history.problem or "")
        finally:
            client.config_set("maxmemory", 0)
    assert numbers(history.read().profiles) == [2, 1]


def test_clear_deletes_nothing_when_redis_is_down(site: Site, history: ProfileHistory, made) -> None:
    history.keep(made(1))
    site.server.stop()

    with pytest.raises(HistoryUnavailable, match=r"'default' was not cleared, since Redis \(cache 'own'\) cannot"):
        history.clear()
    site.server.start()
    assert numbers(history.read().profiles) == [1]


def test_threads_that_record_lose_and_double_nothing_while_redis_comes_and_goes(
    site: Site, history: ProfileHistory, made, process: registry._Process
) -> None:
    def keep(first: int) -> None:
        for number in range(first, first + 300):
            process.sender.notice(history.keep(made(number)))

    threads = [threading.Thread(target=keep, args=(first,)) for first in (0, 300, 600)]
    site.server.stop()
    for thread in threads:
        thread.start()
    site.server.start()
    for thread in threads:
        thread.join(30)
    assert history.flush()

    page = history.read()
    assert sorted(numbers(page.profiles)) == list(range(900))
    assert page.dropped == 0


def test_breaker_of_the_history_is_not_taken_for_that_of_the_indexes(site: Site, history: ProfileHistory, made) -> None:
    told: list[str] = []

    def hear(state: str, **_: object) -> None:
        told.append(state)

    site.server.stop()
    breaker_changed.connect(hear)
    history.keep(made(1))
    assert not history.flush()
    breaker_changed.disconnect(hear)
    assert told == []
