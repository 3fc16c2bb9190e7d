"""Readers and writers of an author's list, who keep a common diary of what is committed.

A diary is a file a writer: ``? <pk>`` before an article is changed and ``= <pk> <author>`` after (author ``-``: it is
deleted). An article that has the same lines before and after a query, and as the last one a ``=``, was settled all the
while: it must be in the list of exactly that author.
"""

from __future__ import annotations

import os
import random
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Final, NamedTuple

from django_smarterbase.profiling import profile_queries
from testproject.articles.models import Article

from .actions import CATEGORIES, STATUSES
from .places import Place, move_in
from .worker import AUTHORS, pk_of

GONE: Final = "-"
CHANGING: Final = "?"
FULL: Final = 60  # articles of one writer; from then on it deletes more than it creates


@dataclass
class Account:
    """What one process did. ``worst`` is in seconds; ``wrong`` tells of answers that were not right, and of errors."""

    role: str
    requests: int = 0
    by_index: int = 0
    fallbacks: int = 0
    worst: float = 0.0
    wrong: list[str] = field(default_factory=list)


class Entry(NamedTuple):
    """The last line of an article: whose it is (``?`` while that is being changed), and how many lines it has."""

    author: str
    lines: int


def read_diaries(folder: Path) -> dict[str, Entry]:
    """``{pk: entry}``. A line that is just being written is not there yet."""
    last = dict[str, Entry]()
    for diary in folder.glob("*.diary"):
        for line in diary.read_text().rpartition("\n")[0].splitlines():
            mark, pk, *author = line.split(" ")
            lines = last[pk].lines + 1 if pk in last else 1
            last[pk] = Entry(author[0] if mark == "=" else CHANGING, lines)
    return last


def write_articles(place: Place, folder: Path, number: int, stop: Event, accounts: SimpleQueue[Account]) -> None:
    """Create, move and delete articles of one's own until ``stop``."""
    move_in(place)
    account, chance, mine = Account("writer"), random.Random(number), dict[str, str]()
    diary = os.open(f"{folder}/{number}.diary", os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def note(line: str) -> None:
        os.write(diary, f"{line}\n".encode())

    while not stop.is_set() and not account.wrong:
        pk = chance.choice(sorted(mine)) if mine and chance.random() < len(mine) / FULL else uuid.uuid4().hex
        author = chance.randrange(AUTHORS)
        began = time.monotonic()
        note(f"? {pk}")
        try:
            with profile_queries() as queries:
                settled = _change(pk, author, mine, chance)
        except Exception as error:  # noqa: BLE001 - no error of any kind may reach a caller
            account.wrong.append(f"writer {number}: {type(error).__name__}: {error}")
            break
        note(f"= {pk} {settled}")
        _enter(account, queries, began)
        time.sleep(chance.random() * 0.02)
    os.close(diary)
    accounts.put(account)


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


def read_lists(place: Place, folder: Path, number: int, stop: Event, accounts: SimpleQueue[Account]) -> None:
    """Ask for authors' lists until ``stop``, and compare them with the diaries."""
    move_in(place)
    account, chance = Account("reader"), random.Random(number)
    while not stop.is_set() and not account.wrong:
        author, before = chance.randrange(AUTHORS), read_diaries(folder)
        began = time.monotonic()
        try:
            with profile_queries() as queries:
                found = {pk.hex for pk in _list_of(author, number)}
        except Exception as error:  # noqa: BLE001 - no error of any kind may reach a caller
            account.wrong.append(f"reader {number}: {type(error).__name__}: {error}")
            break
        _enter(account, queries, began)
        after = read_diaries(folder)
        account.wrong += _differences(str(author), found, before, after)
        time.sleep(chance.random() * 0.01)
    accounts.put(account)


def _list_of(author: int, number: int) -> list[uuid.UUID]:
    """The keys of an author's articles: by their documents, or (every other reader) from the index alone."""
    articles = Article.objects.filter(author=pk_of(author))
    if number % 2:
        return list(articles.order_by().values_list("pk", flat=True))
    return [article.pk for article in articles.select_related("author")]


def _differences(author: str, found: set[str], before: dict[str, Entry], after: dict[str, Entry]) -> Iterator[str]:
    for pk, entry in before.items():
        if entry.author == CHANGING or after[pk] != entry:
            continue
        if (entry.author == author) is not (pk in found):
            place = "in" if pk in found else "missing from"
            yield f"{pk} of author {entry.author} is {place} the list of author {author}"


def _enter(account: Account, queries: profile_queries, began: float) -> None:
    account.requests += 1
    account.worst = max(account.worst, time.monotonic() - began)
    account.fallbacks += bool(queries.fallbacks())
    account.by_index += any(profile.index_used.startswith("redis:") for profile in queries.profiles)
