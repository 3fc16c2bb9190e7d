"""What the adapters tell of requests that fail or are repeated."""

from __future__ import annotations

import errno
from fcntl import LOCK_EX

import pytest
from botocore.config import Config
from django.core.files.storage import FileSystemStorage

from django_smarterbase.conf import Options
from django_smarterbase.exceptions import PreconditionFailed, StorageUnavailable
from django_smarterbase.storage import files, s3
from django_smarterbase.storage.keys import lock_file
from django_smarterbase.storage.locks import locked
from django_smarterbase.storage.opening import open_store

from .conftest import PlainStorage
from .test_s3 import KEY, OPTIONS, PREFIX, answer, intercepted, lost_answer

NAMED = Options(storage="objects", concurrency=4, fsync=False, write_deadline=0.3, trust_seconds=0.1)


def failures(told):
    return [(each["storage"], each["key"], type(each["error"]).__name__) for each in told.arguments(FAILED)]


def retries(told):
    return [(each["storage"], each["operation"], each["key"], each["attempt"]) for each in told.arguments(RETRIED)]


FAILED, RETRIED = "storage_request_failed", "storage_request_retried"


def test_s3_that_is_down_is_told_once_a_request(make_s3, told):
    config = Config(retries={"total_max_attempts": 1}, connect_timeout=1)
    store = open_store(make_s3(endpoint_url="http://127.0.0.1:9", client_config=config), NAMED)
    with pytest.raises(StorageUnavailable):
        store.get(KEY)
    assert failures(told) == [("objects", KEY, "EndpointConnectionError")]
    assert retries(told) == []


def test_s3_request_that_the_client_repeats_is_told(make_s3, told):
    store = open_store(make_s3(lost_answer("PutObject")), OPTIONS)
    store.put(KEY, b"mine")
    assert retries(told) == [("smarterbase", "put_object", KEY, 1)]
    assert failures(told) == []


def test_s3_request_that_fails_for_good_is_told_with_its_retries(make_s3, told):
    def fail(request, **_kwargs):
        return answer(request, 503, "SlowDown")

    store = open_store(make_s3(intercepted("before-send.s3.GetObject", fail)), OPTIONS)
    with pytest.raises(StorageUnavailable):
        store.get(KEY)
    assert retries(told) == [("smarterbase", "get_object", KEY, attempt) for attempt in (1, 2)]
    assert failures(told) == [("smarterbase", KEY, "ClientError")]


def test_s3_write_that_meets_another_one_is_told_as_repeated(make_s3, told, monkeypatch):
    monkeypatch.setattr(s3, "_PAUSE", 0.001)
    left = [1, 2]

    def conflict(request, **_kwargs):
        return answer(request, 409, "ConditionalRequestConflict") if left and left.pop() else None

    store = open_store(make_s3(intercepted("before-send.s3.PutObject", conflict)), OPTIONS)
    store.put(KEY, b"x")
    assert retries(told) == [("smarterbase", "put_object", KEY, attempt) for attempt in (1, 2)]


def test_s3_body_that_breaks_off_is_told_as_repeated(make_s3, told):
    broken = []

    def cut(parsed, **_kwargs):
        if not broken:
            broken.append(parsed)
            parsed["Body"]._content_length = "9"

    open_store(make_s3(), OPTIONS).put(KEY, b"whole")
    assert open_store(make_s3(intercepted("after-call.s3.GetObject", cut)), OPTIONS).get(KEY).body == b"whole"
    assert retries(told) == [("smarterbase", "get_object", KEY, 1)]


def test_plain_answers_are_no_failures(store, told):
    assert store.get(KEY) is None
    etag = store.put(KEY, b"x")
    with pytest.raises(PreconditionFailed):
        store.put(KEY, b"y", if_absent=True)
    store.delete(KEY, if_match=etag)
    assert told == []


def test_disk_that_fails_is_told(tmp_path, told, monkeypatch):
    def fail(*_args, **_kwargs):
        raise OSError(errno.EIO, "Input/output error")

    store = open_store(FileSystemStorage(location=tmp_path), NAMED)
    store.put(KEY, b"x")
    for name in ("read", "read_in", "status"):
        monkeypatch.setattr(files, name, fail)
    requests = {
        KEY: (lambda: store.get(KEY), lambda: store.put(KEY, b"y"), lambda: store.delete(KEY)),
        "db/articles/1.json": (lambda: list(store.list(PREFIX)), lambda: list(store.scan(PREFIX))),
    }
    for key, each in requests.items():
        for request in each:
            told.clear()
            with pytest.raises(StorageUnavailable):
                request()
            assert failures(told) == [("objects", key, "OSError")]


def test_lock_that_is_not_to_be_had_is_told(tmp_path, told, monkeypatch):
    store = open_store(FileSystemStorage(location=tmp_path), NAMED)
    store.put(KEY, b"1")
    path = store._path(lock_file(KEY))
    with locked(path, LOCK_EX, 1), pytest.raises(StorageUnavailable, match="held the lock file"):
        store.put(KEY, b"2")
    assert failures(told) == [("objects", KEY, "StorageUnavailable")]


def test_storage_that_fails_in_its_own_way_is_told(tmp_path, told):
    class Faulty(PlainStorage):
        def _open(self, name, mode="rb"):
            raise RuntimeError("no such service")

    with pytest.raises(StorageUnavailable):
        open_store(Faulty(tmp_path), NAMED).get(KEY)
    assert failures(told) == [("objects", KEY, "RuntimeError")]


def test_storage_that_never_keeps_a_name_is_told_once(tmp_path, told):
    class Renaming(PlainStorage):
        def _save(self, name, content):
            return self.inner.save(f"{name}.other", content)

    with pytest.raises(StorageUnavailable, match="under another name"):
        open_store(Renaming(tmp_path), NAMED).put(KEY, b"x")
    assert failures(told) == [("objects", KEY, "StorageUnavailable")]
