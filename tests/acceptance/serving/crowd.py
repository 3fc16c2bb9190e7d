"""A hundred people who use the site at the same time: they read, are counted as views, log in, and write articles."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import requests

from .places import PASSWORD

PEOPLE = 100
PATIENCE = 180  # seconds for one page, of a machine that has much else to do


class Crowd:
    """What ``PEOPLE`` clients do, each with a session of its own. ``views`` and ``titles`` are what must come of it."""

    def __init__(self, url: str, articles: Sequence[str], author: str) -> None:
        self.views: Counter[str] = Counter()
        self.titles: set[str] = set()
        self.requests = 0
        self.failures: list[str] = []
        self._url = url
        self._articles = articles
        self._author = author
        self._lock = threading.Lock()

    def come(self, rounds: int, writers: int, meanwhile: Callable[[], None]) -> None:
        """Each one looks at ``rounds`` articles or more; the first ``writers`` also log in and write an article.

        ``meanwhile`` runs when a third of ``rounds`` is over, and nobody leaves before it has ended: a look at busy
        processes must not find a site that has served its last page.
        """
        third, ended = threading.Semaphore(0), threading.Event()

        def person(number: int) -> None:
            client = _Client(self, random.Random(number))
            if number < writers:
                client.write(f"by {number}")
            for _ in range(rounds):
                client.look()
                third.release()
            while not ended.is_set():
                client.look()

        with ThreadPoolExecutor(PEOPLE + 1) as threads:
            people = [threads.submit(person, number) for number in range(PEOPLE)]
            try:
                for _ in range(PEOPLE * rounds // 3):
                    assert third.acquire(timeout=PATIENCE)
                meanwhile()
            finally:
                ended.set()
            for each in people:
                each.result()

    def note(self, path: str, page: requests.Response) -> None:
        """Count a page that came."""
        with self._lock:
            self.requests += 1
            if page.status_code != 200:
                self.failures.append(f"{path}: {page.status_code} {page.text[:300]}")

    def viewed(self, article: str) -> None:
        """Count a view."""
        with self._lock:
            self.views[article] += 1


class _Client:
    """One of them."""

    def __init__(self, crowd: Crowd, chance: random.Random) -> None:
        self._crowd = crowd
        self._chance = chance
        self._session = requests.Session()
        self._session.headers["Connection"] = "close"

    def look(self) -> None:
        """The front page, and an article of it."""
        self._get("/")
        article = self._chance.choice(self._crowd._articles)
        self._get(f"/articles/{article}/")
        self._crowd.viewed(article)

    def write(self, title: str) -> None:
        """Log in to the admin, write an article, and find it in the list."""
        self._submit("/admin/login/?next=/admin/articles/article/", username="admin", password=PASSWORD)
        listing = self._submit(
            "/admin/articles/article/add/", author=self._crowd._author, category="news", title=title, status="draft"
        )
        if f">{title}</a>” was added" in listing:
            self._crowd.titles.add(title)

    def _get(self, path: str) -> str:
        page = self._session.get(f"{self._crowd._url}{path}", timeout=PATIENCE)
        self._crowd.note(path, page)
        return page.text

    def _submit(self, path: str, **fields: str) -> str:
        self._get(path)
        data = {**fields, "csrfmiddlewaretoken": self._session.cookies["csrftoken"]}
        page = self._session.post(f"{self._crowd._url}{path}", data=data, timeout=PATIENCE)
        self._crowd.note(path, page)
        return page.text
