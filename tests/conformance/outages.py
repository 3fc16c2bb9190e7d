"""The outages of the column that has them: a Redis that is killed, and started empty, again and again."""

from __future__ import annotations

import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from testproject.services import RedisServer

EVERY = 2.0  # seconds
_LOOK = 0.02  # seconds between two looks whether the tests have begun


class Outages:
    """Kills ``server`` (-9) when the file ``begun`` appears, and then every two seconds, and starts it anew, empty.

    ``number`` counts the outages. What keeps the server from starting is raised at the end of the block.
    """

    def __init__(self, server: RedisServer, begun: Path) -> None:
        self.number = 0
        self._server = server
        self._begun = begun
        self._over = threading.Event()
        self._problem: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="outages")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._over.set()
        self._thread.join()
        if self._problem is not None and error is None:
            raise self._problem

    def _run(self) -> None:
        while not self._begun.exists():
            if self._over.wait(_LOOK):
                return
        try:
            self._strike()
            while not self._over.wait(EVERY):
                self._strike()
        except Exception as problem:  # noqa: BLE001  (it is raised where the block ends)
            self._problem = problem

    def _strike(self) -> None:
        self._server.kill()
        self._server.start()
        self.number += 1
