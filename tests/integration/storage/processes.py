"""What the tests run in other processes. It stands apart from them, so that a spawned process can import it."""

from __future__ import annotations

import multiprocessing
import random
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Event
from typing import Any

from django.conf import settings
from django.core.files.storage import FileSystemStorage

from django_smarterbase.conf import Options
from django_smarterbase.exceptions import PreconditionFailed
from django_smarterbase.storage.base import ObjectStore
from django_smarterbase.storage.keys import Keyspace
from django_smarterbase.storage.opening import open_store
from django_smarterbase.storage.sequences import Sequences

SPAWN = multiprocessing.get_context("spawn")  # a fork would copy the threads' locks of the test run
DEADLINE = 60.0  # seconds


def file_store(location: str) -> ObjectStore:
    if not settings.configured:
        settings.configure()
    return open_store(FileSystemStorage(location=location), Options(fsync=False))


def start(target: Callable[..., None], *arguments: Any) -> BaseProcess:
    process = SPAWN.Process(target=target, args=arguments)
    process.start()
    return process


def join(processes: list[BaseProcess]) -> None:
    for process in processes:
        process.join(DEADLINE)
        if process.exitcode is None:
            process.terminate()
    assert [process.exitcode for process in processes] == [0] * len(processes)


def increment(location: str, key: str, times: int) -> None:
    store = file_store(location)
    for _ in range(times):
        while True:
            stored = store.get(key)
            try:
                store.put(key, str(int(stored.body) + 1).encode(), if_match=stored.etag)
                break
            except PreconditionFailed:
                continue


def allocate(location: str, key: str, times: int) -> None:
    store = file_store(location)
    sequences = Sequences(store, Keyspace("db"))
    values = [value for number in range(times) for value in sequences.allocate("articles", 1 + number % 3)]
    store.put(key, ",".join(map(str, values)).encode(), if_absent=True)


def replace(location: str, keys: list[str], started: Event, stop: Event) -> None:
    store = file_store(location)
    while not stop.is_set():
        store.put(random.choice(keys), b"x" * random.randrange(100))
        started.set()
