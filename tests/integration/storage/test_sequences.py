"""Sequences: exactly so many values, never the same twice, one write when nobody else allocates."""

from __future__ import annotations

import threading

import pytest
from django.db import OperationalError

from django_smarterbase.conf import Options
from django_smarterbase.exceptions import ConflictError, CorruptDocument
from django_smarterbase.ops import StorageOps, counting
from django_smarterbase.storage import sequences as module
from django_smarterbase.storage.keys import Keyspace
from django_smarterbase.storage.opening import open_store
from django_smarterbase.storage.sequences import Sequences

from . import processes

KEYS = Keyspace("db")


@pytest.fixture
def sequences(store):
    return Sequences(store, KEYS)


def test_allocate_gives_exactly_so_many_values_from_one_upwards(sequences):
    assert sequences.allocate("articles", 3) == range(1, 4)
    assert sequences.allocate("articles", 1) == range(4, 5)
    assert sequences.allocate("authors", 1) == range(1, 2)


def test_allocate_refuses_less_than_one_value(sequences):
    with pytest.raises(ValueError, match="not 0"):
        sequences.allocate("articles", 0)


def test_allocate_is_one_conditional_write_when_nobody_else_allocates(make_storage):
    sequences = Sequences(open_store(make_storage("s3"), Options()), KEYS)
    sequences.allocate("articles", 1)
    with counting() as ops:
        sequences.allocate("articles", 5)
    assert ops.storage == StorageOps(system=1)


def test_sequence_object_is_plain_json(store, sequences):
    sequences.allocate("articles", 7)
    assert store.get(KEYS.sequence("articles")).body == b'{"last":7}'


def test_allocate_begins_above_the_largest_key_of_the_table(store, sequences):
    for name in (
        "7.json",
        "12.json",
        "-99.json",
        "abc.json",
        "a!9.json",
        "1.5.json",
        "99",
        f"{10**30}.json",
        "٩٩.json",
    ):
        store.put(f"{KEYS.table_prefix('articles')}{name}", b"{}")
    assert sequences.allocate("articles", 1) == range(13, 14)


def test_allocate_begins_above_the_floor_which_is_asked_only_then(sequences):
    assert sequences.allocate("articles", 2, lambda: 40) == range(41, 43)
    assert sequences.allocate("articles", 1, lambda: pytest.fail("the sequence exists")) == range(43, 44)


def test_allocate_goes_on_after_another_process(store, sequences):
    other = Sequences(store, KEYS)
    taken = [number for _ in range(5) for one in (sequences, other) for number in one.allocate("articles", 2)]
    assert taken == list(range(1, 21))


def test_raise_to_makes_later_values_exceed_the_value(sequences):
    sequences.raise_to("articles", 10)
    assert sequences.allocate("articles", 1) == range(11, 12)
    sequences.raise_to("articles", 5)
    assert sequences.allocate("articles", 1) == range(12, 13)


def test_raise_to_on_a_new_sequence_minds_the_keys_of_the_table(store, sequences):
    store.put(KEYS.document("articles", "50"), b"{}")
    sequences.raise_to("articles", 10)
    assert sequences.allocate("articles", 1) == range(51, 52)


def test_catch_up_exceeds_the_largest_key_whatever_else_is_among_the_keys(store, sequences):
    sequences.allocate("articles", 3)
    for name in ("50", "7", f"{10**30}", "%D9%A3%D9%A3", "-99", "abc"):
        store.put(KEYS.document("articles", name), b"{}")
    sequences.catch_up("articles")
    assert sequences.allocate("articles", 1) == range(51, 52)


def test_allocate_gives_the_last_value_of_sqlite_and_no_more(store, sequences):
    store.put(KEYS.sequence("articles"), b'{"last": 9223372036854775805}')
    with pytest.raises(OperationalError, match=r"'articles'.*no more values.*9223372036854775807"):
        sequences.allocate("articles", 3)
    assert sequences.allocate("articles", 2) == range(2**63 - 2, 2**63)
    with pytest.raises(OperationalError):
        sequences.allocate("articles", 1)


def test_raise_to_sends_no_request_when_the_sequence_is_known_to_be_past(sequences):
    sequences.allocate("articles", 10)
    with counting() as ops:
        sequences.raise_to("articles", 10)
        sequences.raise_to("articles", 3)
    assert ops.storage == StorageOps()


def test_raise_to_writes_nothing_when_another_process_has_gone_past(store, sequences):
    Sequences(store, KEYS).allocate("articles", 10)
    etag = store.get(KEYS.sequence("articles")).etag
    sequences.raise_to("articles", 10)
    assert store.get(KEYS.sequence("articles")).etag == etag


def test_reset_begins_anew_from_the_table_even_for_other_processes(store, sequences):
    other = Sequences(store, KEYS)
    sequences.allocate("articles", 10)
    other.allocate("articles", 1)
    store.put(KEYS.document("articles", "4"), b"{}")
    sequences.reset("articles")
    assert other.allocate("articles", 1) == range(5, 6)
    assert sequences.allocate("articles", 1) == range(6, 7)


def test_threads_never_get_the_same_value(store, monkeypatch):
    allocated, lock = [], threading.Lock()
    shared = [Sequences(store, KEYS), Sequences(store, KEYS)]

    def allocate(sequences: Sequences) -> None:
        for _ in range(8):
            values = sequences.allocate("articles", 2)
            with lock:
                allocated.extend(values)

    threads = [threading.Thread(target=allocate, args=(one,)) for one in shared * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(allocated) == list(range(1, 65))


def test_processes_never_get_the_same_value(tmp_path):
    store = processes.file_store(str(tmp_path))
    keys = [KEYS.document("results", str(number)) for number in range(3)]
    processes.join([processes.start(processes.allocate, str(tmp_path), key, 60) for key in keys])
    values = [int(value) for key in keys for value in store.get(key).body.split(b",")]
    assert sorted(values) == list(range(1, 3 * 120 + 1))


def test_allocate_gives_up_after_many_lost_races(make_storage, monkeypatch):
    monkeypatch.setattr(module, "_LONGEST_PAUSE", 0)
    store = open_store(make_storage("memory"), Options())
    sequences = Sequences(store, KEYS)
    sequences.allocate("articles", 1)
    get = store.get

    def overtaken(key):
        stored = get(key)
        store.put(key, stored.body)
        return stored

    store.put(KEYS.sequence("articles"), b'{"last":5}')
    monkeypatch.setattr(store, "get", overtaken)
    with pytest.raises(ConflictError, match=r"'articles'.*60 attempts.*bulk_create"):
        sequences.allocate("articles", 1)


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"[]", b"{}", b'{"last": "7"}', b'{"last": null}', b'{"last": true}', b"\xff"),
        *(b'{"last": -1}', b'{"last": 9223372036854775808}', b'{"last": 1e3}'),
    ],
)
def test_unreadable_sequence_is_named(make_storage, body):
    store = open_store(make_storage("memory"), Options())
    store.put(KEYS.sequence("articles"), body)
    with pytest.raises(CorruptDocument, match=r"db/_sb/sequences/articles\.json"):
        Sequences(store, KEYS).allocate("articles", 1)
