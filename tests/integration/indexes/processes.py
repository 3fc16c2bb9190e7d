"""Processes that see an untrusted index or want a lease: ``python -m tests.integration.indexes.processes ROLE``."""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from contextlib import suppress
from pathlib import Path

import django
import redis
from django.conf import settings
from django.core.files.storage import FileSystemStorage

from django_smarterbase import background
from django_smarterbase.indexes import auto, rebuild
from django_smarterbase.indexes.lease import Lease
from django_smarterbase.indexes.service import IndexService, IndexUntrusted
from django_smarterbase.storage.filesystem import FileSystemStore

from .world import EVERYTHING, OPTIONS, SCHEMA, World

LOOK = 0.1
SHORT = 1.5  # seconds of the lease of a process that leaves it behind
UNDER_WAY = 5.0  # seconds that the rebuild of such a process takes at least
PATIENCE = 60.0  # seconds
HELD = 0.3  # seconds of the contended lease
CONTENDERS = 4
TURNS = 6


def world_of(folder: str, url: str, name: str) -> World:
    """The world of a test, as another process has it. Settings must have the cache ``own``."""
    store = FileSystemStore(FileSystemStorage(folder), OPTIONS)
    return World(store, "own", redis.Redis.from_url(url), name=name)


def caches(url: str) -> dict[str, dict[str, object]]:
    """CACHES with the alias ``own``."""
    limits = {"SOCKET_CONNECT_TIMEOUT": 20, "SOCKET_TIMEOUT": 20}
    return {"own": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": url, "OPTIONS": limits}}


def ask(world: World) -> None:
    """Ask the index until it answers, and say so."""
    ask_until_answered(world.service(auto_reindex=True))
    print("answered", flush=True)


def ask_until_answered(service: IndexService) -> None:
    """Ask the index again and again."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        try:
            service.read(SCHEMA, EVERYTHING)
        except IndexUntrusted:
            time.sleep(0.01)
        else:
            return
    raise AssertionError("the index never answered")


def begin_rebuild(world: World) -> IndexService:
    """Ask once, and return when the rebuild that this began is under way, and far from its end."""
    service, until = world.service(auto_reindex=True, write_deadline=UNDER_WAY), time.monotonic() + PATIENCE
    with suppress(IndexUntrusted):
        service.read(SCHEMA, EVERYTHING)
    while not service.state(SCHEMA).rebuilding:
        assert time.monotonic() < until
        time.sleep(0.01)
    return service


def ask_and_end(world: World) -> None:
    """Ask once, and end while the rebuild that this began is under way."""
    begin_rebuild(world)


def ask_and_die(world: World) -> None:
    """Ask once, and be gone in the middle of the rebuild that this began."""
    begin_rebuild(world)
    os._exit(0)


def ask_and_fork(world: World) -> None:
    """Ask, and have a forked child ask too while this process's rebuild is under way, which ends with the process."""
    service = begin_rebuild(world)
    if os.fork():
        os._exit(0)
    ask_until_answered(service)
    print("answered", flush=True)
    os._exit(0)


def contend(folder: str) -> None:
    """Have the lease several times beside others; every third time, end without giving it back.

    Says from when to when it was sure to have it each time (``time.monotonic``, which processes share).
    """
    await_others(folder)
    store, key = FileSystemStore(FileSystemStorage(folder), OPTIONS), "w/_sb/leases/contended.json"
    lease, until, spans = Lease(store, key, HELD), time.monotonic() + PATIENCE, []
    while len(spans) < TURNS:
        assert time.monotonic() < until
        if not lease.acquire():
            time.sleep(0.002)
            continue
        since = time.monotonic()
        time.sleep(0.01)
        now = time.monotonic()
        if lease.is_held:
            spans.append((since, now))
        if len(spans) % 3:
            lease.release()
        else:
            lease = Lease(store, key, HELD)
    print(json.dumps(spans), flush=True)


def await_others(folder: str) -> None:
    """Return when all contenders are ready to begin."""
    until = time.monotonic() + PATIENCE
    Path(folder, f"ready-{os.getpid()}").touch()
    while len(list(Path(folder).glob("ready-*"))) < CONTENDERS:
        assert time.monotonic() < until
        time.sleep(0.002)


def main(role: str, folder: str, url: str, name: str) -> None:
    """Play a role."""
    settings.configure(CACHES=caches(url), USE_TZ=True)
    django.setup()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    auto.LOOK, background._FAREWELL = LOOK, PATIENCE
    if role in ("die", "fork"):
        auto.LEASE, rebuild.HOLD = SHORT, SHORT / 2
    roles = {"ask": ask, "end": ask_and_end, "die": ask_and_die, "fork": ask_and_fork}
    if role == "contend":
        contend(folder)
    else:
        roles[role](world_of(folder, url, name))


if __name__ == "__main__":
    main(*sys.argv[1:])
