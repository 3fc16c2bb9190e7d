"""A Redis that takes connections and never answers: a statement waits for it once, whether or not it is watched."""

from __future__ import annotations

import queue
import socket
import threading
from collections.abc import Iterator

import pytest
from django.conf import settings
from django.test import override_settings

from django_smarterbase.indexes.breaker import breaker_of
from django_smarterbase.profiling import profile_queries
from testproject.articles.models import Article, Author


class Silence:
    """A server on a free port. It accepts connections and leaves them without an answer."""

    def __init__(self) -> None:
        self.connections: list[socket.socket] = []
        self.accepted: queue.SimpleQueue[object] = queue.SimpleQueue()
        self.server = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self.server.getsockname()[1]}/0"
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, address = self.server.accept()
            except OSError:
                return
            self.connections.append(connection)
            self.accepted.put(address)

    def asked(self) -> int:
        """How many connections have come so far. They are accepted in their order, so it waits for one of its own."""
        with socket.create_connection(self.server.getsockname()) as last:
            addresses = list(iter(lambda: self.accepted.get(timeout=60), last.getsockname()))
        return len(addresses)

    def close(self) -> None:
        self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()
        self.thread.join(5)
        for connection in self.connections:
            connection.close()


@pytest.fixture
def silence(db: None) -> Iterator[Silence]:
    Author.objects.create(name="Ada")
    server = Silence()
    options = {"SOCKET_CONNECT_TIMEOUT": 0.2, "SOCKET_TIMEOUT": 0.2}
    cache = {**settings.CACHES["smarterbase"], "LOCATION": server.url, "OPTIONS": options}
    with override_settings(CACHES={**settings.CACHES, "smarterbase": cache}):
        yield server
    server.close()
    breaker_of("smarterbase").succeeded()


@pytest.mark.parametrize("watched", [True, False])
def test_statement_over_two_indexes_waits_once_when_redis_hangs(silence: Silence, watched: bool) -> None:
    query = Article.objects.filter(author__name="Ada")
    if watched:
        with profile_queries():
            assert list(query) == []
    else:
        assert list(query) == []
    assert silence.asked() == 1
