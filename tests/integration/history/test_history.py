"""The history in a real Redis: what comes in, what is read, and what it costs nobody."""

from __future__ import annotations

import itertools
import logging
import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django.test import override_settings

from django_smarterbase.history import News, ProfileHistory, histories, history_of, registry
from django_smarterbase.history import history as history_module
from django_smarterbase.history.stream import STREAM_SECONDS, Stream
from django_smarterbase.indexes.breaker import breaker_of
from django_smarterbase.profiling import Selection, profile_queries, recorder
from testproject.articles.models import Author
from tests.integration.commands.site import ALIAS, Site

from .conftest import MOMENT, PATIENCE, wait_until


def numbers(profiles):
    return [int(profile.method) for profile in profiles]


def test_statements_come_to_the_history_newest_first(recording: Site, history: ProfileHistory) -> None:
    author = Author.objects.named("Make").create(name="Ada")
    list(Author.objects.named("Find").filter(name="Ada"))
    Author.objects.named("Get").get(pk=author.pk)

    page = history.read()

    assert [(each.method, each.operation, each.index_used) for each in page.profiles] == [
        ("Get", "select", "key"),
        ("Find", "select", "redis:authors-by-name"),
        ("Make", "insert", "key"),
    ]
    assert (page.source, page.weights, page.dropped, page.unavailable_since) == ("redis", (1.0, 1.0, 1.0), 0, None)
    assert [each.plan for each in page.profiles] == [
        ("authors: KeyLookup of 1 primary key, O(1)",),
        ("authors: IndexLookup redis:authors-by-name, O(1), answers count(), exists() and primary keys alone",),
        ("Nothing is read.",),
    ]


def test_thread_sends_what_was_recorded_without_being_asked(recording: Site, other_process) -> None:
    Author.objects.named("Make").create(name="Ada")
    reader = other_process()
    wait_until(lambda: bool(reader.news("0-0").profiles))

    assert [profile.method for profile in reader.news("0-0").profiles] == ["Make"]


def test_history_is_of_all_processes(history, other_process, made) -> None:
    other = other_process()
    history.keep(made(1))
    other.keep(made(2))
    assert other.flush()

    assert numbers(history.read().profiles) == [2, 1]
    assert numbers(other.read().profiles) == [2, 1]


def test_profile_comes_back_from_redis_as_it_was(recording: Site, history) -> None:
    with profile_queries() as queries:
        Author.objects.create(name="Ada")
        list(Author.objects.filter(name="Ada"))

    assert list(reversed(history.read().profiles)) == queries.profiles


def test_reading_takes_a_time_range_a_selection_and_a_limit(history, made) -> None:
    for number in range(10):
        history.keep(made(number, duration=float(number)))

    def read(**limits):
        return numbers(history.read(**limits).profiles)

    three, six = MOMENT + timedelta(seconds=3), MOMENT + timedelta(seconds=6)
    assert read(since=three) == [9, 8, 7, 6, 5, 4, 3]
    assert read(until=three) == [2, 1, 0]
    assert read(since=three, until=six) == [5, 4, 3]
    assert read(limit=2) == [9, 8]
    assert read(limit=0) == []
    assert read(limit=2, until=six) == [5, 4]
    assert read(selection=Selection(slow_ms=8)) == [9, 8]
    assert read(selection=Selection(method="4"), limit=5) == [4]


def test_long_history_is_read_to_its_beginning(history, made) -> None:
    for number in range(1234):
        history.keep(made(number))

    page = history.read()

    assert numbers(page.profiles) == list(range(1233, -1, -1))
    assert len(page.weights) == 1234
    assert numbers(history.read(limit=3, until=MOMENT + timedelta(seconds=700)).profiles) == [699, 698, 697]


def test_limit_takes_the_newest_by_start_though_older_ones_arrive_later(history, other_process, made) -> None:
    late = other_process()
    now = datetime.now(UTC)
    for number in range(600):
        late.keep(made(number, started_at=now - timedelta(hours=1, seconds=number)))
    for number in range(600, 603):
        history.keep(made(number, started_at=now + timedelta(seconds=number - 700)))
    assert history.flush()
    assert late.flush()

    assert numbers(history.read(limit=4).profiles) == [602, 601, 600, 0]
    assert numbers(history.read(since=now - timedelta(minutes=30)).profiles) == [602, 601, 600]


def test_history_is_capped(site: Site, made) -> None:
    site.restart(profile_history=100)
    history = history_of("default")
    for number in range(1000):
        history.keep(made(number))
        if number % 50 == 0:
            history.flush()

    found = numbers(history.read().profiles)

    assert found == list(range(999, 999 - len(found), -1))
    assert 100 <= len(found) <= 200  # Redis cuts off whole nodes, of 100 entries


def test_keys_are_of_the_database_bear_its_encoded_name_and_expire(site: Site, made) -> None:
    connection.settings_dict["NAME"] = "shop/eu: {1}"
    history = history_of("default")
    history.keep(made(1))
    assert history.flush()

    with site.redis() as client:
        stream, sender = sorted(client.scan_iter("sb:*"))
        assert stream == "sb:{shop%2Feu%3A%20%7B1%7D}:profiles"
        assert sender.startswith("sb:{shop%2Feu%3A%20%7B1%7D}:sender:")
        assert 0 < client.ttl(sender) <= 3600 < client.ttl(stream) <= STREAM_SECONDS


def test_weights_of_sampled_profiles_estimate_the_totals(site: Site, made, monkeypatch) -> None:
    site.restart(profile_sampling=0.25, slow_ms=50)
    chances = itertools.cycle([0.1, 0.5, 0.9, 0.7])
    monkeypatch.setattr("random.random", lambda: next(chances))
    history = history_of("default")
    for number in range(40):
        history.keep(made(number))
    history.keep(made(40, duration=50.0))

    page = history.read()

    assert numbers(page.profiles) == [40, *range(36, -1, -4)]
    assert page.weights == (1.0, *[4.0] * 10)
    summary = page.summary(50)
    assert (summary.total, summary.recorded, summary.slow, summary.p50) == (41, 11, 1, 1.0)


def test_clear_empties_the_history_of_all_processes(history, other_process, made) -> None:
    other = other_process()
    history.keep(made(1))
    other.keep(made(2))
    assert history.flush()
    history.keep(made(3))

    history.clear()

    assert history.read().profiles == ()
    assert numbers(other.read().profiles) == [2]  # it had not sent it yet
    history.keep(made(4))
    assert numbers(history.read().profiles) == [4, 2]


def test_clear_waits_for_what_is_on_its_way(history, made, monkeypatch) -> None:
    on_its_way, may_arrive = threading.Event(), threading.Event()
    append = Stream.append
    monkeypatch.setattr(history_module, "_PATIENCE", PATIENCE)

    def slowly(self, *args):
        on_its_way.set()
        assert may_arrive.wait(PATIENCE)
        append(self, *args)

    monkeypatch.setattr(Stream, "append", slowly)
    history.keep(made(1))
    sending = threading.Thread(target=history.flush)
    sending.start()
    assert on_its_way.wait(PATIENCE)
    clearing = threading.Thread(target=history.clear)
    clearing.start()
    clearing.join(0.2)
    may_arrive.set()
    for thread in (sending, clearing):
        thread.join(PATIENCE)

    assert history.read().profiles == ()


def test_news_are_what_came_after_the_last_look(history, other_process, made) -> None:
    history.keep(made(1))
    assert history.flush()
    other = other_process()
    news = other.news()
    assert news.profiles == ()
    for number in range(2, 703):
        history.keep(made(number))
    assert history.flush()

    news = other.news(news.position)
    assert numbers(news.profiles) == list(range(2, 502))
    news = other.news(news.position)
    assert numbers(news.profiles) == list(range(502, 703))
    assert other.news(news.position) == News(news.position, ())


def test_follow_yields_profiles_of_the_selection_as_they_come(history, other_process, made, monkeypatch) -> None:
    batches = iter([[1, 2], [], [7, 3, 8]])

    def arrive(_seconds):
        """What comes while the follower rests between two looks."""
        for number in next(batches):
            history.keep(made(number, duration=float(number)))
        assert history.flush()

    monkeypatch.setattr("django_smarterbase.history.history.time.sleep", arrive)
    follower = other_process().follow(selection=Selection(slow_ms=5))

    assert numbers(itertools.islice(follower, 2)) == [7, 8]


def test_history_records_nothing_of_itself(recording: Site, history) -> None:
    with profile_queries() as queries:
        Author.objects.named("Make").create(name="Ada")
        history.read()
        history.news()
        history.clear()
        history.read()

    assert [profile.method for profile in queries.profiles] == ["Make"]


def test_history_adds_nothing_to_the_round_trips_of_a_statement(site: Site) -> None:
    def counted():
        with profile_queries() as queries:
            list(Author.objects.filter(name="Ada"))
        (profile,) = queries.profiles
        return profile.redis_ops, profile.storage_ops

    site.restart(trust_seconds=50, write_deadline=60)  # so that no lease runs out meanwhile
    Author.objects.create(name="Ada")
    counted()
    without = counted()
    registry.install()
    try:
        assert counted() == without
    finally:
        registry.uninstall()


def test_key_of_somebody_else_leaves_the_profiles_here_and_the_index_alone(recording: Site, history, caplog) -> None:
    with recording.redis() as client:
        client.set(f"sb:{{{recording.name}}}:profiles", "not a stream")
    Author.objects.named("Make").create(name="Ada")
    list(Author.objects.named("Find").filter(name="Ada"))

    page = history.read()

    assert (page.source, [each.method for each in page.profiles]) == ("local", ["Find", "Make"])
    assert page.profiles[0].index_used == "redis:authors-by-name"
    assert page.problem == (
        f"the Redis key 'sb:{{{recording.name}}}:profiles' is not of the type that this package gave it"
    )
    assert breaker_of(ALIAS)._failures == 0


def test_history_without_a_cache_is_of_this_process(recording: Site) -> None:
    recording.restart(cache=None)
    history = history_of("default")
    Author.objects.named("Make").create(name="Ada")
    list(Author.objects.named("Find").filter(name="Ada"))

    page = history.read(limit=1)

    assert (page.source, page.unavailable_since, page.problem, page.dropped) == ("local", None, None, 0)
    assert [each.method for each in page.profiles] == ["Find"]
    news = history.news()
    Author.objects.named("Again").count()
    assert [each.method for each in history.news(news.position).profiles] == ["Again"]
    history.clear()
    assert history.read().profiles == ()


def test_nothing_is_kept_when_the_history_is_off(recording: Site) -> None:
    recording.restart(profile_history=0)
    Author.objects.create(name="Ada")
    history = history_of("default")

    assert (history.is_on, history.read().profiles, histories()) == (False, (), [])


def test_install_listens_only_when_some_database_keeps_a_history(site: Site) -> None:
    site.restart(profile_history=0)
    registry.install()
    assert recorder.listening() is False

    site.restart(profile_history=1)
    registry.install()
    registry.install()
    try:
        assert recorder.listening() is True
        assert recorder._sinks.count(registry._keep) == 1
    finally:
        registry.uninstall()
    assert recorder.listening() is False


def test_options_that_change_count_at_once(recording: Site) -> None:
    before = history_of("default")
    assert history_of("default") is before

    recording.restart(profile_sampling=0.5)

    assert history_of("default") is not before
    assert history_of("default").options.profile_sampling == 0.5
    assert [each.alias for each in histories()] == ["default"]


def test_profile_of_a_connection_without_settings_is_let_go(recording: Site, made, caplog) -> None:
    with caplog.at_level(logging.WARNING):
        recorder.record(made(1, database="made by hand"))

    assert caplog.records == []


def test_settings_that_override_the_cache_count_for_the_history_too(site: Site, history, made) -> None:
    with override_settings(CACHES={"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}):
        history.keep(made(1))
        with pytest.raises(ImproperlyConfigured, match="CACHES does not define"):
            history.flush()
    assert numbers(history.read().profiles) == [1]
