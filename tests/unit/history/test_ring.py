"""The ring: bounded, numbered, and exact about what waits and what was dropped."""

import threading
from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_smarterbase.history.ring import Kept, Ring


def kept(name):
    return Kept(name, 1.0)


def names(kept):
    return [each.profile for each in kept]


def filled(size, count):
    ring = Ring(size)
    for number in range(1, count + 1):
        ring.add(kept(number))
    return ring


def test_ring_says_how_many_wait():
    ring = Ring(2)

    assert [ring.add(kept(name)) for name in "abc"] == [(1, False), (2, False), (2, True)]


def test_ring_drops_the_oldest_that_waits_and_counts_it():
    ring = filled(3, 5)

    assert (names(ring.latest()), ring.dropped) == ([3, 4, 5], 2)
    assert (ring.waiting(10).first, names(ring.waiting(10).kept)) == (3, [3, 4, 5])


def test_ring_keeps_what_was_sent_until_it_must_make_room_and_does_not_call_it_dropped():
    ring = filled(3, 3)
    ring.sent(ring.waiting(10))
    ring.add(kept(4))

    assert (names(ring.latest()), names(ring.waiting(10).kept), ring.dropped) == ([2, 3, 4], [4], 0)


def test_ring_gives_what_waits_in_batches_oldest_first():
    ring = filled(5, 5)

    first = ring.waiting(2)
    ring.sent(first)

    assert names(first.kept) == [1, 2]
    assert (ring.waiting(2).first, names(ring.waiting(2).kept)) == (3, [3, 4])


def test_batch_that_was_under_way_while_it_had_to_make_room_is_not_dropped():
    ring = filled(3, 3)
    batch = ring.waiting(2)
    for number in (4, 5, 6, 7):
        ring.add(kept(number))
    assert ring.dropped == 4

    ring.sent(batch)

    assert ring.dropped == 2
    assert names(ring.waiting(10).kept) == [5, 6, 7]


def test_batch_says_how_many_were_dropped_before_it():
    assert filled(3, 5).waiting(10).dropped == 2


def test_ring_gives_what_came_after_a_number():
    ring = filled(3, 5)

    assert ring.after(4) == (5, [kept(5)])
    assert ring.after(0) == (5, [kept(3), kept(4), kept(5)])
    assert ring.after(5) == (5, [])
    assert ring.after(9) == (5, [kept(3), kept(4), kept(5)])


@given(
    st.integers(1, 8),
    st.lists(st.one_of(st.just("add"), st.just("take"), st.just("arrive"), st.just("fail")), max_size=80),
)
def test_every_profile_is_sent_once_or_dropped_or_waits(size, actions):
    ring, arrived, added, batch = Ring(size), [], 0, None
    for action in actions:
        if action == "add":
            added += 1
            ring.add(kept(added))
        elif action == "take":
            batch = batch or ring.waiting(3)
        elif batch is not None:
            if action == "arrive":
                arrived += names(batch.kept)
                ring.sent(batch)
            batch = None
    waiting = names(ring.waiting(size).kept)

    assert arrived == sorted(set(arrived))
    assert not set(arrived) & set(waiting)
    assert len(arrived) + len(waiting) + ring.dropped == added
    assert names(ring.latest()) == list(deque(range(1, added + 1), maxlen=size))


@pytest.mark.parametrize("size", [10, 10_000])
def test_ring_loses_and_doubles_nothing_between_threads(size):
    ring, arrived = Ring(size), []
    done = threading.Event()

    def add(start):
        for number in range(start, start + 2000):
            ring.add(kept(number))

    def send():
        while True:
            last = done.is_set()
            batch = ring.waiting(7)
            arrived.extend(names(batch.kept))
            ring.sent(batch)
            if last and not batch.kept:
                return

    adders = [threading.Thread(target=add, args=(start,)) for start in (0, 10_000, 20_000)]
    sender = threading.Thread(target=send)
    for thread in (sender, *adders):
        thread.start()
    for thread in adders:
        thread.join(30)
    done.set()
    sender.join(30)

    assert len(arrived) == len(set(arrived))
    assert len(arrived) + ring.dropped == 6000
    assert len(ring.latest()) == min(size, 6000)
