"""A process of the site that serves pages until its memory tells: ``python -m tests.acceptance.serving.soak HOW``.

For each number on standard input it serves so many requests, through the site's WSGI application, and prints one line
of JSON. HOW is ``one-thread``, or ``thread-each`` for a server that starts a thread for each request.
"""

from __future__ import annotations

import gc
import io
import json
import logging
import sys
import threading
import uuid
from collections import Counter
from collections.abc import Callable
from wsgiref.util import setup_testing_defaults

from .processes import resident

#: What is asked for, what the site answers, and how often in a round: by key, by index, without either, writes, errors.
_PAGES = (
    ("/articles/{nobody}/", 404, 5),
    ("/", 200, 3),
    ("/articles/{article}/", 200, 2),
    ("/admin/login/", 200, 2),
    ("/search/", 200, 2),
    ("/clash/", 409, 1),
    ("/fail/", 500, 1),
    ("/come_and_go/", 200, 1),
    ("/transact/", 200, 1),
)


class Visitor:
    """Asks for one page after the other."""

    def __init__(self, application: Callable[..., object], articles: list[str]) -> None:
        self.answers: Counter[str] = Counter()
        self._application = application
        self._articles = articles
        self._round = [(page, status) for page, status, times in _PAGES for _ in range(times)]
        self._turn = 0

    def ask(self) -> None:
        """The next page, to its end."""
        page, expected = self._round[self._turn % len(self._round)]
        article = self._articles[self._turn % len(self._articles)]
        self._turn += 1
        status = self._status(page.format(article=article, nobody=uuid.uuid4()))
        self.answers["as expected" if status == expected else f"{page}: {status}"] += 1

    def _status(self, path: str) -> int:
        environ = {"PATH_INFO": path, "wsgi.input": io.BytesIO(), "wsgi.errors": sys.stderr, "HTTP_HOST": "localhost"}
        setup_testing_defaults(environ)
        statuses: list[str] = []
        response = self._application(environ, lambda status, headers: statuses.append(status))
        b"".join(response)  # type: ignore[call-overload]
        response.close()  # type: ignore[attr-defined]
        return int(statuses[0].split()[0])


def in_a_thread(function: Callable[[], None]) -> None:
    """Call it in a thread of its own."""
    thread = threading.Thread(target=function)
    thread.start()
    thread.join()


def main(how: str) -> None:
    """Serve as told."""
    from testproject.wsgi import application  # isort: skip - it sets up the applications

    from testproject.articles.models import Article

    logging.getLogger("django.request").setLevel(logging.CRITICAL)  # refusals and errors are asked for
    articles = [str(pk) for pk in Article.objects.filter(category="science").values_list("pk", flat=True)]
    visitor = Visitor(application, articles)
    for line in sys.stdin:
        for _ in range(int(line)):
            visitor.ask() if how == "one-thread" else in_a_thread(visitor.ask)
        gc.collect()
        print(json.dumps({"resident": resident(), "answers": visitor.answers}), flush=True)
        visitor.answers.clear()


if __name__ == "__main__":
    main(sys.argv[1])
