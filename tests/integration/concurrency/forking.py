"""A process of the example site that forks: ``python -m tests.integration.concurrency.forking WHAT``.

It exits with 0 when all went well in it and in its children, and says on standard error what did not.
"""

from __future__ import annotations

import faulthandler
import gc
import multiprocessing
import os
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from functools import cached_property
from typing import Any
from uuid import UUID

import django

PATIENCE = 20  # seconds that a child may take
ARTICLE = UUID(int=1)
_LOCKS = (type(threading.Lock()), type(threading.RLock()))


def add_views(times: int) -> None:
    """Read an article by key and by index, be counted as its viewer, and write one of one's own."""
    from testproject.articles.models import Article
    from testproject.articles.store import ArticleStore

    store = ArticleStore()
    for _ in range(times):
        article = Article.objects.get(pk=ARTICLE)
        assert article in Article.objects.filter(author=article.author, category="science")
        store.add_view(ARTICLE)
        store.create(author=article.author, category="forked", title=str(os.getpid()))


def see_views(number: int) -> None:
    """Each view was counted once, and each article of a viewer is there."""
    from testproject.articles.models import Article

    assert Article.objects.get(pk=ARTICLE).view_count == number
    assert Article.objects.filter(category="forked").count() == number


def scan() -> None:
    """Find an article by a column without an index."""
    from testproject.articles.models import Article

    assert Article.objects.get(title="first").pk == ARTICLE


def use_everything() -> None:
    """Open all that a process may have open: workspace, sockets, threads of storage, history and repair, metrics."""
    from django.db import connection

    from django_smarterbase.contrib.prometheus import collecting
    from django_smarterbase.history import history_of
    from testproject.articles.models import Article, Author

    collecting.connect()
    author = Author.objects.create(name="Mary Somerville")
    Article.objects.create(pk=ARTICLE, author=author, category="science", title="first")
    add_views(1)
    Article.objects.bulk_update(Article.objects.all(), ["title"])
    history_of("default").flush()
    manifest = connection.resources.indexes._room.manifest
    manifest.change("authors", lambda entry: entry and replace(entry, ready=False))
    Author.objects.filter(name="nobody").exists()  # whose index is not trusted, which a thread sees to
    assert {"smarterbase-history", "smarterbase-reindex-authors"} <= {each.name for each in threading.enumerate()}
    assert any(each.name.startswith("smarterbase-storage") for each in threading.enumerate())


def forked(child: Callable[[], object]) -> int:
    """Fork; the child runs ``child`` and exits as any program does, or shows where it stands when it takes too long."""
    in_main = threading.current_thread() is threading.main_thread()
    pid = os.fork()
    if pid:
        return pid
    faulthandler.dump_traceback_later(PATIENCE, exit=True)
    try:
        child()
    except BaseException:  # noqa: BLE001 - whatever it is, the parent is to hear of it
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
    if in_main:
        sys.exit(0)
    os._exit(0)  # SystemExit ends a thread


def await_children(pids: list[int]) -> None:
    """All must have ended well."""
    statuses = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
    assert statuses == [0] * len(pids), statuses


def used() -> None:
    """Fork after all was used; parent and children go on."""
    use_everything()
    pids = [forked(lambda: add_views(5)) for _ in range(3)]
    add_views(5)
    await_children(pids)
    see_views(1 + 4 * 5)


def pool() -> None:
    """The same by multiprocessing, whose children do not exit as programs do."""
    use_everything()
    with multiprocessing.get_context("fork").Pool(3) as processes:
        processes.map(add_views, [1] * 15, chunksize=1)
    add_views(5)
    see_views(1 + 15 + 5)


def threads() -> None:
    """Fork from a thread, again and again, while others are in the middle of a statement."""
    from django_smarterbase.storage.filesystem import FileSystemStore

    use_everything()
    writing, go_on = threading.Semaphore(0), threading.Event()
    put, parent = FileSystemStore.put, os.getpid()

    def slow_put(store: FileSystemStore, key: str, body: bytes, **conditions: Any) -> str:
        if os.getpid() == parent and "/articles/" in key:
            writing.release()
            assert go_on.wait(PATIENCE)
        return put(store, key, body, **conditions)

    FileSystemStore.put = slow_put
    with ThreadPoolExecutor(4) as workers, ThreadPoolExecutor(1) as forker:
        for _ in range(3):
            busy = [workers.submit(add_views, 1) for _ in range(4)]
            for _ in busy:
                assert writing.acquire(timeout=PATIENCE)
            forker.submit(lambda: await_children([forked(lambda: add_views(1))])).result()
            go_on.set()
            for each in busy:
                each.result()
            go_on.clear()
            while writing.acquire(blocking=False):
                pass
    see_views(1 + 3 * (4 + 1))


def locks() -> None:
    """Fork while another thread holds every lock that a statement may need."""
    use_everything()
    with held(package_locks()):
        await_children([forked(lambda: add_views(2)), forked(scan)])
    add_views(2)
    see_views(1 + 2 + 2)


def package_locks() -> list[Any]:
    """The locks of the package's modules and objects, and of the pools to Redis; not of connections, which one thread
    has alone."""
    from django.db.backends.base.base import BaseDatabaseWrapper
    from django_redis.pool import ConnectionFactory

    owners = [vars(module) for name, module in list(sys.modules.items()) if name.startswith("django_smarterbase")]
    objects = [each for each in gc.get_objects() if type(each).__module__.startswith("django_smarterbase")]
    owners += [_attributes(each) for each in objects if not isinstance(each, BaseDatabaseWrapper)]
    owners += [vars(pool) for pool in ConnectionFactory._pools.values()]
    owners += [vars(each) for each in gc.get_objects() if isinstance(each, cached_property) and _is_ours(each.func)]
    locks = {id(value): value for owner in owners for value in owner.values() if isinstance(value, _LOCKS)}
    assert len(locks) > 10
    return list(locks.values())


def _is_ours(function: Callable[..., Any]) -> bool:
    return function.__module__.startswith("django_smarterbase")


def _attributes(value: object) -> dict[str, Any]:
    names = [*getattr(value, "__dict__", {}), *getattr(type(value), "__slots__", ())]
    return {name: getattr(value, name, None) for name in names}


@contextmanager
def held(locks: list[Any]) -> Iterator[None]:
    """Have a thread hold the locks."""
    ready, over = threading.Event(), threading.Event()

    def hold() -> None:
        with ExitStack() as stack:
            for lock in locks:
                stack.enter_context(lock)
            ready.set()
            over.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    ready.wait()
    try:
        yield
    finally:
        over.set()
        thread.join()


def transaction() -> None:
    """Fork in the middle of a transaction, which is the parent's alone, its locks too."""
    from django.db import connection, connections
    from django.db.transaction import TransactionManagementError, atomic

    from testproject.articles.models import Article

    use_everything()

    def child() -> None:
        for _ in range(2):
            with suppress(TransactionManagementError):
                Article.objects.count()
                raise AssertionError("a statement in the parent's transaction")
            connections.close_all()

    with atomic():
        article = Article.objects.select_for_update().get(pk=ARTICLE)
        article.title = "changed"
        article.save()
        connection.on_commit(lambda: print(os.getpid(), flush=True))
        await_children([forked(child)])
        schema = connection.schema_of_model(Article)
        assert connection.resources.indexes.lock(schema, "another", [ARTICLE.hex], "all") == [ARTICLE.hex]
        pid = os.fork()
    if pid == 0:  # it has left the block, and is outside of any transaction
        faulthandler.dump_traceback_later(PATIENCE, exit=True)
        assert Article.objects.get(pk=ARTICLE).title in ("first", "changed")
        os._exit(0)
    await_children([pid])
    assert Article.objects.get(pk=ARTICLE).title == "changed"


def probe() -> None:
    """Fork while a thread finds out whether Redis answers again: the child must find out for itself."""
    from django_smarterbase.indexes.breaker import breaker_of
    from django_smarterbase.profiling import profile_queries
    from testproject.articles.store import ArticleStore

    use_everything()
    breaker = breaker_of("smarterbase")
    for _ in range(5):
        assert breaker.admits()
        breaker.failed("tests")
    breaker._opened = 0.0
    assert breaker.admits()
    assert not breaker.admits()

    def child() -> None:
        with profile_queries() as queries:
            ArticleStore().published_count()
        assert queries.profiles[0].redis_ops.round_trips

    await_children([forked(child)])


def iterator() -> None:
    """Fork in the middle of an iterator: parent and children go on, and its rows are the parent's."""
    import pytest
    from django.db import InterfaceError, connection

    from testproject.articles.models import Article, Author

    author = Author.objects.create(name="Mary Somerville")
    pks = {UUID(int=number) for number in range(300)}
    Article.objects.bulk_create(Article(pk=pk, author=author, category="science", title="read") for pk in pks)
    rows = Article.objects.order_by().iterator(chunk_size=1)
    seen = [next(rows).pk]

    def child() -> None:
        assert Article.objects.get(pk=ARTICLE).title == "read"
        with pytest.raises(InterfaceError, match=str(os.getppid())):
            list(rows)
        assert Article.objects.count() == len(pks)

    await_children([forked(child), forked(child)])
    prefix = connection.resources.keys.table_prefix("articles")
    if hasattr(connection.resources.store, "_location"):
        assert is_listed(connection.resources.store._location, prefix)
    seen += [row.pk for row in rows]
    assert sorted(seen) == sorted(pks)


def is_listed(location: str, prefix: str) -> bool:
    """Whether the folder is being listed, so that who replaces a file in it has to say so."""
    from fcntl import LOCK_EX

    from django_smarterbase.storage.keys import fence_file
    from django_smarterbase.storage.locks import attempted

    with attempted(f"{location}/{fence_file(prefix, 'listing')}", LOCK_EX) as alone:
        return alone is None


def keys() -> None:
    """Parent and children make keys at the same moment."""
    from django_smarterbase.fields import uuid7

    uuid7()
    ours, theirs = os.pipe()
    pids = [forked(lambda: os.write(theirs, b"".join(uuid7().bytes for _ in range(1000)))) for _ in range(4)]
    await_children(pids)
    os.close(theirs)
    with open(ours, "rb") as pipe:
        made = pipe.read()
    assert len({made[at : at + 16] for at in range(0, len(made), 16)}) == 4000


if __name__ == "__main__":
    warnings.filterwarnings("ignore", message=".*use of fork", category=DeprecationWarning)
    django.setup()
    functions = (used, pool, threads, locks, transaction, iterator, probe, keys)
    {function.__name__: function for function in functions}[sys.argv[1]]()
