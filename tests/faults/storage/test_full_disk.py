"""A disk that is full, fails or may not be written: StorageUnavailable, and nothing half-written is ever visible."""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.files.storage import FileSystemStorage

from django_smarterbase.conf import Options
from django_smarterbase.exceptions import StorageUnavailable
from django_smarterbase.storage.base import ObjectStore, Write
from django_smarterbase.storage.keys import Keyspace
from django_smarterbase.storage.opening import open_store

KEYS = Keyspace("db")
PREFIX = KEYS.table_prefix("articles")
KEY, OTHER = KEYS.document("articles", "1"), KEYS.document("articles", "2")
REMEDY = "Check that its file system is mounted and has room"
LIMIT = 64 * 1024  # bytes, the largest file
SMALL, LARGE = b"s" * 1000, b"L" * (2 * LIMIT)


def store_in(folder: Path) -> ObjectStore:
    return open_store(FileSystemStorage(location=folder), Options(write_deadline=2.0, concurrency=2))


def files_under(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def documents(folder: Path) -> dict[str, bytes]:
    return {key: stored.body for key, stored in store_in(folder).scan(PREFIX)}


def child_writes_too_much(folder: Path) -> None:
    """In a process whose files may not grow past a limit: the store says so, and goes on with what has room."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, LIMIT))
    store = store_in(folder)
    with pytest.raises(StorageUnavailable, match=f"{KEY}.*{os.strerror(errno.EFBIG)}.*{REMEDY}"):
        store.put(KEY, LARGE)
    with pytest.raises(StorageUnavailable, match=OTHER):
        store.put(OTHER, LARGE, if_absent=True)
    outcomes = list(store.write_many([Write(KEY, LARGE), Write(f"{PREFIX}3.json", SMALL, if_absent=True)]))
    assert [type(outcome.error) for outcome in outcomes] == [StorageUnavailable, type(None)]


def test_disk_that_takes_a_part_of_a_file_shows_nothing_of_it(tmp_path):
    store_in(tmp_path).put(KEY, SMALL)
    code = (
        f"from {__name__} import child_writes_too_much as run; from pathlib import Path; run(Path({str(tmp_path)!r}))"
    )
    setup = "import django; django.setup(); "
    done = subprocess.run(
        [sys.executable, "-c", setup + code],
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings", "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert documents(tmp_path) == {KEY: SMALL, f"{PREFIX}3.json": SMALL}
    assert not [name for name in files_under(tmp_path) if "/temp/" in name]


@pytest.mark.parametrize("call", ["write", "fsync", "replace"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EDQUOT], ids=errno.errorcode.get)
def test_write_that_fails_at_any_call_leaves_the_old_document(tmp_path, monkeypatch, call, code):
    store = store_in(tmp_path)
    etag = store.put(KEY, SMALL)
    before = files_under(tmp_path)
    original = getattr(os, call)

    def fail(*given):
        if call == "write" and len(given[1]) > 10:
            return original(given[0], given[1][:10])
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patched:
        patched.setattr(os, call, fail)
        with pytest.raises(StorageUnavailable, match=f"{tmp_path}.*{KEY}.*{os.strerror(code)}.*{REMEDY}"):
            store.put(KEY, LARGE, if_match=etag)
        with pytest.raises(StorageUnavailable, match=OTHER):
            store.put(OTHER, LARGE, if_absent=True)
    assert store.get(KEY) == (SMALL, etag)
    assert store.get(OTHER) is None
    assert documents(tmp_path) == {KEY: SMALL}
    assert {name for name in files_under(tmp_path) - before if "/locks/" not in name} == set()
    assert store.put(KEY, LARGE, if_match=etag)


def test_read_that_fails_is_not_taken_for_a_missing_document(tmp_path, monkeypatch):
    store = store_in(tmp_path)
    store.put(KEY, SMALL)

    def fail(*_):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "read", fail)
    for call in (lambda: store.get(KEY), lambda: list(store.get_many([KEY])), lambda: list(store.scan(PREFIX))):
        with pytest.raises(StorageUnavailable, match=f"{KEY}.*{REMEDY}"):
            call()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write to a read-only folder")
def test_folder_that_may_not_be_written_raises_and_can_be_read(tmp_path):
    store = store_in(tmp_path)
    etag = store.put(KEY, SMALL)
    folders = [tmp_path, *(path for path in tmp_path.rglob("*") if path.is_dir())]
    for folder in folders:
        folder.chmod(0o500)
    try:
        assert store.get(KEY) == (SMALL, etag)
        for call in (
            lambda: store.put(KEY, LARGE, if_match=etag),
            lambda: store.put(OTHER, LARGE, if_absent=True),
            lambda: store.delete(KEY, if_match=etag),
        ):
            with pytest.raises(StorageUnavailable, match=REMEDY):
                call()
        assert store.get(KEY) == (SMALL, etag)
    finally:
        for folder in folders:
            folder.chmod(0o700)
