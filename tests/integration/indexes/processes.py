"""Processes that see an untrusted index or want a lease: ``python -m tests.integration.indexes.processes ROLE``."""

from __future__ import annotations

import logging
import os
import sys
import time
from pathlib import Path

import django
import redis
from django.conf import settings
from django.core.files.storage import FileSystemStorage

from django_smarterbase.indexes import auto, rebuild
from django_smarterbase.indexes.lease import Lease
from django_smarterbase.indexes.service import IndexUntrusted
from django_smarterbase.storage.filesystem import FileSystemStore

from .world import EVERYTHING, OPTIONS, SCHEMA, World

LOOK = 0.1
LEASE = 1.5
HELD = 0.3  # seconds of the contended lease


def world_of(folder: str, url: str, name: str) -> World:
    """The world of a test, as another process has it. Settings must have the cache ``own``."""
    store = FileSystemStore(FileSystemStorage(folder), OPTIONS)
    return World(store, "own", redis.Redis.from_url(url), name=name)


def caches(url: str) -> dict[str, dict[str, object]]:
    """CACHES with the alias ``own``."""
    limits = {"SOCKET_CONNECT_TIMEOUT": 20, "SOCKET_TIMEOUT": 20}
    return {"own": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": url, "OPTIONS": limits}}


def ask(world: World, seconds: float) -> None:
    """Ask the index until it answers, and say so."""
    service, until = world.service(auto_reindex=True), time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            service.read(SCHEMA, EVERYTHING)
        except IndexUntrusted:
            time.sleep(0.01)
        else:
            print("answered", flush=True)
            return
    print("never answered", flush=True)


def ask_and_end(world: World) -> None:
    """Ask once, and end while the rebuild that this began is under way."""
    ask(world, 0.3)


def ask_and_die(world: World) -> None:
    """Ask once, and be gone in the middle of the rebuild that this began."""
    ask(world, 0.3)
    os._exit(0)


def ask_and_fork(world: World) -> None:
    """Ask, and have a forked child ask too while this process's rebuild is under way, which ends with the process."""
    service = world.service(auto_reindex=True)
    try:
        service.read(SCHEMA, EVERYTHING)
    except IndexUntrusted:
        time.sleep(0.3)
    if os.fork():
        os._exit(0)
    until = time.monotonic() + 20
    while time.monotonic() < until:
        try:
            service.read(SCHEMA, EVERYTHING)
        except IndexUntrusted:
            time.sleep(0.01)
        else:
            print("answered", flush=True)
            os._exit(0)
    os._exit(1)


def contend(folder: str, seconds: float) -> None:
    """Take the lease as often as possible; every third time, end without giving it back. Says how often."""
    store, inside = FileSystemStore(FileSystemStorage(folder), OPTIONS), Path(folder, "inside")
    lease, until, times = Lease(store, "w/_sb/leases/contended.json", HELD), time.monotonic() + seconds, 0
    while time.monotonic() < until:
        if not lease.acquire():
            time.sleep(0.002)
            continue
        times += 1
        os.close(os.open(inside, os.O_CREAT | os.O_EXCL))
        time.sleep(0.01)
        assert lease.is_held
        inside.unlink()
        if times % 3:
            lease.release()
        else:
            lease = Lease(store, "w/_sb/leases/contended.json", HELD)
    print(times, flush=True)


def main(role: str, folder: str, url: str, name: str) -> None:
    """Play a role."""
    settings.configure(CACHES=caches(url), USE_TZ=True)
    django.setup()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    auto.LOOK, auto.LEASE, rebuild.HOLD = LOOK, LEASE, LEASE / 2
    roles = {"ask": lambda: ask(world_of(folder, url, name), 20), "contend": lambda: contend(folder, 3)}
    roles["end"] = lambda: ask_and_end(world_of(folder, url, name))
    roles["die"] = lambda: ask_and_die(world_of(folder, url, name))
    roles["fork"] = lambda: ask_and_fork(world_of(folder, url, name))
    roles[role]()


if __name__ == "__main__":
    main(*sys.argv[1:])
