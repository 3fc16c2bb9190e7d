"""Checks of the cache alias, by which the indexes are reached."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, urlsplit

from django.conf import settings
from django.core.cache import caches
from django.core.cache.backends.db import DatabaseCache
from django.core.checks import CheckMessage
from django.db import router
from django.utils.module_loading import import_string
from django_redis import get_redis_connection
from django_redis.cache import RedisCache
from redis.exceptions import RedisError

from django_smarterbase.checks.databases import Database, smarterbase_databases

SESSIONS_IN_CACHE = ("django.contrib.sessions.backends.cache", "django.contrib.sessions.backends.cached_db")
REDIS_SCHEMES = ("redis", "rediss", "unix")


def check_cache_alias(**kwargs: Any) -> list[CheckMessage]:
    """E004: no such cache."""
    return [
        database.error(
            f"The cache {database.options.cache!r} is not in CACHES.",
            hint="Add it with the BACKEND django_redis.cache.RedisCache, or set the option cache to None to do without "
            "indexes.",
            id="E004",
        )
        for database in smarterbase_databases()
        if database.options.cache is not None and database.cache is None
    ]


def check_cache_backend(**kwargs: Any) -> list[CheckMessage]:
    """E005: a cache that is not django-redis."""
    return [
        database.error(
            f"The cache {database.options.cache!r} is {database.cache.get('BACKEND')!r}, not django-redis.",
            hint=f"Set CACHES[{database.options.cache!r}]['BACKEND'] to 'django_redis.cache.RedisCache'.",
            id="E005",
        )
        for database in smarterbase_databases()
        if database.cache is not None and not _is_django_redis(database.cache)
    ]


def check_document_cache_alias(**kwargs: Any) -> list[CheckMessage]:
    """E010: no such document cache."""
    return [
        database.error(
            f"The document cache {alias!r} is not in CACHES.",
            hint="Add it, with any backend, or set the option document_cache to None to do without.",
            id="E010",
        )
        for database in smarterbase_databases()
        if (alias := database.options.document_cache) is not None and alias not in settings.CACHES
    ]


def check_document_cache_is_apart(**kwargs: Any) -> list[CheckMessage]:
    """W012: the bodies stand among the indexes."""
    return [
        database.warning(
            f"The bodies of documents and the indexes stand in one cache, {database.options.cache!r}: the bodies take "
            "the memory that the indexes need, and its clear() empties the indexes.",
            hint="Name another alias of CACHES in the option document_cache, with a Redis database of its own.",
            id="W012",
        )
        for database in smarterbase_databases()
        if database.options.document_cache is not None and database.options.document_cache == database.options.cache
    ]


def check_document_cache_is_elsewhere(**kwargs: Any) -> list[CheckMessage]:
    """W014: the bodies stand in a table of the database whose reads they are to spare."""
    return [
        database.warning(
            f"The document cache {database.options.document_cache!r} is a table of this database: to look a body up "
            "there costs as many requests as to read the document, and outside of transactions nothing is found.",
            hint="Name a cache in the option document_cache that is in memory, in Redis or in Memcached.",
            id="W014",
        )
        for database in smarterbase_databases()
        if _table_database(database.options.document_cache) == database.alias
    ]


def check_cache_is_own(**kwargs: Any) -> list[CheckMessage]:
    """W001: the indexes share an alias with what applications clear."""
    shared = {"default"} | ({settings.SESSION_CACHE_ALIAS} if settings.SESSION_ENGINE in SESSIONS_IN_CACHE else set())
    return [
        database.warning(
            f"The indexes stand in the cache {database.options.cache!r}, which other code uses too. Its clear() "
            "empties the Redis database, after which every query scans.",
            hint="Give the indexes an alias of their own, with a Redis database of its own.",
            id="W001",
        )
        for database in smarterbase_databases()
        if database.options.cache in shared and database.cache is not None
    ]


def check_redis_database_is_own(**kwargs: Any) -> list[CheckMessage]:
    """W002: another alias leads to the same Redis database."""
    return [
        database.warning(
            f"The caches {database.options.cache!r} and {other!r} lead to one Redis database; clear() of the second "
            "empties the indexes, after which every query scans.",
            hint="Give the indexes a Redis database of their own, such as redis://host:6379/1.",
            id="W002",
        )
        for database in smarterbase_databases()
        if database.cache is not None
        for other, config in settings.CACHES.items()
        if other != database.options.cache and _redis_databases(database.cache) & _redis_databases(config)
    ]


def check_socket_timeouts(**kwargs: Any) -> list[CheckMessage]:
    """W003: a Redis that hangs would hold every request for long."""
    return [
        database.warning(
            f"The cache {database.options.cache!r} has no {' and no '.join(missing)}: while Redis hangs, a query waits "
            "for redis-py's own timeout (5 seconds, in older releases for ever) before it scans instead.",
            hint=f"Set both in CACHES[{database.options.cache!r}]['OPTIONS'], to 0.25 for example (seconds).",
            id="W003",
        )
        for database in smarterbase_databases()
        if database.cache is not None and (missing := _missing_timeouts(database.cache))
    ]


def check_eviction(databases: Sequence[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """W007: a Redis that may drop index sets when its memory is full. Connects; a Redis that is down is no finding."""
    return [
        database.warning(
            f"The Redis of the cache {database.options.cache!r} has maxmemory-policy {policy}: it may evict index "
            "sets, so the indexes are not trusted and every query scans.",
            hint="Set maxmemory-policy to noeviction (or a volatile-* policy) there, or give the indexes a Redis of "
            "their own. The option allow_eviction trusts it all the same.",
            id="W007",
        )
        for database in smarterbase_databases(databases or ())
        if not database.options.allow_eviction and (policy := _eviction_policy(database)).startswith("allkeys-")
    ]


def check_redis_answers(databases: Sequence[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """W015: a Redis that does not answer, or refuses the password. Connects. No error: the database works without."""
    return [
        database.warning(
            f"The Redis of the cache {database.options.cache!r} cannot be used: {_reason(error)}. Queries scan, "
            "and writes take the slow path.",
            hint=f"Start it, or correct CACHES[{database.options.cache!r}]; then run sb_reindex, or leave it to the "
            "option auto_reindex.",
            id="W015",
        )
        for database in smarterbase_databases(databases or ())
        if isinstance(error := _memory_of_redis(database), Exception)
    ]


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".rstrip(".")


def _is_django_redis(cache: Mapping[str, Any]) -> bool:
    try:
        backend = import_string(str(cache.get("BACKEND")))
    except ImportError:
        return False
    return isinstance(backend, type) and issubclass(backend, RedisCache)


def _redis_databases(cache: Mapping[str, Any]) -> set[tuple[str, str]]:
    """The servers of a cache alias, each as (host and port or socket path, database number)."""
    location = cache.get("LOCATION") or ()
    urls = location.split(",") if isinstance(location, str) else location
    default = str((cache.get("OPTIONS") or {}).get("db", 0))
    return {
        _redis_database(str(url).strip(), default) for url in urls if urlsplit(str(url).strip()).scheme in REDIS_SCHEMES
    }


def _redis_database(url: str, default: str) -> tuple[str, str]:
    parts = urlsplit(url)
    number = parse_qs(parts.query).get("db", [""])[0]
    if parts.scheme == "unix":
        return parts.path, number or default
    host = "127.0.0.1" if parts.hostname == "localhost" else parts.hostname
    return f"{host}:{parts.port or 6379}", number or parts.path.strip("/") or default


def _missing_timeouts(cache: Mapping[str, Any]) -> list[str]:
    options = cache.get("OPTIONS") or {}
    pool = options.get("CONNECTION_POOL_KWARGS") or {}
    names = ("SOCKET_CONNECT_TIMEOUT", "SOCKET_TIMEOUT")
    return [
        name
        for name in names
        if not options.get(name) and not pool.get(name.lower()) and f"{name.lower()}=" not in str(cache.get("LOCATION"))
    ]


def _eviction_policy(database: Database) -> str:
    """The server's maxmemory-policy, "" when there is no index or Redis does not answer."""
    memory = _memory_of_redis(database)
    return "" if isinstance(memory, Exception) else str(memory.get("maxmemory_policy", ""))


def _memory_of_redis(database: Database) -> Mapping[str, Any] | Exception:
    """What the server says of its memory, why it does not, or nothing without an index. One round trip."""
    if database.cache is None or not _is_django_redis(database.cache):
        return {}
    try:
        # INFO, since CONFIG is often forbidden at hosted services.
        memory: Mapping[str, Any] = get_redis_connection(str(database.options.cache), write=True).info("memory")
    except (RedisError, OSError) as error:
        return error
    return memory


def _table_database(cache: str | None) -> str | None:
    """The database in which a DatabaseCache has its table; None for any other cache."""
    backend = caches[cache] if cache in settings.CACHES else None
    return router.db_for_read(backend.cache_model_class) if isinstance(backend, DatabaseCache) else None
