"""Check, Reindex and Pack as they are begun in the admin: asked for, followed, ended, logged, and what may go wrong."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connection, transaction
from django.test import Client
from django.utils.translation import override

from django_smarterbase.exceptions import PackingFailed
from django_smarterbase.indexes.audit import Audit
from django_smarterbase.indexes.filling import Filling
from django_smarterbase.indexes.rebuild import Rebuild
from django_smarterbase.management.lastchecks import LastChecks
from django_smarterbase.packs.packing import Packing
from django_smarterbase.panel import jobs, work
from django_smarterbase.panel.jobs import Job, JobBoard, Kind, Status, TableProgress, Verdict
from django_smarterbase.profiling import recorder
from testproject.articles.models import Article, Author
from tests.integration.commands.site import WRITE_DEADLINE, Site
from tests.integration.panel.pages import get, row_of, text_of

HEALTH = "/admin/django_smarterbase/indexhealth/"
JOB = f"{HEALTH}job/default/"
PATIENCE = 60.0  # seconds
ARTICLES = {"database": "default", "table": "articles"}


@pytest.fixture
def filled(site: Site) -> Iterator[Site]:
    """Four articles in two categories. No job outlives the test."""
    author = Author.objects.create(name="Ada")
    for number in range(4):
        Article.objects.create(author=author, title=str(number), category=f"c{number % 2}")
    yield site
    await_threads_of_jobs()


@pytest.fixture
def waiting(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """A rebuild that has read its documents goes on when this is set, or when it is to stop: it cannot be missed."""
    monkeypatch.setattr(work, "EVERY", 0.05)
    go_on = threading.Event()
    wait = Rebuild._wait_for_deadline

    def wait_for_more(self: Rebuild) -> None:
        wait(self)
        while not go_on.wait(0.02):
            self._advance()

    monkeypatch.setattr(Rebuild, "_wait_for_deadline", wait_for_more)
    yield go_on
    go_on.set()


def await_threads_of_jobs() -> None:
    """Those only: a pool's threads and the sender of the history live as long as the process."""
    for thread in threading.enumerate():
        if thread.name.startswith(tuple(f"smarterbase-{kind}" for kind in Kind)):
            thread.join(PATIENCE)
            assert not thread.is_alive()


def until(condition: Callable[[], bool]) -> None:
    """Wait for it; fail with what the job has come to when it takes too long."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, board().current()
        time.sleep(0.02)


def board() -> JobBoard:
    return JobBoard(connection.resources)


def current() -> Job:
    job = board().current()
    assert job is not None
    return job


def ended() -> Job:
    """The job when it has come to its end."""
    until(lambda: current().has_ended)
    return current()


def begin(client: Client, action: str, **data: str) -> None:
    """Confirm an action; it is begun."""
    answer = client.post(f"{HEALTH}{action}/", {**ARTICLES, "confirmed": "yes", **data})
    assert (answer.status_code, answer.headers["Location"]) == (302, JOB)


def logged() -> list[tuple[str, str, str]]:
    """``(name, address, message)`` of the entries in the log, oldest first."""
    entries = apps.get_model("admin.LogEntry").objects.order_by("pk")
    return [(each.object_repr, each.get_admin_url(), each.get_change_message()) for each in entries]


def await_log(message: str) -> None:
    until(lambda: logged()[-1][2] == message)


def test_reindex_is_asked_about_before_anything_happens(filled: Site, root: Client) -> None:
    page = root.post(f"{HEALTH}reindex/", ARTICLES).content.decode()
    said = text_of(page)
    assert "Reindex: articles.Article (default)" in said
    assert "Documents 4 Cost of reading them all $0.0000016" in said
    assert "Read every document" in said
    assert "Yes, reindex" in said
    assert board().current() is None
    assert logged() == []


def test_packing_is_asked_about_before_anything_happens(filled: Site, root: Client) -> None:
    said = text_of(root.post(f"{HEALTH}pack/", ARTICLES).content.decode())
    assert "Pack: articles.Article (default)" in said
    assert "Documents 4 Cost of reading them all $0.0000016" in said
    assert "Packing writes the documents into packs" in said
    assert "Yes, pack" in said
    assert board().current() is None
    assert connection.resources.store.packs("articles") is None


def test_packing_makes_packs_and_shows_what_came_of_it(filled: Site, root: Client) -> None:
    epoch = filled.state(Article).entry
    begin(root, "pack")
    job = ended()
    assert (job.kind, job.user, job.problems, job.went_well, job.part) == (Kind.PACK, "root", (), True, 1.0)
    (articles,) = job.tables
    assert (articles.verdict, articles.documents, articles.expected) == (Verdict.PACKED, 4, 4)
    assert row_of(get(root, JOB), "articles.Article") == [
        "articles.Article", "packed", "4", "in 1 pack, 4 documents read",
    ]  # fmt: skip
    assert connection.resources.store.look_at_packs(["articles", "authors"]).keys() == {"articles"}
    assert filled.state(Article).entry == epoch  # nothing was rebuilt
    await_log("Pack of 1 table: went well.")


def test_packing_of_a_table_without_documents_is_nothing_to_do(filled: Site, root: Client) -> None:
    Article.objects.all().delete()
    begin(root, "pack")
    assert ended().went_well
    assert row_of(get(root, JOB), "articles.Article")[1:3] == ["no documents, nothing to do", "0"]


def test_packing_goes_on_while_redis_is_down(filled: Site, root: Client) -> None:
    filled.server.stop()
    begin(root, "pack")
    assert ended().went_well
    filled.server.start()
    assert connection.resources.store.look_at_packs(["articles"])["articles"].documents == 4


def test_packing_that_fails_says_why(filled: Site, root: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_arguments: Any) -> None:
        raise PackingFailed("Nobody may pack here.")

    monkeypatch.setattr(Packing, "run", fail)
    begin(root, "pack")
    job = ended()
    assert (job.went_well, job.tables[0].verdict) == (False, Verdict.FAILED)
    page = get(root, JOB)
    assert row_of(page, "articles.Article")[1:] == ["failed", "0", "Nobody may pack here."]
    assert "not every table was packed" in text_of(page)


def test_packing_is_followed_while_it_is_under_way(filled: Site, root: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "EVERY", 0.05)
    go_on, write = threading.Event(), Packing._write

    def write_and_wait(self: Packing, documents: list[Any]) -> None:
        write(self, documents)
        go_on.wait(PATIENCE)

    monkeypatch.setattr(Packing, "_write", write_and_wait)
    begin(root, "pack")
    until(lambda: current().tables[0].documents == 4)
    assert row_of(get(root, JOB), "articles.Article")[1:3] == ["packing documents", "4"]
    assert 0 < current().part < 1
    go_on.set()
    assert ended().went_well


def test_check_of_all_tables_is_asked_about_before_anything_happens(filled: Site, root: Client) -> None:
    said = text_of(root.post(f"{HEALTH}check/", {"database": "default"}).content.decode())
    assert "Check: default" in said
    assert "articles.Author, articles.Article" in said
    assert "Yes, check" in said
    assert board().current() is None


def test_reindex_rebuilds_the_index_and_shows_what_came_of_it(
    filled: Site, root: Client, waiting: threading.Event
) -> None:
    with filled.redis() as client:
        client.delete(*filled.redis_keys("*"))
    assert not filled.state(Article).trusted
    begin(root, "reindex")
    assert "Under way" in text_of(get(root, JOB))
    waiting.set()
    job = ended()
    assert filled.state(Article).trusted
    assert (job.kind, job.user, job.problems, job.went_well, job.part) == (Kind.REINDEX, "root", (), True, 1.0)
    (articles,) = job.tables
    assert (articles.verdict, articles.documents, articles.expected) == (Verdict.REBUILT, 4, None)
    assert job.seconds >= WRITE_DEADLINE
    page = get(root, JOB)
    assert "Ended, and all is well." in text_of(page)
    assert row_of(page, "articles.Article") == ["articles.Article", "rebuilt", "4", "4 documents read"]
    assert "<noscript>" not in page
    assert "job.js" not in page


def test_page_of_a_job_under_way_follows_it_with_and_without_script(
    filled: Site, root: Client, waiting: threading.Event
) -> None:
    begin(root, "reindex")
    page = get(root, JOB)
    assert '<noscript><meta http-equiv="refresh" content="3"></noscript>' in page
    assert "django_smarterbase/admin/job.js" in page
    part = get(root, JOB, part="1")
    assert part.count("data-under-way") == 1
    assert "<html" not in part
    waiting.set()
    ended()
    assert "data-under-way" not in get(root, JOB, part="1")


def test_progress_is_seen_by_every_process(filled: Site, root: Client, waiting: threading.Event) -> None:
    begin(root, "reindex")
    parts: list[float] = []

    def is_waiting() -> bool:
        parts.append(current().part)
        return current().tables[0].status is Status.WAITING

    until(is_waiting)
    job = current()
    assert job.tables[0].documents == 4
    assert 0 < job.part < 1
    waiting.set()
    parts += [job.part, ended().part]
    assert parts == sorted(parts)


def test_thorough_reindex_reads_every_document(filled: Site, root: Client) -> None:
    begin(root, "reindex")
    assert dict(ended().tables[0].figures)["read"] == 0
    begin(root, "reindex", thorough="on")
    job = ended()
    assert job.thorough
    assert dict(job.tables[0].figures)["read"] == 4


def test_check_shows_and_keeps_what_it_has_found(filled: Site, root: Client) -> None:
    damage(filled)
    begin(root, "check")
    job = ended()
    assert not job.went_well
    assert job.tables[0].verdict is Verdict.DAMAGED
    page = get(root, JOB)
    assert "Ended, and something is wrong." in text_of(page)
    assert row_of(page, "articles.Article") == [
        "articles.Article", "damaged", "4", "100.0 %", "2 entries missing",
    ]  # fmt: skip
    assert LastChecks(connection.resources).read()["articles"].drift == 100.0
    begin(root, "reindex")
    ended()
    begin(root, "check")
    assert ended().tables[0].verdict is Verdict.SOUND


def damage(site: Site) -> None:
    """Take two articles out of the index by category."""
    with site.redis() as client:
        (found,) = site.redis_keys("set:*:articles-by-category:tc1")
        client.srem(found, *client.smembers(found))


def test_check_by_sample_looks_at_so_many_documents(filled: Site, root: Client) -> None:
    begin(root, "check", sample="3")
    job = ended()
    assert (job.sample, job.tables[0].documents) == (3, 3)


def test_sample_that_is_no_number_is_asked_for_again(filled: Site, root: Client) -> None:
    answer = root.post(f"{HEALTH}check/", {**ARTICLES, "confirmed": "yes", "sample": "0"})
    assert answer.status_code == 200
    assert "Ensure this value is greater than or equal to 1." in text_of(answer.content.decode())
    assert board().current() is None


def test_all_tables_are_done_in_one_job(filled: Site, root: Client) -> None:
    deadline = 4.0  # seconds, beside which it counts for little how slow the machine is
    filled.restart(write_deadline=deadline)
    answer = root.post(f"{HEALTH}reindex/", {"database": "default", "confirmed": "yes"})
    assert answer.status_code == 302
    job = ended()
    assert job.went_well
    assert {each.label for each in job.tables} >= {"articles.Article", "articles.Author", "auth.User"}
    assert {each.verdict for each in job.tables} == {Verdict.REBUILT}
    # The tables wait for the write deadline together.
    assert job.seconds < len(job.tables) * deadline / 2


def test_table_without_documents_and_with_an_index_is_left_alone(filled: Site, root: Client) -> None:
    Article.objects.all().delete()
    begin(root, "reindex")
    assert ended().went_well
    assert row_of(get(root, JOB), "articles.Article")[1:3] == ["no documents, nothing to do", "0"]


def test_log_of_the_admin_tells_who_began_what_and_how_it_ended(filled: Site, root: Client) -> None:
    begin(root, "reindex")
    (entry,) = apps.get_model("admin.LogEntry").objects.all()
    assert (entry.user.username, entry.content_type.model, entry.is_change()) == ("root", "indexhealth", True)
    assert logged()[0][0] == "articles.Article (default)"
    ended()
    await_log("Reindex of 1 table: went well.")
    address = logged()[0][1]
    assert root.get(address).headers["Location"] == f"{HEALTH}#sb-default-articles"
    assert 'id="sb-default-articles"' in get(root, HEALTH)
    damage(filled)
    begin(root, "check")
    ended()
    await_log("Check of 1 table: something is wrong with 1.")
    assert len(logged()) == 2


def test_own_statements_of_a_job_are_in_no_profile(filled: Site, root: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[str] = []
    monkeypatch.setattr(recorder, "_sinks", (lambda _: threads.append(threading.current_thread().name),))
    begin(root, "check")
    await_log("Check of 1 table: went well.")
    assert {name for name in threads if name.startswith("smarterbase-")} == set()
    assert threads != []  # those of this test


def test_log_speaks_the_language_of_who_began_the_job(filled: Site, root: Client) -> None:
    answer = root.post(f"{HEALTH}check/", {**ARTICLES, "confirmed": "yes"}, headers={"Accept-Language": "de"})
    assert answer.status_code == 302
    ended()
    with override("de"):
        from django_smarterbase.panel.wording import KINDS

        kind = str(KINDS[Kind.CHECK])
    until(lambda: logged()[-1][2].startswith(kind))


def test_second_job_is_refused_while_one_is_under_way(filled: Site, root: Client, waiting: threading.Event) -> None:
    begin(root, "reindex")
    first = current().id
    page = root.post(f"{HEALTH}check/", ARTICLES).content.decode()
    assert "Another job is under way." in text_of(page)
    assert "Yes, check" not in page
    begin(root, "check")
    assert "Another job is under way. Wait until it has ended." in text_of(get(root, JOB))
    waiting.set()
    assert (ended().id, ended().kind) == (first, Kind.REINDEX)
    assert len(logged()) == 1


def test_job_whose_process_died_is_shown_as_broken_off_and_can_be_replaced(filled: Site, root: Client) -> None:
    long_ago = datetime.now(UTC) - jobs.SILENCE - timedelta(seconds=1)
    dead = Job(Kind.REINDEX, "ada", (TableProgress("articles", "articles.Article"),), seen_at=long_ago)
    assert board().begin(dead)
    assert "Broken off: its process has ended." in text_of(get(root, JOB))
    assert "broken off" in text_of(get(root, HEALTH))
    begin(root, "check")
    assert ended().user == "root"


def test_job_that_was_replaced_stops_and_leaves_the_index_as_it_was(
    filled: Site, root: Client, waiting: threading.Event
) -> None:
    epoch = epoch_of(filled)
    begin(root, "reindex")
    until(lambda: current().tables[0].status is Status.WAITING)
    other = replace(current(), id="other", user="ada", ended_at=datetime.now(UTC))
    replace_on_board(other)
    await_threads_of_jobs()
    assert current() == other
    assert epoch_of(filled) == epoch
    assert filled.state(Article).trusted


def epoch_of(site: Site) -> str | None:
    entry = site.state(Article).entry
    assert entry is not None
    return entry.epoch


def replace_on_board(job: Job) -> None:
    """Write as another process does, however often the one at work is faster."""

    def is_written() -> bool:
        mine = board()
        mine.current()
        try:
            mine.update(job)
        except jobs.JobReplaced:
            return False
        return True

    until(is_written)


def test_reindex_beside_sb_reindex_fails_and_says_why(filled: Site, root: Client) -> None:
    with filled.redis() as client:
        client.set(f"sb:{{{filled.name}:articles}}:builder", "another-epoch", px=60_000)
    begin(root, "reindex")
    job = ended()
    assert job.tables[0].verdict is Verdict.FAILED
    page = get(root, JOB)
    assert "Ended, and not every table was rebuilt." in text_of(page)
    assert "Another rebuild of articles.Article is under way." in row_of(page, "articles.Article")[3]
    assert filled.state(Article).trusted


def test_sb_reindex_beside_a_job_leaves_the_table_to_it(filled: Site, root: Client, waiting: threading.Event) -> None:
    begin(root, "reindex")
    until(lambda: current().tables[0].status is Status.WAITING)
    with pytest.raises(Exception, match="1 of 1 table was not rebuilt"):
        call_command("sb_reindex", "articles.Article", verbosity=0)
    waiting.set()
    assert ended().went_well


def test_reindex_without_redis_says_so(filled: Site, root: Client) -> None:
    filled.server.stop()
    begin(root, "reindex")
    job = ended()
    assert not job.went_well
    (problem,) = job.problems
    assert problem.startswith("No index of the database 'default' can be rebuilt, since its Redis (cache 'own')")
    assert problem in text_of(get(root, JOB))
    await_log("Reindex of 1 table: something is wrong with 2.")
    filled.server.start()


def test_job_that_breaks_ends_and_says_why(
    filled: Site, root: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def run(audit: Audit) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(Audit, "run", run)
    begin(root, "check")
    problem = "It failed with ZeroDivisionError; the log of the server says more."
    assert ended().problems == (problem,)
    assert "A check of database 'default' that was begun in the admin failed." in caplog.text
    assert "ZeroDivisionError: a bug" in caplog.text
    assert problem in text_of(get(root, JOB))


def test_table_that_breaks_leaves_the_others(filled: Site, root: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    fill = Filling.fill

    def fill_but_authors(filling: Filling, earlier: str | None) -> None:
        if filling._schema.table == "authors":
            raise OSError("the disk is on fire")
        fill(filling, earlier)

    monkeypatch.setattr(Filling, "fill", fill_but_authors)
    root.post(f"{HEALTH}reindex/", {"database": "default", "confirmed": "yes"})
    ended()
    page = get(root, JOB)
    assert row_of(page, "articles.Author")[1:] == ["failed", "1", "the disk is on fire"]
    assert row_of(page, "articles.Article")[1] == "rebuilt"


def test_job_begins_only_when_the_entry_in_the_log_is_committed(filled: Site, root: Client) -> None:
    with transaction.atomic():
        begin(root, "check")
        time.sleep(0.1)
        (thread_names,) = [[thread.name for thread in threading.enumerate()]]
        assert not [name for name in thread_names if name.startswith("smarterbase-check")]
    ended()
    await_log("Check of 1 table: went well.")


def test_expected_documents_give_the_part_of_a_check() -> None:
    table = TableProgress("articles", "articles.Article", expected=200)
    job = Job(Kind.CHECK, "root", (table, replace(table, table="authors", label="articles.Author")))
    check: Any = work._CheckWork("default", job)
    check.say(work.Activity(work.Stage.DOCUMENTS, "articles.Article", 50))
    assert [each.part for each in check.job.tables] == [0.25, 0.0]
    check.say(work.Activity(work.Stage.DOCUMENTS, "articles.Author", 400))
    assert [(each.status, each.part) for each in check.job.tables] == [(Status.ENDED, 1.0), (Status.READING, 0.99)]
    check.say(work.Activity(work.Stage.WAITING, number=3))
    assert [each.status for each in check.job.tables] == [Status.WAITING, Status.WAITING]


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ({"database": "nowhere"}, "There is no smarterbase database 'nowhere'."),
        ({"database": "default", "table": "gone"}, "The database 'default' has no table to do that with."),
        ({}, "This field is required."),
    ],
)
def test_action_on_what_is_not_there_says_so(filled: Site, root: Client, data: dict[str, str], problem: str) -> None:
    answer = root.post(f"{HEALTH}reindex/", {**data, "confirmed": "yes"})
    assert answer.headers["Location"] == HEALTH
    assert problem in text_of(get(root, HEALTH))
    assert board().current() is None


def test_page_of_a_job_without_one_says_so(filled: Site, root: Client) -> None:
    assert "No job has been begun in this database yet." in text_of(get(root, JOB))
    assert root.get(f"{HEALTH}job/nowhere/").status_code == 404
