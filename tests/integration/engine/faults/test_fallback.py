"""Whatever becomes of Redis, the answers are right, the writes are kept, and sb_reindex brings the indexes back."""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Iterator

import pytest
from django.core.management import call_command
from django.db import transaction

from django_smarterbase.exceptions import FullScanRefused
from django_smarterbase.indexes import sets
from django_smarterbase.indexes.service import FallbackReason
from django_smarterbase.indexes.sets import SetReader
from django_smarterbase.profiling import profile_queries
from django_smarterbase.profiling.profile import QueryProfile
from testproject.articles.models import Article, Author
from tests.integration.commands.site import REDIS_TIMEOUT, Site

from .ledger import Ledger, Status
from .outages import OUTAGES, OtherDefinitions, Outage
from .questions import CATEGORY, ONE, QUESTIONS
from .writes import WRITES

INDEXES = "django_smarterbase.index"


@pytest.fixture(params=OUTAGES, ids=lambda outage: outage.__name__)
def outage(request: pytest.FixtureRequest) -> Iterator[Outage]:
    outage: Outage = request.param()
    yield outage
    if isinstance(outage, OtherDefinitions):
        outage.forget()


def ask_everything(ledger: Ledger) -> dict[str, list[QueryProfile]]:
    """Ask every question, compare its answer with the ledger's, and return the profiles by question."""
    profiles = {}
    for question in QUESTIONS:
        with profile_queries() as queries:
            answer = question.ask(ledger)
        assert answer == question.answer(ledger), question.name
        profiles[question.name] = queries.profiles
    return profiles


def ask_the_lost_set(ledger: Ledger) -> QueryProfile:
    """The question that needs the set that some outages take away."""
    with profile_queries() as queries:
        titles = set(Article.objects.filter(category=CATEGORY).values_list("title", flat=True))
    assert titles == {row.title for row in ledger.where(lambda row: row.category == CATEGORY)}
    return queries.profiles[0]


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def assert_by_index(profiles: dict[str, list[QueryProfile]]) -> None:
    by_index = {question.name for question in QUESTIONS if question.by_index}
    for name in by_index:
        for profile in profiles[name]:
            assert (profile.fallback, profile.fallback_reason) == (False, None), name
    for name in by_index - {"prefetch_related"}:  # whose first statement reads all authors
        assert [profile.complexity for profile in profiles[name]] == ["O(1)"] * len(profiles[name]), name


def test_every_question_is_answered_by_index_when_it_is_trusted(filled: Ledger) -> None:
    assert_by_index(ask_everything(filled))


def test_answers_are_right_and_say_fallback_during_an_outage(site: Site, filled: Ledger, outage: Outage) -> None:
    outage.begin(site)
    first = ask_the_lost_set(filled)
    assert (first.fallback, first.full_scan) == (True, True)
    assert first.fallback_reason in outage.reasons
    profiles = ask_everything(filled)
    for question in QUESTIONS:
        if question.by_index and not (outage.only_articles and question.name == "get by unique"):
            reasons = {profile.fallback_reason for profile in profiles[question.name] if profile.fallback}
            assert reasons, question.name
            assert reasons <= outage.reasons, question.name


def test_one_warning_is_logged_for_an_outage(
    site: Site, filled: Ledger, outage: Outage, caplog: pytest.LogCaptureFixture
) -> None:
    outage.begin(site)
    with caplog.at_level(logging.WARNING, INDEXES):
        for _ in range(3):
            ask_the_lost_set(filled)
            Article.objects.filter(category=CATEGORY).count()
            article = filled.article(title="w", author=ONE, category=CATEGORY, status=Status.DRAFT, views=0)
            article.save()
            filled.add_all([article])
    said = warnings(caplog)
    assert len(said) == outage.warnings
    assert all(outage.logged in message for message in said)


def test_writes_of_an_outage_are_kept_and_found_by_index_after_reindex(
    site: Site, filled: Ledger, outage: Outage
) -> None:
    outage.begin(site)
    ask_the_lost_set(filled)
    for write in WRITES:
        write(filled)
        ask_the_lost_set(filled)
    ask_everything(filled)
    outage.end(site)
    ask_everything(filled)  # Redis is there again, and is not believed
    site.restart()  # neither by a new process
    assert ask_the_lost_set(filled).fallback
    call_command("sb_reindex", "articles", verbosity=0)
    assert_by_index(ask_everything(filled))
    with profile_queries() as queries:
        found = Article.objects.get(author=filled.authors[ONE], title="created")
    assert (found.category, found.view_count) == (CATEGORY, 3 + 5)
    assert queries.profiles[0].index_used.startswith("redis:")
    assert queries.profiles[0].complexity == "O(1)"


def test_index_follows_writes_after_reindex(site: Site, filled: Ledger, outage: Outage) -> None:
    outage.begin(site)
    ask_the_lost_set(filled)
    outage.end(site)
    call_command("sb_reindex", "articles", verbosity=0)
    for write in WRITES:
        write(filled)
        assert not ask_the_lost_set(filled).fallback
    assert_by_index(ask_everything(filled))


def test_redis_that_dies_between_two_queries_changes_no_answer(site: Site, filled: Ledger) -> None:
    assert not ask_the_lost_set(filled).fallback
    site.server.kill()
    assert ask_the_lost_set(filled).fallback_reason == FallbackReason.UNREACHABLE
    ask_everything(filled)


def test_redis_that_dies_within_a_transaction_changes_no_answer(site: Site, filled: Ledger) -> None:
    with transaction.atomic():
        assert not ask_the_lost_set(filled).fallback
        article = filled.article(title="before", author=ONE, category=CATEGORY, status=Status.DRAFT, views=0)
        article.save()
        filled.add_all([article])
        site.server.kill()
        ask_everything(filled)
        later = filled.article(title="after", author=ONE, category="later", status=Status.DRAFT, views=0)
        later.save()
        filled.add_all([later])
        ask_everything(filled)
    site.restart()
    ask_everything(filled)
    site.server.start()
    call_command("sb_reindex", "articles", verbosity=0)
    assert_by_index(ask_everything(filled))


def test_join_of_many_values_scans_once_without_redis(site: Site, filled: Ledger) -> None:
    titles = {row.title for row in filled.where(lambda row: row.author in {"author 1", "author 2"})}
    question = Author.objects.filter(name__regex="[12]", articles__title__gt="").values_list(
        "articles__title", flat=True
    )
    with profile_queries() as queries:
        assert set(question.all()) == titles
    assert queries.profiles[0].storage_ops.lists == 0  # the index knows all that is read of the authors
    assert queries.profiles[0].storage_ops.reads == len(filled.rows)
    site.server.kill()
    with profile_queries() as queries:
        assert set(question.all()) == titles
    assert queries.profiles[0].fallback
    assert queries.profiles[0].storage_ops.lists == 2
    assert queries.profiles[0].storage_ops.reads == len(filled.authors) + len(filled.rows)


def test_redis_that_hangs_holds_up_five_statements_and_each_but_once(site: Site, filled: Ledger) -> None:
    os.kill(site.server.pid, signal.SIGSTOP)
    try:
        took = []
        with site.impatient(), profile_queries() as queries:
            for _ in range(7):
                begun = time.monotonic()
                assert Article.objects.filter(category=CATEGORY).count() == 14
                took.append(time.monotonic() - begun)
    finally:
        os.kill(site.server.pid, signal.SIGCONT)
    reasons = [profile.fallback_reason for profile in queries.profiles]
    assert reasons == [FallbackReason.UNREACHABLE] * 5 + [FallbackReason.BREAKER_OPEN] * 2
    assert [seconds > REDIS_TIMEOUT for seconds in took[:5]] == [True] * 5
    assert min(took[:5]) < 2 * REDIS_TIMEOUT
    assert min(took[5:]) < REDIS_TIMEOUT


def test_query_under_way_scans_when_redis_dies_in_it(
    site: Site, filled: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The authors are found by index, then Redis dies, and the articles of the same statement are scanned."""
    read = SetReader.read

    def read_once(*args: object, **kwargs: object) -> object:
        try:
            return read(*args, **kwargs)
        finally:
            site.server.kill()

    monkeypatch.setattr(SetReader, "read", read_once)
    with profile_queries() as queries:
        titles = set(Article.objects.filter(author__name=ONE).values_list("title", flat=True))
    assert titles == {row.title for row in filled.where(lambda row: row.author == ONE)}
    assert queries.profiles[0].fallback_reason == FallbackReason.UNREACHABLE


@pytest.fixture
def _dies_before_the_records(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Redis dies between the two scripts of a query that it could answer alone: one does not take so many rows."""
    monkeypatch.setattr(sets, "_RECORDS", 1)
    records = SetReader.records

    def too_late(*args: object, **kwargs: object) -> object:
        site.server.kill()
        return records(*args, **kwargs)

    monkeypatch.setattr(SetReader, "records", too_late)


@pytest.mark.usefixtures("_dies_before_the_records")
def test_query_of_indexed_columns_reads_what_redis_named_before_it_died(site: Site, filled: Ledger) -> None:
    expected = sorted(author.name for author in Author.objects.scan())
    with profile_queries() as queries:
        assert sorted(Author.objects.values_list("name", flat=True)) == expected
    profile = queries.profiles[0]
    assert (profile.fallback_reason, profile.complexity) == (FallbackReason.UNREACHABLE, "O(n)")
    assert profile.storage_ops.reads == len(expected)


@pytest.mark.usefixtures("_dies_before_the_records")
def test_whole_table_is_not_read_when_redis_dies_and_no_scan_is_wanted(site: Site, filled: Ledger) -> None:
    with pytest.raises(FullScanRefused, match="Redis unreachable"):
        list(Author.objects.require_index().values_list("name", flat=True))


def test_new_index_answers_after_reindex_when_definitions_changed(site: Site, filled: Ledger) -> None:
    outage = OtherDefinitions()
    outage.begin(site)
    try:
        with profile_queries() as before:
            assert Article.objects.get(title="title 7")
        call_command("sb_reindex", "articles", verbosity=0)
        with profile_queries() as after:
            assert Article.objects.get(title="title 7")
    finally:
        outage.forget()
    assert before.profiles[0].fallback_reason == FallbackReason.DEFINITIONS_CHANGED
    assert (after.profiles[0].index_used, after.profiles[0].storage_ops.reads) == ("redis:articles-by-title", 1)
