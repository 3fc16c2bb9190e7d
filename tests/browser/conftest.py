"""A real browser for the tests of pages: Chromium, driven by Playwright.

Playwright keeps an event loop running in the thread of the tests as long as the browser is open, and there Django
refuses to query. So the browser is closed after each module, and a test module that uses it makes no queries of its
own: the site runs in another process, and ``Site.run`` reaches its models.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright

#: What a browser test waits for at most; the machines of CI are slow and shared.
DEADLINE_MS = 20_000
expect.set_options(timeout=DEADLINE_MS)  # it has a deadline of its own, of five seconds
#: No sandbox: root and most containers have none, and only pages of our own are opened.
FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]


def chromium() -> str | None:
    """The path of Chromium: what ``CHROMIUM`` names, else the first on PATH; None without one."""
    if named := os.environ.get("CHROMIUM"):
        return named
    places = map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))
    return next(filter(None, places), None)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium without a window, with a fresh profile; the test is skipped where there is none."""
    path = chromium()
    if path is None:
        pytest.skip("No Chromium. Install it with: apt install chromium, or name one: CHROMIUM=/path/to/chrome")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, headless=True, args=FLAGS)
        yield running
        running.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """An empty page with cookies of its own. The test fails when a script did, or when a security policy was broken."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, locale="en-US", timezone_id="UTC")
    context.set_default_timeout(DEADLINE_MS)
    context.set_default_navigation_timeout(DEADLINE_MS)
    problems = problems_of(context)
    yield context.new_page()
    context.close()
    assert problems == []


def problems_of(context: BrowserContext) -> list[str]:
    """A list that fills with the errors of scripts, and with what a Content Security Policy forbade."""
    problems: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type == "error" and "Content Security Policy" in message.text:
            problems.append(message.text)

    context.on("weberror", lambda error: problems.append(str(error.error)))
    context.on("console", note)
    return problems
