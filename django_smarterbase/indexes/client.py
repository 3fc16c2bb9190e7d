"""The one door to Redis: it runs the scripts, counts the traffic and says in one place what "Redis is down" means."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from contextvars import ContextVar
from typing import Any, Final, NoReturn

from django.core.cache import InvalidCacheBackendError, caches
from django.core.exceptions import ImproperlyConfigured
from django_redis import get_redis_connection
from django_redis.exceptions import ConnectionInterrupted
from django_redis.pool import ConnectionFactory
from redis.exceptions import DataError, NoScriptError, RedisClusterException, RedisError

from ..ops import RedisOps, redis_ops
from ..signals import redis_request_failed, send
from .answers import FallbackReason
from .breaker import Breaker, breaker_of
from .keys import TableKeys, without_value
from .scripts import Script, source_of

Argument = str | int | bytes

_FAILURES: Final = (RedisError, RedisClusterException, ConnectionInterrupted, OSError)
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
    """The index, or the history, holds what it never wrote, so somebody else has."""


class RedisClient:
    """Runs scripts on the master of one cache alias. Thread-safe.

    A statement (an ``ops.counting()`` block) that has once waited for Redis in vain is refused at once from then on.
    ``breaker`` is that of the alias, unless somebody brings one of their own, whose failures concern nobody else.
    """

    def __init__(self, alias: str, breaker: Breaker | None = None) -> None:
        self.alias = alias
        _aliases.add(alias)
        self._breaker = breaker_of(alias) if breaker is None else breaker

    def run(self, script: Script, keys: TableKeys, *args: Argument, more_keys: Sequence[str] = ()) -> Any:
        """The script's answer, with texts as ``str``. One round trip, two the first time a server sees the script.

        Raises RedisDown, IndexDamaged, ImproperlyConfigured.
        """
        return self.run_on(script, (keys.marker, *more_keys), *args)

    def run_on(self, script: Script, names: Sequence[str], *args: Argument) -> Any:
        """As ``run``, for a script that gets other keys than those of a table. They must share a hash tag."""
        source = source_of(script)
        with self._asking():
            connection = self._connection()
            try:
                _count()
                return _texts(connection.execute_command("EVALSHA", source.sha, len(names), *names, *args))
            except NoScriptError:
                _count()
                return _texts(connection.execute_command("EVAL", source.text, len(names), *names, *args))

    def run_each(self, script: Script, tables: Sequence[TableKeys], *args: Argument) -> list[Any]:
        """The script's answers for several tables, in their order, or IndexDamaged in place of one. One round trip,
        two the first time a server sees the script. Raises RedisDown, ImproperlyConfigured.
        """
        source = source_of(script)
        with self._asking():
            answers = self._pipelined("EVALSHA", source.sha, tables, args)
            if any(isinstance(answer, NoScriptError) for answer in answers):
                answers = self._pipelined("EVAL", source.text, tables, args)
            return [_texts(_damage_or_raise(answer)) for answer in answers]

    def _pipelined(
        self, command: str, script: str, tables: Sequence[TableKeys], args: tuple[Argument, ...]
    ) -> list[Any]:
        pipeline = self._connection().pipeline(transaction=False)
        for keys in tables:
            pipeline.execute_command(command, script, 1, keys.marker, *args)
        _count(len(tables))
        answers: list[Any] = pipeline.execute(raise_on_error=False)
        return answers

    def keys_of(self, keys: TableKeys) -> Iterator[list[str]]:
        """All keys of a table in pieces, by SCAN: one round trip for each thousand keys that Redis holds in all."""
        return self._keys_like(keys.pattern)

    def forget(self, pattern: str) -> int:
        """Delete all keys that match a glob pattern; returns how many. As ``keys_of``, and one round trip a piece."""
        forgotten = 0
        for piece in self._keys_like(pattern):
            with self._asking():
                _count()
                forgotten += self._connection().unlink(*piece)
        return forgotten

    def _keys_like(self, pattern: str) -> Iterator[list[str]]:
        with self._asking():
            found = self._connection().scan_iter(match=pattern, count=1000)
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

    def _asking(self) -> _Asking:
        return _Asking(self.alias, self._breaker)


class _Asking:
    """The block of one request: it is not begun when Redis is to be left alone, and the breaker hears how it ends.

    Written out, as a generator would take three times as long for each query.
    """

    __slots__ = ("_alias", "_breaker")

    def __init__(self, alias: str, breaker: Breaker) -> None:
        self._alias = alias
        self._breaker = breaker

    def __enter__(self) -> None:
        if _gave_up.get() is redis_ops():
            raise RedisDown(FallbackReason.UNREACHABLE, "Redis failed earlier in this statement")
        if not self._breaker.admits():
            raise RedisDown(FallbackReason.BREAKER_OPEN, f"cache {self._alias!r} failed repeatedly")

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if error is None:
            self._breaker.succeeded()
        elif isinstance(error, _FAILURES) and not isinstance(error, DataError):
            self._failed(error)
        else:
            self._breaker.gave_up()

    def _failed(self, error: Exception) -> NoReturn:
        if damage := _damage_of(error):
            self._breaker.succeeded()
            raise damage from error
        # Whatever else Redis answers (LOADING, READONLY, OOM, NOAUTH, MISCONF, CLUSTERDOWN, BUSY, ...) means that
        # it cannot serve, and the objects can.
        self._breaker.failed(f"{type(error).__name__}: {error}")
        _gave_up.set(redis_ops())
        send(redis_request_failed, RedisClient, cache=self._alias, error=error)
        raise RedisDown(FallbackReason.UNREACHABLE, f"{type(error).__name__}: {error}") from error


def _count(commands: int = 1) -> None:
    ops = redis_ops()
    ops.commands += commands
    ops.round_trips += 1


def _damage_of(error: Exception) -> IndexDamaged | None:
    damaged = _DAMAGED_KEY.search(str(error))
    if damaged is None:
        return None
    return IndexDamaged(f"the Redis key {without_value(damaged[1])!r} is not of the type that this package gave it")


def _damage_or_raise(answer: Any) -> Any:
    """One answer of a pipeline, in which errors stand as values."""
    if not isinstance(answer, Exception):
        return answer
    damage = _damage_of(answer)
    if damage is None:
        raise answer
    return damage


def _texts(answer: Any) -> Any:
    """``answer`` with bytes decoded, at any depth; a connection may be configured to decode them itself."""
    if isinstance(answer, bytes):
        return answer.decode(errors="backslashreplace")  # the index itself writes ASCII only
    if isinstance(answer, list):
        return [item.decode(errors="backslashreplace") if type(item) is bytes else _texts(item) for item in answer]
    return answer


_aliases: set[str] = set()


def _forked() -> None:
    """A child makes pools of its own. redis-py's notice the fork only after they have taken their lock, and that may be
    held by a thread of the parent, for ever then."""
    ConnectionFactory._pools.clear()
    for alias in _aliases:
        with suppress(AttributeError):  # this thread has not asked for it
            del caches[alias]


os.register_at_fork(after_in_child=_forked)
