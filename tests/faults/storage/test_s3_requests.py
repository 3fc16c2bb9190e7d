"""Single requests over a line that fails: short faults pass unnoticed, long ones end within the write deadline."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest

from django_smarterbase.exceptions import DeadlinePassed, PreconditionFailed, StorageUnavailable
from django_smarterbase.storage.base import Write
from django_smarterbase.storage.keys import Keyspace

from .conftest import WRITE_DEADLINE
from .proxy import Fault

KEYS = Keyspace("db")
PREFIX = KEYS.table_prefix("articles")
KEY = KEYS.document("articles", "1")
BODY = b'{"title":"as it was"}'
NEW = b'{"title":"as it is now"}'

UNANSWERED = [Fault.SLOW_DOWN, Fault.RESET_BEFORE, Fault.RESET_AFTER, Fault.LATE_REQUEST, Fault.LATE_ANSWER]
BROKEN_OFF = [Fault.TRUNCATED, Fault.STALLED]


def by_name(fault: Fault) -> str:
    return fault.name.lower()


@pytest.fixture
def slow(proxy):
    """Late means later than the client's timeouts."""
    proxy.delay = 2.0


@pytest.mark.usefixtures("slow")
@pytest.mark.parametrize("fault", UNANSWERED + BROKEN_OFF, ids=by_name)
def test_read_succeeds_when_the_fault_is_short(store, proxy, fault):
    etag = store.put(KEY, BODY)
    rule = proxy.fail(fault, "GET", times=1)
    assert store.get(KEY) == (BODY, etag)
    assert rule.hits == 1


@pytest.mark.usefixtures("slow")
@pytest.mark.parametrize("fault", UNANSWERED, ids=by_name)
def test_listing_is_whole_when_the_fault_is_short(store, proxy, fault):
    store.put(KEY, BODY)
    rule = proxy.fail(fault, "GET", "list-type", times=1)
    assert [listed.key for listed in store.list(PREFIX)] == [KEY]
    assert rule.hits == 1


@pytest.mark.usefixtures("slow")
@pytest.mark.parametrize("condition", ["if_match", "if_absent"])
@pytest.mark.parametrize("fault", UNANSWERED, ids=by_name)
def test_conditional_write_is_done_once_when_the_fault_is_short(store, proxy, client, bucket, fault, condition):
    given = {"if_match": store.put(KEY, BODY)} if condition == "if_match" else {"if_absent": True}
    rule = proxy.fail(fault, "PUT", times=1)
    etag = store.put(KEY, NEW, **given)
    proxy.heal()
    assert rule.hits == 1
    assert client.head_object(Bucket=bucket, Key=KEY)["ETag"] == etag
    assert store.get(KEY) == (NEW, etag)


@pytest.mark.usefixtures("slow")
@pytest.mark.parametrize("fault", UNANSWERED, ids=by_name)
def test_conditional_delete_is_done_when_the_fault_is_short(store, proxy, fault):
    etag = store.put(KEY, BODY)
    rule = proxy.fail(fault, "DELETE", times=1)
    store.delete(KEY, if_match=etag)
    assert rule.hits == 1
    assert store.get(KEY) is None


def test_request_that_arrives_after_its_writer_has_tried_again_changes_nothing(store, proxy):
    etag = store.put(KEY, BODY)
    proxy.delay = 3.0
    proxy.fail(Fault.LATE_REQUEST, "PUT", times=1)
    mine = store.put(KEY, NEW, if_match=etag)
    later = store.put(KEY, b'{"title":"later"}', if_match=mine)
    proxy.heal()
    assert len(proxy.requests("PUT")) == 4
    assert store.get(KEY) == (b'{"title":"later"}', later)


def test_write_is_known_for_ones_own_when_its_answer_was_lost_and_the_next_one_was_busy(store, proxy):
    """The server was still at the first when the second came."""
    etag = store.put(KEY, BODY)
    proxy.fail(Fault.RESET_AFTER, "PUT", times=1)
    proxy.fail(Fault.CONFLICT, "PUT", times=1)
    mine = store.put(KEY, NEW, if_match=etag)
    assert store.get(KEY) == (NEW, mine)
    proxy.fail(Fault.RESET_AFTER, "DELETE", times=1)
    proxy.fail(Fault.CONFLICT, "DELETE", times=1)
    store.delete(KEY, if_match=mine)
    assert store.get(KEY) is None


@pytest.mark.parametrize("deadline", [None, WRITE_DEADLINE / 3])
def test_write_is_in_doubt_when_its_answer_was_lost_and_all_others_were_busy(store, proxy, deadline):
    """Also when no time is left for another attempt."""
    etag = store.put(KEY, BODY)
    proxy.fail(Fault.RESET_AFTER, "PUT", times=1)
    proxy.fail(Fault.CONFLICT, "PUT")
    until = None if deadline is None else time.monotonic() + deadline
    with pytest.raises(StorageUnavailable, match=KEY):
        store.put(KEY, NEW, if_match=etag, deadline=until)


def test_write_that_was_busy_every_time_was_certainly_not_applied(store, proxy):
    etag = store.put(KEY, BODY)
    proxy.fail(Fault.CONFLICT, "PUT")
    with pytest.raises(PreconditionFailed):
        store.put(KEY, NEW, if_match=etag)


def test_write_of_another_is_never_taken_for_ones_own_lost_answer(store, proxy, client, bucket):
    etag = store.put(KEY, BODY)
    client.put_object(Bucket=bucket, Key=KEY, Body=NEW)
    proxy.fail(Fault.RESET_AFTER, "PUT", times=1)
    with pytest.raises(PreconditionFailed):
        store.put(KEY, NEW, if_match=etag)


def test_attempts_are_repeated_after_a_pause(store, proxy, monkeypatch):
    pauses = []
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=pauses.append, time=time.time))
    store.put(KEY, BODY)
    proxy.fail(Fault.SLOW_DOWN, "GET", times=2)
    assert store.get(KEY).body == BODY
    first, second = pauses  # drawn at random up to a limit that doubles
    assert 0 < first <= 1
    assert 0 < second <= 2


CALLS = {
    "get": ("GET", lambda store, etag: store.get(KEY)),
    "list": ("GET", lambda store, etag: list(store.list(PREFIX))),
    "put": ("PUT", lambda store, etag: store.put(KEY, NEW, if_match=etag)),
    "delete": ("DELETE", lambda store, etag: store.delete(KEY, if_match=etag)),
}


@pytest.mark.parametrize("fault", [Fault.SLOW_DOWN, Fault.RESET_BEFORE, Fault.LATE_REQUEST], ids=by_name)
@pytest.mark.parametrize("name", CALLS)
def test_storage_is_unavailable_within_the_write_deadline_when_the_fault_stays(store, proxy, bucket, name, fault):
    etag = store.put(KEY, BODY)
    method, call = CALLS[name]
    proxy.delay = 2.5
    rule = proxy.fail(fault, method)
    began = time.monotonic()
    with pytest.raises(StorageUnavailable) as caught:
        call(store, etag)
    assert time.monotonic() - began < WRITE_DEADLINE
    assert 1 < rule.hits <= 6
    for part in (bucket, proxy.url, PREFIX, "Check that the endpoint is reachable"):
        assert part in str(caught.value)


@pytest.mark.parametrize("fault", BROKEN_OFF, ids=by_name)
def test_storage_is_unavailable_within_the_write_deadline_when_bodies_go_on_breaking_off(store, proxy, bucket, fault):
    store.put(KEY, BODY)
    proxy.delay = 2.5
    proxy.fail(fault, "GET")
    began = time.monotonic()
    with pytest.raises(StorageUnavailable, match=f"{bucket}.*{KEY}.*Check that the endpoint"):
        store.get(KEY)
    assert time.monotonic() - began < WRITE_DEADLINE
    assert len(proxy.requests("GET")) > 1


def test_no_attempt_is_begun_that_might_end_after_the_deadline(store, proxy):
    etag, sent = store.put(KEY, BODY), list[float]()
    events = store._client._connected().meta.events
    events.register("before-send.s3", lambda **_event: sent.append(time.monotonic()))  # when the store has let it pass
    proxy.fail(Fault.SLOW_DOWN, "PUT")
    deadline = time.monotonic() + WRITE_DEADLINE / 3
    with pytest.raises(StorageUnavailable, match="too little was left of its write deadline"):
        store.put(KEY, NEW, if_match=etag, deadline=deadline)
    longest = WRITE_DEADLINE / 15 + WRITE_DEADLINE / 5  # to connect, and to be answered
    assert sent
    assert max(sent) < deadline - longest + 0.1


def test_write_that_was_never_sent_is_not_in_doubt(store, proxy):
    proxy.seen.clear()
    with pytest.raises(DeadlinePassed):
        store.put(KEY, NEW, if_absent=True, deadline=time.monotonic() + WRITE_DEADLINE / 5)
    assert proxy.requests("PUT") == []


def test_bulk_write_names_the_keys_that_failed_and_does_the_others(store, proxy):
    keys = [KEYS.document("articles", str(number)) for number in range(12)]
    proxy.fail(Fault.SLOW_DOWN, "PUT", r"articles/(3|7)\.json")
    began = time.monotonic()
    outcomes = list(store.write_many([Write(key, NEW, if_absent=True) for key in keys]))
    assert time.monotonic() - began < WRITE_DEADLINE / 2 + 1  # a key that fails holds back none of the others
    assert [outcome.write.key for outcome in outcomes] == keys
    failed = {outcome.write.key: outcome.error for outcome in outcomes if outcome.error is not None}
    assert set(failed) == {keys[3], keys[7]}
    assert all(isinstance(error, StorageUnavailable) and key in str(error) for key, error in failed.items())
    proxy.heal()
    assert sorted(listed.key for listed in store.list(PREFIX)) == sorted(set(keys) - set(failed))


def test_bulk_read_raises_where_a_document_cannot_be_read(store, proxy):
    keys = [KEYS.document("articles", str(number)) for number in range(6)]
    for key in keys:
        store.put(key, BODY)
    proxy.fail(Fault.SLOW_DOWN, "GET", r"articles/3\.json")
    found = store.get_many(keys)
    assert [next(found)[0] for _ in range(3)] == keys[:3]
    with pytest.raises(StorageUnavailable, match=r"articles/3\.json"):
        next(found)
    proxy.heal()
    assert [key for key, stored in store.get_many(keys) if stored is not None] == keys


def many(store):
    keys = [KEYS.document("articles", str(number)) for number in range(6)]
    for key in keys:
        store.put(key, BODY)
    return keys


@pytest.mark.usefixtures("slow")
@pytest.mark.parametrize("fault", UNANSWERED + BROKEN_OFF, ids=by_name)
def test_bulk_read_is_whole_when_the_fault_is_short(store, proxy, fault):
    keys = many(store)
    rule = proxy.fail(fault, "GET", r"articles/3\.json", times=1)
    assert [(key, stored.body) for key, stored in store.get_many(keys)] == [(key, BODY) for key in keys]
    assert rule.hits == 1


@pytest.mark.parametrize("fault", [Fault.RESET_BEFORE, Fault.LATE_REQUEST, Fault.STALLED], ids=by_name)
def test_bulk_read_ends_within_the_write_deadline_when_the_fault_stays(store, proxy, bucket, fault):
    keys = many(store)
    proxy.delay = 2.5
    proxy.fail(fault, "GET", r"articles/0\.json")
    began = time.monotonic()
    with pytest.raises(StorageUnavailable, match=rf"(?s){bucket}.*articles/0\.json.*Check that the endpoint"):
        list(store.get_many(keys))
    assert time.monotonic() - began < WRITE_DEADLINE
    assert len(proxy.requests("GET", r"articles/0\.json")) > 1
