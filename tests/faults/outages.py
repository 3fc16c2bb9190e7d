"""Outages of a Redis that others use meanwhile: each is a block, at whose end Redis can be used by everybody again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

import redis

from testproject.services import RedisServer

from .wire import Line, Wire

KINDS = ("killed", "restarted_empty", "restarted_old", "one_cut_off", "hanging")


class Outages:
    """``wires`` are the lines of the processes, the first one a writer's; ``go_on`` lets these work for a while."""

    def __init__(self, server: RedisServer, wires: Sequence[Wire], go_on: Callable[[], None]) -> None:
        self._server = server
        self._wires = wires
        self._go_on = go_on

    def of(self, kind: str) -> AbstractContextManager[None]:
        """One of KINDS."""
        outage: AbstractContextManager[None] = getattr(self, kind)()
        return outage

    @contextmanager
    def killed(self) -> Iterator[None]:
        """kill -9, and it comes back without data."""
        self._server.kill()
        yield
        self._server.start()

    @contextmanager
    def restarted_empty(self) -> Iterator[None]:
        """It is away for a moment and has lost its data."""
        self._server.stop()
        self._server.start()
        yield

    @contextmanager
    def restarted_old(self) -> Iterator[None]:
        """It is away for a moment and comes back with a dump that lacks what was written since."""
        with redis.Redis.from_url(self._server.url, socket_timeout=30) as client:
            client.save()
        self._go_on()
        self._server.kill()
        self._server.start()
        self._server.dump_file.unlink()
        yield

    @contextmanager
    def one_cut_off(self) -> Iterator[None]:
        """One writer cannot reach it, while the readers have no reason to doubt their index."""
        self._wires[0].become(Line.CUT)
        yield
        self._wires[0].become(Line.OPEN)

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """It answers nobody any more, and nobody is told."""
        for wire in self._wires:
            wire.become(Line.SILENT)
        yield
        for wire in self._wires:
            wire.become(Line.OPEN)
