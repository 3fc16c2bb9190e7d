"""Counts the documents of tables in the background, so that the time left can be told of those that no index counts.

A listing names a thousand documents in the time in which a few are read, so the number is there early.
"""

from __future__ import annotations

import threading
from queue import SimpleQueue
from types import TracebackType
from typing import Self

from ..exceptions import SmarterBaseError
from ..tenancy import following
from .tables import connection_of


class Census:
    """A thread that lists one table after another as they are asked for, until the block ends."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[str, str], int] = {}
        self._asked: set[tuple[str, str]] = set()
        self._todo: SimpleQueue[tuple[str, str] | None] = SimpleQueue()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop.set()
        self._todo.put(None)
        if self._thread is not None:
            self._thread.join()

    def documents(self, database: str, table: str) -> int | None:
        """How many documents the table has; None until they are counted, which the first question begins."""
        asked = (database, table)
        if asked not in self._asked:
            self._asked.add(asked)
            self._todo.put(asked)
            if self._thread is None:
                target = following(self._work)
                self._thread = threading.Thread(target=target, name="smarterbase-census", daemon=True)
                self._thread.start()
        return self._numbers.get(asked)

    def forget(self) -> None:
        """Count anew from now on."""
        self._asked.clear()
        self._numbers.clear()

    def _work(self) -> None:
        while (asked := self._todo.get()) is not None and not self._stop.is_set():
            try:
                self._count(*asked)
            except (SmarterBaseError, OSError):
                continue  # the command itself reads the same store, and says what is wrong with it

    def _count(self, database: str, table: str) -> None:
        resources, number = connection_of(database).resources, 0
        for _ in resources.store.list(resources.keys.table_prefix(table)):
            if self._stop.is_set():
                return
            number += 1
        self._numbers[database, table] = number
