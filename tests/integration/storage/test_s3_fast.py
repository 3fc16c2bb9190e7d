"""Reading many objects of a bucket through obstore: as boto3 would, or through boto3."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta

import boto3
import obstore
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.credentials import RefreshableCredentials
from obstore.exceptions import PermissionDeniedError
from storages.backends.s3 import S3Storage

from django_smarterbase.conf import Options
from django_smarterbase.exceptions import StorageUnavailable
from django_smarterbase.ops import StorageOps, counting
from django_smarterbase.storage import s3fast
from django_smarterbase.storage.base import ObjectStore
from django_smarterbase.storage.keys import Keyspace, stem
from django_smarterbase.storage.opening import open_store
from django_smarterbase.storage.s3client import S3Client

from .conftest import ThroughBoto3
from .test_contract import HOSTILE

KEYS = Keyspace("db")
PREFIX = KEYS.table_prefix("articles")
OPTIONS = Options(concurrency=4)
NAMES = [KEYS.document("articles", str(number)) for number in range(12)]


@pytest.fixture
def fetched(monkeypatch):
    """The keys that boto3 reads."""
    keys, fetch = [], S3Client.fetch

    def noted(self, key, **parameters):
        keys.append(key)
        return fetch(self, key, **parameters)

    monkeypatch.setattr(S3Client, "fetch", noted)
    return keys


def filled(storage: S3Storage) -> ObjectStore:
    store = open_store(storage, OPTIONS)
    for name in NAMES:
        store.put(name, name.encode())
    return store


def check(store: ObjectStore, names: list[str] = NAMES) -> None:
    assert [(key, stored.body.decode()) for key, stored in store.get_many(names)] == [(name, name) for name in names]


def reasons(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.detail for record in caplog.records if getattr(record, "event", "") == "fast_reads_off"]


def test_many_objects_are_read_without_boto3(make_s3, fetched, caplog):
    store = filled(make_s3())
    check(store)
    assert len(list(store.scan(PREFIX))) == len(NAMES)
    assert (fetched, reasons(caplog)) == ([], [])


def test_etags_are_those_of_boto3(make_s3):
    storage = make_s3()
    store = filled(storage)
    assert {key: stored.etag for key, stored in store.get_many(NAMES)} == {
        found.key: found.etag for found in store.list(PREFIX)
    }


@pytest.mark.parametrize("location", ["", "some/where", "with space/é", "a+b%2F"])
def test_names_are_written_as_boto3_writes_them(make_s3, fetched, location):
    store = open_store(make_s3(location=location), OPTIONS)
    names = [KEYS.document("articles", stem([value])) for value in HOSTILE]
    for name in names:
        store.put(name, name.encode())
    check(store, names)
    assert fetched == []


def test_virtual_addressing_and_region_are_carried_over(make_s3):
    storage = make_s3(endpoint_url=None, addressing_style="virtual", region_name="eu-central-1", bucket_name="library")
    sample = S3Client(storage, OPTIONS).sample()
    assert (sample.place, sample.region) == ("https://library.s3.eu-central-1.amazonaws.com", "eu-central-1")


def test_missing_objects_cost_one_request(make_s3, fetched):
    store = filled(make_s3())
    with counting() as ops:
        found = dict(store.get_many([NAMES[0], KEYS.document("articles", "99")]))
    assert found[KEYS.document("articles", "99")] is None
    assert ops.storage == StorageOps(reads=2, bytes_read=len(NAMES[0]))
    assert fetched == []


def test_missing_bucket_is_not_taken_for_missing_objects(make_s3):
    store = open_store(make_s3(bucket_name="no-such-bucket"), OPTIONS)
    with pytest.raises(StorageUnavailable, match="NoSuchBucket"):
        list(store.get_many(NAMES))


def test_no_more_requests_than_concurrency_are_under_way(make_s3, monkeypatch):
    store, lock, under_way, most, get = filled(make_s3()), threading.Lock(), 0, 0, obstore.get

    def noted(*arguments):
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        time.sleep(0.02)
        with lock:
            under_way -= 1
        return get(*arguments)

    monkeypatch.setattr(obstore, "get", noted)
    readers = [threading.Thread(target=check, args=(store, NAMES * 3)) for _ in range(3)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert most == OPTIONS.concurrency


class Renewed(S3Storage):
    """A storage whose credentials are renewed, as those of a role are."""

    renewals: list[datetime]

    def _create_session(self):
        session = boto3.Session()
        session._session._credentials = RefreshableCredentials(
            access_key="tests",
            secret_key="tests",
            token="a token",
            expiry_time=datetime.now(UTC) + timedelta(minutes=1),
            refresh_using=self._renewed,
            method="tests",
        )
        return session

    def _renewed(self):
        type(self).renewals.append(datetime.now(UTC))
        expiry = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
        return {"access_key": "tests", "secret_key": "tests", "token": "another", "expiry_time": expiry}


def test_credentials_that_are_renewed_are_taken_from_boto3(make_s3, fetched):
    Renewed.renewals = []
    store = filled(make_s3(Renewed))
    before = len(Renewed.renewals)
    check(store)
    check(store, NAMES * 5)
    assert fetched == []
    assert len(Renewed.renewals) == before + 1


def test_requests_carry_the_token_of_the_moment():
    given = s3fast._of_the_moment(
        RefreshableCredentials("a", "b", "c", datetime.now(UTC) + timedelta(hours=1), dict, "tests")
    )
    ahead = given["expires_at"] - datetime.now(UTC)
    assert timedelta(minutes=9) < ahead <= timedelta(minutes=10)
    assert (given["access_key_id"], given["secret_access_key"], given["token"]) == ("a", "b", "c")


PECULIAR = {
    "makes its connections itself": {"kind": ThroughBoto3},
    "signed in another way": {"client_config": Config(signature_version="s3")},
    "has proxies": {"client_config": Config(proxies={"https": "http://127.0.0.1:9"})},
    "no file that can be read": {"verify": "/nowhere/authorities.pem"},
}


@pytest.mark.parametrize("why", PECULIAR)
def test_what_cannot_be_carried_over_is_left_to_boto3_and_said_once(make_s3, fetched, caplog, why):
    store = filled(make_s3(**PECULIAR[why]))
    check(store)
    check(store)
    (reason,) = reasons(caplog)
    assert why in reason
    assert sorted(fetched) == sorted(NAMES * 2)


def test_requests_that_are_not_signed_are_left_to_boto3(make_s3, caplog):
    store = open_store(make_s3(client_config=Config(signature_version=UNSIGNED)), OPTIONS)
    assert store._fast.reader() is None
    assert "signed in another way" in reasons(caplog)[0]


def test_objects_that_are_read_with_parameters_are_left_to_boto3(make_s3, fetched):
    class Keyed(S3Storage):
        def get_object_parameters(self, name):
            return {"RequestPayer": "requester"} if name == NAMES[3] else {}

    check(filled(make_s3(Keyed)))
    assert fetched == [NAMES[3]]


def test_obstore_is_given_up_when_boto3_reads_what_it_is_refused(make_s3, fetched, caplog, monkeypatch):
    store = filled(make_s3())

    def refused(*_arguments):
        raise PermissionDeniedError("not signed as the server wants it\n\nDebug source:\nnobody's business")

    monkeypatch.setattr(obstore, "get", refused)
    check(store)
    assert reasons(caplog) == ["not signed as the server wants it"]
    fetched.clear()
    with counting() as ops:
        check(store)
    assert sorted(fetched) == sorted(NAMES)
    assert ops.storage.reads == len(NAMES)


@pytest.fixture
def _no_bundle(monkeypatch):
    for name in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("_no_bundle")
def test_certificates_are_trusted_as_the_storage_says(make_s3, tmp_path):
    own = tmp_path / "own.pem"
    own.write_bytes(b"PEM")
    trusted = [s3fast._trust(make_s3(verify=verify)) for verify in (None, True, False, str(own))]
    assert trusted == [{}, {}, {"allow_invalid_certificates": True}, {"root_certificate": b"PEM"}]


def test_certificates_are_those_of_the_environment_when_the_storage_says_nothing(make_s3, tmp_path, monkeypatch):
    own = tmp_path / "own.pem"
    own.write_bytes(b"PEM")
    monkeypatch.setenv("AWS_CA_BUNDLE", str(own))
    assert s3fast._trust(make_s3()) == {"root_certificate": b"PEM"}


def test_time_limits_are_those_of_the_client(make_s3):
    storage = make_s3(client_config=Config(connect_timeout=2, read_timeout=5))
    options = Options(write_deadline=15)
    limits = s3fast._client_options(storage, S3Client(storage, options), options)
    seconds = {name: limits[name].total_seconds() for name in ("connect_timeout", "read_timeout", "timeout")}
    assert seconds == {"connect_timeout": 2, "read_timeout": 5, "timeout": 7.5}


def test_nothing_is_said_where_obstore_is_not_installed(make_s3, fetched, caplog, monkeypatch):
    monkeypatch.setattr(s3fast, "find_spec", lambda name: None)
    store = filled(make_s3(default_acl="private"))
    check(store)
    assert sorted(fetched) == sorted(NAMES)
    assert reasons(caplog) == []


FORKING = """
import logging, os, sys, warnings
warnings.simplefilter("ignore")
import obstore
from django.conf import settings
settings.configure()
from storages.backends.s3 import S3Storage
from django_smarterbase.conf import Options
from django_smarterbase.storage.opening import open_store
logging.basicConfig(stream=sys.stdout, format="%(message)s", level="WARNING")
storage = S3Storage(bucket_name=sys.argv[2], endpoint_url=sys.argv[1], access_key="tests", secret_key="tests")
keys = [f"db/t/{n}.json" for n in range(6)]
def check():
    store = open_store(storage, Options(concurrency=4))
    assert [stored.body.decode() for _, stored in store.get_many(keys)] == keys
    return store
for key in keys:
    open_store(storage, Options(concurrency=4)).put(key, key.encode())
if sys.argv[3] == "used":
    store = check()
    assert store._fast.reader() is not None
child = os.fork()
if child == 0:
    try:
        assert check()._fast.reader() is None
        if sys.argv[3] == "used":
            assert len(list(store.get_many(keys))) == 6
    except BaseException:
        os._exit(1)
    os._exit(0)
check()
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.parametrize("before", ["used", "imported"])
def test_child_of_a_process_that_has_obstore_reads_through_boto3(endpoint, bucket, before):
    done = subprocess.run(
        [sys.executable, "-c", FORKING, endpoint, bucket, before], timeout=60, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "forked from one that had imported obstore" in done.stdout
