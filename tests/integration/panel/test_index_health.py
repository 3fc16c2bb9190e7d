"""The page of the indexes: states, sizes, epochs, drift, and what it says of Redis."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.template.defaultfilters import filesizeformat
from django.test import Client
from django.utils import timezone

from django_smarterbase.backend.resources import Resources
from django_smarterbase.indexes.breaker import breaker_of
from django_smarterbase.ops import counting
from django_smarterbase.panel.health import health_of
from testproject.articles.models import Article, Author
from tests.integration.commands.site import ALIAS, Site
from tests.integration.panel.pages import get, row_of, rows_of, text_of

HEALTH = "/admin/django_smarterbase/indexhealth/"


@pytest.fixture
def filled(site: Site) -> Site:
    """Four articles in two categories."""
    author = Author.objects.create(name="Ada")
    for number in range(4):
        Article.objects.create(author=author, title=str(number), category=f"c{number % 2}")
    return site


def epoch_of(site: Site) -> str:
    entry = site.state(Article).entry
    assert entry is not None
    assert entry.epoch is not None
    return entry.epoch


def test_page_shows_state_size_epoch_and_last_rebuild_of_a_table(filled: Site, root: Client) -> None:
    assert row_of(get(root, HEALTH), "articles.Article ") == [
        "articles.Article articles",
        "trusted",
        "4 documents",
        epoch_of(filled),
        "just now",
        "not checked",
        "Check Reindex Pack",
    ]


def test_page_shows_the_values_of_each_index(filled: Site, root: Client) -> None:
    page = get(root, HEALTH)
    assert row_of(page, "articles-by-category")[:3] == ["articles-by-category category", "", "2 values"]
    assert row_of(page, "articles-by-author")[:3] == ["articles-by-author author", "", "1 value"]


def test_page_shows_the_drift_that_the_last_check_has_found(filled: Site, root: Client) -> None:
    with filled.redis() as client:
        (damaged,) = filled.redis_keys(f"set:{epoch_of(filled)}:articles-by-category:tc1")
        client.srem(damaged, next(iter(client.smembers(damaged))))
    with pytest.raises(CommandError):
        call_command("sb_check", "articles.Article", verbosity=0)
    page = get(root, HEALTH)
    assert row_of(page, "articles.Article ")[5] == "100.0 % checked just now"
    assert row_of(page, "articles-by-category")[5] == "25.0 %"
    assert row_of(page, "articles-by-author")[5] == "0.0 %"


def test_page_says_how_many_documents_a_check_by_sample_has_seen(filled: Site, root: Client) -> None:
    call_command("sb_check", "articles.Article", sample=2, verbosity=0)
    assert row_of(get(root, HEALTH), "articles.Article ")[5] == "0.0 % checked just now, 2 documents"


def test_drift_that_was_found_before_a_rebuild_is_not_shown_after_it(filled: Site, root: Client) -> None:
    call_command("sb_check", "articles.Article", verbosity=0)
    call_command("sb_reindex", "articles.Article", verbosity=0)
    assert row_of(get(root, HEALTH), "articles.Article ")[5] == "not checked"


def test_table_that_was_never_written_to_has_no_index_and_is_no_fault(site: Site, root: Client) -> None:
    page = get(root, HEALTH)
    assert row_of(page, "articles.Author ") == [
        "articles.Author authors", "no index", "unknown", "none", "never", "not checked", "Check Reindex Pack",
    ]  # fmt: skip
    assert "not trusted" not in text_of(page)


def test_page_names_the_reason_and_puts_what_is_not_trusted_first(filled: Site, root: Client) -> None:
    with filled.redis() as client:
        client.delete(*filled.redis_keys("*"))
    page = get(root, HEALTH)
    article = row_of(page, "articles.Article ")
    assert article[1] == "not trusted Redis lost the index"
    assert article[2] == "unknown"
    states = [row[1] for row in rows_of(page) if len(row) > 3 and row[3] and row[0] != "Table or index"]
    assert sorted(states, key=lambda state: not state.startswith("not trusted")) == states
    assert "with indexes that are not trusted" in text_of(page)


def test_page_tells_what_to_do_where_a_reindex_is_not_enough(filled: Site, root: Client) -> None:
    with filled.redis() as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        page = get(root, HEALTH)
        client.config_set("maxmemory-policy", "noeviction")
    assert row_of(page, "articles.Article ")[1] == (
        "not trusted maxmemory-policy may evict: allkeys-lru Set the maxmemory-policy of Redis to noeviction: as it "
        "is, parts of an index may vanish."
    )


def test_page_says_that_an_index_is_being_rebuilt(filled: Site, root: Client) -> None:
    with filled.redis() as client:
        client.set(f"sb:{{{filled.name}:articles}}:builder", "another-epoch", px=60_000)
    assert row_of(get(root, HEALTH), "articles.Article ")[1] == "trusted being rebuilt"


def test_page_says_since_when_redis_is_not_reachable(filled: Site, root: Client) -> None:
    get(root, HEALTH)
    assert "Redis answers since" in text_of(get(root, HEALTH))
    filled.server.stop()
    page = get(root, HEALTH)
    since = breaker_of(ALIAS).failing_since
    assert since is not None
    assert timezone.now() - since < timedelta(minutes=1)
    said = text_of(page)
    assert "Redis not reachable since" in said
    assert "as this process saw it" in said
    assert "Connection refused" in said
    assert f'datetime="{since.isoformat()}"' in page
    article = row_of(page, "articles.Article ")
    assert article[1:4] == ["not trusted Redis unreachable", "unknown", epoch_of(filled)]
    filled.server.start()


def test_page_costs_two_objects_one_a_table_and_two_round_trips_and_reads_no_document(filled: Site) -> None:
    health_of("default")
    with counting() as ops:
        health = health_of("default")
    assert len(health.tables) > 5
    # The state of Django's own table of migrations is asked for apart, to know whether there is one.
    assert (ops.redis.round_trips, ops.storage.total, ops.storage.system) == (2, 0, 4 + len(health.tables))


def test_page_shows_the_packs_of_a_table(filled: Site, root: Client) -> None:
    assert "unpacked" not in text_of(get(root, HEALTH))
    report = connection.resources.store.pack("articles")
    size, raw = (filesizeformat(number).replace("\xa0", " ") for number in (report.packed_bytes, report.raw_bytes))
    assert row_of(get(root, HEALTH), "1 pack") == [
        f"1 pack {size}, {raw} unpacked", "", "4 documents", "", "made just now", "", "",
    ]  # fmt: skip


def test_page_shows_packs_that_another_process_has_made(filled: Site, root: Client) -> None:
    get(root, HEALTH)
    own = connection.resources
    Resources("default", filled.name, own.options, own.storage).store.pack("articles")
    assert row_of(get(root, HEALTH), "1 pack")[2] == "4 documents"


def test_database_without_a_cache_has_buttons_to_pack_only(filled: Site, root: Client) -> None:
    filled.restart(cache=None)
    page = get(root, HEALTH)
    assert "The option cache is None" in text_of(page)
    assert row_of(page, "articles.Article ")[1] == "no index"
    assert row_of(page, "articles.Article ")[-1] == "Pack"
    assert set(re.findall(r'formaction="[^"]*/(\w+)/"', page)) == {"pack"}


def test_storage_whose_listings_tell_no_etags_has_no_button_to_pack(
    filled: Site, root: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection.resources.store, "lists_etags", False)
    page = get(root, HEALTH)
    assert set(re.findall(r'formaction="[^"]*/(\w+)/"', page)) == {"check", "reindex"}


def test_each_database_has_a_section(filled: Site, root: Client) -> None:
    with filled.beside("second"):
        page = get(root, HEALTH)
    assert "Database default" in text_of(page)
    assert "Database second" in text_of(page)
    labels = [row[0] for row in rows_of(page)]
    assert labels.count("articles.Article articles") == 2
    (first, other) = [row for row in rows_of(page) if row[0] == "articles.Article articles"]
    assert (first[1], other[1]) == ("trusted", "no index")


def test_database_that_cannot_be_looked_at_leaves_the_others(filled: Site, root: Client) -> None:
    with filled.beside("broken", OPTIONS=filled.options(storage="missing")):
        page = get(root, HEALTH)
    assert "It cannot be looked at:" in text_of(page)
    assert row_of(page, "articles.Article ")[1] == "trusted"


def test_project_without_a_database_of_ours_gets_a_sentence(root: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("django_smarterbase.panel.health.smarterbase_aliases", list)
    assert "No database in DATABASES has the engine django_smarterbase.backend" in text_of(get(root, HEALTH))


def test_job_that_cannot_be_read_counts_as_none(filled: Site, root: Client) -> None:
    resources = connection.resources
    resources.store.put(resources.keys.job(), b'{"kind": "check"}')
    assert "Last job none yet" in text_of(get(root, HEALTH))


def test_page_speaks_the_language_of_the_reader(filled: Site, root: Client) -> None:
    answer = root.get(HEALTH, headers={"Accept-Language": "de"})
    assert '<html lang="de"' in answer.content.decode()
