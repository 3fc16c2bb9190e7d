"""The tutorial, followed literally: its files are written, its commands run, its outputs compared."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import requests

from testproject.services import RedisServer, free_port

ROOT = Path(__file__).resolve().parents[2]
TUTORIAL = ROOT / "docs" / "tutorial.md"
DEADLINE = 120  # seconds
PRINTS = "prints"
SHELL = "manage.py shell"
_BLOCK = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """A fenced block: its language, its title and its text."""

    language: str
    title: str
    text: str


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page."""
    return [Block(*found) for found in _BLOCK.findall(page.read_text())]


class Reader:
    """Somebody who does what the tutorial says, in an empty folder. Redis has a free port in place of the usual one."""

    def __init__(self, folder: Path, server: RedisServer, web_port: int) -> None:
        self.folder = folder
        self.server = server
        self.web_port = web_port
        self.printed = ""
        self.site: subprocess.Popen[bytes] | None = None

    @property
    def project(self) -> Path:
        """The folder in which commands are run: the project's, once there is one."""
        return self.folder / "blog" if (self.folder / "blog").exists() else self.folder

    def follow(self, block: Block) -> None:
        """Do what one block says."""
        text = block.text.replace("6379", str(self.server.port)).replace("8000", str(self.web_port))
        text = text.replace('TIMEOUT": 0.25', 'TIMEOUT": 5')  # what is printed is of a Redis that is not slow for once
        if block.title == PRINTS:
            assert self.printed == text
        elif block.title == SHELL:
            self.printed = self.run([sys.executable, "manage.py", "shell", "-v", "0"], text)
        elif block.title:
            path = self.project / block.title
            path.write_text(path.read_text() + "\n" + text if block.title.endswith("settings.py") else text)
        elif block.language == "shell":
            self.printed = "".join(self.type(line) for line in text.splitlines())

    def type(self, line: str) -> str:
        """Type one command; what it prints. The environment is installed, and Redis has a server of its own."""
        if line.startswith(("python3 -m venv", "pip install")):
            return ""
        if line.startswith("redis-server"):
            self.server.start()
        elif line.startswith("redis-cli") and line.endswith("shutdown"):
            self.server.stop()
        elif "runserver" in line:
            self.serve(line)
        else:
            return self.run(["bash", "-c", line.replace("django-admin startproject blog && cd blog", STARTPROJECT)])
        return ""

    def run(self, command: list[str], text: str = "") -> str:
        """Run a command in the project's folder; what it prints."""
        done = subprocess.run(
            command,
            input=text,
            cwd=self.project,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def serve(self, line: str) -> None:
        """Start the development server, and log in to the admin."""
        command = [*line.replace("python ", f"{sys.executable} ").split(), "--noreload"]
        with (self.folder / "site.log").open("wb") as log:
            self.site = subprocess.Popen(command, cwd=self.project, env=environment(), stdout=log, stderr=log)
        self.log_in()

    def log_in(self) -> None:
        """As the tutorial's superuser; the list of articles shows them."""
        url, session = f"http://127.0.0.1:{self.web_port}/admin", requests.Session()
        until = time.monotonic() + DEADLINE
        while True:
            try:
                session.get(f"{url}/login/", timeout=DEADLINE)
                break
            except requests.ConnectionError:
                assert time.monotonic() < until, (self.folder / "site.log").read_text()
                time.sleep(0.1)
        form = {
            "username": "admin",
            "password": "choose-your-own",
            "csrfmiddlewaretoken": session.cookies["csrftoken"],
            "next": "/admin/articles/article/",
        }
        page = session.post(f"{url}/login/", data=form, timeout=DEADLINE)
        assert page.status_code == 200
        assert "Engines 3" in page.text
        assert "4 articles" in page.text

    def leave(self) -> None:
        """End the server."""
        if self.site is not None:
            self.site.terminate()
            self.site.wait(DEADLINE)


STARTPROJECT = "django-admin startproject blog"


def environment() -> dict[str, str]:
    """The commands of this environment, and the package of this checkout."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DJANGO_", "SMARTERBASE_"))}
    return {**kept, "PATH": path, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "default"}


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    """Somebody in an empty folder."""
    server = RedisServer()
    reader = Reader(tmp_path, server, free_port())
    yield reader
    reader.leave()
    server.close()


def test_tutorial_prints_what_it_says_when_it_is_followed(reader: Reader) -> None:
    page = blocks(TUTORIAL)
    assert sum(block.title == PRINTS for block in page) >= 7
    for block in page:
        reader.follow(block)
    assert "Written without Redis" in reader.run(["bash", "-c", "cat objects/blog/articles_article/*.json"])
