"""Readers and writers of authors' lists, who keep diaries of what is committed and ledgers of what they asked.

A diary is a file a writer: ``? <pk>`` before an article is changed and ``= <pk> <author>`` after (author ``-``: it is
deleted). Each article has one writer. An article that has the same lines before and after a query, and as the last one
a ``=``, was settled all the while: it must be in the list of exactly that author.

A ledger is a file a process: one ``Request`` a line, as JSON. It can be read while its process is at work.
"""

from __future__ import annotations

import json
import os
import random
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

from django_smarterbase.profiling import QueryProfile, profile_queries
from testproject.articles.models import Article

from .actions import CATEGORIES, STATUSES
from .places import Place, move_in
from .worker import AUTHORS, pk_of

GONE: Final = "-"
CHANGING: Final = "?"
FULL: Final = 60  # articles of one writer; from then on it deletes more than it creates
INDEX, FALLBACK, OTHER = "index", "fallback", "other"

Result = TypeVar("Result")


class Entry(NamedTuple):
    """The last line of an article: whose it is (``?`` while that is being changed), and how many lines it has."""

    author: str
    lines: int


class Lines:
    """The lines of a growing file, each told once. One that is just being written is told later."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._told = 0  # bytes

    def new(self) -> list[str]:
        """The whole lines that were added since the last call."""
        with self._path.open("rb") as file:
            file.seek(self._told)
            text = file.read()
        whole = text[: text.rfind(b"\n") + 1]
        self._told += len(whole)
        return whole.decode().splitlines()


class Diaries:
    """What all writers of a folder have noted."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lines: dict[Path, Lines] = {}
        self._entries: dict[str, Entry] = {}

    def entries(self) -> dict[str, Entry]:
        """``{pk: entry}`` as of now."""
        for path in self._folder.glob("*.diary"):
            for line in self._lines.setdefault(path, Lines(path)).new():
                mark, pk, *author = line.split(" ")
                lines = self._entries[pk].lines + 1 if pk in self._entries else 1
                self._entries[pk] = Entry(author[0] if mark == "=" else CHANGING, lines)
        return dict(self._entries)


@dataclass(frozen=True)
class Request:
    """One request: which way it was answered, and how many settled articles had to be in the list that came."""

    way: str
    seconds: float
    due: int = 0
    wrong: tuple[str, ...] = ()


class Account:
    """What one process did so far. ``worst`` is in seconds; ``wrong`` tells of wrong answers and of errors."""

    def __init__(self, ledger: Path) -> None:
        self.role = ledger.stem.partition("-")[0]
        self.requests = 0
        self.by_index = 0
        self.fallbacks = 0
        self.due = 0
        self.worst = 0.0
        self.wrong: list[str] = []
        self._lines = Lines(ledger)

    def read_on(self) -> None:
        """Take what was entered since the last call."""
        for line in self._lines.new():
            request = Request(**json.loads(line))
            self.requests += 1
            self.by_index += request.way == INDEX
            self.fallbacks += request.way == FALLBACK
            self.due += request.due
            self.worst = max(self.worst, request.seconds)
            self.wrong += request.wrong


class Ledger:
    """Enters the requests of this process, and stops at the first that is wrong."""

    def __init__(self, path: Path) -> None:
        self.is_clean = True
        self._path = path

    def answer_of(self, ask: Callable[[], Result]) -> tuple[Result | None, Request]:
        """What ``ask`` gives, and the request; None when it raised: no error of any kind may reach a caller."""
        began, wrong, result = time.monotonic(), tuple[str, ...](), None
        with profile_queries() as queries:
            try:
                result = ask()
            except Exception as error:  # noqa: BLE001
                wrong = (f"{self._path.stem}: {type(error).__name__}: {error}",)
        return result, Request(_way_of(queries.profiles), time.monotonic() - began, wrong=wrong)

    def enter(self, request: Request) -> None:
        """Note a request that is over."""
        self.is_clean = self.is_clean and not request.wrong
        with self._path.open("a") as file:
            file.write(f"{json.dumps(asdict(request))}\n")


def _way_of(profiles: list[QueryProfile]) -> str:
    if any(profile.fallback for profile in profiles):
        return FALLBACK
    return INDEX if any(profile.index_used.startswith("redis:") for profile in profiles) else OTHER


def write_articles(place: Place, folder: Path, number: int, stop: Event) -> None:
    """Create, move and delete articles of one's own until ``stop``."""
    move_in(place)
    ledger, chance, mine = Ledger(folder / f"writer-{number}.ledger"), random.Random(number), dict[str, str]()
    diary = os.open(folder / f"{number}.diary", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    while not stop.is_set() and ledger.is_clean:
        pk = chance.choice(sorted(mine)) if mine and chance.random() < len(mine) / FULL else uuid.uuid4().hex
        os.write(diary, f"? {pk}\n".encode())
        settled, request = ledger.answer_of(partial(_change, pk, chance.randrange(AUTHORS), mine, chance))
        if settled is not None:
            os.write(diary, f"= {pk} {settled}\n".encode())
        ledger.enter(request)
        time.sleep(chance.random() * 0.02)
    os.close(diary)


def _change(pk: str, author: int, mine: dict[str, str], chance: random.Random) -> str:
    """Create, move or delete an article; whose it is then."""
    values = {"author_id": pk_of(author), "category": chance.choice(CATEGORIES), "status": chance.choice(STATUSES)}
    if pk not in mine:
        Article.objects.create(pk=uuid.UUID(pk), title="", **values)
    elif chance.random() < 0.5:
        assert Article.objects.filter(pk=uuid.UUID(pk)).update(**values) == 1
    else:
        assert Article.objects.filter(pk=uuid.UUID(pk)).delete()[0] == 1
        del mine[pk]
        return GONE
    mine[pk] = str(author)
    return str(author)


def read_lists(place: Place, folder: Path, number: int, stop: Event) -> None:
    """Ask for authors' lists until ``stop``, and compare them with the diaries."""
    move_in(place)
    ledger, chance, diaries = Ledger(folder / f"reader-{number}.ledger"), random.Random(number), Diaries(folder)
    while not stop.is_set() and ledger.is_clean:
        author, before = chance.randrange(AUTHORS), diaries.entries()
        found, request = ledger.answer_of(partial(list_of, author, from_index=number % 2 == 1))
        if found is not None:
            after = diaries.entries()
            wrong = tuple(differences(str(author), found, before, after))
            request = replace(request, due=len(settled_of(str(author), before, after)), wrong=wrong[:10])
        ledger.enter(request)
        time.sleep(chance.random() * 0.01)


def list_of(author: int, *, from_index: bool) -> set[str]:
    """The keys of an author's articles: from the index alone where that is trusted, or by their documents."""
    articles = Article.objects.filter(author=pk_of(author))
    if from_index:
        return {pk.hex for pk in articles.order_by().values_list("pk", flat=True)}
    return {article.pk.hex for article in articles.select_related("author")}


def settled_of(author: str, before: dict[str, Entry], after: dict[str, Entry]) -> set[str]:
    """The articles that were this author's all the while."""
    return {pk for pk, entry in before.items() if entry.author == author and after[pk] == entry}


def differences(author: str, found: set[str], before: dict[str, Entry], after: dict[str, Entry]) -> Iterator[str]:
    """What a list that was asked for between two looks at the diaries must not lack, and must not have."""
    for pk in settled_of(author, before, after) - found:
        yield f"{pk} is missing from the list of its author {author}"
    for pk in found:
        if pk not in after:
            yield f"{pk} is in the list of author {author}, and nobody has begun to write it"
        elif pk in before and before[pk] == after[pk] and after[pk].author not in (author, CHANGING):
            yield f"{pk} of author {after[pk].author} is in the list of author {author}"
