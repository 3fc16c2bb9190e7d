"""Metrics of real statements: through an outage of Redis, a rebuild and a check, and from several processes."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client, override_settings
from django.urls import include, path

from django_smarterbase.contrib.prometheus import collecting
from django_smarterbase.indexes.breaker import FAILURES
from testproject.articles.models import Article, Author
from tests.integration.commands.site import ALIAS, Site
from tests.scrape import Scrape

ROOT = Path(__file__).resolve().parents[3]
ARTICLE = {"database": "default", "model": "articles.Article"}
ARTICLES = {"database": "default", "table": "articles"}
CACHE = {"cache": ALIAS}
COUNT = "smarterbase_query_duration_seconds_count"

urlpatterns = [path("", include("django_smarterbase.contrib.prometheus.urls"))]


@pytest.fixture
def filled(site: Site) -> Iterator[Site]:
    """The site with an author and three articles, whose metrics are collected from now on."""
    author = Author.objects.create(name="Ada")
    Article.objects.bulk_create(Article(author=author, title=str(number), category="c") for number in range(3))
    collecting.connect()
    yield site
    collecting.disconnect()


def ask(times: int = 1) -> None:
    for _ in range(times):
        assert Article.objects.filter(category="c").count() == 3


def test_outage_of_redis_is_seen_in_the_metrics_from_beginning_to_end(filled: Site) -> None:
    ask()  # the server learns the script
    start = Scrape.now()
    ask(2)
    quiet = Scrape.now()
    usual = quiet.since(start)
    assert usual.value(COUNT, **ARTICLE, operation="select", complexity="O(1)", fallback="false") == 2
    assert usual.total("smarterbase_redis_round_trips_total", database="default") == 2
    assert usual.total("smarterbase_storage_operations_total", kind="read") == 0
    assert quiet.value("smarterbase_index_trusted", **ARTICLES) == 1
    assert quiet.value("smarterbase_breaker_state", **CACHE) == 0

    filled.server.kill()
    ask(FAILURES + 2)
    down = Scrape.now()
    outage = down.since(quiet)
    assert outage.value("smarterbase_fallbacks_total", **ARTICLE, reason="Redis unreachable") == FAILURES
    left_alone = outage.value(
        "smarterbase_fallbacks_total", **ARTICLE, reason="Redis left alone after repeated failures"
    )
    assert left_alone == 2
    assert outage.value("smarterbase_full_scans_total", **ARTICLE) == FAILURES + 2
    assert outage.value(COUNT, **ARTICLE, operation="select", complexity="O(n)", fallback="true") == FAILURES + 2
    assert outage.total("smarterbase_redis_errors_total", **CACHE) == FAILURES
    assert outage.total("smarterbase_storage_operations_total", kind="read") == 3 * (FAILURES + 2)
    assert down.value("smarterbase_breaker_state", **CACHE) == 2
    assert down.value("smarterbase_index_trusted", **ARTICLES) == 0

    filled.server.start()
    call_command("sb_reindex", "articles", verbosity=0)
    ask(2)
    up = Scrape.now()
    recovered = up.since(down)
    assert recovered.value("smarterbase_fallbacks_total", **ARTICLE, reason="Redis unreachable") is None
    assert up.value("smarterbase_breaker_state", **CACHE) == 0
    assert up.value("smarterbase_index_trusted", **ARTICLES) == 1
    assert recovered.value("smarterbase_rebuild_duration_seconds_count", **ARTICLES, trigger="command") == 1
    assert recovered.value("smarterbase_rebuilt_documents_total", **ARTICLES) == 3


def test_drift_that_a_check_finds_is_seen_until_it_is_mended(filled: Site) -> None:
    def drift(**options: object) -> float | None:
        with suppress(CommandError):  # the exit status tells of drift too
            call_command("sb_check", "articles", verbosity=0, stdout=io.StringIO(), **options)
        return Scrape.now().value("smarterbase_index_drift_ratio", **ARTICLES)

    assert drift() == 0
    store, keys = connection.resources.store, connection.resources.keys
    store.delete(keys.document("articles", Article.objects.first().pk.hex))
    found = drift()
    assert found is not None
    assert 0 < found < 1
    assert drift(repair=True) == 0


def test_view_is_reached_by_its_address_with_the_token_only(filled: Site) -> None:
    ask()
    with override_settings(ROOT_URLCONF=__name__, SMARTERBASE_METRICS_TOKEN="secret", MIDDLEWARE=[]):
        assert Client().get("/metrics").status_code == 403
        answer = Client(headers={"Authorization": "Bearer secret"}).get("/metrics")
    assert answer.status_code == 200
    assert Scrape.of(answer.content).total(COUNT, **ARTICLE) >= 1


PROCESS = """
import os, sys
import django
from django.conf import settings
MEMORY = {"BACKEND": "django.core.files.storage.InMemoryStorage"}
settings.configure(
    INSTALLED_APPS=["django_smarterbase", "django_smarterbase.contrib.prometheus", "testproject.articles"],
    DATABASES={
        "default": {"ENGINE": "django_smarterbase.backend", "NAME": "m", "OPTIONS": {"cache": None}},
        "indexed": {"ENGINE": "django_smarterbase.backend", "NAME": "i", "OPTIONS": {"cache": "indexes"}},
    },
    CACHES={"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}},
    STORAGES={"default": MEMORY, "smarterbase": MEMORY},
)
django.setup()
from django.db import connections
from testproject.articles.models import Author
from django_smarterbase.signals import breaker_changed, index_trusted, index_untrusted, send
Author.objects.create(name="Ada")  # before the fork, as a server that preloads the application may
for number in (1, 2):
    child = os.fork()
    if child == 0:
        connections.close_all()
        for _ in range(number):
            list(Author.objects.all())
        trust = {"database": "default", "table": "authors"}
        send(index_untrusted, Author, **trust, reason="Redis unreachable", detail="")
        if number == 1:
            send(breaker_changed, Author, cache="indexes", state="open")
        else:
            send(index_trusted, Author, **trust)
        os._exit(0)
    os.waitpid(child, 0)
from django_smarterbase.contrib.prometheus import collecting
from django_smarterbase.contrib.prometheus.exposition import exposition
collecting.connect()  # as a worker does that starts now
sys.stdout.buffer.write(exposition().body)
"""


def test_metrics_of_several_processes_are_merged(tmp_path: Path) -> None:
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    ran = subprocess.run([sys.executable, "-c", PROCESS], cwd=ROOT, env=environment, capture_output=True, timeout=60)
    assert ran.returncode == 0, ran.stderr.decode()
    scrape = Scrape.of(ran.stdout)
    assert scrape.total(COUNT, model="articles.Author", operation="select") == 1 + 2
    assert scrape.total(COUNT, model="articles.Author", operation="insert") == 1
    assert scrape.total("smarterbase_full_scans_total", model="articles.Author") == 1 + 2
    assert scrape.value("smarterbase_index_trusted", database="default", table="authors") == 1
    assert scrape.value("smarterbase_breaker_state", cache="indexes") == 2, (
        "a process that has just started knows nothing"
    )
    assert not [labels for _name, labels in scrape if "pid" in dict(labels)]
