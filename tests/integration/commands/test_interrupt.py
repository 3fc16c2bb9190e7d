"""Ctrl-C and SIGTERM on the real process."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import testproject
from testproject.articles.models import Article, Author
from tests.integration.commands.site import Site
from tests.serving import REDIS_TIMEOUT

MANAGE = Path(testproject.__file__).parent / "manage.py"
ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
COLOR = re.compile(r"\x1b\[[0-9;]*m")
PATIENCE = 60.0  # seconds
WRITE_DEADLINE = 120.0  # seconds, which nobody who interrupts a command waits for


@contextmanager
def running(site: Site, *command: str, no_color: bool = False, **streams: Any) -> Iterator[subprocess.Popen[str]]:
    """A command of the example site in a process of its own, whose rebuilds take long."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("SMARTERBASE_", "DJANGO_"))},
        "REDIS_URL": site.server.url,
        "SMARTERBASE_NAME": site.name,
        "SMARTERBASE_OBJECTS": str(site.folder),
        "SMARTERBASE_WRITE_DEADLINE": str(WRITE_DEADLINE),
        "SMARTERBASE_TRUST_SECONDS": "1",
        "SMARTERBASE_AUTO_REINDEX": "0",
        "SMARTERBASE_REDIS_TIMEOUT": REDIS_TIMEOUT,
        "TERM": "xterm-256color",
        "NO_COLOR": "1" if no_color else "",
    }
    both = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams}
    line = [sys.executable, str(MANAGE), *command]
    with subprocess.Popen(line, env=environment, text=True, **both) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_for_line(process: subprocess.Popen[str], words: str) -> None:
    """Read its errors up to a line with these words."""
    said = ""
    while words not in said:
        said = process.stderr.readline()
        assert said, process.stdout.read()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_reindex_says_what_was_done_and_that_it_is_safe_to_run_again(
    site: Site, number: signal.Signals
) -> None:
    Author.objects.create(name="Ada")
    before = site.state(Author).entry
    with running(site, "sb_reindex", "articles.Author", "-v", "2") as process:
        wait_for_line(process, "waiting")
        begun = time.monotonic()
        process.send_signal(number)
        out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert time.monotonic() - begun < WRITE_DEADLINE / 2
    assert out == "articles.Author: interrupted; as before, its index is trusted (1 document).\n"
    assert err == (
        "Interrupted; the rebuilds under way are being ended.\n"
        "CommandError: Interrupted: 0 of 1 table is ready. No index was harmed: each that was not finished is as it "
        "was before. Run sb_reindex again when you like.\n"
    )
    after = site.state(Author)
    assert (after.trusted, after.entry.epoch, after.entry.building) == (True, before.epoch, None)


def test_an_interrupted_check_tells_what_it_had_found(site: Site) -> None:
    Author.objects.create(name="Ada")
    with site.redis() as client:
        client.flushall()
    with running(site, "sb_check", "articles.Author", "--repair", "--json", "-v", "2") as process:
        wait_for_line(process, "waiting")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    found = json.loads(out)
    assert (found["interrupted"], found["sound"]) == (True, False)
    (table,) = found["tables"]
    assert (table["left"]["reason"], table["repaired"]["rebuilt"]) == ("Redis lost the index", False)
    assert err == (
        "CommandError: Interrupted: 1 of 1 table was looked at. Nothing was harmed; run sb_check again when you like.\n"
    )
    assert not site.state(Author).trusted


@contextmanager
def terminal() -> Iterator[tuple[int, int]]:
    """A pseudoterminal: the side of the program, and the side of the person."""
    person, program = pty.openpty()
    os.set_blocking(person, False)
    try:
        yield program, person
    finally:
        os.close(person)
        os.close(program)


def read_until(person: int, words: str, text: str = "") -> str:
    """What stands on the terminal, read on until these words come."""
    until = time.monotonic() + PATIENCE
    while words not in ANSI.sub("", text):
        assert time.monotonic() < until, text
        try:
            text += os.read(person, 65536).decode()
        except BlockingIOError:
            time.sleep(0.02)
    return text


@pytest.mark.parametrize("no_color", [True, False])
def test_on_a_terminal_the_bars_are_wiped_and_the_cursor_comes_back(site: Site, no_color: bool) -> None:
    Author.objects.create(name="Ada")
    Article.objects.create(author=Author.objects.get(), title="t", category="c")
    with (
        terminal() as (program, person),
        running(site, "sb_reindex", "articles", no_color=no_color, stdout=program, stderr=program) as process,
    ):
        text = read_until(person, "0 of 2 tables ready, waiting for writers")
        assert "articles.Article" in ANSI.sub("", text)
        process.send_signal(signal.SIGINT)
        text = read_until(person, "Run sb_reindex again when you like.", text)
        assert process.wait(PATIENCE) == 130
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") > 0
    assert "Traceback" not in text
    bars, _, _ = text.partition("CommandError")
    assert bool(COLOR.search(bars)) is not no_color
    assert bool(COLOR.search(bars[-20:])) is not no_color, "the message's own colour"
