"""A part of the corpus in a bucket: keys, damaged documents, and objects whose names S3 permits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from pytest_django.plugin import DjangoDbBlocker

from django_smarterbase.exceptions import CorruptDocument
from testproject.services import RedisServer, S3Server

from ..places import Place
from ..tally import TALLY
from . import written
from .bestiary.models import KEYED, Beast
from .documents import text_of
from .generate import load
from .sides import ALIAS, BARE, Comparison, Sides, opened

TEST = "hostile input on S3"
TEXTS = [written.read(entry["value"]) for entry in load("keys") if entry["kind"] == "text"]
DOCUMENTS = [entry for entry in load("documents") if len(str(entry["body"])) < 5000]
STRANGERS = (
    *("", "sub/", "a.txt", "sub/x.json", "a b.json", "%2e.json", "%zz.json", "é.json", "a&b<c>.json", "../x.json"),
    "./x.json",
    *("//x.json", "a//b.json", "?a=b.json", "#.json", "+.json", "😀.json", "lion.json/", "x" * 900 + ".json"),
)  # fmt: skip


@pytest.fixture(scope="module")
def bucket(server: RedisServer, s3: S3Server, django_db_blocker: DjangoDbBlocker) -> Iterator[Sides]:
    """Both sides, the engine's objects in a bucket."""
    endpoint = s3.endpoint_url
    place = Place("zoo", "faults", server.url, endpoint, write_deadline=10.0, trust_seconds=0.2, socket_timeout=20.0)
    with django_db_blocker.unblock(), opened(place) as sides:
        yield sides


def beasts(using: str = ALIAS) -> Any:
    """All beasts."""
    return Beast.objects.using(using)


def test_key_is_kept_found_and_refused_on_s3_as_by_stock_sqlite(bucket: Sides, torture: bool) -> None:
    compared, rows = Comparison(bucket, TEST), KEYED["text"].objects
    for number, key in enumerate(TEXTS if torture else TEXTS[::9]):
        for what, question in (
            ("create", lambda using: rows.using(using).create(key=key, mark=f"m{number}").pk),  # noqa: B023
            ("get", lambda using: rows.using(using).get(key=key).mark),  # noqa: B023
            ("by index", lambda using: [row.pk for row in rows.using(using).filter(mark=f"m{number}")]),  # noqa: B023
        ):
            compared.ask(f"{key!r:.60}: {what}", question)
    compared.ask_afresh("all", lambda using: sorted(rows.using(using).values_list("key", "mark")))
    compared.ask("delete", lambda using: rows.using(using).all().delete()[0])
    assert not compared.differences
    assert not list(bucket.resources.store.list(bucket.resources.keys.table_prefix(KEYED["text"]._meta.db_table)))


def test_damaged_document_is_read_or_corrupt_on_s3(bucket: Sides, torture: bool) -> None:
    for entry in DOCUMENTS if torture else DOCUMENTS[::12]:
        key = bucket.key(Beast, entry["stem"])
        bucket.put(key, written.read(entry["body"]))
        for ask in (lambda: beasts().get(name=entry["stem"]), lambda: beasts(BARE).get()):  # noqa: B023
            TALLY.count(TEST, "looks at a document")
            if entry["problem"] is None:
                assert ask().name == entry["stem"]
                continue
            with pytest.raises(CorruptDocument) as raised:
                ask()
            assert raised.value.key == key
        bucket.resources.store.delete(key)


def test_strangers_in_the_folder_of_a_table_are_passed_over_on_s3(bucket: Sides, s3: S3Server) -> None:
    beasts().create(name="lion", kind="cat")
    client = boto3.client(
        "s3",
        endpoint_url=s3.endpoint_url,
        aws_access_key_id=s3.access_key,
        aws_secret_access_key=s3.secret_key,
        region_name=s3.region,
        config=Config(proxies={}),
    )
    prefix = bucket.resources.keys.table_prefix(Beast._meta.db_table)
    for name in STRANGERS:
        client.put_object(Bucket="faults", Key=prefix + name, Body=text_of("lion").encode())
    client.close()
    for using in (ALIAS, BARE):
        assert [beast.name for beast in beasts(using).scan()] == ["lion"]
        assert len(beasts(using).filter(kind="cat")) == 1
    assert bucket.audit(Beast).documents == 1
    TALLY.count(TEST, "objects that are no documents", len(STRANGERS))
    assert beasts().all().delete()[0] == 1
