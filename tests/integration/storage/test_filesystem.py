"""Files: conditions between processes, listings while files are replaced, links, durability and failures."""

from __future__ import annotations

import errno
import fcntl
import os
import queue
import shutil
import stat
import tempfile
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest
from django.core.files.storage import FileSystemStorage

from django_smarterbase.conf import Options
from django_smarterbase.exceptions import PreconditionFailed, StorageUnavailable
from django_smarterbase.ops import StorageOps, counting
from django_smarterbase.storage import files
from django_smarterbase.storage.base import Write
from django_smarterbase.storage.fence import Fence
from django_smarterbase.storage.keys import Keyspace, lock_file
from django_smarterbase.storage.locks import locked
from django_smarterbase.storage.opening import open_store

from . import processes

KEYS = Keyspace("db")
PREFIX = KEYS.table_prefix("articles")
KEY = KEYS.document("articles", "1")
OPTIONS = Options(fsync=False, write_deadline=0.3)


@pytest.fixture
def root(tmp_path):
    return tmp_path / "objects"


@pytest.fixture
def store(root):
    return open_store(FileSystemStorage(location=root), OPTIONS)


@pytest.fixture
def volatile_store():
    """A store on tmpfs where there is one: renaming over a file there moves it within its folder."""
    base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    location = tempfile.mkdtemp(dir=base)
    yield processes.file_store(location)
    shutil.rmtree(location)


def test_conditional_writes_lose_no_update_between_processes(root, store):
    store.put(KEY, b"0")
    processes.join([processes.start(processes.increment, str(root), KEY, 50) for _ in range(4)])
    assert store.get(KEY).body == b"200"


def test_listing_misses_no_file_that_another_process_replaces(volatile_store):
    location = volatile_store._storage.location
    keys = {KEYS.document("articles", str(number)) for number in range(1500)}
    for key in keys:
        volatile_store.put(key, b"x")
    started, stop = processes.SPAWN.Event(), processes.SPAWN.Event()
    writer = processes.start(processes.replace, location, sorted(keys), started, stop)
    try:
        assert started.wait(processes.DEADLINE)
        missed = [keys - {found.key for found in volatile_store.list(PREFIX)} for _ in range(40)]
    finally:
        stop.set()
        processes.join([writer])
    assert missed == [set()] * 40


@pytest.mark.parametrize("method", ["list", "scan"])
def test_listing_under_way_gives_what_is_replaced_behind_its_back(volatile_store, method):
    keys = [KEYS.document("articles", str(number)) for number in range(1500)]
    for key in keys:
        volatile_store.put(key, b"old")
    listing = getattr(volatile_store, method)(PREFIX)
    found = [next(listing)]
    for key in keys:
        volatile_store.put(key, b"new")
    found += listing
    assert {entry[0] for entry in found} == set(keys)


def test_listing_gets_its_turn_when_writers_come_without_a_gap(root):
    fence, ended, relieved = Fence(str(root), PREFIX, 60.0), threading.Event(), queue.SimpleQueue()

    def replace_without_end():
        while not ended.is_set():
            with fence.replacing("1"):
                if not relieved.empty():
                    relieved.get().set()
                successor = threading.Event()
                relieved.put(successor)
                successor.wait(0.2)  # but for one that gives way

    threads = [threading.Thread(target=replace_without_end) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        time.sleep(0.1)
        for _ in range(5):
            with fence.listing():
                pass
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def test_writer_goes_on_when_who_waits_to_list_never_comes(root):
    fence, ended = Fence(str(root), PREFIX, 2.0), threading.Event()
    waiting = Path(fence._file("waiting"))
    waiting.parent.mkdir(parents=True)

    def wait_without_end():
        while not ended.wait(0.001):
            waiting.touch()

    thread = threading.Thread(target=wait_without_end)
    thread.start()
    try:
        with fence.replacing("1"):
            pass
    finally:
        ended.set()
        thread.join()


@pytest.mark.parametrize("moved", [-3600.0, 3600.0])
def test_writer_gives_way_to_nobody_when_the_touch_is_of_another_time(root, moved, monkeypatch):
    fence = Fence(str(root), PREFIX, 0.4)
    waiting = Path(fence._file("waiting"))
    waiting.parent.mkdir(parents=True)
    waiting.touch()
    os.utime(waiting, (time.time() + moved,) * 2)
    monkeypatch.setattr("django_smarterbase.storage.fence.time.sleep", pytest.fail)
    with fence.replacing("1"):
        pass


def test_listing_gives_each_file_once_when_nothing_is_replaced_meanwhile(store):
    for _ in range(2):
        for number in range(20):
            store.put(KEYS.document("articles", str(number)), b"x")
    assert set(Counter(found.key for found in store.list(PREFIX)).values()) == {1}


@pytest.mark.parametrize("method", ["list", "scan"])
def test_listing_that_is_given_up_leaves_nothing_open(store, root, method):
    for number in range(150):
        store.put(KEYS.document("articles", str(number)), b"x")
    assert opened_under(root) == []
    listing = getattr(store, method)(PREFIX)
    next(listing)
    assert opened_under(root) != []
    listing.close()
    assert opened_under(root) == []


def opened_under(root):
    """What this process has open under a folder. Others of its descriptors come and go with threads and garbage."""
    opened = []
    for descriptor in os.listdir("/dev/fd"):
        with suppress(OSError):  # closed since
            opened.append(os.readlink(f"/dev/fd/{descriptor}"))
    return [path for path in opened if Path(path).is_relative_to(root)]


def test_log_of_replaced_names_is_emptied_when_nobody_lists(root, store):
    store.put(KEY, b"x")
    listing = store.list(PREFIX)
    next(listing)
    store.put(KEY, b"y")
    log = Path(Fence(str(root), PREFIX, 1)._file("listing"))
    assert log.read_bytes() == b"1.json\n"
    listing.close()
    store.put(KEY, b"z")
    assert log.read_bytes() == b""


def test_etag_changes_when_the_clock_stands_still(store, monkeypatch):
    monkeypatch.setattr(time, "time_ns", lambda: 1_700_000_000_000_000_000)
    etags = {store.put(KEY, b"same") for _ in range(50)}
    assert len(etags) == 50


def test_etag_changes_on_a_file_system_that_keeps_whole_seconds(store, monkeypatch):
    whole = os.utime
    monkeypatch.setattr(os, "utime", lambda path, ns: whole(path, ns=tuple(t // 10**9 * 10**9 for t in ns)))
    mtimes = [int(store.put(KEY, b"same").split("-")[0]) for _ in range(5)]
    assert mtimes == sorted(set(mtimes))


def test_write_fails_clearly_on_a_file_system_without_modification_times(store, root, monkeypatch):
    store.put(KEY, b"old")
    os.utime(root / KEY, ns=(2**62, 2**62))
    monkeypatch.setattr(os, "utime", lambda path, ns: None)
    with pytest.raises(StorageUnavailable, match="modification time"):
        store.put(KEY, b"new")
    assert store.get(KEY).body == b"old"
    assert os.listdir(root / "_sb/temp") == []


@pytest.mark.parametrize("where", ["file", "folder"])
def test_link_in_a_table_folder_is_not_an_object(store, root, tmp_path, where):
    store.put(KEY, b"x")
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "2.json").write_bytes(b"secret")
    link, key = {
        "file": ("2.json", f"{PREFIX}2.json"),
        "folder": ("link", f"{PREFIX}link"),
    }[where]
    (root / PREFIX / link).symlink_to(secret / "2.json" if where == "file" else secret)
    assert store.get(key) is None
    assert {found.key for found in store.list(PREFIX)} == {KEY}
    assert {name for name, _ in store.scan(PREFIX)} == {KEY}


def test_put_over_a_link_leaves_its_target_alone(store, root, tmp_path):
    (tmp_path / "target").write_bytes(b"precious")
    store.put(KEYS.document("articles", "2"), b"x")
    (root / KEY).symlink_to(tmp_path / "target")
    store.put(KEY, b"new", if_absent=True)
    assert (tmp_path / "target").read_bytes() == b"precious"
    assert store.get(KEY).body == b"new"


def test_pipe_and_folder_in_a_table_folder_are_not_objects(store, root):
    store.put(KEY, b"x")
    os.mkfifo(root / PREFIX / "2.json")
    (root / PREFIX / "3.json").mkdir()
    assert store.get(f"{PREFIX}2.json") is None
    assert store.get(f"{PREFIX}3.json") is None
    assert store.get(f"{KEY}/below") is None
    assert [name for name, _ in store.scan(PREFIX)] == [KEY]


@pytest.mark.parametrize("key", ["../outside", "/etc/passwd", "db/../../outside", "db//x"])
def test_key_that_leaves_the_location_is_refused(store, key):
    for call in (store.get, store.delete, lambda key: store.put(key, b"x"), lambda key: list(store.list(f"{key}/"))):
        with pytest.raises(ValueError, match="outside of the location"):
            call(key)


@pytest.mark.parametrize("error", [BlockingIOError(errno.EAGAIN, "busy"), IsADirectoryError(errno.EISDIR, "a folder")])
def test_scan_leaves_out_no_document_when_its_judge_fails_as_a_pipe_or_a_folder_would(store, error):
    store.put(KEY, b"{}")

    def fail(key, body):
        raise error

    with pytest.raises(StorageUnavailable, match=r"db/articles/1\.json"):
        list(store.scan(PREFIX, fail))


def test_scan_of_system_objects_counts_no_documents(store):
    for number in range(3):
        store.put(f"db/_sb/intents/{number}.json", b"{}")
    with counting() as ops:
        found = store.scan("db/_sb/intents/")
        next(found)
        found.close()
    assert ops.storage == StorageOps(system=2)  # a listing and a read
    with counting() as ops:
        assert len(list(store.scan("db/_sb/intents/"))) == 3
    assert ops.storage == StorageOps(system=4)


def test_table_folder_that_vanishes_is_made_again(store, root):
    store.put(KEY, b"x")
    shutil.rmtree(root)
    store.put(KEY, b"y", if_absent=True)
    assert store.get(KEY).body == b"y"


def test_delete_keeps_the_folder(store, root):
    store.put(KEY, b"x")
    store.delete(KEY)
    assert os.listdir(root / PREFIX) == []


def test_table_folder_holds_documents_only_and_nothing_temporary_remains(store, root):
    for number in range(3):
        store.put(KEYS.document("articles", str(number)), b"x")
    with pytest.raises(PreconditionFailed):
        store.put(KEYS.document("articles", "1"), b"y", if_absent=True)
    assert sorted(os.listdir(root / PREFIX)) == ["0.json", "1.json", "2.json"]
    assert os.listdir(root / "_sb/temp") == []


def test_file_and_folder_get_the_modes_of_the_storage(root):
    storage = FileSystemStorage(location=root, file_permissions_mode=0o600, directory_permissions_mode=0o700)
    open_store(storage, OPTIONS).put(KEY, b"x")
    assert stat.S_IMODE((root / KEY).stat().st_mode) == 0o600
    assert stat.S_IMODE((root / PREFIX).stat().st_mode) == 0o700


@pytest.mark.parametrize("fsync", [True, False])
def test_write_syncs_file_before_and_folder_after_the_rename_unless_told_otherwise(root, monkeypatch, fsync):
    store = open_store(FileSystemStorage(location=root), Options(fsync=fsync))
    store.put(KEY, b"x")
    steps = []
    really, rename = os.fsync, os.replace

    def note(descriptor):
        steps.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        really(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    monkeypatch.setattr(os, "replace", lambda *paths: (steps.append("rename"), rename(*paths)))
    store.put(KEY, b"y")
    store.delete(KEY)
    assert steps == (["file", "rename", "folder", "folder"] if fsync else ["rename"])


def test_new_folders_are_synced_into_their_parents(root, monkeypatch):
    synced = []
    monkeypatch.setattr(files, "sync_folder", synced.append)
    open_store(FileSystemStorage(location=root), Options(fsync=True)).put(KEY, b"x")
    assert {str(root), str(root / "db"), str(root / PREFIX).rstrip("/")} <= set(synced)


def test_write_gives_up_when_another_process_keeps_the_lock(store, root):
    store.put(KEY, b"x")
    with (root / lock_file(KEY)).open("r+b") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(StorageUnavailable, match="stopped process"):
            store.put(KEY, b"y")
    store.put(KEY, b"z")
    assert store.get(KEY).body == b"z"


def test_lock_taken_on_a_file_that_was_removed_is_taken_again(tmp_path, monkeypatch):
    path = tmp_path / "lock"
    take, operations = fcntl.flock, []

    def overtaken(descriptor, operation):
        if not operations:
            path.unlink()
        operations.append(operation)
        take(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", overtaken)
    with locked(str(path), fcntl.LOCK_EX, 1) as descriptor:
        assert os.path.samestat(os.fstat(descriptor), path.stat())


def test_failure_of_the_file_system_names_place_and_remedy(store, root):
    root.write_bytes(b"a file where the location should be")
    with pytest.raises(StorageUnavailable, match=r"articles/1\.json.*Check that its file system is mounted"):
        store.put(KEY, b"x")


def test_write_many_reports_failures_one_by_one(root):
    store = open_store(FileSystemStorage(location=root), Options(fsync=True, concurrency=4))
    store.put(KEYS.document("articles", "0"), b"x")
    (root / PREFIX / "5.json").mkdir()
    writes = [Write(KEYS.document("articles", str(number)), b"y", if_absent=True) for number in range(8)]
    outcomes = list(store.write_many(writes))
    assert {outcome.write.key: type(outcome.error) for outcome in outcomes if outcome.error} == {
        KEYS.document("articles", "0"): PreconditionFailed,
        KEYS.document("articles", "5"): StorageUnavailable,
    }
    assert os.listdir(root / "_sb/temp") == []


def test_store_is_shared_by_all_who_open_the_same_storage(root):
    storage = FileSystemStorage(location=root)
    assert open_store(storage, OPTIONS) is open_store(storage, OPTIONS)
    assert open_store(storage, OPTIONS) is not open_store(FileSystemStorage(location=root), OPTIONS)
