"""The example site in a process of its own, over HTTP: as ``make run`` serves it, or by another server."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from testproject.services import free_port

ROOT = Path(__file__).resolve().parents[1]
DEADLINE = 90  # seconds
#: How long a site waits for Redis, on a machine that has much else to do: an index that is not used for once is a
#: fallback in a page, and writes without it are the end of its trust. A Redis that is down refuses at once. Seconds.
REDIS_TIMEOUT = "5"
_HIDDEN = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]*)"')
_PASSWORD = re.compile(r"superuser 'admin' with the password (\S+)")


class Site:
    """A running site, what it printed, and a client of it that keeps its cookies."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, log: Path, environment: Mapping[str, str]) -> None:
        self.process = process
        self.url = f"http://127.0.0.1:{port}"
        self.session = requests.Session()
        self._log = log
        self._environment = environment

    @property
    def printed(self) -> str:
        """Everything on standard output and standard error so far."""
        return self._log.read_text()

    @property
    def password(self) -> str | None:
        """The password of the superuser ``admin``; None when this start of the site did not create it."""
        found = _PASSWORD.search(self.printed)
        return found and found[1]

    def await_answer(self) -> None:
        """Return once the site answers."""
        deadline = time.monotonic() + DEADLINE
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                requests.get(f"{self.url}/admin/login/", timeout=DEADLINE)
                return
            except requests.ConnectionError:
                time.sleep(0.05)
        pytest.fail(f"The site did not answer. It printed:\n{self.printed}")

    def get(self, path: str) -> str:
        """The text of a page."""
        page = self.session.get(f"{self.url}{path}", timeout=DEADLINE)
        assert page.status_code == 200, f"{path}: {page.status_code}\n{self.printed}"
        return page.text

    def submit(self, path: str, **fields: str) -> str:
        """Fill in the form of a page and send it, with its hidden fields; the text of the page that follows."""
        hidden = dict(_HIDDEN.findall(self.get(path)))
        data = {**hidden, **fields, "csrfmiddlewaretoken": self.session.cookies["csrftoken"]}
        page = self.session.post(f"{self.url}{path}", data=data, timeout=DEADLINE)
        assert page.status_code == 200, f"{path}: {page.status_code}\n{self.printed}"
        assert "errornote" not in page.text
        return page.text

    def manage(self, *arguments: str) -> str:
        """What a management command printed, run beside the site on its objects and its Redis."""
        command = [sys.executable, "testproject/manage.py", *arguments]
        done = subprocess.run(
            command, cwd=ROOT, env={**self._environment}, capture_output=True, text=True, timeout=DEADLINE
        )
        assert done.returncode == 0, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def run(self, code: str) -> str:
        """What Python code printed that ran in ``manage.py shell``, where the site's models are imported."""
        return self.manage("shell", "--verbosity", "0", "--command", code)


@contextmanager
def serve(folder: Path, **variables: str) -> Iterator[Site]:
    """The site with its objects in ``folder``, ended by SIGTERM.

    It has a Redis of its own, unless ``variables`` of its environment name a ``REDIS_URL``; then a test may stop that
    one, and run management commands that use it.
    """
    port = free_port()
    with served_by([sys.executable, "-m", "testproject.serve", str(port)], port, folder, **variables) as running:
        yield running


@contextmanager
def served_by(command: Sequence[str], port: int, folder: Path, **variables: str) -> Iterator[Site]:
    """As ``serve``, by a server of any kind that ``command`` starts on ``port``."""
    log = folder / f"log-{port}"
    environment = {
        **os.environ,
        "REDIS_URL": "",
        "SMARTERBASE_OBJECTS": str(folder / "objects"),
        "SMARTERBASE_WRITE_DEADLINE": "1",
        "SMARTERBASE_TRUST_SECONDS": "0.3",
        "SMARTERBASE_REDIS_TIMEOUT": REDIS_TIMEOUT,
        "DJANGO_SETTINGS_MODULE": "testproject.settings",
        "PYTHONUNBUFFERED": "1",
        **variables,
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
        try:
            running = Site(process, port, log, environment)
            running.await_answer()
            yield running
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(DEADLINE)
