"""What a check keeps of its findings for those who look at them later."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from django_smarterbase.exceptions import StorageUnavailable
from django_smarterbase.management.lastchecks import LastCheck, LastChecks
from testproject.articles.models import Article, Author
from tests.integration.commands.site import Site


@pytest.fixture
def filled(site: Site) -> Site:
    """Two articles in two categories."""
    author = Author.objects.create(name="Ada")
    for number in range(2):
        Article.objects.create(author=author, title=str(number), category=f"c{number}")
    return site


def last_checks() -> LastChecks:
    return LastChecks(connection.resources)


def epoch(site: Site) -> str:
    marker = site.state(Article).marker
    assert marker is not None
    return marker.epoch


def test_check_keeps_what_it_has_found_of_each_table(filled: Site) -> None:
    before = datetime.now(UTC)
    call_command("sb_check", "articles", verbosity=0)
    found = last_checks().read()
    assert set(found) == {"articles", "authors"}
    articles = found["articles"]
    assert before <= articles.at <= datetime.now(UTC)
    schema = filled.schema(Article)
    orders = [f"{index.name} (order)" for index in (*schema.indexes, schema.pk_index)]
    indexes = dict.fromkeys([*(index.name for index in schema.indexes), *orders], 0.0)
    assert replace(articles, at=before) == LastCheck(
        before,
        epoch(filled),
        None,
        2,
        True,
        0.0,
        {"all documents": 0.0, "records": 0.0, **indexes},
    )


def test_check_keeps_the_drift_of_each_index(filled: Site) -> None:
    with filled.redis() as client:
        (damaged,) = filled.redis_keys(f"set:{epoch(filled)}:articles-by-category:tc1")
        client.srem(damaged, *client.smembers(damaged))
    with pytest.raises(CommandError):
        call_command("sb_check", "articles.Article", verbosity=0)
    found = last_checks().read()["articles"]
    assert (found.sound, found.drift) == (False, 100.0)
    assert (found.indexes["articles-by-category"], found.indexes["articles-by-status"]) == (50.0, 0.0)


def test_check_of_one_table_leaves_what_is_known_of_the_others(filled: Site) -> None:
    call_command("sb_check", "articles", verbosity=0)
    before = last_checks().read()
    call_command("sb_check", "articles.Author", verbosity=0, sample=1)
    after = last_checks().read()
    assert after["articles"] == before["articles"]
    assert (before["authors"].sample, after["authors"].sample) == (None, 1)


def test_check_keeps_no_epoch_of_an_index_that_is_not_trusted(filled: Site) -> None:
    with filled.redis() as client:
        client.flushall()
    with pytest.raises(CommandError):
        call_command("sb_check", "articles.Article", verbosity=0)
    found = last_checks().read()["articles"]
    assert (found.epoch, found.drift, found.indexes, found.documents) == (None, 100.0, {}, 2)


def test_check_goes_well_when_its_findings_cannot_be_kept(
    filled: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    key, store = connection.resources.keys.checks(), connection.resources.store

    def put(wanted: str, body: bytes, **conditions: object) -> str:
        assert wanted == key
        raise StorageUnavailable("The disk is read-only.")

    monkeypatch.setattr(store, "put", put)
    with caplog.at_level(logging.WARNING, "django_smarterbase.index"):
        call_command("sb_check", "articles.Article", verbosity=0)
    assert [record.getMessage() for record in caplog.records] == [
        f"What the check has found is not kept in {key!r} for the admin: The disk is read-only."
    ]


def test_unreadable_list_of_checks_is_replaced(filled: Site) -> None:
    connection.resources.store.put(connection.resources.keys.checks(), b"[]")
    assert last_checks().read() == {}
    call_command("sb_check", "articles.Article", verbosity=0)
    assert set(last_checks().read()) == {"articles"}
