"""Redis goes down and comes back while readers and writers are at work: nobody notices but by the clock."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import StringIO
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connections
from django.test import override_settings

from django_smarterbase.profiling import profile_queries
from testproject.articles.models import Article, Author
from testproject.services import RedisServer

from .outages import KINDS, Outages
from .places import ALIAS, Cell, Place, be_patient_for_tests, settings_of
from .tally import TALLY
from .traffic import GONE, Account, Diaries, read_lists, write_articles
from .wire import Wire
from .worker import AUTHORS, CONTEXT, join, pk_of, start, work

TEST = "outage under load"
WRITERS, READERS = 2, 2
#: How long anything may take on a machine that has much else to do. Seconds.
PATIENCE = 90.0
HOWS = {False: "rebuilds by hand", True: "automatic rebuilds"}


def await_that(what: str, so: Callable[[], bool], act: Callable[[], None]) -> None:
    """Until ``so``; ``act`` is done in between."""
    until = time.monotonic() + PATIENCE
    while not so():
        assert time.monotonic() < until, f"not within {PATIENCE:g} s: {what}"
        act()
        time.sleep(0.05)


class Crowd:
    """Readers and writers at work, each with a line of its own to Redis."""

    def __init__(self, place: Place, server: RedisServer) -> None:
        self.folder = Path(place.location).parent / "notes"
        self.folder.mkdir()
        self.wires = [Wire(server.port) for _ in range(WRITERS + READERS)]
        self._stop = CONTEXT.Event()
        self._processes: list[BaseProcess] = []
        self._accounts: dict[Path, Account] = {}
        self.place = place

    def begin(self) -> None:
        """Start everybody, and wait until all are at it."""
        roles = [(write_articles, WRITERS), (read_lists, READERS)]
        jobs = [(role, number) for role, times in roles for number in range(times)]
        for (role, number), wire in zip(jobs, self.wires, strict=True):
            place = self.place.behind(wire.url)
            self._processes.append(start(role, place, self.folder, number, self._stop))
        self.await_that("everybody has begun", lambda: len(self.accounts()) == len(jobs))

    def end(self) -> list[int | None]:
        """Let everybody come to an end; their exit codes."""
        self._stop.set()
        return join(self._processes, PATIENCE)

    def close(self) -> None:
        """End everybody, and close the lines."""
        for process in self._processes:
            process.kill()
            process.join()
        for wire in self.wires:
            wire.close()

    def accounts(self, role: str = "") -> list[Account]:
        """What each process has done so far."""
        for ledger in self.folder.glob(f"{role or '*'}-*.ledger"):
            self._accounts.setdefault(ledger, Account(ledger)).read_on()
        return [account for account in self._accounts.values() if role in ("", account.role)]

    def await_requests(self, times: int = 5) -> None:
        """Until everybody has had so many more answers, the first of which may be from before."""
        goals = {account: account.requests + times for account in self.accounts()}
        self.await_that("everybody goes on", lambda: self._reached(goals, lambda account: account.requests))

    def await_answers_by_index(self, act: Callable[[], None], times: int = 20) -> None:
        """Until every reader is served by the index again; ``act`` is done meanwhile."""
        goals = {account: account.by_index + times for account in self.accounts("reader")}
        self.await_that("the index answers", lambda: self._reached(goals, lambda account: account.by_index), act)

    def await_that(self, what: str, so: Callable[[], bool], act: Callable[[], None] = lambda: None) -> None:
        """Until ``so``, or until somebody was told something wrong or has died."""

        def look_and_act() -> None:
            assert self.wrong() == []
            assert [process.exitcode for process in self._processes if process.exitcode is not None] == []
            act()

        await_that(what, so, look_and_act)

    def wrong(self) -> list[str]:
        """Every wrong answer, and every error that reached a caller."""
        return [wrong for account in self.accounts() for wrong in account.wrong]

    def _reached(self, goals: dict[Account, int], figure: Callable[[Account], int]) -> bool:
        self.accounts()
        return all(figure(account) >= goal for account, goal in goals.items())


class Scene:
    """A database that a crowd is at work on, and what an operator does about its indexes."""

    def __init__(self, place: Place, server: RedisServer, *, automatic: bool) -> None:
        self.crowd = Crowd(place, server)
        self.automatic = automatic
        self.outages = Outages(server, self.crowd.wires, self.crowd.await_requests)

    def repair(self) -> None:
        """Have the index serve every reader again: by hand, or by waiting for who of the processes sees to it."""
        self.crowd.await_answers_by_index(self.wait if self.automatic else self.reindex)

    def wait(self) -> None:
        """Leave it to the others."""

    def reindex(self) -> None:
        """Run sb_reindex if it is needed. It fails as long as a process writes that has not tried Redis again."""
        if self.is_trusted():
            return
        try:
            call_command("sb_reindex", "articles", database=ALIAS, verbosity=0, stderr=StringIO())
        except CommandError:
            TALLY.count(TEST, "rebuilds by hand that met a write without the index")

    def is_trusted(self) -> bool:
        """Whether the indexes of both tables are."""
        connection = connections[ALIAS]
        schemas = [connection.schema_of_model(model) for model in (Author, Article)]
        return all(connection.resources.indexes.state(schema).trusted for schema in schemas)


@pytest.fixture
def scene(place: Place, server: RedisServer, automatic: bool) -> Iterator[Scene]:
    # A long lease, so that a writer who does not wait for its end is seen; a machine with six busy processes is slow.
    place = replace(place, trust_seconds=0.4, write_deadline=1.2, socket_timeout=0.5, auto_reindex=automatic)
    be_patient_for_tests()
    scene = Scene(place, server, automatic=automatic)
    with override_settings(**settings_of({ALIAS: place})), at_home(place):
        try:
            yield scene
        finally:
            scene.crowd.close()


@contextmanager
def at_home(place: Place) -> Iterator[None]:
    """This process's connection to the database, which rebuilds nothing by itself."""
    here = Cell(ALIAS, replace(place, auto_reindex=False))
    here.open()
    yield
    here.close()


def tell(crowd: Crowd, how: str) -> None:
    """Enter what was done in the report."""
    for role in ("reader", "writer"):
        told = crowd.accounts(role)
        TALLY.note(
            TEST,
            f"{how}, {len(told)} {role}s: {sum(account.requests for account in told):,} requests, "
            f"{sum(account.by_index for account in told):,} by index, "
            f"{sum(account.fallbacks for account in told):,} with a fallback, "
            f"{sum(account.due for account in told):,} articles that had to be there, "
            f"worst {max(account.worst for account in told) * 1000:,.0f} ms",
        )


@pytest.mark.parametrize("automatic", [False, True], ids=HOWS.get)
def test_no_error_and_no_missing_article_while_redis_comes_and_goes(scene: Scene, torture: bool) -> None:
    """The indexes are rebuilt by hand after each outage, or by whoever of the processes sees it."""
    crowd, how = scene.crowd, HOWS[scene.automatic]
    assert join([start(work, crowd.place, "fill_authors")]) == [0]
    crowd.begin()
    scene.repair()
    for number in range(20 if torture else len(KINDS)):
        kind = KINDS[number % len(KINDS)]
        before = sum(account.fallbacks for account in crowd.accounts("reader"))
        with scene.outages.of(kind):
            crowd.await_requests()
        scene.repair()
        assert sum(account.fallbacks for account in crowd.accounts("reader")) > before, f"{kind} was met by nobody"
        TALLY.count(TEST, f"outages: {kind}")
    assert crowd.end() == [0] * (WRITERS + READERS)
    assert crowd.wrong() == []
    tell(crowd, how)
    see_that_all_is_there(scene)


def see_that_all_is_there(scene: Scene) -> None:
    """Afterwards the documents are those of the diaries, the lists by index too, and sb_check finds no drift."""
    known = {pk: entry.author for pk, entry in Diaries(scene.crowd.folder).entries().items() if entry.author != GONE}
    stored = {article.pk.hex: article.author_id for article in Article.objects.using(ALIAS).scan()}
    assert known
    assert stored == {pk: pk_of(int(author)) for pk, author in known.items()}
    await_that("the indexes are trusted", scene.is_trusted, scene.reindex)
    with profile_queries() as queries:
        for author in range(AUTHORS):
            mine = Article.objects.using(ALIAS).filter(author=pk_of(author)).order_by().values_list("pk", flat=True)
            assert {pk.hex for pk in mine} == {pk for pk, owner in known.items() if owner == str(author)}
    assert not queries.fallbacks()
    call_command("sb_check", "articles", database=ALIAS, stdout=StringIO(), stderr=StringIO())
