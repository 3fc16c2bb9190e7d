"""The lease as an object: who has it, for how long, and who gets it next."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import orjson
import pytest
from django.core.files.storage import InMemoryStorage

from django_smarterbase.exceptions import CorruptDocument
from django_smarterbase.indexes import lease as lease_module
from django_smarterbase.indexes.lease import Lease, holder_of
from django_smarterbase.storage.memory import MemoryStore
from tests.clock import Clock

from .world import OPTIONS

KEY = "w/_sb/leases/job.json"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of all leases."""
    clock = Clock()
    monkeypatch.setattr(lease_module, "time", clock)
    return clock


@pytest.fixture
def store() -> MemoryStore:
    """A store of the test's own."""
    return MemoryStore(InMemoryStorage(), OPTIONS)


def test_a_lease_has_one_holder(store: MemoryStore, clock: Clock) -> None:
    one, other = Lease(store, KEY, 10), Lease(store, KEY, 10)
    assert (one.acquire(), other.acquire()) == (True, False)
    assert (one.is_held, other.is_held) == (True, False)


def test_a_lease_that_was_given_back_is_free_at_once(store: MemoryStore, clock: Clock) -> None:
    one, other = Lease(store, KEY, 10), Lease(store, KEY, 10)
    assert one.acquire()
    one.release()
    assert (one.is_held, store.get(KEY), other.acquire()) == (False, None, True)


def test_a_lease_is_taken_over_when_it_has_not_changed_for_its_time(store: MemoryStore, clock: Clock) -> None:
    one, other = Lease(store, KEY, 10), Lease(store, KEY, 1)
    assert one.acquire()
    clock.now += 5
    assert not other.acquire()  # first seen now: whatever its object says, ten seconds must pass
    clock.now += 10
    assert not other.acquire()
    clock.now += 1.1
    assert not one.is_held
    assert other.acquire()
    assert one.renew() is False
    one.release()
    assert other.is_held
    assert store.get(KEY) is not None


def test_a_lease_that_is_renewed_is_not_taken_over(store: MemoryStore, clock: Clock) -> None:
    one, other = Lease(store, KEY, 10), Lease(store, KEY, 10)
    assert one.acquire()
    for _ in range(5):
        assert not other.acquire()
        clock.now += 4
        assert one.is_due
        assert one.renew()
        assert not one.is_due
    assert one.is_held


def test_a_lease_that_has_run_out_is_not_renewed(store: MemoryStore, clock: Clock) -> None:
    one = Lease(store, KEY, 10)
    assert one.acquire()
    clock.now += 10
    assert (one.is_held, one.renew()) == (False, False)


def test_the_clock_on_the_wall_decides_nothing(store: MemoryStore, clock: Clock) -> None:
    for expires_at in ("1999-01-01T00:00:00+00:00", "2999-01-01T00:00:00+00:00"):
        body = {"owner": "x", "expires_at": expires_at, "seconds": 10}
        store.put(KEY, orjson.dumps(body))
        lease = Lease(store, KEY, 10)
        assert not lease.acquire()
        clock.now += 11.1
        assert lease.acquire()


def test_the_object_says_who_has_it_and_until_when(store: MemoryStore) -> None:
    lease = Lease(store, KEY, 10)
    began = datetime.now(UTC)
    assert lease.acquire()
    holder = holder_of(KEY, store.get(KEY).body)
    assert (holder.owner, holder.seconds) == (lease.owner, 10)
    assert began <= holder.expires_at - timedelta(seconds=10) <= datetime.now(UTC)


@pytest.mark.parametrize("seconds", ["?", '"nan"', '"inf"', "1e300", "-1", "null", "[]"])
def test_an_object_that_is_no_lease_is_taken_over_too(store: MemoryStore, clock: Clock, seconds: str) -> None:
    body = f'{{"owner": "x", "expires_at": "2999-01-01T00:00:00+00:00", "seconds": {seconds}}}'.encode()
    store.put(KEY, body)
    with pytest.raises(CorruptDocument):
        holder_of(KEY, body)
    lease = Lease(store, KEY, 10)
    assert not lease.acquire()
    clock.now += 11.1
    assert lease.acquire()


def test_two_leases_have_different_owners(store: MemoryStore) -> None:
    assert Lease(store, KEY, 1).owner != Lease(store, KEY, 1).owner
