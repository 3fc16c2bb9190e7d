"""Django's asynchronous interface, tasks that are cancelled, and connections that outlive a request."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar
from uuid import UUID

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from asgiref.testing import ApplicationCommunicator
from django.core.handlers.asgi import ASGIHandler
from django.db import close_old_connections, connection, connections, transaction
from django.db.models import F
from django.http import HttpRequest, HttpResponse
from django.test import override_settings
from django.urls import path

from django_smarterbase.storage.memory import MemoryStore
from testproject.articles.models import Article, Author

pytestmark = pytest.mark.django_db(transaction=True)

Result = TypeVar("Result")
Way = Callable[[Callable[[], Coroutine[Any, Any, Result]]], Result]

PATIENCE = 20  # seconds
ADA = UUID(int=1)


def under_a_server(function: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
    """As a WSGI server and Django's test client run it: what is synchronous comes back to this thread."""
    return async_to_sync(function)()


def in_a_script(function: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
    """As a script runs it: what is synchronous gets a thread of its own."""

    async def whole() -> Result:
        try:
            return await function()
        finally:
            await sync_to_async(connections.close_all)()

    return asyncio.run(whole())


@pytest.fixture(params=[under_a_server, in_a_script], ids=lambda way: way.__name__)
def way(request: pytest.FixtureRequest) -> Way[Any]:
    """How asynchronous code is run."""
    found: Way[Any] = request.param
    return found


@pytest.fixture
def ada() -> Author:
    """An author with an article that has no views yet."""
    author = Author.objects.create(pk=ADA, name="Ada")
    Article.objects.create(pk=ADA, author=author, category="science", title="first")
    return author


def views() -> int:
    """How often the article was viewed."""
    return Article.objects.get(pk=ADA).view_count


def test_rows_are_made_found_changed_and_deleted_asynchronously(way: Way[None]) -> None:
    async def everything() -> None:
        made = [await Author.objects.acreate(name=name) for name in ("Ada", "Bob", "Cyd")]
        assert await Author.objects.aget(name="Bob") == made[1]
        assert [author async for author in Author.objects.order_by("name")] == made
        assert [author async for author in Author.objects.order_by("name").aiterator(chunk_size=1)] == made
        assert (await Author.objects.aget_or_create(name="Cyd"))[1] is False
        assert await Author.objects.filter(name="Ada").aupdate(name="Ann") == 1
        assert await Author.objects.filter(name="Bob").adelete() == (1, {"articles.Author": 1})
        assert await Author.objects.acount() == 2
        assert await Author.objects.filter(name="Ann").aexists()

    way(everything)
    assert sorted(Author.objects.values_list("name", flat=True)) == ["Ann", "Cyd"]


def test_a_hundred_queries_at_once_each_get_their_own_answer(way: Way[list[str]]) -> None:
    Author.objects.bulk_create(Author(pk=UUID(int=number + 1), name=f"author {number}") for number in range(100))

    async def everybody() -> list[str]:
        authors = await asyncio.gather(*(Author.objects.aget(pk=UUID(int=number + 1)) for number in range(100)))
        return [author.name for author in authors]

    assert way(everybody) == [f"author {number}" for number in range(100)]


@pytest.mark.parametrize("thread_sensitive", [True, False])
def test_no_view_is_lost_when_a_hundred_tasks_count_one(way: Way[None], ada: Author, thread_sensitive: bool) -> None:
    def add_one() -> None:
        assert Article.objects.filter(pk=ADA).update(view_count=F("view_count") + 1) == 1

    async def everybody() -> None:
        add = sync_to_async(add_one, thread_sensitive=thread_sensitive)
        few = asyncio.Semaphore(8)  # against more rivals a statement may need more attempts than it has

        async def add_in_turn() -> None:
            async with few:
                await add()

        await asyncio.gather(*(add_in_turn() for _ in range(100)))

    way(everybody)
    assert views() == 100


@transaction.atomic
def move(fails: bool) -> None:
    """A transaction of two documents."""
    Article.objects.filter(pk=ADA).update(view_count=1)
    Author.objects.filter(pk=ADA).update(name="Ann")
    if fails:
        raise LookupError


def test_transaction_in_a_thread_is_applied_or_rolled_back_as_a_whole(way: Way[None], ada: Author) -> None:
    async def both() -> None:
        with pytest.raises(LookupError):
            await sync_to_async(move)(fails=True)
        assert (await Author.objects.aget(pk=ADA)).name == "Ada"
        await sync_to_async(move, thread_sensitive=False)(fails=False)

    way(both)
    assert (views(), Author.objects.get(pk=ADA).name) == (1, "Ann")


class Gate:
    """Holds the writes of documents back until it is opened."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self._opened = threading.Event()

    def open(self) -> None:
        """Let them through."""
        self._opened.set()

    def pass_through(self) -> None:
        """Called by a write."""
        self.reached.set()
        assert self._opened.wait(PATIENCE)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch, ada: Author) -> Iterator[Gate]:
    """A gate before the writes of articles."""
    gate, put = Gate(), MemoryStore.put

    def slow_put(self: MemoryStore, key: str, body: bytes, **conditions: Any) -> str:
        if "/articles/" in key:
            gate.pass_through()
        return put(self, key, body, **conditions)

    monkeypatch.setattr(MemoryStore, "put", slow_put)
    yield gate
    gate.open()


@transaction.atomic
def lock_and_move() -> None:
    """As ``move``, of rows that are locked."""
    Article.objects.select_for_update().get(pk=ADA)
    move(fails=False)


def see_that_nothing_is_left_behind() -> None:
    """No lock, no intent, no unusable connection."""
    resources = connection.resources
    assert list(resources.store.list(resources.keys.intent_prefix())) == []
    with transaction.atomic():
        article = Article.objects.select_for_update(nowait=True).get(pk=ADA)
        article.title = "changed"
        article.save()
    assert Article.objects.get(pk=ADA).title == "changed"


async def cancelled(gate: Gate, task: asyncio.Task[Any]) -> None:
    """Cancel a task in the middle of a write."""
    while not gate.reached.is_set():
        await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.sleep(0.05)
    gate.open()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("thread_sensitive", [True, False])
def test_task_that_is_cancelled_leaves_no_half_transaction(gate: Gate, thread_sensitive: bool) -> None:
    async def begin_and_cancel() -> None:
        work = sync_to_async(lock_and_move, thread_sensitive=thread_sensitive)
        await cancelled(gate, asyncio.ensure_future(work()))
        assert await Author.objects.filter(pk=ADA).aexists()  # on the same connection, in the same thread

    in_a_script(begin_and_cancel)
    assert (views(), Author.objects.get(pk=ADA).name) == (1, "Ann")
    see_that_nothing_is_left_behind()


async def change_twice(request: HttpRequest) -> HttpResponse:
    """Two writes, of which a client may await the first only."""
    await Article.objects.filter(pk=ADA).aupdate(view_count=F("view_count") + 1)
    await asyncio.sleep(PATIENCE)
    await Article.objects.filter(pk=ADA).aupdate(view_count=F("view_count") + 100)
    return HttpResponse("not reached")


def change_locked(request: HttpRequest) -> HttpResponse:
    """A transaction in a synchronous view."""
    lock_and_move()
    return HttpResponse("moved")


urlpatterns = [path("twice/", change_twice), path("locked/", change_locked)]


@contextmanager
def asgi_request(address: str) -> Iterator[ApplicationCommunicator]:
    """A request to the views above, by an ASGI server."""
    scope = {"type": "http", "method": "GET", "path": address, "headers": [(b"host", b"testserver")]}
    with override_settings(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["testserver"], MIDDLEWARE=[]):
        yield ApplicationCommunicator(ASGIHandler(), scope)


@pytest.mark.parametrize("address", ["/twice/", "/locked/"])
def test_request_whose_client_has_gone_leaves_nothing_half_done(gate: Gate, address: str) -> None:
    async def hang_up() -> None:
        with asgi_request(address) as server:
            await server.send_input({"type": "http.request", "body": b""})
            while not gate.reached.is_set():
                await asyncio.sleep(0.01)
            await server.send_input({"type": "http.disconnect"})
            await asyncio.sleep(0.05)
            gate.open()
            await server.wait(PATIENCE)

    in_a_script(hang_up)
    assert views() == 1
    see_that_nothing_is_left_behind()


@pytest.fixture
def fresh() -> Iterator[dict[str, Any]]:
    """The settings of a connection that is not open yet, and will not be afterwards."""
    connection.close()
    before = connection.settings_dict["CONN_MAX_AGE"]
    yield connection.settings_dict
    connection.settings_dict["CONN_MAX_AGE"] = before
    connection.close()


@pytest.mark.parametrize("age, stays", [(0, False), (600, True), (None, True)])
def test_connection_outlives_a_request_as_conn_max_age_says(
    fresh: dict[str, Any], age: int | None, stays: bool
) -> None:
    fresh["CONN_MAX_AGE"] = age
    Author.objects.create(name="Ada")
    workspace = connection.session.workspace
    close_old_connections()
    assert (connection.connection is not None) is stays
    assert Author.objects.get().name == "Ada"
    assert (connection.session.workspace is workspace) is stays


def test_connection_that_a_request_left_in_manual_commit_is_not_kept(fresh: dict[str, Any]) -> None:
    fresh["CONN_MAX_AGE"] = None
    transaction.set_autocommit(False)
    Author.objects.create(name="Ada")
    close_old_connections()
    assert connection.connection is None
    assert not Author.objects.exists()
