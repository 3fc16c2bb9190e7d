"""Statements and transactions over a line that fails: the failed keys are named, and index, scan and bucket agree."""

from __future__ import annotations

import time
import uuid

import pytest
from django.db import IntegrityError, connections, transaction
from django.db.models import F

from django_smarterbase.exceptions import ConflictError, StorageUnavailable
from testproject.articles.models import Article, Author

from ..places import ALIAS
from .proxy import Fault
from .site import WRITE_DEADLINE, Site, site_behind

COUNT = 12


@pytest.fixture
def site(proxy, client, bucket, server):
    """Twelve articles of the category "old", trusted indexes."""
    server.restart_empty()
    proxy.delay = 2.4  # seconds, longer than the client waits
    with site_behind(proxy, client, bucket, server.url) as site:
        author = Author.objects.using(ALIAS).create(name="ada")
        Article.objects.using(ALIAS).bulk_create(articles(author, "old"))
        assert site.trusted()
        site.check("old", "new")
        yield site


def articles(author: Author, category: str, count: int = COUNT) -> list[Article]:
    return [Article(author=author, category=category, title=f"{category} {number}") for number in range(count)]


def key_of(article: Article) -> str:
    return f"site/articles/{article.pk.hex}.json"


def of(*chosen: Article) -> str:
    """A pattern of the paths of articles."""
    return "articles/({})".format("|".join(article.pk.hex for article in chosen))


def settle(site: Site) -> None:
    """What the next sweep does, when the notes are overdue."""
    time.sleep(WRITE_DEADLINE + 0.2)
    site.sweep()
    assert site.pending() == 0
    assert site.trusted()
    site.check("old", "new")


def recover() -> None:
    """What the next process does."""
    wrapper = connections[ALIAS]
    wrapper.ensure_connection()
    wrapper.session.recovery.recover(wrapper.catalog.find)


def touch(site: Site, article: Article) -> None:
    """Change the document as another writer would."""
    body = site.client.get_object(Bucket=site.bucket, Key=key_of(article))["Body"].read()
    site.client.put_object(Bucket=site.bucket, Key=key_of(article), Body=body + b" ")


@transaction.atomic(using=ALIAS)
def update_late(site: Site, raced: Article) -> None:
    """A transaction over all articles, one of which another writer changes before COMMIT."""
    assert Article.objects.using(ALIAS).update(category="new") == COUNT
    touch(site, raced)


@pytest.mark.parametrize(
    ("fault", "applied"),
    [
        (Fault.SLOW_DOWN, 0),
        (Fault.RESET_BEFORE, 0),
        (Fault.RESET_AFTER, 2),
        (Fault.LATE_ANSWER, 2),
        (Fault.LATE_REQUEST, 2),
    ],
    ids=lambda value: value.name.lower() if isinstance(value, Fault) else str(value),
)
def test_update_names_the_keys_that_failed_and_its_index_stays_a_superset(site, fault, applied):
    first, second = Article.objects.using(ALIAS).order_by("pk")[3:5]
    site.proxy.fail(fault, "PUT", of(first, second))
    with pytest.raises(StorageUnavailable) as caught:
        Article.objects.using(ALIAS).update(category="new", view_count=F("view_count") + 1)
    assert "2 documents could not be written" in str(caught.value)
    assert key_of(first) in str(caught.value)
    assert key_of(second) in str(caught.value)
    assert site.bucket in str(caught.value)
    assert "Check that the endpoint" in str(caught.value)
    site.proxy.heal()
    assert site.pending() == 2
    assert len(site.truth(category="new")) == applied
    site.check("old", "new")
    settle(site)


def test_update_is_done_when_the_fault_is_short(site):
    third = Article.objects.using(ALIAS).order_by("pk")[3]
    rule = site.proxy.fail(Fault.RESET_AFTER, "PUT", of(third), times=1)
    assert Article.objects.using(ALIAS).update(category="new", view_count=F("view_count") + 1) == COUNT
    assert rule.hits == 1
    assert {row[-1] for row in site.truth(category="new")} == {"1"}
    assert site.pending() == 0
    site.check("old", "new")


def test_error_names_ten_keys_and_the_number_when_all_fail(site):
    site.proxy.fail(Fault.SLOW_DOWN, "PUT", "articles/")
    with pytest.raises(StorageUnavailable, match=r"^12 documents could not be written: .* and 2 more\. ") as caught:
        Article.objects.using(ALIAS).update(category="new")
    assert sum(key in str(caught.value).partition(" and 2 more")[0] for key in site.stored()) == 10
    site.proxy.heal()
    site.check("old", "new")


def test_update_says_what_could_not_be_taken_back(site):
    chosen = Article.objects.using(ALIAS).order_by("pk")
    site.proxy.fail(Fault.SLOW_DOWN, "PUT", of(chosen[3]))
    site.proxy.fail(Fault.SLOW_DOWN, "PUT", of(chosen[5]), skip=1)
    with pytest.raises(StorageUnavailable, match=r"1 document that had been written could not be taken back") as caught:
        Article.objects.using(ALIAS).update(category="new")
    assert key_of(chosen[3]) in str(caught.value)
    assert key_of(chosen[5]) in str(caught.value).partition("taken back")[2]
    site.proxy.heal()
    assert [row[0] for row in site.truth(category="new")] == [str(chosen[5].pk)]
    settle(site)


def test_update_is_not_tried_again_over_a_write_that_stands(site):
    """A conflict is tried again, but not when the store failed to take a part of the statement back: it would count
    that part twice."""
    chosen = Article.objects.using(ALIAS).order_by("pk")
    raced, stuck = chosen[3], chosen[5]
    site.proxy.fail(Fault.SLOW_DOWN, "PUT", of(stuck), skip=1)
    original = connections[ALIAS].session.unit._begin

    def overtaken(*args):
        opened = original(*args)
        touch(site, raced)
        return opened

    connections[ALIAS].session.unit._begin = overtaken
    with pytest.raises(StorageUnavailable, match="could not be taken back"):
        Article.objects.using(ALIAS).update(view_count=F("view_count") + 1)
    site.proxy.heal()
    assert {row[0]: row[-1] for row in site.truth() if row[-1] != "0"} == {str(stuck.pk): "1"}


@pytest.mark.parametrize("fault", [Fault.SLOW_DOWN, Fault.RESET_AFTER], ids=lambda fault: fault.name.lower())
def test_bulk_create_names_the_keys_that_failed_and_is_whole_after_recovery(site, fault):
    fresh = articles(Author.objects.using(ALIAS).get(), "new")
    site.proxy.fail(fault, "PUT", of(fresh[2], fresh[7]))
    with pytest.raises(StorageUnavailable, match="2 documents could not be written") as caught:
        Article.objects.using(ALIAS).bulk_create(fresh)
    assert key_of(fresh[2]) in str(caught.value)
    assert key_of(fresh[7]) in str(caught.value)
    site.proxy.heal()
    assert len(site.keys("_sb/intents/")) == 1
    site.check("old", "new")
    recover()
    assert site.keys("_sb/intents/") == []
    assert len(site.truth(category="new")) in (0, COUNT)
    settle(site)


def test_transaction_stays_open_when_a_conflict_meets_a_lost_answer(site):
    """The conflict decides that the transaction is taken back; the intent stays until that is done for certain."""
    chosen = list(Article.objects.using(ALIAS).order_by("pk"))
    raced, lost = chosen[3], chosen[5]
    site.proxy.fail(Fault.RESET_AFTER, "PUT", of(lost))
    with pytest.raises(StorageUnavailable) as caught:
        update_late(site, raced)
    assert key_of(lost) in str(caught.value)
    site.proxy.heal()
    assert len(site.keys("_sb/intents/")) == 1
    recover()
    assert site.keys("_sb/intents/") == []
    assert site.truth(category="new") == []
    settle(site)


def test_transaction_stays_open_when_a_conflict_cannot_be_taken_back(site):
    chosen = list(Article.objects.using(ALIAS).order_by("pk"))
    raced, stuck = chosen[3], chosen[5]
    site.proxy.fail(Fault.SLOW_DOWN, "PUT", of(stuck), skip=1)
    with pytest.raises(StorageUnavailable, match="could not be taken back"):
        update_late(site, raced)
    site.proxy.heal()
    assert len(site.keys("_sb/intents/")) == 1
    recover()
    assert site.truth(category="new") == []
    settle(site)


def test_transaction_that_meets_a_conflict_only_leaves_nothing(site):
    raced = Article.objects.using(ALIAS).order_by("pk")[3]
    with pytest.raises(ConflictError):
        update_late(site, raced)
    assert site.keys("_sb/intents/") == []
    assert site.truth(category="new") == []


def test_unique_value_stays_taken_when_the_answer_of_its_document_was_lost(site):
    pk = uuid.uuid4()
    site.proxy.fail(Fault.RESET_AFTER, "PUT", rf"authors/{pk.hex}")
    with pytest.raises(StorageUnavailable):
        Author.objects.using(ALIAS).create(pk=pk, name="bo")
    site.proxy.heal()
    assert len(site.keys("_sb/unique/")) == 2
    with pytest.raises(IntegrityError):
        Author.objects.using(ALIAS).create(name="bo")
    assert [author.pk for author in Author.objects.using(ALIAS).scan().filter(name="bo")] == [pk]


def test_unique_value_can_be_taken_when_its_document_was_not_written(site):
    pk = uuid.uuid4()
    site.proxy.fail(Fault.SLOW_DOWN, "PUT", rf"authors/{pk.hex}")
    with pytest.raises(StorageUnavailable):
        Author.objects.using(ALIAS).create(pk=pk, name="bo")
    site.proxy.heal()
    other = Author.objects.using(ALIAS).create(name="bo")
    assert [author.pk for author in Author.objects.using(ALIAS).scan().filter(name="bo")] == [other.pk]


def test_query_raises_rather_than_leave_out_what_cannot_be_read(site):
    chosen = Article.objects.using(ALIAS).order_by("pk")[3]
    site.proxy.fail(Fault.SLOW_DOWN, "GET", of(chosen))
    for articles in (Article.objects.using(ALIAS).filter(category="old"), Article.objects.using(ALIAS).scan()):
        with pytest.raises(StorageUnavailable, match=chosen.pk.hex):
            list(articles)
    site.proxy.heal()
    site.check("old")
