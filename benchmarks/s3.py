"""An S3 server of one's own, in front of a folder, and what many write by hand in place of a database: a boto3 loop."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any
from uuid import UUID

import boto3
import orjson
from botocore.config import Config
from django.conf import settings
from django.db import connections

from benchmarks.dataset import BODY, Pick, author_pk
from benchmarks.engines import BUCKET, S3


def get(alias: str, pick: Pick) -> Any:
    """The title of one object."""
    return _get(_key(pick.pk))["title"]


def by_author(alias: str, pick: Pick) -> Any:
    """List everything, get everything, and look."""
    return {UUID(each["id"]) for each in _all() if each["author_id"] == str(pick.author)}


def scan(alias: str, pick: Pick) -> Any:
    """As ``by_author``, by title."""
    return [UUID(each["id"]) for each in _all() if each["title"] == pick.title]


def create(alias: str, pick: Pick) -> Any:
    """Put one object more, outside of what is listed."""
    fields = {"author_id": str(author_pk(0)), "category": "new", "title": f"New {pick.number}", "body": BODY}
    _put(f"bench-loop/{pick.number}.json", {**fields, "status": "draft"})


def update(alias: str, pick: Pick) -> Any:
    """Get, change, put: whatever another writer has done meanwhile is lost."""
    document = _get(_key(pick.pk))
    _put(_key(pick.pk), {**document, "view_count": document["view_count"] + 1})
    return 1


@cache
def _client() -> Any:
    options = settings.STORAGES[S3]["OPTIONS"]
    return boto3.client(
        "s3",
        endpoint_url=options["endpoint_url"],
        aws_access_key_id=options["access_key"],
        aws_secret_access_key=options["secret_key"],
        region_name=options["region_name"],
        config=Config(s3={"addressing_style": "path"}, proxies={}),
    )


def _prefix() -> str:
    return str(connections[S3].resources.keys.table_prefix("articles"))  # type: ignore[attr-defined]


def _key(pk: UUID) -> str:
    return f"{_prefix()}{pk.hex}.json"


def _get(key: str) -> Any:
    return orjson.loads(_client().get_object(Bucket=BUCKET, Key=key)["Body"].read())


def _put(key: str, document: Any) -> None:
    _client().put_object(Bucket=BUCKET, Key=key, Body=orjson.dumps(document))


def _all() -> Iterator[Any]:
    for page in _client().get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=_prefix()):
        for listed in page.get("Contents", ()):
            yield _get(listed["Key"])
