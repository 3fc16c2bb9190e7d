"""The servers that a site may be deployed on, each with two processes, as command lines."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from testproject.services import LOOPBACK

WORKERS = 2


@dataclass(frozen=True)
class Kind:
    """A kind of server."""

    name: str
    arguments: tuple[str, ...]

    def command(self, port: int) -> list[str]:
        """The command line of a server on ``port``."""
        place = [word.format(address=f"{LOOPBACK}:{port}", host=LOOPBACK, port=port) for word in self.arguments]
        return [sys.executable, "-m", *place]

    def __str__(self) -> str:
        return self.name


def _gunicorn(name: str, *arguments: str, application: str = "testproject.wsgi") -> Kind:
    common = ("gunicorn", "--bind", "{address}", "--workers", str(WORKERS), "--timeout", "60", "--no-control-socket")
    return Kind(name, (*common, *arguments, application))


_PRELOADED = "tests.acceptance.serving.preloaded"
_THREADS = ("--worker-class", "gthread", "--threads", "8")

SYNC = _gunicorn("sync")
SYNC_PRELOADED = _gunicorn("sync-preloaded", "--preload", application=_PRELOADED)
GTHREAD = _gunicorn("gthread", *_THREADS)
GTHREAD_PRELOADED = _gunicorn("gthread-preloaded", *_THREADS, "--preload", application=_PRELOADED)
UVICORN = Kind(
    "uvicorn",
    ("uvicorn", "--host", "{host}", "--port", "{port}", "--workers", str(WORKERS), "testproject.asgi:application"),
)
