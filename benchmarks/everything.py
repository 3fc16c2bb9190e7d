"""A lower bound: the articles as hashes in Redis, with sets and a sorted set as indexes, by hand on redis-py.

It is what redis-om keeps, without its classes. redis-om itself needs the modules RediSearch and RedisJSON, which a
plain Redis, and the embedded one, does not have. Nothing here is durable, and no transaction spans two articles.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final
from uuid import UUID

import redis

from benchmarks.dataset import BODY, Pick, article_fields, article_pk, author_pk

_PIECE: Final = 1000
_NEWEST: Final = "newest"
_ALL: Final = "all"
_INDEXED: Final = ("author_id", "category", "status")

_clients: dict[str, redis.Redis] = {}


def use(url: str) -> None:
    """Connect to the server that holds the articles."""
    _clients["articles"] = redis.Redis.from_url(url, decode_responses=True, socket_timeout=120)


def fill(documents: int) -> float:
    """Put all articles into the server, which must be empty; returns the MiB that they take there."""
    client = _clients["articles"]
    before = client.info("memory")["used_memory"]
    for start in range(0, documents, _PIECE):
        with client.pipeline(transaction=False) as pipeline:
            for number in range(start, min(start + _PIECE, documents)):
                _put(pipeline, article_pk(number), article_fields(number, documents))
            pipeline.execute()
    return (client.info("memory")["used_memory"] - before) / 2**20


def _put(pipeline: Any, pk: UUID, fields: dict[str, Any]) -> None:
    created = fields["created_at"].timestamp() if "created_at" in fields else 0.0
    pipeline.hset(f"article:{pk}", mapping={"id": str(pk), **{name: str(value) for name, value in fields.items()}})
    pipeline.sadd(_ALL, str(pk))
    pipeline.zadd(_NEWEST, {str(pk): created})
    for name in _INDEXED:
        pipeline.sadd(f"{name}:{fields[name]}", str(pk))


def get(alias: str, pick: Pick) -> Any:
    """The article's title."""
    return _clients["articles"].hgetall(f"article:{pick.pk}")["title"]


def by_author(alias: str, pick: Pick) -> Any:
    """The keys of an author's articles, which are read."""
    return {UUID(each["id"]) for each in _read(_clients["articles"].smembers(f"author_id:{pick.author}"))}


def count(alias: str, pick: Pick) -> Any:
    """How many are published."""
    return _clients["articles"].scard("status:published")


def top(alias: str, pick: Pick) -> Any:
    """The ten most viewed of a category."""
    found = _read(_clients["articles"].smembers(f"category:{pick.category}"))
    found.sort(key=lambda each: (-int(each["view_count"]), each["id"]))
    return [UUID(each["id"]) for each in found[:10]]


def newest(alias: str, pick: Pick) -> Any:
    """The first page of the newest."""
    return [UUID(each["id"]) for each in _read(_clients["articles"].zrevrange(_NEWEST, 0, 19))]


def scan(alias: str, pick: Pick) -> Any:
    """Look at every article's title."""
    client, found = _clients["articles"], []
    for piece in _pieces(client.sscan_iter(_ALL, count=_PIECE)):
        with client.pipeline(transaction=False) as pipeline:
            for pk in piece:
                pipeline.hget(f"article:{pk}", "title")
            found += [UUID(pk) for pk, title in zip(piece, pipeline.execute(), strict=True) if title == pick.title]
    return found


def create(alias: str, pick: Pick) -> Any:
    """Put one more article, outside of what the others find."""
    pk = UUID(int=(0x0192 << 112) | (pick.number + 1))
    fields = {"author_id": author_pk(0), "category": "new", "title": f"New {pick.number}", "body": BODY}
    with _clients["articles"].pipeline() as pipeline:
        _put(pipeline, pk, {**fields, "status": "draft"})
        pipeline.execute()


def update(alias: str, pick: Pick) -> Any:
    """One view more."""
    _clients["articles"].hincrby(f"article:{pick.pk}", "view_count", 1)
    return 1


def _read(pks: Iterable[str]) -> list[dict[str, str]]:
    with _clients["articles"].pipeline(transaction=False) as pipeline:
        for pk in pks:
            pipeline.hgetall(f"article:{pk}")
        return list(pipeline.execute())


def _pieces(found: Iterable[str]) -> Iterable[list[str]]:
    piece: list[str] = []
    for each in found:
        piece.append(each)
        if len(piece) == _PIECE:
            yield piece
            piece = []
    if piece:
        yield piece
