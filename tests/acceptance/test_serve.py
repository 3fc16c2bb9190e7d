"""``make run``'s command: the whole site, over HTTP, on files and a Redis of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from testproject.services import free_port

ROOT = Path(__file__).resolve().parents[2]
DEADLINE = 30  # seconds
PASSWORD = re.compile(r"superuser 'admin' with the password (\S+)")


class Site:
    """A running site and what it printed."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
        self.process = process
        self.url = f"http://127.0.0.1:{port}"
        self.session = requests.Session()
        self._log = log

    @property
    def printed(self) -> str:
        """Everything on standard output and standard error so far."""
        return self._log.read_text()

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
        """Fill in the form of a page and send it; the text of the page that follows."""
        self.get(path)
        data = {**fields, "csrfmiddlewaretoken": self.session.cookies["csrftoken"]}
        page = self.session.post(f"{self.url}{path}", data=data, timeout=DEADLINE)
        assert page.status_code == 200, f"{path}: {page.status_code}\n{self.printed}"
        assert "errornote" not in page.text
        return page.text


@contextmanager
def site(folder: Path) -> Iterator[Site]:
    """The site with its objects in ``folder``, ended by SIGTERM."""
    port = free_port()
    log = folder / f"log-{port}"
    environment = {
        **os.environ,
        "REDIS_URL": "",
        "SMARTERBASE_OBJECTS": str(folder / "objects"),
        "SMARTERBASE_WRITE_DEADLINE": "1",
        "SMARTERBASE_TRUST_SECONDS": "0.3",
        "DJANGO_SETTINGS_MODULE": "testproject.settings",
        "PYTHONUNBUFFERED": "1",
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "testproject.serve", str(port)],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            running = Site(process, port, log)
            running.await_answer()
            yield running
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(DEADLINE)


def test_site_publishes_what_the_admin_wrote_and_keeps_it_over_a_restart(tmp_path: Path) -> None:
    with site(tmp_path) as first:
        assert "Nothing is published yet" in first.get("/")
        password = PASSWORD.search(first.printed)
        assert password is not None, first.printed
        first.submit("/admin/login/?next=/admin/", username="admin", password=password[1])
        listing = first.submit("/admin/articles/author/add/", name="Mary Somerville")
        author = re.search(r"/admin/articles/author/([0-9a-f-]{36})/change/", listing)
        assert author is not None
        listing = first.submit(
            "/admin/articles/article/add/",
            author=author[1],
            category="science",
            title="On the connexion of things",
            body="All of them.",
            status="published",
        )
        assert "On the connexion of things" in listing
        link = re.search(r"/articles/[0-9a-f-]{36}/", first.get("/"))
        assert link is not None
        assert "0 views" in first.get(link[0])
        assert "1 view<" in first.get(link[0])

    with site(tmp_path) as second:
        assert "On the connexion of things" in second.get("/")
        assert "2 views" in second.get(link[0])
        assert PASSWORD.search(second.printed) is None


def test_site_ends_its_redis_when_it_is_ended(tmp_path: Path) -> None:
    with site(tmp_path) as running:
        children = Path(f"/proc/{running.process.pid}/task/{running.process.pid}/children")
        if not children.exists():
            pytest.skip("no /proc on this system")
        pids = children.read_text().split()
        assert pids
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]
