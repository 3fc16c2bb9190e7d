"""A process's own line to Redis, which can be cut, deafened, slowed or cut at a chosen request."""

from __future__ import annotations

import enum
import select
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from testproject.services import LOOPBACK

CHUNK = 1 << 16


class Line(enum.Enum):
    """What becomes of requests and answers."""

    OPEN = "open"
    CUT = "cut"  # connections are closed
    SILENT = "silent"  # requests are lost
    DEAF = "deaf"  # requests arrive, answers are lost
    SLOW = "slow"  # requests arrive late, whether anybody still waits for the answer or not


class Wire:
    """A TCP proxy on the loopback interface in threads of this process. ``delay`` (seconds) is that of a slow line."""

    def __init__(self, upstream: int, delay: float = 0.5) -> None:
        self.upstream = upstream
        self.delay = delay
        self.requests = 0
        self._line = Line.OPEN
        self._left: int | None = None
        self._action: Callable[[], None] | None = None
        self._clients: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._listener = socket.create_server((LOOPBACK, 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        """The URL that a client connects to."""
        return f"redis://{LOOPBACK}:{self.port}/0"

    def become(self, line: Line) -> None:
        """Change what becomes of requests from now on; a cut line loses its connections too."""
        self._line = line
        if line is Line.CUT:
            self.hang_up()

    def before_request(self, number: int, action: Callable[[], None] | None) -> None:
        """Do something right before the ``number``-th request from now is passed on. None: nothing any more."""
        with self._lock:
            self._left, self._action = (number, action) if action is not None else (None, None)

    def hang_up(self) -> None:
        """Close every connection."""
        with self._lock:
            clients = list(self._clients)
        for client in clients:
            with suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close everything."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.hang_up()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self._line is Line.CUT:
                client.close()
                continue
            with self._lock:
                self._clients.add(client)
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            with suppress(OSError), client, socket.create_connection((LOOPBACK, self.upstream), timeout=1) as server:
                server.settimeout(None)
                for side in (client, server):
                    side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                while self._pass(client, server):
                    pass
        finally:
            client.close()
            with self._lock:
                self._clients.discard(client)

    def _pass(self, client: socket.socket, server: socket.socket) -> bool:
        readable, _, _ = select.select([client, server], [], [])
        for side in readable:
            data = side.recv(CHUNK)
            if not data:
                return False
            if side is client:
                self._request(server, data)
            elif self._line is not Line.DEAF:
                client.sendall(data)
        return True

    def _request(self, server: socket.socket, data: bytes) -> None:
        self._note_request()
        if self._line is Line.SLOW:
            time.sleep(self.delay)
        if self._line is not Line.SILENT:
            server.sendall(data)

    def _note_request(self) -> None:
        with self._lock:
            self.requests += 1
            if self._left is None:
                return
            self._left -= 1
            if self._left:
                return
            action, self._left, self._action = self._action, None, None
        if action is not None:
            action()
