"""``select_for_update()``: rows are locked in Redis, and the ETags are the fence where it cannot lock."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import contextmanager, nullcontext, suppress
from typing import Any

import pytest
from django.db import IntegrityError, connection, models, transaction
from django.db.models import F
from django.db.transaction import TransactionManagementError
from django.test.utils import isolate_apps

from django_smarterbase.backend.unit_of_work import UnitOfWork
from django_smarterbase.exceptions import ConflictError, LockNotAvailable
from django_smarterbase.profiling import profile_queries
from testproject.articles.models import Article, Author
from tests.integration.commands.site import WRITE_DEADLINE, Site
from tests.integration.engine.equivalence.test_own_fields import Initial

from .conftest import PATIENCE
from .ledger import Ledger

LONGER = 3.0  # seconds of a lock that is not to run out though its time passes: what renews it may come 2 s late
WHILE = 0.3  # seconds; what has not ended by then waits for something


class InThread(threading.Thread):
    """Work in a thread, and so over a connection, of its own."""

    def __init__(self, work: Callable[[], Any]) -> None:
        super().__init__()
        self.work = work
        self.result: Any = None
        self.error: Exception | None = None
        self.start()

    def run(self) -> None:
        """The work; its connection is closed at the end."""
        try:
            self.result = self.work()
        except Exception as error:  # noqa: BLE001 - the test looks at it
            self.error = error
        finally:
            connection.close()

    def outcome(self) -> Any:
        """What the work returned or raised."""
        self.join(PATIENCE)
        assert not self.is_alive()
        if self.error is not None:
            raise self.error
        return self.result

    def waits(self) -> bool:
        """Whether it is still at work after a while."""
        self.join(WHILE)
        return self.is_alive()


@contextmanager
def locked(title: str = "title 1", **options: Any) -> Any:
    """A transaction that has locked an article."""
    with transaction.atomic():
        yield Article.objects.select_for_update(**options).get(title=title)


def views(title: str = "title 1") -> int:
    return Article.objects.get(title=title).view_count


def add_one(title: str = "title 1") -> None:
    """Read, change and save, as one should not without a lock."""
    with locked(title) as article:
        article.view_count += 1
        article.save()


def update(title: str = "title 1") -> int:
    return Article.objects.filter(title=title).update(view_count=F("view_count") + 10)


def update_two() -> None:
    with transaction.atomic():
        for title in ("title 1", "title 2"):
            update(title)


def again_after_conflicts(work: Callable[[], None]) -> None:
    """As the manual says how to."""
    for _ in range(20):
        try:
            return work()
        except ConflictError:
            time.sleep(0.01)
    raise AssertionError("too many conflicts")


def test_second_locker_waits_and_reads_what_the_first_has_written(patient: Ledger) -> None:
    before = views()
    with locked() as article:
        second = InThread(add_one)
        assert second.waits()
        article.view_count += 100
        article.save()
    second.outcome()
    assert views() == before + 101


def test_lockers_of_one_row_lose_no_update_and_meet_no_conflict(patient: Ledger) -> None:
    before = views()
    threads = [InThread(lambda: [add_one() for _ in range(5)]) for _ in range(4)]
    for thread in threads:
        thread.outcome()
    assert views() == before + 20


@pytest.mark.parametrize("write", [update, update_two, lambda: Article.objects.get(title="title 1").delete()])
def test_writer_waits_for_a_locked_row_before_it_writes_anything(patient: Ledger, write: Callable[[], Any]) -> None:
    other = views("title 2")
    with locked():
        writer = InThread(write)
        assert writer.waits()
        assert views("title 2") == other
    writer.outcome()


def test_writer_waits_for_a_locked_row_when_the_table_has_no_index(site: Site, patient: Ledger) -> None:
    """It cannot announce what it writes, but it can ask."""
    with site.redis() as client:
        client.flushall()
    with locked():
        writer = InThread(update)
        assert writer.waits()
    assert writer.outcome() == 1


def test_writer_of_many_batches_waits_before_the_first_whichever_row_is_locked(
    patient: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("django_smarterbase.backend.unit_of_work._BATCH", 5)
    for title in ("title 0", "title 20", "title 39"):
        before = sorted(Article.objects.values_list("title", "view_count"))
        with locked(title):
            writer = InThread(lambda: Article.objects.update(view_count=F("view_count") + 1))
            assert writer.waits()
            assert sorted(Article.objects.scan().values_list("title", "view_count")) == before
        assert writer.outcome() == 40
        assert sorted(Article.objects.values_list("title", "view_count")) == [(title, n + 1) for title, n in before]


@pytest.mark.parametrize(
    ("write", "step"),
    [(update, "_write"), (update_two, "_write"), (update_two, "_begin")],
    ids=["one written", "two written", "two begun"],
)
def test_locker_waits_for_a_writer_that_may_land_at_any_moment(
    patient: Ledger, monkeypatch: pytest.MonkeyPatch, write: Callable[[], Any], step: str
) -> None:
    """It has announced its write, or its transaction is written down."""
    me, original = threading.get_ident(), getattr(UnitOfWork, step)
    reached, go = threading.Event(), threading.Event()

    def pause(self: UnitOfWork, *args: Any) -> Any:
        if threading.get_ident() != me:
            reached.set()
            go.wait(WHILE)
        return original(self, *args)

    before = views()
    monkeypatch.setattr(UnitOfWork, step, pause)
    writer = InThread(write)
    assert reached.wait(30)
    with locked() as article:
        assert article.view_count == before + 10
        article.view_count += 1
        article.save()
    writer.outcome()
    assert views() == before + 11


def test_row_that_is_only_locked_stays_locked_while_its_transaction_waits_to_write_another(
    site: Site, filled: Ledger
) -> None:
    def lock_one_and_update_the_other() -> None:
        with locked("title 1"):
            update("title 2")

    site.restart(write_deadline=LONGER)
    with locked("title 2"):
        first = InThread(lock_one_and_update_the_other)
        for _ in range(int(LONGER * 1.3 / WHILE)):
            assert first.waits()
            assert Article.objects.filter(title="title 3").count() == 1
        second = InThread(lambda: update("title 1"))
        assert second.waits()
    first.outcome()
    assert second.outcome() == 1


def test_rows_stay_locked_as_long_as_a_commit_takes(
    site: Site, filled: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even if that is longer than a lock lasts."""
    site.restart(write_deadline=LONGER)
    me, write = threading.get_ident(), UnitOfWork._write
    titles = [f"title {number}" for number in range(1, 6)]

    def write_slowly(self: UnitOfWork, *args: Any) -> Any:
        if threading.get_ident() != me:
            time.sleep(LONGER * 0.3)
        return write(self, *args)

    def update_slowly() -> None:
        with transaction.atomic():
            Article.objects.filter(title__in=titles).update(view_count=F("view_count") + 10)

    last = Article.objects.filter(title__in=titles).order_by("-pk")[0]
    monkeypatch.setattr("django_smarterbase.backend.unit_of_work._BATCH", 1)
    monkeypatch.setattr(UnitOfWork, "_write", write_slowly)
    writer = InThread(update_slowly)
    assert writer.waits()
    with locked(last.title) as article:
        assert article.view_count == last.view_count + 10
        article.save()
    writer.outcome()


def test_writer_that_waits_for_one_row_holds_no_other(patient: Ledger) -> None:
    """Else it and the holder of that row would wait for each other."""

    def update_both() -> None:
        with transaction.atomic():
            Author.objects.filter(name="author 1").update(name="author 1")
            update("title 2")

    before, began = views("title 2"), time.monotonic()
    with transaction.atomic():
        author = Author.objects.select_for_update().get(name="author 1")
        writer = InThread(lambda: again_after_conflicts(update_both))
        assert writer.waits()
        author.save()
        update("title 2")
    writer.outcome()
    assert time.monotonic() - began < PATIENCE
    assert views("title 2") == before + 20


def test_statement_that_meets_a_conflict_takes_nothing_back_under_a_lock(
    patient: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who has locked a row has read what the statement had written of it, and builds on it."""
    me, begin, undo = threading.get_ident(), UnitOfWork._begin, UnitOfWork._undo
    lockers = list[InThread]()
    has_locked = threading.Event()

    def lock_and_add() -> None:
        with locked("title 1") as article:
            has_locked.set()
            time.sleep(WHILE)
            article.view_count += 100
            article.save()

    def begin_after_another(self: UnitOfWork, *args: Any) -> Any:
        if threading.get_ident() == me:
            monkeypatch.setattr(UnitOfWork, "_begin", begin)
            InThread(lambda: update("title 2")).outcome()
        return begin(self, *args)

    def undo_after_a_lock(self: UnitOfWork, *args: Any) -> Any:
        lockers.append(InThread(lock_and_add))
        assert has_locked.wait(30)
        return undo(self, *args)

    Article.objects.filter(title__in=("title 1", "title 2")).update(view_count=0)
    monkeypatch.setattr(UnitOfWork, "_begin", begin_after_another)
    monkeypatch.setattr(UnitOfWork, "_undo", undo_after_a_lock)
    assert Article.objects.filter(title__in=("title 1", "title 2")).update(view_count=F("view_count") + 1) == 2
    for locker in lockers:
        locker.outcome()
    assert (views("title 1"), views("title 2")) == (101, 11)


@pytest.mark.parametrize("alone", [True, False])
def test_writer_that_waits_for_a_row_holds_no_unique_value(patient: Ledger, alone: bool) -> None:
    """Else it and the holder of the row, who wants the value, would wait for each other."""

    def rename() -> None:
        with nullcontext() if alone else transaction.atomic():
            Author.objects.filter(name="author 1").update(name="new")

    with transaction.atomic():
        Author.objects.select_for_update().get(name="author 1")
        writer = InThread(rename)
        assert writer.waits()
        Author.objects.create(name="new")
        began = time.monotonic()
    assert time.monotonic() - began < PATIENCE / 2
    with pytest.raises(IntegrityError):
        writer.outcome()


def test_writer_of_another_row_does_not_wait(patient: Ledger) -> None:
    with locked():
        assert InThread(lambda: update("title 2")).outcome() == 1


def test_transaction_writes_the_rows_that_it_has_locked(patient: Ledger) -> None:
    before = views()
    with transaction.atomic():
        Article.objects.select_for_update().get(title="title 1")
        update_two()
    assert views() == before + 10


def test_nowait_raises_at_once(patient: Ledger) -> None:
    def try_it() -> None:
        with locked(nowait=True):
            pass

    with locked():
        began = time.monotonic()
        with pytest.raises(LockNotAvailable, match=r"1 of the rows of articles.Article are locked.*nowait=True"):
            InThread(try_it).outcome()
    assert time.monotonic() - began < PATIENCE / 2


def test_skip_locked_leaves_locked_rows_out_and_fills_up_to_the_limit(patient: Ledger) -> None:
    def next_two() -> list[str]:
        with transaction.atomic():
            queue = Article.objects.select_for_update(skip_locked=True).filter(title__startswith="title 1")
            return [article.title for article in queue.order_by("title")[:2]]

    assert InThread(next_two).outcome() == ["title 1", "title 10"]
    with locked("title 1"), locked("title 11"):
        assert InThread(next_two).outcome() == ["title 10", "title 12"]


def test_lock_that_is_held_for_too_long_ends_the_wait(site: Site, filled: Ledger) -> None:
    site.restart(write_deadline=2.0)
    with locked():
        writer = InThread(update)
        while writer.waits():  # a statement now and then makes the lock last
            assert Article.objects.filter(title="title 3").count() == 1
        with pytest.raises(LockNotAvailable, match="2 times the write deadline"):
            writer.outcome()


def test_locks_are_given_back_when_the_transaction_is_rolled_back(site: Site, patient: Ledger) -> None:
    with suppress(ZeroDivisionError), locked():
        assert len(site.redis_keys("locks")) == 1
        raise ZeroDivisionError
    assert site.redis_keys("locks") == []
    assert InThread(update).outcome() == 1


def test_lock_of_a_transaction_that_says_nothing_runs_out(filled: Ledger) -> None:
    began = time.monotonic()
    with locked():
        assert InThread(update).outcome() == 1
        assert time.monotonic() - began > WRITE_DEADLINE / 2


def test_transaction_whose_lock_ran_out_commits_when_nobody_has_changed_the_row(filled: Ledger) -> None:
    before = views()
    with locked() as article:
        time.sleep(WRITE_DEADLINE * 1.2)
        article.view_count += 1
        article.save()
    assert views() == before + 1


def test_conflict_is_found_when_a_locked_row_was_changed_though_it_is_not_written(site: Site, filled: Ledger) -> None:
    """The writer has no Redis, so that it knows of no lock."""
    before = views("title 2")

    def change() -> None:
        site.server.kill()
        update("title 1")

    def look_at_one_and_update_the_other() -> None:
        with locked("title 1"):
            update("title 2")
            InThread(change).outcome()

    with pytest.raises(ConflictError, match="had locked it by select_for_update"):
        look_at_one_and_update_the_other()
    assert views("title 2") == before


def test_rows_are_read_and_conflicts_found_while_redis_is_down(
    site: Site, filled: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    def meet_another_writer() -> None:
        with locked() as article:
            InThread(update).outcome()
            article.view_count = 0
            article.save()

    site.server.kill()
    add_one()
    with profile_queries() as queries, pytest.raises(ConflictError):
        meet_another_writer()
    assert "Redis unreachable" in {profile.fallback_reason for profile in queries.profiles}
    assert sum("Rows cannot be locked" in record.message for record in caplog.records) == 1


def test_rows_of_selected_relations_are_locked_too(patient: Ledger) -> None:
    with transaction.atomic():
        author = Article.objects.select_for_update().select_related("author").get(title="title 1").author
        writer = InThread(lambda: Author.objects.filter(pk=author.pk).update(name="renamed"))
        assert writer.waits()
    writer.outcome()


def test_rows_of_other_tables_are_not_locked_when_of_names_one(patient: Ledger) -> None:
    with transaction.atomic():
        queue = Article.objects.select_for_update(of=("self",)).select_related("author")
        author = queue.get(title="title 1").author
        assert InThread(lambda: Author.objects.filter(pk=author.pk).update(name="renamed")).outcome() == 1
        writer = InThread(update)
        assert writer.waits()
    assert writer.outcome() == 1


def test_row_that_was_read_before_is_read_anew_under_the_lock(patient: Ledger) -> None:
    with transaction.atomic():
        before = views()
        InThread(update).outcome()
        assert views() == before  # repeatable reads
        article = Article.objects.select_for_update().get(title="title 1")
        assert article.view_count == before + 10
        article.view_count += 1
        article.save()
    assert views() == before + 11


def test_lock_outside_of_a_transaction_is_refused(filled: Ledger) -> None:
    with pytest.raises(TransactionManagementError, match="outside of a transaction"):
        Article.objects.select_for_update().get(title="title 1")


def test_lock_costs_a_second_reading_and_a_few_round_trips(site: Site, patient: Ledger) -> None:
    """The row is found and read, locked, and read anew; all of this is one statement. At COMMIT the write is announced
    and noted, and the lock given back."""
    add_one()
    pk = Article.objects.get(title="title 1").pk
    with profile_queries() as queries, transaction.atomic():
        article = Article.objects.select_for_update().get(pk=pk)
        article.view_count += 1
        article.save()
    assert [profile.operation for profile in queries.profiles] == ["select", "update", "commit"]
    assert [profile.storage_ops.total for profile in queries.profiles] == [2, 0, 1]
    assert [profile.storage_ops.system for profile in queries.profiles] == [0, 0, 0]
    assert [profile.redis_ops.round_trips for profile in queries.profiles] == [1, 0, 3]
    assert site.redis_keys("locks") == []


def test_locked_query_is_explained_without_a_lock(site: Site, patient: Ledger) -> None:
    with transaction.atomic():
        explained = Article.objects.select_for_update().filter(category="engines").explain()
        assert "IndexLookup redis:articles-by-category" in explained
        assert site.redis_keys("locks") == []


@isolate_apps("django_smarterbase")
def test_row_is_locked_by_the_key_of_its_document_when_a_query_sees_another(site: Site) -> None:
    class Secret(models.Model):
        name = Initial(max_length=9, primary_key=True)
        number = models.IntegerField()

        class Meta:
            app_label = "django_smarterbase"
            db_table = "secret"

    class Note(models.Model):
        secret = models.ForeignKey(Secret, models.CASCADE)

        class Meta:
            app_label = "django_smarterbase"
            db_table = "note"

    Secret(name="ann", number=1).save()
    Note(pk=1, secret_id="ann").save()
    for rows in (
        Secret.objects.select_for_update(),
        Secret.objects.select_for_update().only("number"),
        Note.objects.select_for_update(of=["secret"]).select_related("secret").filter(pk=1),
    ):
        with transaction.atomic(), site.redis() as client:
            list(rows)
            assert [client.hkeys(key) for key in site.redis_keys("locks")] == [["ann"]]
