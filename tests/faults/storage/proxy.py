"""A line to an S3 server that fails on command: an HTTP proxy in threads of this process."""

from __future__ import annotations

import enum
import http.client
import re
import socket
import struct
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from testproject.services import LOOPBACK

from ..tally import TALLY

_PATIENCE = 20  # seconds that the server behind may take
_ERROR = "<Error><Code>{code}</Code><Message>as the test wants it</Message></Error>"
_NO_LINGER = struct.pack("ii", 1, 0)  # closing then sends RST


class Fault(enum.Enum):
    """What becomes of a request."""

    SLOW_DOWN = "503 SlowDown"
    CONFLICT = "409 ConditionalRequestConflict: another conditional request for the object is under way"
    RESET_BEFORE = "reset before the request was passed on"
    RESET_AFTER = "reset after the request was passed on: a lost answer"
    LATE_REQUEST = "passed on after the client has given up"
    LATE_ANSWER = "answered after the client has given up"
    TRUNCATED = "half of the body, then the end of the connection"
    STALLED = "half of the body, then silence"


@dataclass
class Rule:
    """``fault`` befalls ``times`` requests of ``method`` whose path matches ``pattern``, after ``skip`` of them."""

    fault: Fault
    method: str
    pattern: re.Pattern[str]
    times: float
    skip: int
    hits: int = 0


@dataclass(frozen=True)
class Seen:
    """A request that a client sent."""

    method: str
    path: str
    fault: Fault | None


@dataclass
class _Response:
    status: int
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""


class FaultyProxy:
    """Passes requests to the server on port ``upstream``, but for those that a rule says otherwise of.

    ``delay`` (seconds) is how late the late ones are.
    """

    def __init__(self, upstream: int, delay: float = 1.0) -> None:
        self.upstream = upstream
        self.delay = delay
        self.rules: list[Rule] = []
        self.seen: list[Seen] = []
        self._lock = threading.Lock()
        self._under_way = 0
        self._server = _Server((LOOPBACK, 0), _Handler)
        self._server.proxy = self
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    @property
    def url(self) -> str:
        """The endpoint for S3 clients."""
        return f"http://{LOOPBACK}:{self._server.server_port}"

    def fail(
        self, fault: Fault, method: str = "", pattern: str = "", *, times: float = float("inf"), skip: int = 0
    ) -> Rule:
        """Let requests fail from now on. ``method`` "" is any; ``pattern`` is searched in path and query."""
        rule = Rule(fault, method, re.compile(pattern), times, skip)
        with self._lock:
            self.rules.append(rule)
        return rule

    def heal(self) -> None:
        """Nothing fails any more, and what was held back has arrived."""
        with self._lock:
            self.rules.clear()
        deadline = time.monotonic() + _PATIENCE
        while self._under_way and time.monotonic() < deadline:
            time.sleep(0.01)

    def requests(self, method: str = "", pattern: str = "") -> list[Seen]:
        """What clients sent, in its order."""
        return [seen for seen in self.seen if method in ("", seen.method) and re.search(pattern, seen.path)]

    def close(self) -> None:
        """Stop listening. Requests under way come to their end."""
        self._server.shutdown()
        self._server.server_close()

    def fate(self, method: str, path: str) -> Fault | None:
        """What a request meets; counted."""
        with self._lock:
            fault = next((rule.fault for rule in self.rules if _befalls(rule, method, path)), None)
            self.seen.append(Seen(method, path, fault))
            TALLY.count("storage faults", f"requests: {fault.value if fault else 'passed on'}")
        return fault

    def occupied(self, step: int) -> None:
        """One request more, or one less, is under way."""
        with self._lock:
            self._under_way += step


def _befalls(rule: Rule, method: str, path: str) -> bool:
    if rule.method not in ("", method) or not rule.pattern.search(path) or rule.hits >= rule.times:
        return False
    if rule.skip:
        rule.skip -= 1
        return False
    rule.hits += 1
    return True


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64
    proxy: FaultyProxy

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that is gone is what these tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def handle_one_request(self) -> None:
        """One request, counted as under way from its first line."""
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline or not self.parse_request():
            self.close_connection = True
            return
        self.server.proxy.occupied(1)
        try:
            self._deal()
        finally:
            self.server.proxy.occupied(-1)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the tests look at ``seen``."""

    def _deal(self) -> None:
        proxy = self.server.proxy
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = proxy.fate(self.command, self.path)
        if fault is Fault.RESET_BEFORE:
            return self._reset()
        if fault is Fault.SLOW_DOWN:
            return self._send(_Response(503, [("Content-Type", "application/xml")], _error("SlowDown")))
        if fault is Fault.CONFLICT:
            return self._send(
                _Response(409, [("Content-Type", "application/xml")], _error("ConditionalRequestConflict"))
            )
        if fault is Fault.LATE_REQUEST:
            time.sleep(proxy.delay)
        response = self._pass_on(body)
        if fault is Fault.RESET_AFTER:
            return self._reset()
        if fault is Fault.LATE_ANSWER:
            time.sleep(proxy.delay)
        return self._send(response, fault)

    def _pass_on(self, body: bytes) -> _Response:
        upstream = http.client.HTTPConnection(LOOPBACK, self.server.proxy.upstream, timeout=_PATIENCE)
        own = ("connection", "expect", "host")
        headers = {name: value for name, value in self.headers.items() if name.lower() not in own}
        try:
            upstream.request(self.command, self.path, body, {**headers, "Host": self.headers["Host"]})
            answer = upstream.getresponse()
            return _Response(answer.status, answer.getheaders(), answer.read())
        finally:
            upstream.close()

    def _send(self, response: _Response, fault: Fault | None = None) -> None:
        self.send_response_only(response.status)
        for name, value in response.headers:
            if name.lower() not in ("connection", "content-length", "transfer-encoding"):
                self.send_header(name, value)
        length = next((value for name, value in response.headers if name.lower() == "content-length"), None)
        told = length if self.command == "HEAD" and length else str(len(response.body))
        if response.status not in (204, 304):
            self.send_header("Content-Length", told)
        self.end_headers()
        broken = fault in (Fault.TRUNCATED, Fault.STALLED)
        self.wfile.write(response.body[: len(response.body) // 2] if broken else response.body)
        if fault is Fault.STALLED:
            self.wfile.flush()
            time.sleep(self.server.proxy.delay)
        if broken:
            self._reset(gently=True)

    def _reset(self, *, gently: bool = False) -> None:
        self.close_connection = True
        with suppress(OSError):
            if not gently:
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
                self.connection.close()
            else:
                self.connection.shutdown(socket.SHUT_RDWR)


def _error(code: str) -> bytes:
    return _ERROR.format(code=code).encode()
