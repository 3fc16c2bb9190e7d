"""A database in a bucket behind the failing line, its indexes in Redis, and the bucket itself as the oracle."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import orjson
from botocore.config import Config
from django.db import connection, connections
from django.test import override_settings

from testproject.articles.models import Article

from ..places import ALIAS, Cell, Place, settings_of
from .proxy import FaultyProxy

WRITE_DEADLINE = 4.0  # seconds
FIELDS = ("id", "author_id", "category", "title", "status", "view_count")


@dataclass(frozen=True)
class Behind(Place):
    """A place in the bucket ``location`` whose client gives up after two attempts of a second.

    It sends no more requests at a time than its server can answer within that.
    """

    def storage(self) -> dict[str, Any]:
        """The entry of STORAGES."""
        entry = super().storage()
        config = Config(connect_timeout=1.0, read_timeout=1.0, retries={"mode": "standard", "total_max_attempts": 2})
        return {**entry, "OPTIONS": {**entry["OPTIONS"], "client_config": config}}

    def database(self, cache: str = ALIAS) -> dict[str, Any]:
        """The entry of DATABASES."""
        entry = super().database(cache)
        return {**entry, "OPTIONS": {**entry["OPTIONS"], "concurrency": 4}}


@dataclass(frozen=True)
class Site:
    """An open database ``ALIAS``. ``client`` reads the bucket ``bucket`` past proxy and package."""

    cell: Cell
    proxy: FaultyProxy
    client: Any
    bucket: str

    def stored(self) -> dict[str, dict[str, Any]]:
        """The articles' documents, by their keys."""
        bodies = {key: self.client.get_object(Bucket=self.bucket, Key=key)["Body"] for key in self.keys("articles/")}
        return {key: orjson.loads(body.read()) for key, body in bodies.items()}

    def keys(self, prefix: str) -> list[str]:
        """The keys of the database's objects under a prefix."""
        listed = self.client.list_objects_v2(Bucket=self.bucket, Prefix=f"{self.cell.place.name}/{prefix}")
        return [found["Key"] for found in listed.get("Contents", ())]

    def truth(self, **conditions: Any) -> list[tuple[Any, ...]]:
        """What the bucket says of the articles that meet the conditions."""
        documents = [each for each in self.stored().values() if all(each[n] == v for n, v in conditions.items())]
        return sorted(tuple(str(document[name]) for name in FIELDS) for document in documents)

    def check(self, *categories: str) -> None:
        """Index, index alone, scan and bucket say the same of each category and of all articles."""
        articles = Article.objects.using(ALIAS)
        for category in categories:
            wanted = self.truth(category=category)
            assert _rows(articles.filter(category=category)) == wanted
            assert _rows(articles.scan().filter(category=category)) == wanted
            assert articles.filter(category=category).count() == len(wanted)
        assert _rows(articles.scan()) == self.truth()

    def pending(self) -> int:
        """How many notes of writes in doubt Redis has."""
        return self._state().pending

    def trusted(self) -> bool:
        """Whether queries use the index."""
        return self._state().reason is None

    def sweep(self) -> int:
        """Settle the notes that are overdue; returns how many."""
        wrapper = connections[ALIAS]
        return wrapper.resources.indexes.sweep(wrapper.schema_of_model(Article))

    def _state(self) -> Any:
        wrapper = connections[ALIAS]
        return wrapper.resources.indexes.state(wrapper.schema_of_model(Article))


def _rows(articles: Any) -> list[tuple[Any, ...]]:
    return sorted(tuple(str(value) for value in row) for row in articles.order_by().values_list(*FIELDS))


@contextmanager
def site_behind(proxy: FaultyProxy, client: Any, bucket: str, redis_url: str) -> Iterator[Site]:
    """An empty site on an empty Redis."""
    place = Behind("site", bucket, redis_url, endpoint=proxy.url, write_deadline=WRITE_DEADLINE, socket_timeout=10.0)
    cell = Cell(ALIAS, place)
    with override_settings(**settings_of({ALIAS: place})):
        cell.open()
        try:
            yield Site(cell, proxy, client, bucket)
        finally:
            proxy.heal()
            cell.close()
            assert connection.alias == "default"
