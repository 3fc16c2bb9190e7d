"""S3: places and parameters, pages, conditions kept and ignored, lost answers, and failures."""

from __future__ import annotations

import http.client
import io
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from moto.core import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends
from storages.backends.s3 import S3Storage

from django_smarterbase.conf import Options
from django_smarterbase.exceptions import PreconditionFailed, StorageUnavailable
from django_smarterbase.ops import StorageOps, counting
from django_smarterbase.storage import s3
from django_smarterbase.storage.keys import Keyspace
from django_smarterbase.storage.opening import open_store

from .conftest import CREDENTIALS

KEYS = Keyspace("db")
PREFIX = KEYS.table_prefix("articles")
KEY = KEYS.document("articles", "1")
OPTIONS = Options(concurrency=4)


class Answer:
    """The body of a response as urllib3 would stream it."""

    def __init__(self, body: bytes) -> None:
        self._file = io.BytesIO(body)

    def stream(self, *_args, **_kwargs):
        yield self._file.read()

    def read(self, *args):
        return self._file.read(*args)


def answer(request, status: int, code: str) -> AWSResponse:
    body = f"<Error><Code>{code}</Code><Message>as the test wants it</Message></Error>".encode()
    return AWSResponse(request.url, status, {"content-type": "application/xml"}, Answer(body))


def deliver(request) -> None:
    """Send a request to the server and throw its answer away."""
    url = urlsplit(request.url)
    connection = http.client.HTTPConnection(url.hostname, url.port, timeout=10)
    headers = {name: value.decode() if isinstance(value, bytes) else value for name, value in request.headers.items()}
    body = request.body.read() if hasattr(request.body, "read") else request.body
    connection.request(request.method, f"{url.path}?{url.query}", body=body, headers=headers)
    assert connection.getresponse().status < 300
    connection.close()
    if hasattr(request.body, "seek"):
        request.body.seek(0)


def intercepted(event: str, handler: Callable) -> type[S3Storage]:
    """A storage class whose client asks ``handler`` first."""

    class Intercepted(S3Storage):
        @property
        def connection(self):
            fresh = getattr(self._connections, "connection", None) is None
            resource = super().connection
            if fresh:
                resource.meta.client.meta.events.register(event, handler)
            return resource

    return Intercepted


@pytest.fixture(autouse=True)
def _forget_probes():
    s3._known.clear()
    yield
    s3._known.clear()


@pytest.fixture
def _verified(make_s3, _forget_probes):
    """The probe of the bucket is over, so that it does not meet what a test does to requests."""
    assert open_store(make_s3(), OPTIONS).verify_conditions()


@pytest.fixture
def client(endpoint):
    return boto3.client("s3", endpoint_url=endpoint, **CREDENTIALS)


@pytest.mark.parametrize(("location", "expected"), [("", KEY), ("some/where", f"some/where/{KEY}"), ("a/", f"a/{KEY}")])
def test_objects_stand_under_the_location_of_the_storage(make_s3, client, bucket, location, expected):
    store = open_store(make_s3(location=location), OPTIONS)
    store.put(KEY, b"{}")
    assert [found["Key"] for found in client.list_objects_v2(Bucket=bucket)["Contents"]] == [expected]
    assert [found.key for found in store.list(PREFIX)] == [KEY]
    assert [name for name, _ in store.scan(PREFIX)] == [KEY]


def test_put_sends_the_object_parameters_of_the_storage(make_s3, client, bucket):
    parameters = {"ServerSideEncryption": "AES256", "CacheControl": "no-store", "Metadata": {"team": "x"}}
    storage = make_s3(object_parameters=parameters, default_acl="private")
    open_store(storage, OPTIONS).put(KEY, b"{}")
    head = client.head_object(Bucket=bucket, Key=KEY)
    assert head["ServerSideEncryption"] == "AES256"
    assert head["CacheControl"] == "no-store"
    assert head["Metadata"]["team"] == "x"
    assert head["ContentType"] == "application/json"


def test_put_does_not_compress_even_when_the_storage_does(make_s3, client, bucket):
    open_store(make_s3(gzip=True), OPTIONS).put(KEY, b"{}")
    assert client.get_object(Bucket=bucket, Key=KEY)["Body"].read() == b"{}"


def test_listing_of_more_than_a_page_is_complete_and_counts_its_pages(make_s3, bucket):
    server = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]  # past its HTTP side, which takes 8 ms an object
    for number in range(1050):
        server.put_object(bucket, f"{PREFIX}{number:04}.json", b"x")
    store = open_store(make_s3(), OPTIONS)
    with counting() as ops:
        keys = [found.key for found in store.list(PREFIX)]
    assert keys == [f"{PREFIX}{number:04}.json" for number in range(1050)]
    assert ops.storage == StorageOps(lists=2)
    assert [found.key for found in store.list(PREFIX, start_after=keys[1020])] == keys[1021:]
    assert [store.listings(objects) for objects in (0, 1000, 1001, 1050)] == [1, 1, 2, 2]


def test_conditions_are_probed_once_and_leave_nothing(make_s3):
    store = open_store(make_s3(), OPTIONS)
    with counting() as ops:
        assert store.verify_conditions()
    assert ops.storage.total == 0
    assert ops.storage.system == 6
    again = open_store(make_s3(), Options(concurrency=3))
    with counting() as ops:
        assert again.verify_conditions()
    assert ops.storage == StorageOps()
    assert list(store.list("")) == []


def test_probe_stays_within_the_database_when_its_keys_are_given(make_s3):
    seen = []
    kind = intercepted("before-sign.s3.PutObject", lambda request, **_: seen.append(urlsplit(request.url).path))
    open_store(make_s3(kind), OPTIONS, KEYS).verify_conditions()
    assert seen
    assert all("/db/_sb/probe/" in path for path in seen)


def ignore_conditions(params, **_kwargs):
    for name in ("If-Match", "If-None-Match"):
        params["headers"].pop(name, None)


def test_server_that_ignores_conditions_is_found_out_and_asked_first(make_s3):
    store = open_store(make_s3(intercepted("before-call.s3", ignore_conditions)), OPTIONS)
    assert not store.verify_conditions()
    assert not store.conditional
    assert list(store.list("")) == []
    etag = store.put(KEY, b"1", if_absent=True)
    with pytest.raises(PreconditionFailed):
        store.put(KEY, b"2", if_absent=True)
    store.put(KEY, b"3", if_match=etag)
    with pytest.raises(PreconditionFailed):
        store.delete(KEY, if_match=etag)
    assert store.get(KEY).body == b"3"


def test_first_conditional_write_finds_out_a_server_that_ignores_conditions(make_s3):
    store = open_store(make_s3(intercepted("before-call.s3", ignore_conditions)), OPTIONS)
    store.put(KEY, b"1", if_absent=True)
    with pytest.raises(PreconditionFailed):
        store.put(KEY, b"2", if_absent=True)
    assert not store.conditional


def test_server_that_ignores_conditional_deletes_is_asked_first(make_s3):
    kind = intercepted("before-call.s3.DeleteObject", ignore_conditions)
    store = open_store(make_s3(kind), OPTIONS)
    assert store.verify_conditions()
    old = store.put(KEY, b"1")
    new = store.put(KEY, b"2")
    with pytest.raises(PreconditionFailed):
        store.delete(KEY, if_match=old)
    store.delete(KEY, if_match=new)
    assert store.get(KEY) is None


def test_server_that_refuses_conditional_headers_counts_as_one_without(make_s3):
    def refuse(request, **_kwargs):
        if request.headers.get("If-None-Match") or request.headers.get("If-Match"):
            return answer(request, 501, "NotImplemented")
        return None

    store = open_store(make_s3(intercepted("before-send.s3", refuse)), OPTIONS)
    assert not store.verify_conditions()
    store.put(KEY, b"1", if_absent=True)
    with pytest.raises(PreconditionFailed):
        store.put(KEY, b"2", if_absent=True)


def lost_answer(name: str) -> type[S3Storage]:
    """A storage whose first request ``name`` is carried out, but answered by a 500."""
    lost = []

    def lose(request, **_kwargs):
        if lost:
            return None
        lost.append(request)
        deliver(request)
        return answer(request, 500, "InternalError")

    return intercepted(f"before-send.s3.{name}", lose)


@pytest.mark.usefixtures("_verified")
@pytest.mark.parametrize("conditional", ["if_match", "if_absent"])
def test_put_whose_answer_was_lost_is_recognised_as_ones_own(make_s3, conditional):
    condition = {"if_absent": True}
    if conditional == "if_match":
        condition = {"if_match": open_store(make_s3(), OPTIONS).put(KEY, b"old")}
    store = open_store(make_s3(lost_answer("PutObject")), OPTIONS)
    etag = store.put(KEY, b"mine", **condition)
    assert store.get(KEY) == (b"mine", etag)


@pytest.mark.usefixtures("_verified")
def test_put_of_another_writer_is_not_taken_for_ones_own_even_with_the_same_body(make_s3):
    other = open_store(make_s3(), OPTIONS)
    first = []

    def overtaken(request, **_kwargs):
        if first:
            return None
        first.append(request)
        other.put(KEY, b"same")
        return answer(request, 503, "SlowDown")

    store = open_store(make_s3(intercepted("before-send.s3.PutObject", overtaken)), OPTIONS)
    with pytest.raises(PreconditionFailed):
        store.put(KEY, b"same", if_absent=True)


@pytest.mark.usefixtures("_verified")
def test_delete_whose_answer_was_lost_is_a_success(make_s3):
    etag = open_store(make_s3(), OPTIONS).put(KEY, b"x")
    store = open_store(make_s3(lost_answer("DeleteObject")), OPTIONS)
    store.delete(KEY, if_match=etag)
    assert store.get(KEY) is None


@pytest.mark.usefixtures("_verified")
@pytest.mark.parametrize(("times", "succeeds"), [(2, True), (99, False)])
def test_conflicting_request_is_tried_again_up_to_a_limit(make_s3, monkeypatch, times, succeeds):
    monkeypatch.setattr(s3, "_PAUSE", 0.001)
    conflicts = []

    def conflict(request, **_kwargs):
        if len(conflicts) == times:
            return None
        conflicts.append(request)
        return answer(request, 409, "ConditionalRequestConflict")

    store = open_store(make_s3(intercepted("before-send.s3.PutObject", conflict)), OPTIONS)
    if succeeds:
        store.put(KEY, b"x", if_absent=True)
    else:
        with pytest.raises(PreconditionFailed):
            store.put(KEY, b"x", if_absent=True)
        assert len(conflicts) == 6


def test_endpoint_that_is_down_raises_storage_unavailable(make_s3):
    config = Config(retries={"total_max_attempts": 1}, connect_timeout=1)
    storage = make_s3(endpoint_url="http://127.0.0.1:9", client_config=config)
    store = open_store(storage, OPTIONS)
    for call in (
        lambda: store.get(KEY),
        lambda: list(store.get_many([KEY, f"{PREFIX}2.json"])),
        lambda: list(store.list(PREFIX)),
        lambda: list(store.scan(PREFIX)),
        lambda: store.put(KEY, b"x"),
        lambda: store.delete(KEY),
        store.verify_conditions,
    ):
        with pytest.raises(StorageUnavailable, match=r"http://127\.0\.0\.1:9 failed for .*Check that the endpoint"):
            call()


def test_error_names_the_endpoint_that_the_environment_has_set(make_s3, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    config = Config(retries={"total_max_attempts": 1}, connect_timeout=1)
    store = open_store(make_s3(endpoint_url=None, client_config=config), OPTIONS)

    with pytest.raises(StorageUnavailable, match=r"at http://127\.0\.0\.1:9 failed for "):
        store.get(KEY)


def test_bucket_that_does_not_exist_is_not_taken_for_an_empty_one(make_s3):
    store = open_store(make_s3(bucket_name="no-such-bucket"), OPTIONS)
    for call in (
        lambda: store.get(KEY),
        lambda: list(store.list(PREFIX)),
        lambda: store.put(KEY, b"x"),
    ):
        with pytest.raises(StorageUnavailable, match=r"'no-such-bucket'.*NoSuchBucket"):
            call()


def test_body_that_breaks_off_is_read_again(make_s3, monkeypatch):
    store = open_store(make_s3(), OPTIONS)
    store.put(KEY, b"whole")
    broken = []

    def cut(parsed, **_kwargs):
        if not broken:
            broken.append(parsed)
            parsed["Body"]._content_length = "9"

    store = open_store(make_s3(intercepted("after-call.s3.GetObject", cut)), OPTIONS)
    with counting() as ops:
        assert store.get(KEY).body == b"whole"
    assert ops.storage == StorageOps(reads=2, bytes_read=5)


def test_timeouts_stay_within_the_write_deadline_unless_the_storage_sets_its_own(make_s3):
    store = open_store(make_s3(), Options(write_deadline=30, concurrency=24))
    config = store._client._connected().meta.config
    assert 3 * (config.connect_timeout + config.read_timeout) <= 30
    assert config.max_pool_connections == 24
    own = open_store(make_s3(client_config=Config(read_timeout=7)), OPTIONS)._client._connected().meta.config
    assert own.read_timeout == 7
    assert own.retries == {"mode": "standard", "total_max_attempts": 3}


def test_no_more_requests_than_concurrency_are_under_way_however_many_threads_ask(make_s3):
    lock, under_way, most = threading.Lock(), 0, 0

    def note(**_event):
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        time.sleep(0.02)
        with lock:
            under_way -= 1

    store = open_store(make_s3(intercepted("before-send.s3", note)), OPTIONS)
    store.put(KEY, b"{}")
    with ThreadPoolExecutor(20) as threads:
        assert {stored.body for stored in threads.map(store.get, [KEY] * 40)} == {b"{}"}
    assert most == OPTIONS.concurrency


FORKING = """
import os, sys, warnings
warnings.simplefilter("ignore")
from django.conf import settings
settings.configure()
from storages.backends.s3 import S3Storage
class Storage(S3Storage):  # read through boto3
    @property
    def connection(self):
        return super().connection
import logging
logging.disable()
from django_smarterbase.conf import Options
from django_smarterbase.storage.opening import open_store
storage = Storage(bucket_name=sys.argv[2], endpoint_url=sys.argv[1], access_key="a", secret_key="b")
store = open_store(storage, Options(concurrency=4))
keys = [f"db/t/{n}.json" for n in range(20)]
for key in keys:
    store.put(key, key.encode())
def check():
    assert [stored.body.decode() for _, stored in store.get_many(keys)] == keys
check()
client = store._client._connected()
child = os.fork()
if child == 0:
    try:
        check()
        assert store._client._connected() is not client
    except BaseException:
        os._exit(1)
    os._exit(0)
check()
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_forked_child_reads_with_threads_and_connections_of_its_own(endpoint, bucket):
    done = subprocess.run(
        [sys.executable, "-c", FORKING, endpoint, bucket],
        timeout=60,
        capture_output=True,
        text=True,
        env={**os.environ},
    )
    assert (done.returncode, done.stderr) == (0, "")
