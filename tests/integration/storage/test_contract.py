"""What every adapter keeps, whatever is behind it."""

from __future__ import annotations

import threading
import time
from itertools import islice

import pytest

from django_smarterbase.exceptions import DeadlinePassed, PreconditionFailed
from django_smarterbase.ops import StorageOps, counting
from django_smarterbase.storage.base import ObjectStore, Stored, Unchanged, Write
from django_smarterbase.storage.filesystem import FileSystemStore
from django_smarterbase.storage.generic import GenericStore
from django_smarterbase.storage.keys import Keyspace, stem
from django_smarterbase.storage.memory import MemoryStore
from django_smarterbase.storage.s3 import S3Store

KEYS = Keyspace("db")
HOSTILE = (
    "a/b",
    "..",
    ".",
    "\0",
    " ",
    "",
    "🙂",
    "x" * 10_000,
    "a\\b",
    "%2F",
    "~",
    "a+b&c=d?e#f",
    "é",
    "-",
    "_sb",
    "A",
    "a",
)


def key(name: object, table: str = "articles") -> str:
    return KEYS.document(table, stem([name]))


def test_open_store_picks_the_adapter(store, kind):
    kinds = {"memory": MemoryStore, "files": FileSystemStore, "generic": GenericStore}
    assert type(store) is kinds.get(kind, S3Store)


def test_get_is_none_when_there_is_no_object(store):
    assert store.get(key(1)) is None


def test_get_gives_what_put_wrote(store):
    etag = store.put(key(1), b'{"a": 1}')
    assert store.get(key(1)) == Stored(b'{"a": 1}', etag)


def test_revalidation_tells_what_is_unchanged_without_its_body(store, kind):
    etags = [store.put(key(number), b"body %d" % number) for number in range(3)]
    changed = store.put(key(1), b"changed")
    known = [(key(0), etags[0]), (key(1), etags[1]), (key(2), None), (key(3), etags[0]), (key(4), None)]
    with counting() as ops:
        found = dict(store.revalidate(iter(known)))
    assert found == {
        key(0): Unchanged(),
        key(1): Stored(b"changed", changed),
        key(2): Stored(b"body 2", etags[2]),
        key(3): None,
        key(4): None,
    }
    assert list(found) == [each for each, _etag in known]
    assert ops.storage.reads == 5
    assert ops.storage.bytes_read == len(b"changed" + b"body 2") + (0 if store.place() is not None else len(b"body 0"))
    assert (store.place() is None) == (kind in {"memory", "generic"})


def test_write_whose_deadline_has_passed_writes_nothing(store):
    etag, over = store.put(key(1), b"first"), time.monotonic() - 1
    for write in (
        lambda: store.put(key(1), b"second", deadline=over),
        lambda: store.put(key(1), b"second", if_match=etag, deadline=over),
        lambda: store.put(key(2), b"second", if_absent=True, deadline=over),
        lambda: store.delete(key(1), if_match=etag, deadline=over),
    ):
        with pytest.raises(DeadlinePassed):
            write()
    outcomes = list(store.write_many([Write(key(1), b"third", deadline=over), Write(key(1), None, deadline=over)]))
    assert [type(outcome.error) for outcome in outcomes] == [DeadlinePassed, DeadlinePassed]
    assert store.get(key(1)) == Stored(b"first", etag)
    assert store.get(key(2)) is None


def test_write_within_its_deadline_is_done(store):
    ahead = time.monotonic() + 60
    etag = store.put(key(1), b"first", if_absent=True, deadline=ahead)
    store.delete(key(1), if_match=etag, deadline=ahead)
    assert store.get(key(1)) is None


@pytest.mark.parametrize("body", [b"", b"\0\xff" * 100, b"x" * 300_000])
def test_get_gives_back_any_bytes(store, body):
    store.put(key(1), body)
    assert store.get(key(1)).body == body


def test_put_replaces_and_changes_the_etag(store):
    first = store.put(key(1), b"first")
    second = store.put(key(1), b"secnd")
    assert store.get(key(1)) == Stored(b"secnd", second)
    assert first != second


def test_put_if_absent_creates_once(store):
    store.put(key(1), b"first", if_absent=True)
    with pytest.raises(PreconditionFailed, match=r"db/articles/1\.json"):
        store.put(key(1), b"second", if_absent=True)
    assert store.get(key(1)).body == b"first"


def test_put_if_match_replaces_when_the_etag_is_still_the_same(store):
    etag = store.put(key(1), b"first")
    store.put(key(1), b"second", if_match=etag)
    with pytest.raises(PreconditionFailed):
        store.put(key(1), b"third", if_match=etag)
    assert store.get(key(1)).body == b"second"


def test_put_if_match_fails_when_there_is_no_object(store):
    etag = store.put(key(1), b"first")
    store.delete(key(1))
    with pytest.raises(PreconditionFailed):
        store.put(key(1), b"second", if_match=etag)
    assert store.get(key(1)) is None


def test_delete_removes_and_may_be_repeated(store):
    store.put(key(1), b"first")
    store.delete(key(1))
    store.delete(key(1))
    assert store.get(key(1)) is None


def test_delete_if_match_removes_only_the_state_that_was_read(store):
    old = store.put(key(1), b"first")
    new = store.put(key(1), b"second")
    with pytest.raises(PreconditionFailed):
        store.delete(key(1), if_match=old)
    assert store.get(key(1)).body == b"second"
    store.delete(key(1), if_match=new)
    assert store.get(key(1)) is None
    with pytest.raises(PreconditionFailed):
        store.delete(key(1), if_match=new)


def test_get_many_keeps_the_order_of_keys(store):
    for number in range(30):
        store.put(key(number), str(number).encode())
    asked = [key(number) for number in (*range(29, -1, -1), 99, 3, 3)]
    got = list(store.get_many(iter(asked)))
    assert [name for name, _ in got] == asked
    assert [stored.body if stored else None for _, stored in got] == [
        *(str(number).encode() for number in range(29, -1, -1)),
        None,
        b"3",
        b"3",
    ]


def test_get_many_reads_no_further_than_a_window_ahead(store):
    taken = []

    def keys():
        for number in range(100):
            taken.append(number)
            yield key(number)

    results = store.get_many(keys())
    list(islice(results, 1))
    results.close()
    assert len(taken) <= 2 * 4 + 1


def test_list_gives_keys_etags_and_sizes_under_the_prefix_only(store, kind):
    etags = {key(name): store.put(key(name), b"x" * 7) for name in (1, 2, 3)}
    store.put(key(1, "articles2"), b"x")
    store.put(KEYS.manifest(), b"x")
    listed = {found.key: found for found in store.list(KEYS.table_prefix("articles"))}
    assert listed.keys() == etags.keys()
    if kind != "generic":
        assert {name: found.etag for name, found in listed.items()} == etags
        assert {found.size for found in listed.values()} == {7}


def test_list_is_empty_when_nothing_was_ever_written(store):
    assert list(store.list(KEYS.table_prefix("articles"))) == []


def test_list_begins_after_the_given_key(store):
    for number in range(1, 6):
        store.put(key(number), b"x")
    listed = {found.key for found in store.list(KEYS.table_prefix("articles"), start_after=key(3))}
    assert listed == {key(4), key(5)}


def test_list_descends_into_folders(store):
    claims = {KEYS.unique("articles", "slug", digest) for digest in "ab"} | {KEYS.unique("articles", "title", "c")}
    for claim in claims:
        store.put(claim, b"{}")
    assert {found.key for found in store.list(KEYS.unique_prefix("articles"))} == claims


def test_list_of_everything_shows_objects_only(store):
    store.put(key(1), b"x")
    store.put(key(1), b"y")
    store.put(KEYS.manifest(), b"{}")
    list(store.list(KEYS.table_prefix("articles")))
    assert {found.key for found in store.list("")} == {key(1), KEYS.manifest()}


def test_scan_gives_every_object_with_its_body_and_etag(store):
    expected = {}
    for number in range(20):
        body = str(number).encode()
        expected[key(number)] = Stored(body, store.put(key(number), body))
    assert dict(store.scan(KEYS.table_prefix("articles"))) == expected


def test_scan_reads_and_counts_what_is_refused_and_gives_the_rest(store):
    etags = {key(number): store.put(key(number), str(number).encode()) for number in range(6)}
    judged = {}

    def admits(name: str, body: bytes) -> bool:
        judged[name] = body
        return body in (b"", b"3")

    etags[key(6)] = store.put(key(6), b"")
    with counting() as ops:
        found = dict(store.scan(KEYS.table_prefix("articles"), admits))
    assert found == {key(3): Stored(b"3", etags[key(3)]), key(6): Stored(b"", etags[key(6)])}
    assert judged == {key(number): str(number).encode() for number in range(6)} | {key(6): b""}
    assert ops.storage == StorageOps(reads=7, lists=1, bytes_read=6)


def test_scan_raises_what_the_judge_raises(store):
    store.put(key(1), b"1")

    def admits(name: str, body: bytes) -> bool:
        raise LookupError(name)

    with pytest.raises(LookupError, match=r"db/articles/1\.json"):
        list(store.scan(KEYS.table_prefix("articles"), admits))


def test_scan_hands_on_foreign_objects_for_the_reader_to_judge(store):
    store.put(key(1), b"{}")
    foreign = [f"{KEYS.table_prefix('articles')}{name}" for name in ("README.txt", "folder/2.json")]
    for name in foreign:
        store.put(name, b"not a document")
    found = dict(store.scan(KEYS.table_prefix("articles")))
    assert found.keys() == {key(1), *foreign}
    assert {KEYS.stem_of_key("articles", name) for name in found} == {"1", None}


def test_hostile_primary_keys_are_kept_apart_and_found_again(store):
    for value in HOSTILE:
        store.put(key(value), value.encode(), if_absent=True)
    assert {store.get(key(value)).body for value in HOSTILE} == {value.encode() for value in HOSTILE}
    listed = {found.key for found in store.list(KEYS.table_prefix("articles"))}
    assert listed == {key(value) for value in HOSTILE}
    for value in HOSTILE:
        store.delete(key(value))
    assert list(store.list(KEYS.table_prefix("articles"))) == []


def test_write_many_applies_each_write_on_its_own(store):
    kept = store.put(key(1), b"one")
    store.put(key(2), b"two")
    writes = [
        Write(key(1), b"changed", if_match=kept),
        Write(key(2), b"changed", if_match=kept),
        Write(key(3), b"new", if_absent=True),
        Write(key(1), b"new", if_absent=True),
        Write(key(2), None),
        Write(key(9), None, if_match=kept),
    ]
    outcomes = list(store.write_many(iter(writes[:3]))) + list(store.write_many(iter(writes[3:])))
    assert [outcome.write for outcome in outcomes] == writes
    assert [type(outcome.error) for outcome in outcomes] == [
        type(None),
        PreconditionFailed,
        type(None),
        PreconditionFailed,
        type(None),
        PreconditionFailed,
    ]
    assert outcomes[0].etag == store.get(key(1)).etag
    assert outcomes[4].etag is None
    assert store.get(key(2)) is None
    assert store.get(key(3)).body == b"new"


def test_counters_are_exact(store, kind):
    body = b"x" * 10
    with counting() as ops:
        for number in range(6):
            store.put(key(number), body)
        list(store.write_many([Write(key(6), body), Write(key(7), body)]))
        store.get(key(0))
        store.get(key(99))
        list(store.get_many([key(1), key(2), key(98)]))
        list(store.list(KEYS.table_prefix("articles")))
        list(store.scan(KEYS.table_prefix("articles")))
        store.delete(key(0))
    assert ops.storage == StorageOps(
        reads=1 + 1 + 3 + 8, writes=8, deletes=1, lists=2, bytes_read=(1 + 2 + 8) * 10, bytes_written=80
    )


def test_counters_put_system_objects_apart(store):
    with counting() as ops:
        store.put(KEYS.manifest(), b"{}")
        store.get(KEYS.manifest())
        list(store.list(KEYS.schema_prefix()))
        store.delete(KEYS.manifest())
    assert ops.storage == StorageOps(system=4)


def test_readers_never_see_half_of_a_write_of_this_process(store, kind):
    bodies = [bytes([letter]) * 200_000 for letter in b"ab"]
    store.put(key(1), bodies[0])
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            for body in bodies:
                store.put(key(1), body)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        seen = [store.get(key(1)) for _ in range(60)]
        listed = [[found.key for found in store.list(KEYS.table_prefix("articles"))] for _ in range(10)]
    finally:
        stop.set()
        writer.join()
    assert {stored.body for stored in seen} <= set(bodies)
    if kind != "generic":  # a listing may fall between its delete and save
        assert all(set(names) == {key(1)} for names in listed)


def test_conditional_writes_lose_no_update_between_threads(store):
    store.put(key(1), b"0")

    def increment(times: int) -> None:
        for _ in range(times):
            while True:
                stored = store.get(key(1))
                try:
                    store.put(key(1), str(int(stored.body) + 1).encode(), if_match=stored.etag)
                    break
                except PreconditionFailed:
                    continue

    threads = [threading.Thread(target=increment, args=(10,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.get(key(1)).body == b"40"


def test_verify_conditions_is_true_where_conditions_hold_between_processes(store: ObjectStore, kind):
    assert store.verify_conditions() is (kind != "generic")
    assert store.conditional is (kind != "generic")
    assert list(store.list("")) == []


def test_folders_are_those_that_hold_objects_each_once(store):
    tenants = Keyspace("db").tenants_prefix()
    for name in ("a", "b", "b/c", "é"):
        keys = Keyspace("db", name)
        store.put(keys.manifest(), b"{}")
        store.put(keys.document("t", "1"), b"{}")
    store.put(f"{tenants}stray.json", b"{}")
    store.put(key(1), b"{}")
    emptied = Keyspace("db", "b").prefix()
    for listed in list(store.list(emptied)):
        store.delete(listed.key)

    assert sorted(store.folders(tenants)) == ["%C3%A9", "a", "b%2Fc"]
    assert list(store.folders("nowhere/")) == []
