"""Sites with articles, on files and in S3, which were written without any statement, so that it takes a moment."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from pytest_django import DjangoDbBlocker

from django_smarterbase.backend import coursing, pieces
from django_smarterbase.storage.base import Write
from testproject.articles.models import Article
from testproject.services import RedisServer, S3Server
from tests.integration.commands.conftest import server
from tests.integration.commands.site import ALIAS, Site, site_in

__all__ = ["server"]

ARTICLES = 300
MANY = 2000


class BucketSite(Site):
    """Its objects are in a bucket of its own."""

    bucket: S3Server
    place: str

    def settings(self) -> dict[str, Any]:
        """The settings that are not of DATABASES."""
        settings = super().settings()
        options = {
            "bucket_name": self.place,
            "endpoint_url": self.bucket.endpoint_url,
            "access_key": self.bucket.access_key,
            "secret_key": self.bucket.secret_key,
            "region_name": self.bucket.region,
        }
        settings["STORAGES"][ALIAS] = {"BACKEND": "storages.backends.s3.S3Storage", "OPTIONS": options}
        return settings

    def options(self, **changes: Any) -> dict[str, Any]:
        """The options of the database. The server may take its time: nothing here waits for a deadline."""
        return super().options(**{"write_deadline": 120.0, **changes})


def write_articles(numbers: range) -> None:
    """Put articles into the store, as another process might have."""
    resources, schema = connection.resources, connection.schema_of_model(Article)
    codec = resources.codec(schema)
    fields = [Article._meta.get_field(schema.field_names[column.name]) for column in schema.columns]
    writes = []
    for number in numbers:
        article = Article(
            pk=uuid.UUID(int=number),
            author_id=uuid.UUID(int=number % 7),
            title=f"title {number % 100}",
            category=f"category {number % 3}",
            view_count=number,
            created_at=timezone.now(),
            updated_at=timezone.now(),
        )
        row = [field.get_db_prep_save(getattr(article, field.attname), connection) for field in fields]
        writes.append(Write(resources.keys.document(schema.table, row[0]), codec.encode(row)))
    assert not [written.error for written in resources.store.write_many(writes) if written.error is not None]


@pytest.fixture
def site(tmp_path: Path, server: RedisServer, django_db_blocker: DjangoDbBlocker) -> Iterator[Site]:
    """A site in a folder, with 300 articles of which no index knows."""
    with django_db_blocker.unblock(), site_in(tmp_path / "objects", server) as site:
        write_articles(range(ARTICLES))
        yield site


@pytest.fixture(scope="module")
def large_site(
    tmp_path_factory: pytest.TempPathFactory, server: RedisServer, django_db_blocker: DjangoDbBlocker
) -> Iterator[Site]:
    """One with 2,000, which the tests of a module only read."""
    folder = tmp_path_factory.mktemp("objects")
    with django_db_blocker.unblock(), site_in(folder, server) as site:
        write_articles(range(MANY))
        yield site


@pytest.fixture(scope="module")
def bucket_site(
    tmp_path_factory: pytest.TempPathFactory,
    server: RedisServer,
    s3_server: S3Server,
    django_db_blocker: DjangoDbBlocker,
) -> Iterator[Site]:
    """The same in a bucket."""
    BucketSite.bucket, BucketSite.place = s3_server, f"b{uuid.uuid4().hex}"
    s3_server.create_bucket(BucketSite.place)
    with django_db_blocker.unblock(), site_in(tmp_path_factory.mktemp("none"), server, BucketSite) as site:
        write_articles(range(MANY))
        yield site


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> int:
    """Pieces of so many documents, from the first on, so that a few documents are many pieces."""
    monkeypatch.setattr(pieces, "FIRST", 10)
    monkeypatch.setattr(pieces, "LARGEST", 10)
    monkeypatch.setattr(coursing, "HELD", 10)
    return 10
