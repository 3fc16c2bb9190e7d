"""The one door to Redis: it runs the scripts, counts the traffic and says in one place what "Redis is down" means."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from django.core.cache import InvalidCacheBackendError
from django.core.exceptions import ImproperlyConfigured
from django_redis import get_redis_connection
from django_redis.exceptions import ConnectionInterrupted
from redis.exceptions import DataError, NoScriptError, RedisClusterException, RedisError

from ..ops import RedisOps, redis_ops
from .answers import FallbackReason
from .breaker import breaker_of
from .keys import TableKeys
from .scripts import Script, source_of

Argument = str | int

_DAMAGED_KEY = re.compile(r"\[key (\S+)\] .*WRONGTYPE")
#: The counters of the statement that has waited for Redis in vain: it does not wait again.
_gave_up: ContextVar[RedisOps | None] = ContextVar("smarterbase_redis_gave_up", default=None)


class RedisDown(Exception):  # not an error: reads scan instead, writes take the slow path
    """Redis cannot be asked."""

    def __init__(self, reason: FallbackReason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class IndexDamaged(Exception):  # not an error: as RedisDown
    """The index holds what it never wrote, so somebody else has."""


class RedisClient:
    """Runs scripts on the master of one cache alias. Thread-safe.

    A statement (an ``ops.counting()`` block) that has once waited for Redis in vain is refused at once from then on.
    """

    def __init__(self, alias: str) -> None:
        self.alias = alias
        self._breaker = breaker_of(alias)

    def run(self, script: Script, keys: TableKeys, *args: Argument, more_keys: Sequence[str] = ()) -> Any:
        """The script's answer, with texts as ``str``. One round trip, two the first time a server sees the script.

        Raises RedisDown, IndexDamaged, ImproperlyConfigured.
        """
        source, names = source_of(script), (keys.marker, *more_keys)
        with self._asking():
            connection = self._connection()
            try:
                _count()
                return _texts(connection.execute_command("EVALSHA", source.sha, len(names), *names, *args))
            except NoScriptError:
                _count()
                return _texts(connection.execute_command("EVAL", source.text, len(names), *names, *args))

    def keys_of(self, keys: TableKeys) -> Iterator[list[str]]:
        """All keys of a table in pieces, by SCAN: one round trip for each thousand keys that Redis holds in all."""
        with self._asking():
            found = self._connection().scan_iter(match=keys.pattern, count=1000)
        while True:
            with self._asking():
                piece = [key for _, key in zip(range(500), found, strict=False)]
                _count()
            if not piece:
                return
            yield _texts(piece)

    def _connection(self) -> Any:
        try:
            return get_redis_connection(self.alias, write=True)
        except InvalidCacheBackendError as error:
            raise ImproperlyConfigured(
                f"The smarterbase option cache names {self.alias!r}, which CACHES does not define. Define it with "
                'BACKEND "django_redis.cache.RedisCache", or set the option to None to do without indexes.'
            ) from error
        except NotImplementedError as error:
            raise ImproperlyConfigured(
                f"The cache {self.alias!r}, which holds the indexes of smarterbase, is not a Redis of django-redis. "
                'Set its BACKEND to "django_redis.cache.RedisCache".'
            ) from error

    @contextmanager
    def _asking(self) -> Iterator[None]:
        ops = redis_ops()
        if _gave_up.get() is ops:
            raise RedisDown(FallbackReason.UNREACHABLE, "Redis failed earlier in this statement")
        if not self._breaker.admits():
            raise RedisDown(FallbackReason.BREAKER_OPEN, f"cache {self.alias!r} failed repeatedly")
        try:
            yield
        except DataError:
            self._breaker.gave_up()
            raise
        except (RedisError, RedisClusterException, ConnectionInterrupted, OSError) as error:
            damaged = _DAMAGED_KEY.search(str(error))
            if damaged:
                self._breaker.succeeded()
                what = f"the Redis key {damaged[1]!r} is not of the type that the index gave it"
                raise IndexDamaged(what) from error
            # Whatever else Redis answers (LOADING, READONLY, OOM, NOAUTH, MISCONF, CLUSTERDOWN, BUSY, ...) means that
            # it cannot serve, and the objects can.
            self._breaker.failed(f"{type(error).__name__}: {error}")
            _gave_up.set(ops)
            raise RedisDown(FallbackReason.UNREACHABLE, f"{type(error).__name__}: {error}") from error
        except BaseException:
            self._breaker.gave_up()
            raise
        else:
            self._breaker.succeeded()


def _count() -> None:
    ops = redis_ops()
    ops.commands += 1
    ops.round_trips += 1


def _texts(answer: Any) -> Any:
    """``answer`` with bytes decoded, at any depth; a connection may be configured to decode them itself."""
    if isinstance(answer, bytes):
        return answer.decode(errors="backslashreplace")  # the index itself writes ASCII only
    if isinstance(answer, list):
        return [_texts(item) for item in answer]
    return answer
