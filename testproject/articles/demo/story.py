"""The demonstration step by step. Every answer is compared with the ledger's."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from django.core.files.storage import storages
from django.core.management import call_command
from django.db import connection

from django_smarterbase.profiling import profile_queries
from django_smarterbase.profiling.profile import QueryProfile
from testproject.articles.demo.input import ADA, DRAFTS, WRITTEN_IN_THE_OUTAGE, Draft, Status
from testproject.articles.demo.ledger import Answers, Ledger
from testproject.articles.models import Article, Author
from testproject.articles.store import ArticleStore
from testproject.services import RedisServer

CATEGORY = "databases"
LIMIT = 3


class Console(Protocol):
    """Where the story is told."""

    def heading(self, text: str) -> None:
        """Begin a step."""

    def line(self, text: str) -> None:
        """Say something."""

    def right(self, text: str) -> None:
        """An answer was as expected."""

    def wrong(self, text: str) -> None:
        """An answer was not as expected."""


class Story:
    """One demonstration. ``differences`` holds a sentence for every answer that was not as expected."""

    def __init__(self, console: Console, redis: RedisServer) -> None:
        self.console = console
        self.redis = redis
        self.store = ArticleStore()
        self.ledger = Ledger()
        self.authors: dict[str, Author] = {}
        self.compared = 0
        self.differences: list[str] = []

    def tell(self) -> None:
        """All steps in their order."""
        self.create()
        working = self.ask_and_change()
        self.show("3. How the queries were answered", working)
        self.lose_redis()
        self.start_redis_empty()
        self.reindex()
        self.show_document()

    def create(self) -> None:
        """Step 1: tables, authors, articles."""
        self.console.heading("1. Create articles, with Redis up")
        call_command("migrate", verbosity=0)
        for draft in DRAFTS:
            self._create(draft)
        self._same("number of articles", Article.objects.count(), len(self.ledger.articles))

    def ask_and_change(self) -> list[QueryProfile]:
        """Step 2: list, top, count, update, view, delete. Returns the profiles of the three questions."""
        self.console.heading("2. List, rank, count, update and delete")
        pks = {article.title: article.pk for article in Article.objects.all()}
        self.store.update(pks["Notes on a calculating engine"], status=Status.PUBLISHED)
        self.ledger.change("Notes on a calculating engine", status=Status.PUBLISHED)
        for _ in range(3):
            self.store.add_view(pks["Counting by hand"])
        self.ledger.change("Counting by hand", more_views=3)
        self.store.delete(pks["Ask forgiveness"])
        self.ledger.remove("Ask forgiveness")
        profiles = self._ask()
        self._found_by_index(profiles)
        return profiles

    def lose_redis(self) -> None:
        """Step 4: the same questions and one more article without Redis."""
        self.console.heading("4. Stop Redis: the same answers, by scanning, and writes go on")
        self.redis.stop()
        profiles = self._ask()
        with profile_queries() as writing:
            self._create(WRITTEN_IN_THE_OUTAGE)
        self._found_by_scan(profiles)
        self._compare(self.ledger.answers(ADA, CATEGORY, LIMIT))
        self._print([*profiles, *writing.profiles])

    def start_redis_empty(self) -> None:
        """Step 5: a Redis that has forgotten everything is not believed."""
        self.console.heading("5. Start Redis empty: an index that lost its entries is not believed")
        self.redis.restart_empty()
        profiles = self._ask()
        self._found_by_scan(profiles)
        self._print(profiles)

    def reindex(self) -> None:
        """Step 6: the index is built anew, and it knows what was written meanwhile."""
        self.console.heading("6. Rebuild the index: manage.py sb_reindex articles")
        report = io.StringIO()
        call_command("sb_reindex", "articles", stdout=report)
        for line in report.getvalue().splitlines():
            self.console.line(line)
        profiles = self._ask()
        self._found_by_index(profiles)
        titles = [article.title for article in self.store.list_author_articles(self.authors[ADA])]
        self._same("the article written during the outage is found", WRITTEN_IN_THE_OUTAGE.title in titles, True)
        self._print(profiles)

    def show_document(self) -> None:
        """Step 7: what is stored, as it is stored."""
        self.console.heading("7. One article as it is stored")
        article = Article.objects.select_related("author").get(title=WRITTEN_IN_THE_OUTAGE.title)
        key, body = _document_of(article)
        self.console.line(key)
        for line in json.dumps(json.loads(body), indent=2, ensure_ascii=False).splitlines():
            self.console.line(line)
        self._same("title in the document", json.loads(body).get("title"), article.title)

    def show(self, heading: str, profiles: Iterable[QueryProfile]) -> None:
        """A step that only shows profiles."""
        self.console.heading(heading)
        self._print(profiles)

    def _create(self, draft: Draft) -> None:
        if draft.author not in self.authors:
            self.authors[draft.author] = Author.objects.create(name=draft.author)
        article = self.store.create(
            author=self.authors[draft.author],
            category=draft.category,
            title=draft.title,
            body=draft.body,
            status=draft.status,
        )
        if draft.views:
            self.store.update(article.pk, view_count=draft.views)
        self.ledger.add(draft)

    def _ask(self) -> list[QueryProfile]:
        with profile_queries() as queries:
            self._compare(self.ledger.answers(ADA, CATEGORY, LIMIT))
        return queries.profiles

    def _compare(self, expected: Answers) -> None:
        listed = [article.title for article in self.store.list_author_articles(self.authors[ADA])]
        self._same(f"articles by {ADA}", listed, expected.titles_of_author)
        top = [(article.title, article.view_count) for article in self.store.top_of_category(CATEGORY, LIMIT)]
        self._same(f"top {LIMIT} of {CATEGORY!r}", top, expected.top_of_category)
        self._same("published articles", self.store.published_count(), expected.published)

    def _found_by_index(self, profiles: list[QueryProfile]) -> None:
        self._marked(profiles, "is answered by an index", lambda profile: not (profile.fallback or profile.full_scan))

    def _found_by_scan(self, profiles: list[QueryProfile]) -> None:
        self._marked(profiles, "is answered by a scan", lambda profile: profile.fallback and profile.full_scan)

    def _marked(self, profiles: list[QueryProfile], what: str, holds: Callable[[QueryProfile], bool]) -> None:
        self._same("number of profiles", len(profiles), 3)
        for profile in profiles:
            self._same(f"{profile.method} {what}", holds(profile), True)

    def _same(self, what: str, got: Any, expected: Any) -> None:
        self.compared += 1
        if got == expected:
            self.console.right(f"{what}: {_brief(got)}" if got is not True else what)
            return
        self.differences.append(f"{what}: got {got!r}, expected {expected!r}")
        self.console.wrong(self.differences[-1])

    def _print(self, profiles: Iterable[QueryProfile]) -> None:
        self.console.line("Query performance:")
        for profile in profiles:
            for line in profile.render(indent=0).splitlines():
                self.console.line(line)


def _brief(answer: Any) -> str:
    match answer:
        case list():
            return "; ".join(_brief(item) for item in answer)
        case (title, views):
            return f"{title} ({views})"
        case _:
            return str(answer)


def _document_of(article: Article) -> tuple[str, str]:
    """The key and the text of the object that holds ``article``."""
    storage = storages["smarterbase"]
    folder = f"{connection.settings_dict['NAME']}/{Article._meta.db_table}"
    for name in storage.listdir(folder)[1]:
        with storage.open(f"{folder}/{name}") as stored:
            body = stored.read().decode()
        if json.loads(body).get("id") == str(article.pk):
            return f"{folder}/{name}", body
    raise LookupError(f"No object under {folder!r} holds the article {article.pk}.")
