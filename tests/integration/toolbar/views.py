"""Pages that query, and one that does not."""

from __future__ import annotations

import asyncio
import threading

from asgiref.sync import sync_to_async
from django.db import transaction
from django.http import HttpRequest, HttpResponse

from django_smarterbase.profiling import recorder
from testproject.articles.models import Author

#: Set by a test whose requests are to be under way at the same time.
meeting: threading.Barrier | None = None
#: What outlives a request, so that a test can wait for its end.
left_over: list[asyncio.Task[bool]] = []


def page(text: str = "") -> HttpResponse:
    """A page into which the toolbar is put."""
    return HttpResponse(f"<html><body>{text}</body></html>")


def ask(name: str) -> bool:
    """Run a query under a name."""
    return Author.objects.named(name).filter(name=name).exists()


def quiet(request: HttpRequest) -> HttpResponse:
    """No query; the text says whether anybody listens to one."""
    return page(f"listening: {recorder.listening()}")


def authors(request: HttpRequest) -> HttpResponse:
    """The same query twice, and another one."""
    names = [author.name for _ in range(2) for author in Author.objects.named("ListAuthors").filter(name="Ada")]
    ask("Grace")
    return page(", ".join(names))


def unnamed(request: HttpRequest) -> HttpResponse:
    """A query that is called after this function."""
    return page(str(Author.objects.filter(name="Ada").count()))


def broken(request: HttpRequest) -> HttpResponse:
    """A query, and then an error."""
    ask("Ada")
    raise ValueError("broken")


def saving(request: HttpRequest) -> HttpResponse:
    """Two documents in one transaction."""
    with transaction.atomic():
        Author.objects.named("AddAuthor").create(name="Edith")
        Author.objects.named("AddAuthor").create(name="Emmy")
    return page()


def meet(request: HttpRequest, name: str) -> HttpResponse:
    """Two queries, between which all requests of the test are under way."""
    ask(f"{name}-1")
    if meeting is not None:
        meeting.wait(60)
    ask(f"{name}-2")
    return page()


async def meet_async(request: HttpRequest, name: str) -> HttpResponse:
    """Queries of an async view: its own, in a thread, and in tasks at the same time."""
    await Author.objects.named(f"{name}-await").filter(name=name).aexists()
    await asyncio.sleep(0.01)
    await sync_to_async(ask)(f"{name}-thread")
    await asyncio.gather(*(asyncio.create_task(sync_to_async(ask)(f"{name}-task-{n}")) for n in range(2)))
    return page()


async def leave(request: HttpRequest) -> HttpResponse:
    """A task that queries after the response."""

    async def later() -> bool:
        await asyncio.sleep(0.05)
        return await sync_to_async(ask)("late")

    await sync_to_async(ask)("early")
    left_over.append(asyncio.create_task(later()))
    return page()
