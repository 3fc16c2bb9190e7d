"""An S3 server that answers as late as S3 does and takes next to no CPU time, for the measurement of writes.

moto takes 8 ms of CPU time for a PUT, so that it would be moto that is measured; rclone ignores conditions. This one
keeps objects in memory, honours If-Match and If-None-Match, and knows the requests of the engine and no others.
"""

from __future__ import annotations

import asyncio
import hashlib
import http.client
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

from testproject.services import LOOPBACK, Service

BUCKET: Final = "bench"
_PAGE: Final = 1000
_READY: Final = "/ready"


class StandIn(Service):
    """The server in a child process. ``latency`` is in ms, of each request."""

    name = "the stand-in for S3"

    def __init__(self, latency: float) -> None:
        super().__init__()
        self.latency = latency

    @property
    def endpoint_url(self) -> str:
        """The URL that S3 clients connect to."""
        return f"http://{LOOPBACK}:{self.port}"

    def command(self) -> list[str]:
        """The command line."""
        return [sys.executable, "-m", "benchmarks.s3_stand_in", str(self.port), str(self.latency)]

    def answers(self, pid: int) -> bool:
        """Ask for its process id."""
        connection = http.client.HTTPConnection(LOOPBACK, self.port, timeout=2)
        try:
            connection.request("GET", _READY)
            return connection.getresponse().read() == str(pid).encode()
        finally:
            connection.close()


@dataclass(frozen=True)
class _Object:
    body: bytes
    etag: str
    metadata: Mapping[str, str]


@dataclass(frozen=True)
class _Answer:
    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


class _Bucket:
    def __init__(self) -> None:
        self.objects: dict[str, _Object] = {}

    def answer(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> _Answer:
        """What S3 would say."""
        url = urlsplit(target)
        key = unquote(url.path).removeprefix(f"/{BUCKET}").removeprefix("/")
        found = self.objects.get(key)
        if method == "GET" and not key:
            return self._listing(parse_qs(url.query))
        if method in ("GET", "HEAD"):
            return _error(404, "NoSuchKey") if found is None else _shown(found)
        if headers.get("if-none-match") == "*" and found is not None:
            return _error(412, "PreconditionFailed")
        if "if-match" in headers and (found is None or found.etag != headers["if-match"]):
            return _error(404 if found is None else 412, "NoSuchKey" if found is None else "PreconditionFailed")
        if method == "DELETE":
            self.objects.pop(key, None)
            return _Answer(204)
        etag = f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'
        kept = {name: value for name, value in headers.items() if name.startswith("x-amz-meta-")}
        self.objects[key] = _Object(body, etag, kept)
        return _Answer(200, headers={"ETag": etag})

    def _listing(self, query: Mapping[str, list[str]]) -> _Answer:
        prefix = query.get("prefix", [""])[0]
        after = query.get("continuation-token", query.get("start-after", [""]))[0]
        keys = sorted(key for key in self.objects if key.startswith(prefix) and key > after)
        page, more = keys[:_PAGE], len(keys) > _PAGE
        contents = "".join(
            f"<Contents><Key>{escape(key)}</Key><ETag>{self.objects[key].etag}</ETag>"
            f"<Size>{len(self.objects[key].body)}</Size></Contents>"
            for key in page
        )
        token = f"<NextContinuationToken>{escape(page[-1])}</NextContinuationToken>" if more else ""
        truncated = f"<IsTruncated>{'true' if more else 'false'}</IsTruncated>"
        return _Answer(200, f"<ListBucketResult>{truncated}{token}{contents}</ListBucketResult>".encode())


def _shown(found: _Object) -> _Answer:
    modified = {"Last-Modified": "Wed, 25 Nov 2026 12:00:00 GMT"}
    return _Answer(200, found.body, {"ETag": found.etag, **modified, **found.metadata})


def _error(status: int, code: str) -> _Answer:
    return _Answer(status, f"<Error><Code>{code}</Code></Error>".encode(), {"Content-Type": "application/xml"})


async def _serve(port: int, latency: float) -> None:
    bucket = _Bucket()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (line := await reader.readline()).strip():
                method, target, _version = line.decode().split()
                headers = await _headers(reader)
                if headers.get("expect") == "100-continue":
                    writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                if target == _READY:
                    answer = _Answer(200, str(os.getpid()).encode())
                else:
                    await asyncio.sleep(latency / 1000)
                    answer = bucket.answer(method, target, headers, body)
                writer.write(_written(answer, is_head=method == "HEAD"))
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(connected, LOOPBACK, port, backlog=256)
    await server.serve_forever()


async def _headers(reader: asyncio.StreamReader) -> dict[str, str]:
    headers = {}
    while (line := await reader.readline()).strip():
        name, _, value = line.decode().partition(":")
        headers[name.strip().lower()] = value.strip()
    return headers


def _written(answer: _Answer, *, is_head: bool) -> bytes:
    headers = {"Content-Length": str(len(answer.body)), **answer.headers}
    lines = [f"HTTP/1.1 {answer.status} x", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode() + (b"" if is_head else answer.body)


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), float(sys.argv[2])))
