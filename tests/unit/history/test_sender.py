"""The sending thread: soon, not at once; hurried by a full ring; ended in time."""

import logging
import threading
import time

import pytest

from django_smarterbase.history import sender as sender_module
from django_smarterbase.history.sender import Sender

PATIENCE = 30  # seconds


class Flushed:
    """A history that notes when it is flushed."""

    alias = "default"
    tenant = None

    def __init__(self, outcomes=()):
        self.outcomes = list(outcomes)
        self.times = []
        self.called = threading.Semaphore(0)

    def flush(self):
        self.times.append(time.monotonic())
        outcome = self.outcomes.pop(0) if self.outcomes else True
        self.called.release()
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


@pytest.fixture
def gathering(monkeypatch):
    """A function that sets for how many seconds profiles are gathered."""
    return lambda seconds: monkeypatch.setattr(sender_module, "GATHERING", seconds)


def ended(sender):
    sender.end(PATIENCE)
    return sender._thread is None or not sender._thread.is_alive()


def test_sender_starts_no_thread_before_something_waits():
    sender = Sender(list)
    sender.notice(0.0)

    assert sender._thread is None
    assert ended(sender)


def test_sender_gathers_before_it_sends(gathering):
    gathering(0.2)
    history, begun = Flushed(), time.monotonic()
    sender = Sender(lambda: [history])
    sender.notice(0.01)

    assert history.called.acquire(timeout=PATIENCE)
    assert history.times[0] - begun >= 0.2
    assert ended(sender)


def test_sender_sends_at_once_when_a_ring_fills(gathering):
    gathering(60)
    history = Flushed()
    sender = Sender(lambda: [history])
    sender.notice(0.01)
    sender.notice(0.25)

    assert history.called.acquire(timeout=PATIENCE)
    assert ended(sender)


def test_sender_tries_again_until_all_is_sent_and_is_not_hurried_meanwhile(gathering):
    gathering(0.1)
    history = Flushed([False, False, True])
    sender = Sender(lambda: [history])
    sender.notice(1.0)
    for _ in range(3):
        assert history.called.acquire(timeout=PATIENCE)
        sender.notice(1.0)
    first, second, third = history.times[:3]

    assert second - first >= 0.1
    assert third - second >= 0.1
    assert ended(sender)


def test_sender_survives_what_it_did_not_expect_and_logs_it_once(gathering, caplog):
    gathering(0.01)
    history, other = Flushed([ValueError("no cache"), ValueError("no cache"), True]), Flushed()
    sender = Sender(lambda: [history, other])
    with caplog.at_level(logging.ERROR, "django_smarterbase.query"):
        sender.notice(0.01)
        for each in (history, history, history, other, other, other):
            assert each.called.acquire(timeout=PATIENCE)
        assert ended(sender)

    assert [record.message for record in caplog.records] == ["The profiles of database 'default' cannot be sent."]


def test_end_sends_what_waits_without_gathering(gathering):
    gathering(60)
    history, begun = Flushed(), time.monotonic()
    sender = Sender(lambda: [history])
    sender.notice(0.01)

    assert ended(sender)
    assert len(history.times) == 1
    assert time.monotonic() - begun < 30


def test_end_gives_up_on_a_history_that_hangs():
    hanging = threading.Event()

    class Hanging:
        alias = "default"

        def flush(self):
            return hanging.wait(30)

    sender = Sender(lambda: [Hanging()])
    sender.notice(1.0)
    begun = time.monotonic()
    sender.end(0.2)

    assert time.monotonic() - begun < 10
    assert sender._thread.is_alive()
    hanging.set()
    sender._thread.join(PATIENCE)


def test_sender_starts_nothing_once_it_was_ended():
    sender = Sender(list)
    sender.end(1)
    sender.notice(1.0)

    assert sender._thread is None
